// Instruction boundaries, where an object's bytes do not say what they mean: a `.bss+8` reference is
// biased by the distance to the end of its instruction, and a function's address taken inside one
// section has no relocation at all. Zydis decodes; nothing here guesses.
internal import CZydis

/// Decodes x86-64 code.
package struct InstructionWalker {
  private var decoder = ZydisDecoder()

  package init() {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, 1)
  }

  /// Where the instruction that covers byte `offset` begins and ends, walking from `start`.
  ///
  /// - Parameters:
  ///   - code: the section's bytes.
  ///   - start: offset of an instruction's first byte at or before `offset`: a function's start.
  /// - Returns: nil when the bytes from `start` on are no valid code.
  package func instruction(
    covering offset: UInt64, from start: UInt64, in code: UnsafeRawBufferPointer
  ) -> Range<UInt64>? {
    guard let base = code.baseAddress else { return nil }
    var at = start
    var decoded = 0
    defer { LinkSteps.add(decoded) }
    while at <= offset {
      decoded += 1
      var instruction = ZydisDecodedInstruction()
      let left = code.count - Int(at)
      let status = withUnsafePointer(to: decoder) {
        ZydisDecoderDecodeInstruction($0, nil, base + Int(at), left, &instruction)
      }
      guard status & 0x8000_0000 == 0, instruction.length > 0 else { return nil }
      let end = at + UInt64(instruction.length)
      if offset < end { return at..<end }
      at = end
    }
    return nil
  }
}
