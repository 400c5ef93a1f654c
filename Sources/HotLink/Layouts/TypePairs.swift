// Which types of two tables have been compared with each other. A type of the old one nearly always has one partner, whose
// number is noted beside it; only what has several goes into a dictionary.

/// Pairs of types, and what is known of them.
struct TypePairs {
  private struct Pair {
    /// In the new table; -1: none yet.
    var partner: TypeIndex = -1
    /// The comparison that has seen it last.
    var round: Int32 = 0
    var isByValue = false
    var isBehindPointer = false
    /// With all it leads to.
    var isEqual = false
  }

  private var first: [Pair]
  private var others: [UInt64: Pair] = [:]
  private var round: Int32 = 0

  /// - Parameter count: types of the old table.
  init(count: Int) { first = [Pair](repeating: Pair(), count: count) }

  /// What was seen before is forgotten, what is equal is not.
  mutating func begin() { round &+= 1 }

  private static func key(_ a: TypeIndex, _ b: TypeIndex) -> UInt64 {
    UInt64(UInt32(bitPattern: a)) << 32 | UInt64(UInt32(bitPattern: b))
  }

  @inline(__always)
  private func pair(_ a: TypeIndex, _ b: TypeIndex) -> Pair {
    // `void` has no number.
    if a >= 0, Int(a) < first.count, b >= 0 {
      let pair = first[Int(a)]
      if pair.partner == b { return pair }
      if pair.partner < 0 { return Pair() }
    }
    return others[TypePairs.key(a, b)] ?? Pair()
  }

  @inline(__always)
  private mutating func set(_ a: TypeIndex, _ b: TypeIndex, _ pair: Pair) {
    var pair = pair
    pair.partner = b
    if a >= 0, Int(a) < first.count, b >= 0,
      first[Int(a)].partner == b || first[Int(a)].partner < 0
    {
      first[Int(a)] = pair
    } else {
      others[TypePairs.key(a, b)] = pair
    }
  }

  func areEqual(_ a: TypeIndex, _ b: TypeIndex) -> Bool { pair(a, b).isEqual }

  func isByValue(_ a: TypeIndex, _ b: TypeIndex) -> Bool {
    let pair = pair(a, b)
    return pair.round == round && pair.isByValue
  }

  /// - Returns: whether it must be looked at.
  @inline(__always)
  mutating func visit(_ a: TypeIndex, _ b: TypeIndex, isBehindPointer: Bool) -> Bool {
    var pair = pair(a, b)
    if pair.isEqual { return false }
    if pair.round != round { pair = Pair(round: round) }
    if pair.isByValue || (isBehindPointer && pair.isBehindPointer) { return false }
    if isBehindPointer { pair.isBehindPointer = true } else { pair.isByValue = true }
    set(a, b, pair)
    return true
  }

  mutating func noteEqual(_ a: TypeIndex, _ b: TypeIndex) {
    var pair = pair(a, b)
    pair.isEqual = true
    set(a, b, pair)
  }
}
