// Formulas and fields as the psABI writes them, for tables that people read. psABI AMD64, table 4.9.

extension Formula {
  /// `S + A - P`; words where the document has no formula.
  package var notation: String {
    switch self {
    case .none: "none"
    case .absolute: "S + A"
    case .pcRelative: "S + A - P"
    case .branch: "L + A - P"
    case .gotEntryRelative: "G + GOT + A - P"
    case .gotEntryOffset: "G + A"
    case .fromGOT: "S + A - GOT"
    case .branchFromGOT: "L + A - GOT"
    case .gotRelative: "GOT + A - P"
    case .size: "Z + A"
    case .threadOffset: "tpoff(S) + A"
    case .threadOffsetEntry: "GOT(tpoff(S)) + A - P"
    case .moduleOffset: "dtpoff(S) + A"
    case .generalDynamic: "GOT(module, dtpoff(S)) + A - P"
    case .localDynamic: "GOT(module, 0) + A - P"
    case .descriptor: "GOT(descriptor(S)) + A - P"
    case .descriptorCall: "none (marks a call)"
    }
  }
}

extension Field {
  /// The psABI's name for it, with `s` and `u` where the sign is told apart.
  package var notation: String {
    switch self {
    case .none: "none"
    case .word8: "word8"
    case .signed8: "word8 (s)"
    case .word16: "word16"
    case .signed16: "word16 (s)"
    case .word32: "word32"
    case .unsigned32: "word32 (u)"
    case .signed32: "word32 (s)"
    case .word64: "word64"
    }
  }
}

/// A relocation type in words.
package struct RelocationNotation: Sendable, Equatable {
  package var name: String
  package var formula: String
  package var field: String
}
