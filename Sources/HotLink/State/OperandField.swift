// Where the instruction ends that a PC-relative field is in. Processors count from there, so an addend is short by it:
// by four bytes, and by those of an immediate operand behind the field. Intel SDM 2.1.
internal import CLoaderSupport
internal import LoaderEngine

enum OperandField {
  /// Bytes from a field to the end of its instruction, as the opcode before the operand's byte tells; 0 for a field that
  /// does not count from there.
  static func bias(_ code: Bytes, _ offset: UInt64, _ type: UInt32) -> Int64 {
    guard type == UInt32(R_X86_64_PC32) || type == UInt32(R_X86_64_PLT32) else { return 0 }
    guard offset >= 2, let opcode = code.load(UInt8.self, at: offset - 2),
      let operand = code.load(UInt8.self, at: offset - 1), operand & 0xC7 == 0x05
    else { return 4 }
    let isShort = offset >= 3 && code.load(UInt8.self, at: offset - 3) == 0x66
    switch opcode {
    case 0x80, 0x83, 0x6B, 0xC0, 0xC1, 0xC6: return 5
    case 0xF6 where operand & 0x38 < 0x10: return 5
    case 0x69, 0x81, 0xC7: return isShort ? 6 : 8
    case 0xF7 where operand & 0x38 < 0x10: return isShort ? 6 : 8
    default: return 4
    }
  }
}
