// x86-64's relocation types in words, with those that only images hold: the dynamic linker's.
// psABI AMD64 1.0, table 4.9.

extension X86_64 {
  /// A type in words; nil for an unknown one.
  package static func notation(_ type: UInt32) -> RelocationNotation? {
    if let row = row(type) {
      return RelocationNotation(
        name: "\(row.name)", formula: row.formula.notation, field: row.field.notation)
    }
    return switch type {
    case 5: RelocationNotation(name: "R_X86_64_COPY", formula: "copy of S, Z bytes", field: "none")
    case 6: RelocationNotation(name: "R_X86_64_GLOB_DAT", formula: "S", field: "word64")
    case 7: RelocationNotation(name: "R_X86_64_JUMP_SLOT", formula: "S", field: "word64")
    case 8: RelocationNotation(name: "R_X86_64_RELATIVE", formula: "B + A", field: "word64")
    case 16: RelocationNotation(name: "R_X86_64_DTPMOD64", formula: "module(S)", field: "word64")
    case 36:
      RelocationNotation(name: "R_X86_64_TLSDESC", formula: "descriptor(S)", field: "2 × word64")
    case 37:
      RelocationNotation(name: "R_X86_64_IRELATIVE", formula: "indirect(B + A)", field: "word64")
    case 38: RelocationNotation(name: "R_X86_64_RELATIVE64", formula: "B + A", field: "word64")
    default: nil
    }
  }
}
