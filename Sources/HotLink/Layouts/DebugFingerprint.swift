// A number over what debug data says of types, wherever it says it: most edits change lines, addresses of code and what is
// local to a function, and then there is nothing to compare. Texts count by what they are, references by which of
// all entries about types they lead to; so a new local variable that moves everything behind it changes nothing.

internal import LoaderEngine

struct DebugFingerprint: Equatable {
  /// What an attribute says about a type.
  enum Meaning: UInt8 {
    case nothing
    /// Its bytes.
    case bytes
    case text
    /// Another entry.
    case entry
    /// Where a variable is.
    case place
  }

  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
  /// A reference leads to an entry that is not counted: nothing can be said.
  private var isVague = false
  /// Offsets of the entries that count, and of those that are referred to, in order.
  private var counted: [Int32] = []
  private var references: [Int32] = []
  private var lastPlace: UInt64 = 0

  var number: UInt64 { state }

  init() {}

  /// - Parameter capacity: bytes of debug data.
  init(capacity: Int) {
    counted.reserveCapacity(capacity / 12)
    references.reserveCapacity(capacity / 24)
  }

  static func == (left: DebugFingerprint, right: DebugFingerprint) -> Bool {
    !left.isVague && !right.isVague && left.state == right.state
  }

  /// What the guard reads, and nothing else.
  static func meaning(of attribute: UInt16, _ form: UInt16, isVariable: Bool) -> Meaning {
    switch attribute {
    // Where a parameter or a local variable is, is the optimiser's business.
    case 0x02: isVariable && DebugForm.isBlock(form) ? .place : .nothing
    case 0x03, 0x6E, 0x2007: .text
    case 0x31, 0x47, 0x49, 0x69: .entry  // origin, specification, type, signature
    case 0x01, 0x11, 0x13, 0x72, 0x73, 0x76, 0x2130, 0x2133: .nothing
    default: DebugEntries.reads(attribute) && !DebugForm.isReference(form) ? .bytes : .nothing
    }
  }

  /// Entries that only say what code does are passed over; what is in them is not.
  static func isAboutTypes(_ tag: UInt16) -> Bool {
    switch tag {
    case 0x11, 0x41, 0x3C, 0x4A: false  // units
    case 0x0A, 0x0B, 0x1D, 0x25, 0x32: false  // label, blocks, inlined_subroutine
    case 0x48, 0x49, 0x4109, 0x410A, 0x36: false  // call sites and their parameters
    case 0x08, 0x3A: false  // imported declarations and modules
    default: true
    }
  }

  @inline(__always)
  mutating func mix(_ word: UInt64) {
    let product = (state ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    state = product.high ^ product.low
  }

  /// An entry that counts.
  @inline(__always)
  mutating func note(entry offset: Int, _ print: UInt64) {
    counted.append(Int32(truncatingIfNeeded: offset))
    mix(print)
  }

  @inline(__always)
  mutating func note(reference offset: Int) {
    references.append(Int32(clamping: offset))
  }

  /// All of a library's variables move when its code grows: of those distances count.
  mutating func note(place value: DebugValue, _ data: DebugData) {
    var cursor = DebugCursor(data.info, at: Int(clamping: value.number))
    guard data.isLinked, value.count >= 9, cursor.take(UInt8.self) == 0x03 else {
      let start = Int(clamping: value.number)
      return mix(cursor, from: start, to: start &+ Int(value.count))
    }
    let place = cursor.take(UInt64.self)
    mix(place &- lastPlace)
    lastPlace = place
  }

  /// Says of each reference which of the counted entries it leads to.
  mutating func finish(_ count: Int) {
    // Where the entries of each 32 bytes begin.
    var buckets = [Int32](repeating: 0, count: count / 32 + 2)
    var bucket = 0
    for (index, offset) in counted.enumerated() {
      while bucket <= Int(offset) / 32 {
        buckets[bucket] = Int32(truncatingIfNeeded: index)
        bucket += 1
      }
    }
    while bucket < buckets.count {
      buckets[bucket] = Int32(truncatingIfNeeded: counted.count)
      bucket += 1
    }
    for offset in references {
      guard offset >= 0, Int(offset) < count else {
        isVague = isVague || offset >= 0
        continue
      }
      var index = Int(buckets[Int(offset) / 32])
      while index < counted.count, counted[index] < offset { index &+= 1 }
      if index < counted.count, counted[index] == offset {
        mix(UInt64(index))
      } else {
        isVague = true
      }
    }
    (counted, references) = ([], [])
  }

  /// A text by what it is.
  @inline(__always)
  mutating func mix(_ text: NameView) {
    let area = DebugData.Area(base: text.base, count: text.count)
    mix(DebugCursor(area, at: 0), from: 0, to: text.count)
  }

  /// Bytes that a cursor has passed.
  @inline(__always)
  mutating func mix(_ cursor: DebugCursor, from: Int, to end: Int) {
    guard from >= 0, from <= end, end <= cursor.end else { return }
    var at = from
    while end &- at >= 8 {
      mix(cursor.base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at &+= 8
    }
    let count = end &- at
    var tail = UInt64(truncatingIfNeeded: count &+ 1) << 56
    if count >= 4 {
      let low = cursor.base.loadUnaligned(fromByteOffset: at, as: UInt32.self)
      let high = cursor.base.loadUnaligned(fromByteOffset: end &- 4, as: UInt32.self)
      tail ^= UInt64(low) | UInt64(high) << 24
    } else if count > 0 {
      let first = cursor.base.load(fromByteOffset: at, as: UInt8.self)
      let middle = cursor.base.load(fromByteOffset: at &+ count / 2, as: UInt8.self)
      let last = cursor.base.load(fromByteOffset: end &- 1, as: UInt8.self)
      tail ^= UInt64(first) | UInt64(middle) << 8 | UInt64(last) << 16
    }
    mix(tail)
  }
}
