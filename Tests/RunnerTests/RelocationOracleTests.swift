// Every relocation against ld.lld: the same objects at the same addresses, compared byte by byte; and values at
// the edge of each field, which both take or both refuse.
import Foundation
import Testing

@Suite struct RelocationOracleTests {
  /// A type, what gas calls it, and the symbol and addend it is tried with.
  struct Row: Sendable, CustomTestStringConvertible {
    var type: Int
    var name: String
    var symbol: String
    var addend: Int64
    /// What the field leads to, when it is a place in the GOT.
    var entry: String?
    /// ld.lld 21 does not know it: this one is its equal.
    var stand: Int?
    var testDescription: String { name }
  }

  static let rows: [Row] = [
    Row(type: 1, name: "R_X86_64_64", symbol: "target", addend: 5),
    Row(type: 2, name: "R_X86_64_PC32", symbol: "target", addend: -4),
    Row(type: 3, name: "R_X86_64_GOT32", symbol: "target", addend: 8, entry: "address"),
    Row(type: 4, name: "R_X86_64_PLT32", symbol: "code", addend: -4),
    Row(type: 9, name: "R_X86_64_GOTPCREL", symbol: "target", addend: -4, entry: "address"),
    Row(type: 10, name: "R_X86_64_32", symbol: "target", addend: 1),
    Row(type: 11, name: "R_X86_64_32S", symbol: "target", addend: -9),
    Row(type: 12, name: "R_X86_64_16", symbol: "small", addend: 3),
    Row(type: 13, name: "R_X86_64_PC16", symbol: "near", addend: -2),
    Row(type: 14, name: "R_X86_64_8", symbol: "tiny", addend: 1),
    Row(type: 15, name: "R_X86_64_PC8", symbol: "beside", addend: -1),
    Row(type: 18, name: "R_X86_64_TPOFF64", symbol: "variable", addend: 4),
    Row(type: 23, name: "R_X86_64_TPOFF32", symbol: "variable", addend: 2),
    Row(type: 24, name: "R_X86_64_PC64", symbol: "target", addend: 16),
    Row(type: 25, name: "R_X86_64_GOTOFF64", symbol: "target", addend: 7),
    Row(type: 26, name: "R_X86_64_GOTPC32", symbol: "_GLOBAL_OFFSET_TABLE_", addend: 11),
    Row(type: 27, name: "R_X86_64_GOT64", symbol: "target", addend: 0, entry: "address"),
    Row(
      type: 28, name: "R_X86_64_GOTPCREL64", symbol: "target", addend: 0, entry: "address", stand: 9
    ),
    Row(type: 29, name: "R_X86_64_GOTPC64", symbol: "_GLOBAL_OFFSET_TABLE_", addend: 13),
    Row(
      type: 30, name: "R_X86_64_GOTPLT64", symbol: "target", addend: 0, entry: "address", stand: 27),
    Row(type: 31, name: "R_X86_64_PLTOFF64", symbol: "code", addend: 2),
    Row(type: 32, name: "R_X86_64_SIZE32", symbol: "target", addend: 1),
    Row(type: 33, name: "R_X86_64_SIZE64", symbol: "target", addend: -1),
    Row(type: 39, name: "R_X86_64_PC32_BND", symbol: "target", addend: -4, stand: 2),
    Row(type: 40, name: "R_X86_64_PLT32_BND", symbol: "code", addend: -4, stand: 4),
    Row(type: 41, name: "R_X86_64_GOTPCRELX", symbol: "target", addend: -4, entry: "address"),
    Row(type: 42, name: "R_X86_64_REX_GOTPCRELX", symbol: "target", addend: -4, entry: "address"),
    Row(
      type: 43, name: "R_X86_64_CODE_4_GOTPCRELX", symbol: "target", addend: -4, entry: "address",
      stand: 9),
    Row(
      type: 46, name: "R_X86_64_CODE_5_GOTPCRELX", symbol: "target", addend: -4, entry: "address",
      stand: 9),
    Row(
      type: 49, name: "R_X86_64_CODE_6_GOTPCRELX", symbol: "target", addend: -4, entry: "address",
      stand: 9),
  ]

