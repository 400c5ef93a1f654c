// A variable that outgrew its place and may leave it, as asked for: its value goes along at the safe point,
// pointers to the old place do not.
internal import Glibc
internal import LoaderEngine

/// A variable with memory of its own in the new version.
struct StateMove {
  /// Old bytes that go into it.
  struct Source {
    /// Where they are, and where in the new variable they go.
    var address: UInt64
    var offset: UInt64
    /// Bytes.
    var size: UInt64
    /// What they were at first; nil: zero.
    var image: UnsafeRawPointer?
  }

  var symbol: String
  /// Where it is in the new object.
  var section: Int
  var offset: UInt64
  /// Bytes, now and before.
  var size: UInt64
  var oldSize: UInt64
  var sources: [Source] = []
  /// The whole variable that it was a part of.
  var whole: Source?
  /// Of what the program has not touched, the new initial value counts.
  var yieldsToSource = false
  /// Its value stays behind: it has its initial one.
  var isReset = false

  /// Carries the value over.
  func perform(_ linked: LinkedObject, _ arena: Arena, unit: String) -> Verdict? {
    if isReset { return Verdict(unit: unit, symbol: symbol, fate: .reset(moved: true)) }
    guard let address = linked.address(section: section, offset: offset),
      let to = arena.place(of: Address(address))
    else { return nil }
    let parts = sources.compactMap { source in
      arena.place(of: Address(source.address)).map { (source, UnsafeRawPointer($0)) }
    }
    if yieldsToSource, !isTouched(arena) { return nil }
    for (source, from) in parts where source.offset + source.size <= size {
      memcpy(to + Int(source.offset), from, Int(source.size))
    }
    return Verdict(unit: unit, symbol: symbol, fate: .movedWithValue(from: oldSize, to: size))
  }

  /// Whether the program has written to what it was.
  private func isTouched(_ arena: Arena) -> Bool {
    (whole.map { [$0] } ?? sources).contains { source in
      guard let from = arena.place(of: Address(source.address)) else { return false }
      return Carry.differ(UnsafeRawPointer(from), source.image, Int(source.size))
    }
  }
}

extension Program {
  /// Ends what is about to be initialised anew: destructors that were registered for it run now, and no more.
  func endReset(_ prepared: PreparedReload) {
    guard prepared.members.contains(where: { !$0.plan.ended.isEmpty }) else { return }
    let ranges = prepared.members.flatMap(\.plan.ended)
    LinkedCode.runExitHandlers { _, argument, _ in ranges.contains { $0.contains(argument) } }
  }
}
