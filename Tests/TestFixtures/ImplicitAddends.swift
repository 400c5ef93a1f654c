// An object whose relocations are SHT_REL: no compiler for x86-64 makes one, so it is made of one with SHT_RELA by
// moving each addend into its field. gABI, “Relocation”.

package enum ImplicitAddends {
  /// - Parameter bytes: an object of a compiler.
  package static func made(of bytes: [UInt8]) -> [UInt8] {
    var copy = bytes
    func word(_ offset: Int, _ width: Int) -> UInt64 {
      (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
    func write(_ value: UInt64, _ offset: Int, _ width: Int) {
      for index in 0..<width {
        copy[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
      }
    }
    let headers = Int(word(40, 8))
    for index in 0..<Int(word(60, 2)) {
      let header = headers + index * 64
      guard word(header + 4, 4) == 4 else { continue }
      let table = Int(word(header + 24, 8))
      let count = Int(word(header + 32, 8)) / 24
      let target = Int(word(headers + Int(word(header + 44, 4)) * 64 + 24, 8))
      for number in 0..<count {
        let record = table + number * 24
        let (offset, kind) = (word(record, 8), word(record + 8, 8))
        write(word(record + 16, 8), target + Int(offset), width(kind & 0xFFFF_FFFF))
        write(offset, table + number * 16, 8)
        write(kind, table + number * 16 + 8, 8)
      }
      write(9, header + 4, 4)
      write(UInt64(count * 16), header + 32, 8)
      write(16, header + 56, 8)
    }
    return copy
  }

  /// Bytes of a relocation's field (psABI AMD64, table 4.9).
  private static func width(_ type: UInt64) -> Int {
    switch type {
    case 0, 35: 0
    case 1, 17, 18, 24, 25, 27...31, 33: 8
    case 12, 13: 2
    case 14, 15: 1
    default: 4
    }
  }
}