  /// Relocations that only a shared object leaves in this form.
  static let sharedRows: [Row] = [
    Row(type: 17, name: "R_X86_64_DTPOFF64", symbol: "variable", addend: 4),
    Row(type: 19, name: "R_X86_64_TLSGD", symbol: "variable", addend: -4, entry: "tls_gd"),
    Row(type: 20, name: "R_X86_64_TLSLD", symbol: "variable", addend: -4, entry: "tls_ld"),
    Row(type: 21, name: "R_X86_64_DTPOFF32", symbol: "variable", addend: 2),
    Row(type: 22, name: "R_X86_64_GOTTPOFF", symbol: "variable", addend: -4, entry: "tls_offset"),
    Row(
      type: 34, name: "R_X86_64_GOTPC32_TLSDESC", symbol: "variable", addend: -4, entry: "tls_desc"),
    Row(
      type: 44, name: "R_X86_64_CODE_4_GOTTPOFF", symbol: "variable", addend: -4,
      entry: "tls_offset", stand: 22),
    Row(
      type: 45, name: "R_X86_64_CODE_4_GOTPC32_TLSDESC", symbol: "variable", addend: -4,
      entry: "tls_desc", stand: 34),
    Row(
      type: 47, name: "R_X86_64_CODE_5_GOTTPOFF", symbol: "variable", addend: -4,
      entry: "tls_offset", stand: 22),
    Row(
      type: 48, name: "R_X86_64_CODE_5_GOTPC32_TLSDESC", symbol: "variable", addend: -4,
      entry: "tls_desc", stand: 34),
    Row(
      type: 50, name: "R_X86_64_CODE_6_GOTTPOFF", symbol: "variable", addend: -4,
      entry: "tls_offset", stand: 22),
    Row(
      type: 51, name: "R_X86_64_CODE_6_GOTPC32_TLSDESC", symbol: "variable", addend: -4,
      entry: "tls_desc", stand: 34),
  ]

  /// One object with a place of 16 bytes for each row, linked by both.
  struct Both: Sendable {
    var link: CheckedLink
    var section: CheckedLink.Section
    var ours: [UInt8]
    var theirs: [UInt8]
    var oracle: Oracle

    init(_ rows: [Row], shared: Bool) throws {
      let folder = try TemporaryFolder()
      var source = """
        .text
        .globl code; .type code,@function; .hidden code
        code: nop; ret
        .size code, 2
        .data
        .globl target, near; .hidden target, near
        .type target,@object; .size target, 40
        target: .quad 1,2,3,4,5
        near: .quad 6
        .section .tdata,"awT",@progbits
        .quad 7
        .globl variable; .type variable,@object; .size variable, 8
        variable: .quad 8
        .section .tbss,"awT",@nobits
        .globl empty; .type empty,@object; .size empty, 8
        empty: .zero 24
        .section .mine,"aw",@progbits
        .p2align 4

        """
      for row in rows {
        // Each at an odd offset, between bytes that must stay.
        let symbol = row.symbol == "beside" ? "beside_\(row.type)" : row.symbol
        source += ".byte 0xA5\n0: .reloc 0b, R_X86_64_64, \(symbol)\n.fill 8,1,0\n"
        if row.symbol == "beside" { source += ".globl \(symbol)\n.hidden \(symbol)\n\(symbol):\n" }
        source += ".fill 7,1,0x5A\n"
      }
      try folder.write(source, to: "unit.s")
      let path = folder.path("unit.o")
      try Tool.output("gcc", ["-c", folder.path("unit.s"), "-o", path])
      let object = try ElfBytes(path)
      func write(_ file: String, _ type: (Row) -> Int) throws {
        var bytes = object.bytes
        for (row, relocation) in zip(rows, object.relocations) {
          Bytes.overwrite(&bytes, at: relocation.record + 8, with: le(UInt64(type(row)), 4))
          Bytes.overwrite(
            &bytes, at: relocation.record + 16, with: le(UInt64(bitPattern: row.addend), 8))
        }
        try folder.write(bytes, to: file)
      }
      try write("unit.o") { $0.type }
      let options = ["--base", "0x10000", "--direct", "--no-relax"]
      link = try CheckedLink(
        of: [path], options + ["--define", "small=0x1234", "--define", "tiny=0x56"])
      section = try link.section(".mine")
      ours = section.contents
      // The other linker gets the equals of what it does not know.
      try write("unit.o") { $0.stand ?? $0.type }
      oracle = try Oracle(
        [path], at: link, ["--no-relax"] + (shared ? ["-shared"] : []), in: folder)
      theirs = try oracle.bytes(section)
    }
  }

