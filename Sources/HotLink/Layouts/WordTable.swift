// Numbers by words. What is looked up tens of thousands of times in an edit is looked up here: offsets of debug data,
// places of symbols. A `Dictionary` would spend most of that time on hashing.

/// A table from words to numbers that are not negative.
struct WordTable<Key: FixedWidthInteger & UnsignedInteger> {
  private struct Slot {
    var key: Key = 0
    var value: Int32 = -1
  }

  private var slots: [Slot]
  private var shift: UInt64
  private var count = 0

  /// - Parameter capacity: how many there will be; more are taken, too.
  init(capacity: Int = 0) {
    var bits: UInt64 = 4
    while bits < 40, 1 << bits < capacity * 2 { bits += 1 }
    slots = [Slot](repeating: Slot(), count: 1 << bits)
    shift = 64 - bits
  }

  @inline(__always)
  private func home(_ key: Key) -> Int {
    Int(truncatingIfNeeded: (UInt64(truncatingIfNeeded: key) &* 0x9E37_79B9_7F4A_7C15) >> shift)
  }

  /// -1: none.
  @inline(__always)
  subscript(key: Key) -> Int32 {
    var at = home(key)
    while slots[at].value >= 0 {
      if slots[at].key == key { return slots[at].value }
      at = (at &+ 1) & (slots.count &- 1)
    }
    return -1
  }

  /// Puts a number in, in the place of an earlier one.
  @inline(__always)
  mutating func set(_ key: Key, _ value: Int32) {
    if (count &+ 1) &* 2 > slots.count { grow() }
    var at = home(key)
    while slots[at].value >= 0, slots[at].key != key { at = (at &+ 1) & (slots.count &- 1) }
    if slots[at].value < 0 { count &+= 1 }
    slots[at] = Slot(key: key, value: value)
  }

  @inline(never)
  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: old.count * 2)
    shift -= 1
    count = 0
    for slot in old where slot.value >= 0 { set(slot.key, slot.value) }
  }
}
