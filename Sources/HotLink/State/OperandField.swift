// How far the addend of a PC-relative field lies before the offset it means: processors count from the end of the instruction,
// which lies four bytes behind the field's start, and the bytes of an immediate operand. Intel SDM 2.1.
internal import CLoaderSupport
internal import LoaderEngine

enum OperandField {
  /// Bytes from a field to the end of its instruction; 0 for a field that does not count from there.
  static func bias(_ code: Bytes, _ offset: UInt64, _ type: UInt32) -> Int64 {
    guard type == UInt32(R_X86_64_PC32) || type == UInt32(R_X86_64_PLT32) else { return 0 }
    guard offset <= UInt64(code.count) else { return 4 }
    return Int64(X86_64.likelyLengthFromDisplacement(code.base, offset))
  }
}