  static let executable = Result { try Both(rows, shared: false) }
  static let shared = Result { try Both(sharedRows, shared: true) }

  @Test(arguments: rows)
  func valueIsThatOfAnotherLinker(_ row: Row) throws {
    let both = try RelocationOracleTests.executable.get()
    let index = try #require(RelocationOracleTests.rows.firstIndex { $0.type == row.type })
    try compare(row, both, index * 16 + 1)
  }

  @Test(arguments: sharedRows)
  func threadLocalValueIsThatOfAnotherLinker(_ row: Row) throws {
    let both = try RelocationOracleTests.shared.get()
    let index = try #require(RelocationOracleTests.sharedRows.firstIndex { $0.type == row.type })
    try compare(row, both, index * 16 + 1)
  }

  private func compare(_ row: Row, _ both: Both, _ at: Int) throws {
    let width = ElfBytes.width(row.type)
    #expect(both.ours[at - 1] == 0xA5 && both.ours[at + 8] == 0x5A)
    let rest = both.ours[at + width..<at + 8]
    #expect(rest.allSatisfy { $0 == 0 }, "bytes behind the field")
    guard let kind = row.entry else {
      #expect(both.ours[at..<at + width] == both.theirs[at..<at + width])
      #expect(both.ours[at..<at + width].contains { $0 != 0 })
      return
    }
    // The GOTs are two: both fields must lead to an entry that holds the same.
    let a = UInt64(bitPattern: row.addend)
    func place(_ bytes: [UInt8], _ type: Int) -> UInt64 {
      let width = ElfBytes.width(type)
      let shift = UInt64(64 - width * 8)
      let value = Int64(bitPattern: bytes[at..<at + width].number << shift) >> Int64(shift)
      let base =
        [3, 27, 30].contains(type) ? both.link.gotStart : both.section.address + UInt64(at)
      return UInt64(bitPattern: value) &- a &+ base
    }
    let ours = place(both.ours, row.type)
    let theirs = place(both.theirs, row.stand ?? row.type)
    let entry = try #require(both.link.got.first { $0.address == ours && $0.kind == kind })
    if kind == "address" {
      #expect(entry.symbol == row.symbol)
      #expect(entry.value == both.oracle.word(at: theirs))
      return
    }
    let wanted: [(Int, UInt64)] =
      switch kind {
      case "tls_gd": [(16, 0), (17, 8)]
      case "tls_ld": [(16, 0)]
      case "tls_offset": [(18, 0)]
      default: [(36, 0)]
      }
    for (type, offset) in wanted {
      let asked = both.oracle.dynamic(at: theirs &+ offset)
      #expect(asked.count == 1 && asked.first?.type == type, "\(asked)")
      if kind != "tls_ld" { #expect(asked.first?.symbol == row.symbol) }
    }
    #expect(kind == "tls_ld" || entry.symbol == row.symbol)
  }

  /// Both lists are complete: the numbers 0 to 51 without those that only the dynamic linker knows.
  @Test func noRelocationIsForgotten() {
    let tried = Set((RelocationOracleTests.rows + RelocationOracleTests.sharedRows).map(\.type))
    let dynamic: Set = [5, 6, 7, 8, 16, 36, 37, 38]
    #expect(Set(0...51).subtracting(dynamic).subtracting(tried) == [0, 35])
  }

  // MARK: ranges

  /// A value that still fits and one that does not; `S` is set by --define, or the addend does it.
  struct Edge: Sendable, CustomTestStringConvertible {
    var type: Int
    var name: String
    var fits: UInt64
    var overflows: UInt64
    /// Counted from the place of the relocation.
    var isRelative = false
    var testDescription: String { "\(name) \(String(overflows, radix: 16))" }
  }

  static let edges: [Edge] = [
    Edge(type: 14, name: "R_X86_64_8", fits: 0xFF, overflows: 0x100),
    Edge(type: 14, name: "R_X86_64_8", fits: minus(0x80), overflows: minus(0x81)),
    Edge(type: 12, name: "R_X86_64_16", fits: 0xFFFF, overflows: 0x10000),
    Edge(type: 12, name: "R_X86_64_16", fits: minus(0x8000), overflows: minus(0x8001)),
    Edge(type: 10, name: "R_X86_64_32", fits: 0xFFFF_FFFF, overflows: 0x1_0000_0000),
    Edge(type: 10, name: "R_X86_64_32", fits: 0, overflows: minus(1)),
    Edge(type: 11, name: "R_X86_64_32S", fits: 0x7FFF_FFFF, overflows: 0x8000_0000),
    Edge(type: 11, name: "R_X86_64_32S", fits: minus(0x8000_0000), overflows: minus(0x8000_0001)),
    Edge(type: 15, name: "R_X86_64_PC8", fits: 0x7F, overflows: 0x80, isRelative: true),
    Edge(
      type: 15, name: "R_X86_64_PC8", fits: minus(0x80), overflows: minus(0x81), isRelative: true),
    Edge(type: 13, name: "R_X86_64_PC16", fits: 0x7FFF, overflows: 0x8000, isRelative: true),
    Edge(
      type: 13, name: "R_X86_64_PC16", fits: minus(0x8000), overflows: minus(0x8001),
      isRelative: true),
    Edge(
      type: 2, name: "R_X86_64_PC32", fits: 0x7FFF_FFFF, overflows: 0x8000_0000, isRelative: true),
    Edge(
      type: 2, name: "R_X86_64_PC32", fits: minus(0x8000_0000), overflows: minus(0x8000_0001),
      isRelative: true),
    Edge(
      type: 4, name: "R_X86_64_PLT32", fits: 0x7FFF_FFFF, overflows: 0x8000_0000, isRelative: true),
  ]

  static func minus(_ value: UInt64) -> UInt64 { 0 &- value }

  /// An object with one relocation, of type and addend as wanted.
  static func single(
    _ type: Int, _ addend: Int64, _ source: String = "", in folder: TemporaryFolder
  )
    throws -> String
  {
    let path = folder.path("edge.o")
    let plain = """
      .section .mine,"aw",@progbits
      .zero 8
      0: .reloc 0b, R_X86_64_64, value
      .zero 8

      """ + source
    try folder.write(plain, to: "edge.s")
    try Tool.output("gcc", ["-c", folder.path("edge.s"), "-o", path])
    let object = try ElfBytes(path)
    let relocation = try #require(object.relocations.first)
    var bytes = object.bytes
    Bytes.overwrite(&bytes, at: relocation.record + 8, with: le(UInt64(type), 4))
    Bytes.overwrite(&bytes, at: relocation.record + 16, with: le(UInt64(bitPattern: addend), 8))
    return try folder.write(bytes, to: "edge.o")
  }

  /// What a refusal must say.
  private func expectRefusal(_ outcome: Tool.Outcome, _ name: String, _ value: UInt64) {
    #expect(outcome.code == 2)
    #expect(
      outcome.stderr.hasPrefix(
        """
        error: relocation out of range: 'value'
          in edge.o, section .mine at +0x8 (\(name))
          value: 0x\(String(value, radix: 16))
          help: 
        """), "\(outcome.stderr)")
  }

