// docs/relocations.md is made of the rows. HOTLINK_WRITE_TABLES=1 writes it anew.
import Foundation
import LoaderEngine
import Testing

@Suite("The table of relocations")
struct RelocationTableTests {
  private static let path = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../docs/relocations.md")

  private static let heading = """
    # Relocations of x86-64 objects

    Made from the rows in `Sources/LoaderEngine/Architecture/X86_64.swift` by `RelocationTableTests`, which keeps it true. Each
    row is proven against ld.lld by `RelocationOracleTests`, in value and at the edges of its field.

    S: the symbol. A: the addend. P: the place. L: the symbol or its stub. GOT: where the GOT begins. G: the entry's offset in it.
    Z: the symbol's size. A value that does not fit its field is refused with symbol, relocation, section, offset and value; a call
    (PLT32, or PC32 in a call or jump) that does not reach goes through a stub. `(s)` is signed, `(u)` unsigned; word8, word16
    and word32 without either may be both. Relocations are read from SHT_RELA, SHT_REL and SHT_CREL; without an addend of their
    own they take it from the field, as wide as that is and sign-extended. Relaxation: see [check.md](check.md).

    | relocation | number | value | field | relaxation |
    | --- | --- | --- | --- | --- |

    """

  private static func relaxation(_ type: UInt32) -> String {
    switch X86_64.loadForm(type) {
    case nil: ""
    case .plain: "call, jmp, mov, test and operations"
    case .rex: "mov, test and operations, with REX"
    case .rex2: "mov, test and operations, with REX2"
    }
  }

  private static var text: String {
    var text = heading
    for type in UInt32(0)..<UInt32(X86_64.typeCount) {
      guard let words = X86_64.notation(type) else { continue }
      let isKnown = X86_64.row(type) != nil
      text +=
        "| \(words.name) | \(type) | \(isKnown ? words.formula : "refused: for the dynamic linker")"
      text += " | \(isKnown ? words.field : "") | \(relaxation(type)) |\n"
    }
    return text
  }

  @Test("It says what the rows say")
  func table() throws {
    if ProcessInfo.processInfo.environment["HOTLINK_WRITE_TABLES"] == "1" {
      try Data(Self.text.utf8).write(to: Self.path)
    }
    let document = try String(contentsOf: Self.path, encoding: .utf8)
    #expect(document == Self.text, "write it anew with HOTLINK_WRITE_TABLES=1")
    #expect(document.split(separator: "\n").count { $0.hasPrefix("| R_X86_64_") } == 52)
  }
}
