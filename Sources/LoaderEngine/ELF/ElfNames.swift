// The document's names of ELF's numbers, without their prefixes, as readelf(1) prints them. A number
// without a name stays a number. gABI, chapters 4 and 5; elf.h.

package enum ElfNames {
  package static func type(_ type: UInt16) -> String {
    switch type {
    case 0: "NONE"
    case 1: "REL"
    case 2: "EXEC"
    case 3: "DYN"
    case 4: "CORE"
    default: hex(UInt64(type))
    }
  }

  package static func machine(_ machine: UInt16) -> String {
    switch machine {
    case 2: "sparc"
    case 3: "x86"
    case 4: "m68k"
    case 8: "mips"
    case 20: "ppc"
    case 21: "ppc64"
    case 22: "s390"
    case 40: "arm"
    case 43: "sparc64"
    case 62: "x86-64"
    case 83: "avr"
    case 183: "aarch64"
    case 243: "riscv"
    case 247: "bpf"
    case 258: "loongarch"
    default: "machine \(machine)"
    }
  }

  package static func osABI(_ value: UInt8) -> String {
    switch value {
    case 0: "System V"
    case 3: "GNU"
    case 6: "Solaris"
    case 9: "FreeBSD"
    case 12: "OpenBSD"
    case 64: "ARM EABI"
    case 97: "ARM"
    case 255: "standalone"
    default: "\(value)"
    }
  }

  package static func segment(_ type: UInt32) -> String {
    switch type {
    case 0: "NULL"
    case 1: "LOAD"
    case 2: "DYNAMIC"
    case 3: "INTERP"
    case 4: "NOTE"
    case 5: "SHLIB"
    case 6: "PHDR"
    case 7: "TLS"
    case 0x6474_E550: "GNU_EH_FRAME"
    case 0x6474_E551: "GNU_STACK"
    case 0x6474_E552: "GNU_RELRO"
    case 0x6474_E553: "GNU_PROPERTY"
    case 0x6474_E554: "GNU_SFRAME"
    default: hex(UInt64(type))
    }
  }

  /// `R E` of a segment as `r-x`.
  package static func segmentFlags(_ flags: UInt32) -> String {
    (flags & 4 != 0 ? "r" : "-") + (flags & 2 != 0 ? "w" : "-") + (flags & 1 != 0 ? "x" : "-")
  }

  package static func section(_ type: UInt32, machine: UInt16) -> String {
    switch (type, machine) {
    case (0, _): "NULL"
    case (1, _): "PROGBITS"
    case (2, _): "SYMTAB"
    case (3, _): "STRTAB"
    case (4, _): "RELA"
    case (5, _): "HASH"
    case (6, _): "DYNAMIC"
    case (7, _): "NOTE"
    case (8, _): "NOBITS"
    case (9, _): "REL"
    case (10, _): "SHLIB"
    case (11, _): "DYNSYM"
    case (14, _): "INIT_ARRAY"
    case (15, _): "FINI_ARRAY"
    case (16, _): "PREINIT_ARRAY"
    case (17, _): "GROUP"
    case (18, _): "SYMTAB_SHNDX"
    case (19, _): "RELR"
    case (0x6FFF_4C00, _): "LLVM_ODRTAB"
    case (0x6FFF_4C01, _): "LLVM_LINKER_OPTIONS"
    case (0x6FFF_4C03, _): "LLVM_ADDRSIG"
    case (0x6FFF_4C04, _): "LLVM_DEPENDENT_LIBRARIES"
    case (0x6FFF_4C06, _): "LLVM_CALL_GRAPH_PROFILE"
    case (0x6FFF_FFF5, _): "GNU_ATTRIBUTES"
    case (0x6FFF_FFF6, _): "GNU_HASH"
    case (0x6FFF_FFF7, _): "GNU_LIBLIST"
    case (0x6FFF_FFFD, _): "VERDEF"
    case (0x6FFF_FFFE, _): "VERNEED"
    case (0x6FFF_FFFF, _): "VERSYM"
    case (0x7000_0001, 62): "X86_64_UNWIND"
    case (0x7000_0001, 40): "ARM_EXIDX"
    case (0x7000_0003, 40): "ARM_ATTRIBUTES"
    case (0x7000_0003, 183): "AARCH64_ATTRIBUTES"
    case (0x7000_0003, 243): "RISCV_ATTRIBUTES"
    default: hex(UInt64(type))
    }
  }

  /// Letters in readelf's order: `WAXMSILOGTC`, `R` retain, `E` exclude, `l` large.
  package static func sectionFlags(_ flags: UInt64, machine: UInt16) -> String {
    let letters: [(UInt64, Character)] = [
      (0x1, "W"), (0x2, "A"), (0x4, "X"), (0x10, "M"), (0x20, "S"), (0x40, "I"), (0x80, "L"),
      (0x100, "O"), (0x200, "G"), (0x400, "T"), (0x800, "C"), (0x20_0000, "R"),
      (0x8000_0000, "E"),
    ]
    var text = String(letters.filter { flags & $0.0 != 0 }.map(\.1))
    var rest = flags & ~letters.reduce(0) { $0 | $1.0 }
    if machine == 62, rest & 0x1000_0000 != 0 {
      text += "l"
      rest &= ~0x1000_0000
    }
    return rest == 0 ? text : text + (text.isEmpty ? "" : "+") + hex(rest)
  }

  package static func symbol(_ type: UInt8) -> String {
    switch type {
    case 0: "NOTYPE"
    case 1: "OBJECT"
    case 2: "FUNC"
    case 3: "SECTION"
    case 4: "FILE"
    case 5: "COMMON"
    case 6: "TLS"
    case 10: "IFUNC"
    default: "\(type)"
    }
  }

  package static func binding(_ binding: UInt8) -> String {
    switch binding {
    case 0: "LOCAL"
    case 1: "GLOBAL"
    case 2: "WEAK"
    case 10: "UNIQUE"
    default: "\(binding)"
    }
  }

  package static func visibility(_ visibility: UInt8) -> String {
    switch visibility {
    case 0: "DEFAULT"
    case 1: "INTERNAL"
    case 2: "HIDDEN"
    default: "PROTECTED"
    }
  }

  package static func note(_ type: UInt32, owner: String) -> String {
    switch (owner, type) {
    case ("GNU", 1): "ABI tag"
    case ("GNU", 2): "hardware capabilities"
    case ("GNU", 3): "build id"
    case ("GNU", 4): "gold version"
    case ("GNU", 5): "properties"
    case ("stapsdt", 3): "SystemTap probe"
    default: "type \(type)"
    }
  }

  static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
}
