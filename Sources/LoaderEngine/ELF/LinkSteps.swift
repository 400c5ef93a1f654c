// How much a process has looked at while it linked: sections, symbols, relocations, instructions, counted where loops
// over them begin. Tests hold that twice the input takes twice the steps (`LinearCostTests`); seconds would not tell.
internal import Synchronization

package enum LinkSteps {
  private static let counter = Atomic<Int>(0)

  @inline(__always)
  package static func add(_ count: Int) { counter.wrappingAdd(count, ordering: .relaxed) }

  /// All so far.
  package static var count: Int { counter.load(ordering: .relaxed) }
}
