// Where the tables of a shared object are in its file, read with code of our own by section names: the reader
// under test goes by program headers and the dynamic section, and has no say here.

/// The tables of a shared object or executable.
package struct ImageLayout: Sendable {
  package struct Table: Sendable {
    package var name: String
    package var bytes: Range<Int>
  }

  /// The ELF header, the program headers and every section a runtime linker reads, in the file's order.
  package private(set) var tables: [Table] = []

  private static let sections: Set<String> = [
    ".dynamic", ".hash", ".gnu.hash", ".gnu.version", ".gnu.version_d", ".gnu.version_r",
    ".dynsym", ".dynstr", ".rela.dyn", ".rela.plt", ".relr.dyn", ".eh_frame_hdr", ".eh_frame",
    ".init_array", ".fini_array", ".preinit_array", ".note.gnu.property", ".got.plt",
  ]

  /// Whether no bit of a table can change which code a resolver's address means: none of them holds an
  /// address of code, or says where one stands.
  package static func leadsToNoCode(_ table: String) -> Bool {
    switch table {
    case ".hash", ".gnu.hash", ".gnu.version", ".gnu.version_d", ".gnu.version_r",
      ".eh_frame_hdr", ".eh_frame", ".init_array", ".fini_array", ".note.gnu.property":
      true
    default: false
    }
  }

  package init(_ bytes: [UInt8]) {
    func word(_ offset: Int, _ width: Int) -> Int {
      (0..<width).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    tables = [
      Table(name: "ELF header", bytes: 0..<64),
      Table(
        name: "program headers", bytes: word(32, 8)..<(word(32, 8) + word(56, 2) * 56)),
    ]
    let headers = word(40, 8)
    let names = word(headers + word(62, 2) * 64 + 24, 8)
    for index in 0..<word(60, 2) {
      let at = headers + index * 64
      let start = names + word(at, 4)
      let name = String(decoding: bytes[start...].prefix { $0 != 0 }, as: UTF8.self)
      guard ImageLayout.sections.contains(name) else { continue }
      let (offset, size) = (word(at + 24, 8), word(at + 32, 8))
      tables.append(Table(name: name, bytes: offset..<(offset + size)))
    }
  }

  /// How many bits the tables have.
  package var bitCount: Int { tables.reduce(0) { $0 + $1.bytes.count * 8 } }

  /// The name of the table that a byte lies in.
  package func table(at byte: Int) -> String? {
    tables.first { $0.bytes.contains(byte) }?.name
  }
}

extension Mutation {
  /// Every `step`-th bit of every table, from the `first` one on.
  package static func flips(in layout: ImageLayout, first: Int = 0, step: Int = 1) -> [Mutation] {
    let all = layout.tables.flatMap { table in
      table.bytes.flatMap { byte in (0..<8).map { Mutation.flipped(byte: byte, bit: $0) } }
    }
    return stride(from: first, to: all.count, by: step).map { all[$0] }
  }
}
