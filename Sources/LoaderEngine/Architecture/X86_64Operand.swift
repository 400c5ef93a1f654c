// Where the instruction ends that a 32-bit displacement is in, told by the bytes before it, as linkers tell what a GOT
// reference may be relaxed to. A RIP-relative displacement follows its ModRM byte (mod 00, r/m 101), and that one its opcode,
// which says how long the immediate operand behind it is. Intel SDM 2.1.3, 2.2.1.6, appendix A.
//
// A linker sees no instruction's start, so the byte before the opcode may be an escape (0F) or end another instruction. Where
// both readings are instructions and differ, where VEX, EVEX, XOP or a map of three bytes may be meant, and where an
// operand-size prefix may be, nothing is told: `InstructionWalker` finds out. `OperandLengthTests` compares the two over libc.
internal import CLoaderSupport

extension X86_64 {
  /// Bytes from the displacement at `offset` to the end of its instruction; nil where the bytes before it leave a doubt.
  ///
  /// - Parameter code: a section's bytes, of which `offset + 4` can be read.
  package static func lengthFromDisplacement(_ code: UnsafeRawPointer, _ offset: UInt64) -> UInt64?
  {
    guard offset >= 2 else { return nil }
    let field = Int(offset)
    // What lies before a section belongs to no instruction in it.
    func byte(_ back: Int) -> UInt8 {
      back > field ? 0 : code.load(fromByteOffset: field - back, as: UInt8.self)
    }
    let operand = byte(1)
    let before = byte(3)
    guard operand & 0xC7 == 0x05, before != 0x38, before != 0x3A, byte(4) != 0xC5, byte(4) != 0xD5,
      byte(5) != 0xC4, byte(5) != 0x8F, byte(6) != 0x62
    else { return nil }
    let opcode = byte(2)
    let group = operand & 0x38
    var length = X86_64.length(afterOneByteOpcode: opcode, group)
    if before == 0x0F {
      let other = X86_64.length(afterTwoByteOpcode: opcode)
      if let one = length, let other, one != other { return nil }
      length = length ?? other
    }
    if length == 8, before == 0x66 || byte(4) == 0x66 || byte(5) == 0x66 { return nil }
    return length
  }

  /// The likelier answer where that leaves a doubt; 4 for a field that is no displacement behind a ModRM byte. For comparisons, of
  /// which both sides get the same.
  package static func likelyLengthFromDisplacement(_ code: UnsafeRawPointer, _ offset: UInt64)
    -> UInt64
  {
    if let length = lengthFromDisplacement(code, offset) { return length }
    guard offset >= 2 else { return 4 }
    let field = code + Int(offset)
    let operand = field.load(fromByteOffset: -1, as: UInt8.self)
    guard operand & 0xC7 == 0x05 else { return 4 }
    let opcode = field.load(fromByteOffset: -2, as: UInt8.self)
    let length = X86_64.length(afterOneByteOpcode: opcode, operand & 0x38) ?? 4
    let isShort = offset >= 3 && field.load(fromByteOffset: -3, as: UInt8.self) == 0x66
    return length == 8 && isShort ? 6 : length
  }

  /// With a ModRM byte of r/m 101, opcodes of the one-byte map that have one; nil for others.
  private static func length(afterOneByteOpcode opcode: UInt8, _ group: UInt8) -> UInt64? {
    switch opcode {
    case 0x00..<0x40 where opcode & 7 < 4: 4  // arithmetic between register and operand
    case 0x63, 0x84...0x8B, 0x8D, 0x8F, 0xD0...0xD3, 0xD8...0xDF, 0xFE, 0xFF: 4
    case 0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6: 5
    case 0x69, 0x81, 0xC7: 8
    case 0xF6: group < 0x10 ? 5 : 4
    case 0xF7: group < 0x10 ? 8 : 4
    default: nil
    }
  }

  /// The same for the map behind 0F.
  private static func length(afterTwoByteOpcode opcode: UInt8) -> UInt64? {
    switch opcode {
    case 0x0D, 0x10...0x18, 0x28...0x2F, 0x40...0x6F, 0x74...0x76, 0x7C...0x7F: 4
    case 0x90...0x9F, 0xA3, 0xA5, 0xAB, 0xAD...0xB1, 0xB3, 0xB6...0xB8, 0xBB...0xC1, 0xC3, 0xC7: 4
    case 0xD0...0xFE: 4
    case 0x70...0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4...0xC6: 5
    default: nil
    }
  }
}
