// What linked code refers to. In a shared object the linker has resolved all references inside it and left no
// relocations, so they are read from the instructions: on x86-64, code that may be loaded anywhere reaches its
// own data by displacements from the instruction pointer only. Zydis decodes; nothing here guesses.
internal import CZydis

/// A displacement in code.
package struct CodeReference: BitwiseCopyable, Sendable {
  /// Virtual address of the 32-bit field.
  package var field: UInt64
  /// Virtual address of the next instruction: what the displacement counts from.
  package var next: UInt64
  /// Virtual address that is referred to.
  package var target: UInt64
  package var kind: Kind

  package enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// A direct call or jump.
    case branch
    /// `lea`: an address is taken, which may be that of the end of something.
    case address
    /// Memory is read or written there.
    case access
  }
}

/// Finds references in stretches of code.
package struct CodeReferences {
  private var decoder = ZydisDecoder()

  package init() {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, 1)
  }

  /// Appends the references of one function.
  ///
  /// - Parameters:
  ///   - code: its bytes.
  ///   - address: virtual address of the first.
  /// - Returns: false when the bytes are not code from end to end.
  package func collect(
    in code: UnsafeRawBufferPointer, at address: UInt64, into found: inout [CodeReference]
  ) -> Bool {
    guard let base = code.baseAddress else { return true }
    var at = 0
    while at < code.count {
      var instruction = ZydisDecodedInstruction()
      let status = withUnsafePointer(to: decoder) {
        ZydisDecoderDecodeInstruction($0, nil, base + at, code.count - at, &instruction)
      }
      guard status & 0x8000_0000 == 0, instruction.length > 0 else { return false }
      let start = address &+ UInt64(at)
      let next = start &+ UInt64(instruction.length)
      let raw = instruction.raw
      if raw.modrm.offset != 0, raw.modrm.mod == 0, raw.modrm.rm == 5, raw.disp.size == 32 {
        found.append(
          CodeReference(
            field: start &+ UInt64(raw.disp.offset), next: next,
            target: next &+ UInt64(bitPattern: raw.disp.value),
            kind: instruction.mnemonic == ZYDIS_MNEMONIC_LEA ? .address : .access))
      } else if raw.imm.0.is_relative != 0, raw.imm.0.size == 32 {
        found.append(
          CodeReference(
            field: start &+ UInt64(raw.imm.0.offset), next: next,
            target: next &+ UInt64(bitPattern: raw.imm.0.value.s), kind: .branch))
      }
      at += Int(instruction.length)
    }
    return true
  }
}