  @Test(arguments: edges)
  func valueAtTheEdgeOfAField(_ edge: Edge) throws {
    let folder = try TemporaryFolder()
    let file = try RelocationOracleTests.single(edge.type, 0, in: folder)
    let options = ["--base", "0x1000000", "--direct"]
    let p =
      edge.isRelative
      ? try CheckedLink(of: [file], options + ["--allow-undefined"]).section(".mine").address + 8
      : 0
    for (value, isRight) in [(edge.fits, true), (edge.overflows, false)] {
      let define = ["--define", "value=0x\(String(value &+ p, radix: 16))"]
      let ours = try Tool.hotlink(
        ["check"] + options + define + ["edge.o"], directory: folder.root)
      if isRight {
        #expect(ours.code == 0, "\(ours.stderr)")
        let link = try CheckedLink(of: [file], options + define)
        let width = ElfBytes.width(edge.type)
        let bytes = try link.section(".mine").contents
        #expect(Array(bytes[8..<8 + width]) == le(value, width))
      } else {
        expectRefusal(ours, edge.name, value)
      }
      // The other linker draws the line where we do.
      let theirs = try Tool.run(
        Oracle.program,
        [
          "-e", "0", "-o", "program",
          "--section-start=.mine=0x\(String(p == 0 ? 0x1000000 : p - 8, radix: 16))",
          "--defsym=value=0x\(String(value &+ p, radix: 16))", "edge.o",
        ], directory: folder.root)
      #expect((theirs.code == 0) == isRight, "\(theirs.stderr)")
    }
  }

