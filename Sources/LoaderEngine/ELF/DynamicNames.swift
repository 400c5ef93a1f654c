// The names of dynamic tags, and what their values are: addresses, sizes, numbers, strings.
// gABI, chapter 5, “Dynamic Section”; elf.h.

extension ElfNames {
  package static func dynamic(_ tag: Int64) -> String {
    if let name = generic[tag] ?? extended[tag] { return name }
    return hex(UInt64(bitPattern: tag))
  }

  private static let generic: [Int64: String] = [
    0: "NULL", 1: "NEEDED", 2: "PLTRELSZ", 3: "PLTGOT", 4: "HASH", 5: "STRTAB", 6: "SYMTAB",
    7: "RELA", 8: "RELASZ", 9: "RELAENT", 10: "STRSZ", 11: "SYMENT", 12: "INIT", 13: "FINI",
    14: "SONAME", 15: "RPATH", 16: "SYMBOLIC", 17: "REL", 18: "RELSZ", 19: "RELENT",
    20: "PLTREL", 21: "DEBUG", 22: "TEXTREL", 23: "JMPREL", 24: "BIND_NOW", 25: "INIT_ARRAY",
    26: "FINI_ARRAY", 27: "INIT_ARRAYSZ", 28: "FINI_ARRAYSZ", 29: "RUNPATH", 30: "FLAGS",
    32: "PREINIT_ARRAY", 33: "PREINIT_ARRAYSZ", 34: "SYMTAB_SHNDX", 35: "RELRSZ", 36: "RELR",
    37: "RELRENT",
  ]

  private static let extended: [Int64: String] = [
    0x6FFF_FDF5: "GNU_PRELINKED", 0x6FFF_FDF8: "CHECKSUM", 0x6FFF_FEF5: "GNU_HASH",
    0x6FFF_FEF6: "TLSDESC_PLT", 0x6FFF_FEF7: "TLSDESC_GOT", 0x6FFF_FEFC: "AUDIT",
    0x6FFF_FFF0: "VERSYM", 0x6FFF_FFF9: "RELACOUNT", 0x6FFF_FFFA: "RELCOUNT",
    0x6FFF_FFFB: "FLAGS_1", 0x6FFF_FFFC: "VERDEF", 0x6FFF_FFFD: "VERDEFNUM",
    0x6FFF_FFFE: "VERNEED", 0x6FFF_FFFF: "VERNEEDNUM", 0x7FFF_FFFD: "AUXILIARY",
    0x7FFF_FFFF: "FILTER",
  ]

  /// Whether a tag's value counts something, bytes or entries, rather than being an address or flags.
  package static func dynamicIsCount(_ tag: Int64) -> Bool {
    switch tag {
    case 2, 8, 9, 10, 11, 18, 19, 27, 28, 33, 35, 37: true
    case 0x6FFF_FFF9, 0x6FFF_FFFA, 0x6FFF_FFFD, 0x6FFF_FFFF: true
    default: false
    }
  }
}
