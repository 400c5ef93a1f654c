// Displacements from code to code that have no relocation: what an assembler could compute, because both ends lie in one
// section. Found by their bytes, eight at a time, for comparisons of code that has moved apart.
internal import CLoaderSupport

/// Displacements of direct calls, jumps, branches and `lea`, as far as bytes can tell.
package enum BareBranches {
  package struct Hit {
    /// Offset of the instruction's opcode, prefixes not counted.
    package var opcode: Int
    /// Offset of the 32-bit displacement.
    package var field: Int
    /// Offset that it leads to: counted from behind the field.
    package var target: Int
  }

  /// The first one at or behind an offset.
  ///
  /// - Parameters:
  ///   - start: where an instruction's opcode may stand; not before `low`, the first byte that belongs to the code.
  ///   - end: the field must end there, or before. Behind it nothing is read.
  package static func next(in code: Span<UInt8>, from start: Int, low: Int, end: Int) -> Hit? {
    guard low >= 0, low <= start, end <= code.count else { return nil }
    return code.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return nil }
      var at = start
      // Nine bytes: an opcode of two bytes may begin in the last of eight.
      while at + 9 <= end {
        var marks = BareBranches.marks(
          base.loadUnaligned(fromByteOffset: at, as: UInt64.self),
          base.loadUnaligned(fromByteOffset: at + 1, as: UInt64.self))
        while marks != 0 {
          let hit = hit(base, at + marks.trailingZeroBitCount / 8, low, end)
          if let hit { return hit }
          marks &= marks &- 1
        }
        at += 8
      }
      while at + 5 <= end {
        if let hit = hit(base, at, low, end) { return hit }
        at += 1
      }
      return nil
    }
  }

  /// Where one of the opcodes may stand, as the highest bits of its byte: no place is left out, few are not one.
  ///
  /// - Parameter next: the bytes that follow each of `bytes`.
  @inline(__always)
  private static func marks(_ bytes: UInt64, _ next: UInt64) -> UInt64 {
    func every(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
    // Highest bits of bytes that are zero, and of some that are one.
    func zero(_ bytes: UInt64) -> UInt64 { (bytes &- every(0x01)) & ~bytes & every(0x80) }
    let calls = zero(bytes & every(0xFE) ^ every(0xE8))
    let branches = zero(bytes ^ every(0x0F)) & zero(next & every(0xF0) ^ every(0x80))
    let loads = zero(bytes ^ every(0x8D)) & zero(next & every(0xC7) ^ every(0x05))
    return calls | branches | loads
  }

  private static func hit(_ base: UnsafeRawPointer, _ at: Int, _ low: Int, _ end: Int) -> Hit? {
    guard let field = field(base, at, low), field + 4 <= end else { return nil }
    let displacement = base.loadUnaligned(fromByteOffset: field, as: Int32.self)
    // Zero is what a relocation is to fill in.
    return displacement == 0
      ? nil : Hit(opcode: at, field: field, target: field + 4 + Int(displacement))
  }

  /// Where the displacement of an instruction stands whose opcode is at an offset. Two bytes there can be read.
  private static func field(_ base: UnsafeRawPointer, _ at: Int, _ low: Int) -> Int? {
    let opcode = base.load(fromByteOffset: at, as: UInt8.self)
    switch opcode {
    case 0xE8, 0xE9: return at + 1
    case 0x8D:
      guard at > low, base.load(fromByteOffset: at - 1, as: UInt8.self) & 0xFB == 0x48,
        base.load(fromByteOffset: at + 1, as: UInt8.self) & 0xC7 == 0x05
      else { return nil }
      return at + 2
    case 0x0F where base.load(fromByteOffset: at + 1, as: UInt8.self) & 0xF0 == 0x80: return at + 2
    default: return nil
    }
  }
}