  /// Fields that count from the GOT, or to it, or in thread-local storage: the addend takes them over the edge.
  static let tables: [(type: Int, name: String, fits: Int64, overflows: Int64)] = [
    (3, "R_X86_64_GOT32", 0x7000_0000, 0x8000_0000),
    (9, "R_X86_64_GOTPCREL", 0x7000_0000, 0x8000_0000),
    (26, "R_X86_64_GOTPC32", -0x7000_0000, -0x9000_0000),
    (41, "R_X86_64_GOTPCRELX", 0x7000_0000, 0x8000_0000),
    (42, "R_X86_64_REX_GOTPCRELX", 0x7000_0000, 0x8000_0000),
    (43, "R_X86_64_CODE_4_GOTPCRELX", 0x7000_0000, 0x8000_0000),
    (46, "R_X86_64_CODE_5_GOTPCRELX", 0x7000_0000, 0x8000_0000),
    (49, "R_X86_64_CODE_6_GOTPCRELX", 0x7000_0000, 0x8000_0000),
    (19, "R_X86_64_TLSGD", 0x7000_0000, 0x8000_0000),
    (20, "R_X86_64_TLSLD", 0x7000_0000, 0x8000_0000),
    (21, "R_X86_64_DTPOFF32", 0x7FFF_FFF7, 0x7FFF_FFF8),
    (22, "R_X86_64_GOTTPOFF", 0x7000_0000, 0x8000_0000),
    (23, "R_X86_64_TPOFF32", -0x7FFF_FFF8, -0x7FFF_FFF9),
    (32, "R_X86_64_SIZE32", 0xFFFF_FFF7, 0xFFFF_FFF8),
    (34, "R_X86_64_GOTPC32_TLSDESC", 0x7000_0000, 0x8000_0000),
    (39, "R_X86_64_PC32_BND", 0x7000_0000, 0x8000_1000),
    (40, "R_X86_64_PLT32_BND", 0x7000_0000, 0x8000_1000),
    (44, "R_X86_64_CODE_4_GOTTPOFF", 0x7000_0000, 0x8000_0000),
    (45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", 0x7000_0000, 0x8000_0000),
    (47, "R_X86_64_CODE_5_GOTTPOFF", 0x7000_0000, 0x8000_0000),
    (48, "R_X86_64_CODE_5_GOTPC32_TLSDESC", 0x7000_0000, 0x8000_0000),
    (50, "R_X86_64_CODE_6_GOTTPOFF", 0x7000_0000, 0x8000_0000),
    (51, "R_X86_64_CODE_6_GOTPC32_TLSDESC", 0x7000_0000, 0x8000_0000),
  ]

  @Test func addendsOverTheEdge() throws {
    let folder = try TemporaryFolder()
    let isThreadLocal: Set = [19, 20, 21, 22, 23, 34, 44, 45, 47, 48, 50, 51]
    for row in RelocationOracleTests.tables {
      let home =
        isThreadLocal.contains(row.type)
        ? """
        .section .tdata,"awT",@progbits
        .globl value; .type value,@object; .size value, 8
        .quad 1
        value: .quad 1

        """
        : """
        .data
        .globl value; .type value,@object; .size value, 8
        value: .quad 1

        """
      for (addend, isRight) in [(row.fits, true), (row.overflows, false)] {
        let file = try RelocationOracleTests.single(row.type, addend, home, in: folder)
        let outcome = try Tool.hotlink(
          ["check", "--json", "--base", "0x1000000", "--direct", file])
        #expect((outcome.code == 0) == isRight, "\(row.name) \(addend): \(outcome.stdout)")
        if !isRight {
          #expect(outcome.stdout.contains("\"kind\":\"overflow\""))
          #expect(outcome.stdout.contains("\"relocation\":\"\(row.name)\""))
          #expect(outcome.stdout.contains("\"offset\":8"))
        }
      }
    }
    // Together with `edges` that is every field narrower than an address.
    let narrow = Set(
      RelocationOracleTests.edges.map(\.type) + RelocationOracleTests.tables.map(\.type))
    let wide = (0...51).filter { ElfBytes.width($0) == 8 || ElfBytes.width($0) == 0 }
    #expect(Set(0...51).subtracting(narrow).subtracting(wide) == [5, 6, 7, 8, 16, 36, 37, 38])
  }

  @Test(arguments: [
    (8, "R_X86_64_RELATIVE"), (5, "R_X86_64_COPY"), (6, "R_X86_64_GLOB_DAT"),
    (7, "R_X86_64_JUMP_SLOT"),
    (16, "R_X86_64_DTPMOD64"), (36, "R_X86_64_TLSDESC"), (37, "R_X86_64_IRELATIVE"),
    (38, "R_X86_64_RELATIVE64"),
  ])
  func theDynamicLinkersAreRefusedByName(_ type: Int, _ name: String) throws {
    let folder = try TemporaryFolder()
    _ = try RelocationOracleTests.single(type, 0, in: folder)
    let outcome = try Tool.hotlink(
      ["check", "--define", "value=1", "edge.o"], directory: folder.root)
    #expect(outcome.code == 2)
    #expect(
      outcome.stderr == """
        error: \(name) in section .mine at +0x8
          in edge.o
          help: it is for the dynamic linker: only shared objects and programs hold it

        """)
  }

  @Test func unknownNumbersAreRefused() throws {
    let folder = try TemporaryFolder()
    _ = try RelocationOracleTests.single(52, 0, in: folder)
    let outcome = try Tool.hotlink(
      ["check", "--define", "value=1", "edge.o"], directory: folder.root)
    #expect(outcome.code == 2)
    #expect(outcome.stderr.hasPrefix("error: relocation type 52 in section .mine at +0x8\n"))
  }
}

/// The low bytes of a number, the lowest first.
func le(_ value: UInt64, _ width: Int) -> [UInt8] {
  (0..<UInt64(width)).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
