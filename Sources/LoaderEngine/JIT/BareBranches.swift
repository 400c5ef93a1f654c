// Displacements from code to code that have no relocation: what an assembler could compute, because both ends lie in one
// section. Found by their bytes, sixteen at a time, for comparisons of code that has moved apart.
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
      while at + 5 <= end {
        // Seventeen bytes: an opcode of two bytes may begin in the last lane.
        if at + 17 <= end {
          let first = base.loadUnaligned(fromByteOffset: at, as: SIMD16<UInt8>.self)
          let second = base.loadUnaligned(fromByteOffset: at + 1, as: SIMD16<UInt8>.self)
          let isCall = (first & 0xFE) .== 0xE8
          let isBranch = (first .== 0x0F) .& ((second & 0xF0) .== 0x80)
          let isLoad = (first .== 0x8D) .& ((second & 0xC7) .== 0x05)
          guard any(isCall .| isBranch .| isLoad) else {
            at += 16
            continue
          }
        }
        let stop = min(at + 16, end - 4)
        while at < stop {
          if let field = field(base, at, low), field + 4 <= end {
            let displacement = base.loadUnaligned(fromByteOffset: field, as: Int32.self)
            // Zero is what a relocation is to fill in.
            if displacement != 0 {
              return Hit(opcode: at, field: field, target: field + 4 + Int(displacement))
            }
          }
          at += 1
        }
      }
      return nil
    }
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
