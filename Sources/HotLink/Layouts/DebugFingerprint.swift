// A number over what debug data says of types: most edits change lines and addresses of code and nothing else, and then
// there is nothing to compare.

struct DebugFingerprint: Equatable {
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  init(_ data: DebugData) {
    for area in [data.abbreviations, data.strings, data.lineStrings, data.stringOffsets] {
      mix(UInt64(area.count))
      mix(DebugCursor(area, at: 0), from: 0, to: area.count)
    }
  }

  /// Whether an attribute says anything about a type: lines, code addresses and lists of them do not.
  static func counts(_ attribute: UInt16) -> Bool {
    switch attribute {
    case 0x10, 0x11, 0x12, 0x40, 0x55: false  // stmt_list, low_pc, high_pc, frame_base, ranges
    case 0x39, 0x3A, 0x3B: false  // decl_column, decl_file, decl_line
    case 0x57, 0x58, 0x59: false  // call_column, call_file, call_line
    case 0x72, 0x73, 0x74, 0x8C: false  // bases of offsets, addresses, ranges and locations
    default: true
    }
  }

  @inline(__always)
  mutating func mix(_ word: UInt64) {
    let product = (state ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    state = product.high ^ product.low
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
    var tail = UInt64(truncatingIfNeeded: count) << 56
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
