// x86-64: its relocations, the shape of its stubs, and the few instruction bytes the linker looks at.
// psABI AMD64 1.0, section 4.4.

package enum X86_64 {
  /// The row of a relocation type; nil for one no object may hold.
  package static func row(_ type: UInt32) -> RelocationRow? {
    switch type {
    case 0: RelocationRow("R_X86_64_NONE", .none, .none)
    case 1: RelocationRow("R_X86_64_64", .absolute, .word64)
    case 2: RelocationRow("R_X86_64_PC32", .pcRelative, .signed32)
    case 3: RelocationRow("R_X86_64_GOT32", .gotEntryOffset, .signed32)
    case 4: RelocationRow("R_X86_64_PLT32", .branch, .signed32)
    case 9: RelocationRow("R_X86_64_GOTPCREL", .gotEntryRelative, .signed32)
    case 10: RelocationRow("R_X86_64_32", .absolute, .unsigned32)
    case 11: RelocationRow("R_X86_64_32S", .absolute, .signed32)
    case 12: RelocationRow("R_X86_64_16", .absolute, .word16)
    case 13: RelocationRow("R_X86_64_PC16", .pcRelative, .signed16)
    case 14: RelocationRow("R_X86_64_8", .absolute, .word8)
    case 15: RelocationRow("R_X86_64_PC8", .pcRelative, .signed8)
    case 17: RelocationRow("R_X86_64_DTPOFF64", .moduleOffset, .word64)
    case 18: RelocationRow("R_X86_64_TPOFF64", .threadOffset, .word64)
    case 19: RelocationRow("R_X86_64_TLSGD", .generalDynamic, .signed32)
    case 20: RelocationRow("R_X86_64_TLSLD", .localDynamic, .signed32)
    case 21: RelocationRow("R_X86_64_DTPOFF32", .moduleOffset, .signed32)
    case 22: RelocationRow("R_X86_64_GOTTPOFF", .threadOffsetEntry, .signed32)
    case 23: RelocationRow("R_X86_64_TPOFF32", .threadOffset, .signed32)
    case 24: RelocationRow("R_X86_64_PC64", .pcRelative, .word64)
    case 25: RelocationRow("R_X86_64_GOTOFF64", .fromGOT, .word64)
    case 26: RelocationRow("R_X86_64_GOTPC32", .gotRelative, .signed32)
    case 27: RelocationRow("R_X86_64_GOT64", .gotEntryOffset, .word64)
    case 28: RelocationRow("R_X86_64_GOTPCREL64", .gotEntryRelative, .word64)
    case 29: RelocationRow("R_X86_64_GOTPC64", .gotRelative, .word64)
    case 30: RelocationRow("R_X86_64_GOTPLT64", .gotEntryOffset, .word64)
    case 31: RelocationRow("R_X86_64_PLTOFF64", .branchFromGOT, .word64)
    case 32: RelocationRow("R_X86_64_SIZE32", .size, .unsigned32)
    case 33: RelocationRow("R_X86_64_SIZE64", .size, .word64)
    case 34: RelocationRow("R_X86_64_GOTPC32_TLSDESC", .descriptor, .signed32)
    case 35: RelocationRow("R_X86_64_TLSDESC_CALL", .descriptorCall, .none)
    // Of MPX, which is gone; objects of its time may hold them.
    case 39: RelocationRow("R_X86_64_PC32_BND", .pcRelative, .signed32)
    case 40: RelocationRow("R_X86_64_PLT32_BND", .branch, .signed32)
    case 41: RelocationRow("R_X86_64_GOTPCRELX", .gotEntryRelative, .signed32)
    case 42: RelocationRow("R_X86_64_REX_GOTPCRELX", .gotEntryRelative, .signed32)
    case 43: RelocationRow("R_X86_64_CODE_4_GOTPCRELX", .gotEntryRelative, .signed32)
    case 44: RelocationRow("R_X86_64_CODE_4_GOTTPOFF", .threadOffsetEntry, .signed32)
    case 45: RelocationRow("R_X86_64_CODE_4_GOTPC32_TLSDESC", .descriptor, .signed32)
    case 46: RelocationRow("R_X86_64_CODE_5_GOTPCRELX", .gotEntryRelative, .signed32)
    case 47: RelocationRow("R_X86_64_CODE_5_GOTTPOFF", .threadOffsetEntry, .signed32)
    case 48: RelocationRow("R_X86_64_CODE_5_GOTPC32_TLSDESC", .descriptor, .signed32)
    case 49: RelocationRow("R_X86_64_CODE_6_GOTPCRELX", .gotEntryRelative, .signed32)
    case 50: RelocationRow("R_X86_64_CODE_6_GOTTPOFF", .threadOffsetEntry, .signed32)
    case 51: RelocationRow("R_X86_64_CODE_6_GOTPC32_TLSDESC", .descriptor, .signed32)
    default: nil
    }
  }

  /// One more than the highest type in `row`.
  package static let typeCount = 52

  // A slot's cell. The thunk is where the slot leads until it is bound: it hands the slot's number to
  // the lazy resolver.
  //
  //      0  f3 0f 1e fa              endbr64
  //      4  4c 8b 1d <table>         mov   table(%rip), %r11
  //     11  41 ff a3 <8*slot>        jmp   *8*slot(%r11)
  //     18  68 <token>               push  $token
  //     23  e9 <resolver>            jmp   resolver
  package static let cellSize: UInt64 = 32
  package static let thunkOffset: UInt64 = 18

  /// Writes the cell of `slot`, which runs at `cell`; `token` is what the lazy resolver is told.
  @inline(__always)
  package static func writeCell(
    _ slot: UInt32, token: UInt32, at place: UnsafeMutableRawPointer, cell: Address, table: Address,
    resolver: Address
  ) {
    let toTable = UInt32(truncatingIfNeeded: table.value &- (cell.value &+ 11))
    let toResolver = UInt32(truncatingIfNeeded: resolver.value &- (cell.value &+ 28))
    place.storeBytes(of: 0xFA1E_0FF3, as: UInt32.self)
    place.storeBytes(of: 0x001D_8B4C, toByteOffset: 4, as: UInt32.self)
    place.storeBytes(of: toTable, toByteOffset: 7, as: UInt32.self)
    place.storeBytes(of: 0x00A3_FF41, toByteOffset: 11, as: UInt32.self)
    place.storeBytes(of: slot &* 8, toByteOffset: 14, as: UInt32.self)
    place.storeBytes(of: 0x68, toByteOffset: 18, as: UInt8.self)
    place.storeBytes(of: token, toByteOffset: 19, as: UInt32.self)
    place.storeBytes(of: 0xE9, toByteOffset: 23, as: UInt8.self)
    place.storeBytes(of: toResolver, toByteOffset: 24, as: UInt32.self)
    place.storeBytes(of: 0xCCCC_CCCC, toByteOffset: 28, as: UInt32.self)
  }

  /// `endbr64; jmp *entry(%rip)`: a jump to wherever a GOT entry says, at most 16 bytes.
  package static func writeIndirectJump(
    at place: UnsafeMutableRawPointer, address: Address, entry: Address
  ) {
    place.storeBytes(of: 0xFA1E_0FF3, as: UInt32.self)
    place.storeBytes(of: 0x25FF, toByteOffset: 4, as: UInt16.self)
    place.storeBytes(
      of: UInt32(truncatingIfNeeded: entry.value &- (address.value &+ 10)), toByteOffset: 6,
      as: UInt32.self)
  }

  /// Whether the 32-bit displacement at `offset` of `code` belongs to a direct call or jump.
  @inline(__always)
  package static func isBranch(_ code: UnsafeRawPointer, _ offset: UInt64) -> Bool {
    guard offset >= 1 else { return false }
    let last = code.load(fromByteOffset: Int(offset) - 1, as: UInt8.self)
    if last == 0xE8 || last == 0xE9 { return true }
    guard offset >= 2, last & 0xF0 == 0x80 else { return false }
    return code.load(fromByteOffset: Int(offset) - 2, as: UInt8.self) == 0x0F
  }

  /// Whether the displacement at `offset` belongs to `call *entry(%rip)` or `jmp *entry(%rip)`.
  package static func isIndirectBranch(_ code: UnsafeRawPointer, _ offset: UInt64) -> Bool {
    guard offset >= 2 else { return false }
    let modrm = code.load(fromByteOffset: Int(offset) - 1, as: UInt8.self)
    return code.load(fromByteOffset: Int(offset) - 2, as: UInt8.self) == 0xFF
      && (modrm == 0x15 || modrm == 0x25)
  }
}
