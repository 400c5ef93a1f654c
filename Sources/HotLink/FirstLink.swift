// The first link of a session. Code made without -fPIE holds addresses in 32 bits: a linker places a program of such
// objects low, and so do we, when the first of them does not fit. docs/decisions/0018.
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// Links what was added for the first time, below 2 GiB if that is what its code needs.
  func prepareFirst(_ changes: [UnitChange]) throws(Refusal) -> PreparedReload {
    do {
      return try linked.prepare(changes)
    } catch {
      guard !linked.options.isLow, linked.options.layout == nil, error.asksForLowAddresses else {
        throw error
      }
    }
    do {
      linked = try linked.placedLow()
      for library in libraries { try linked.space.host.open(library: library) }
    } catch { throw Refusal(unit: error.file, reason: .link(error)) }
    state.withLock { $0.generation = linked.generation }
    return try linked.prepare(changes)
  }
}

extension Refusal {
  /// Whether an address did not fit 32 bits.
  fileprivate var asksForLowAddresses: Bool {
    guard case .link(let error) = reason, case .overflow(let site, _, _) = error.reason else {
      return false
    }
    return site.relocation == "R_X86_64_32" || site.relocation == "R_X86_64_32S"
  }
}

extension Program {
  /// The same before its first link, with its code and data below 2 GiB.
  fileprivate func placedLow() throws(LinkError) -> Program {
    var options = options
    options.isLow = true
    let other = try Program(tag: tag, backing: backing, options: options)
    other.archives = archives
    return other
  }
}
