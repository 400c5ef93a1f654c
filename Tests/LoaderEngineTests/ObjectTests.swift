// Reading objects: data by symbol, sections by role, instructions by their boundaries.
import LoaderEngine
import TestFixtures
import Testing

extension ObjectFile {
  /// An object that a compiler made of a source.
  static func compiled(
    _ compiler: Compiler, _ source: String, flags: [String] = [], name: String = "unit.o"
  ) throws -> ObjectFile {
    try ObjectFile(
      Bytes(FileContents(Compiled.object(compiler, source, flags: flags))), name: name)
  }

  func section(named name: String) -> Int? {
    sections.indices.first { self.name(ofSection: $0).string == name }
  }
}

@Suite("Data by symbol")
struct DataMapTests {
  private static func map(_ compiler: Compiler, _ source: String, _ section: String) throws
    -> (names: [String?], aliases: [[String]], map: DataMap, size: UInt64)
  {
    let object = try ObjectFile.compiled(compiler, source)
    let index = try #require(object.section(named: section))
    let map = DataMap(object, section: index, symbols: SymbolsBySection(object)[index])
    func name(_ symbol: Int) -> String { object.name(ofSymbol: symbol).string }
    return (
      map.atoms.map { $0.symbol.map(name) }, map.atoms.map { $0.aliases.map(name) }, map,
      object.sections[index].size
    )
  }

  private static func isWhole(_ map: DataMap, _ size: UInt64) -> Bool {
    var end: UInt64 = 0
    for atom in map.atoms {
      guard atom.offset == end, atom.size > 0 else { return false }
      end += atom.size
    }
    return end == size
  }

  @Test("Variables are atoms, gaps are nobody's, and together they are the section")
  func variables() throws {
    let found = try Self.map(
      .assembler,
      """
      .data
      .type first,@object; .size first,4
      first: .long 1
      .zero 12
      .type second,@object; .size second,8
      second: .quad 2
      """, ".data")
    #expect(found.names == ["first", nil, "second"])
    #expect(Self.isWhole(found.map, found.size))
    #expect(found.map.index(of: 3) == 0 && found.map.index(of: 4) == 1)
    #expect(found.map.index(of: 16) == 2 && found.map.index(of: 23) == 2)
    #expect(found.map.index(of: 24) == nil)
  }

  @Test("Of aliases the largest owns the bytes, among equals the global one")
  func aliases() throws {
    let found = try Self.map(
      .assembler,
      """
      .data
      .globl shown
      .type small,@object; .size small,4
      .type hidden,@object; .size hidden,16
      .type shown,@object; .size shown,16
      small:
      hidden:
      shown: .quad 1, 2
      """, ".data")
    #expect(found.names == ["shown"])
    #expect(Set(found.aliases[0]) == ["hidden", "small"])
    #expect(Self.isWhole(found.map, found.size))
  }

  @Test("A symbol inside another one is its alias: Swift's N inside Mf")
  func inside() throws {
    let found = try Self.map(
      .assembler,
      """
      .data
      .globl $s1MN
      .type $s1MMf,@object; .size $s1MMf,32
      $s1MMf: .quad 0, 0
      .type $s1MN,@object; .size $s1MN,24
      $s1MN: .quad 1, 2
      """, ".data")
    #expect(found.names == ["$s1MMf"])
    #expect(found.aliases == [["$s1MN"]], "though it runs past the end of its owner")
    #expect(Self.isWhole(found.map, found.size))
  }

  @Test("Swift's own class metadata is one atom with its address point inside")
  func swiftMetadata() throws {
    let object = try ObjectFile.compiled(
      .swiftc, FixtureSource.smallSwift, flags: ["-Onone", "-swift-version", "5"])
    let symbols = SymbolsBySection(object)
    var found = 0
    for section in object.sections.indices where !symbols[section].isEmpty {
      guard !object.sections[section].isExecutable else { continue }
      let map = DataMap(object, section: section, symbols: symbols[section])
      #expect(Self.isWhole(map, object.sections[section].size))
      for atom in map.atoms {
        guard let owner = atom.symbol,
          object.name(ofSymbol: owner).string == "$s7Fixture3DogCMf"
        else { continue }
        found += 1
        #expect(atom.aliases.map { object.name(ofSymbol: $0).string }.contains("$s7Fixture3DogCN"))
      }
    }
    #expect(found == 1)
  }

  @Test("A label without a size reaches to the next symbol, and one at the end is its neighbour's")
  func labels() throws {
    let found = try Self.map(
      .assembler,
      """
      .data
      one: .long 1
      two: .quad 2
      .type three,@object; .size three,4
      three: .long 3
      end:
      """, ".data")
    #expect(found.names == ["one", "two", "three"])
    #expect(found.map.atoms.map(\.size) == [4, 8, 4])
    #expect(found.aliases[2] == ["end"])
    #expect(Self.isWhole(found.map, found.size))
  }

  @Test("Two labels at one place are one atom")
  func twins() throws {
    let found = try Self.map(.assembler, ".data\na:\nb: .quad 1\nc: .quad 2", ".data")
    #expect(found.names.count == 2 && found.names[1] == "c")
    #expect(found.map.atoms.map(\.size) == [8, 8])
    #expect(Set([found.names[0] ?? ""] + found.aliases[0]) == ["a", "b"])
  }

  @Test("A section without symbols is one stretch, and an empty one none")
  func unnamed() throws {
    let found = try Self.map(.assembler, ".data\n.quad 1, 2", ".data")
    #expect(found.names == [nil] && found.map.atoms[0].size == 16)
    let empty = try Self.map(.assembler, ".data\nlabel:\n.text\nnop", ".data")
    #expect(empty.map.atoms.isEmpty && empty.map.index(of: 0) == nil)
  }
}

@Suite("Instruction boundaries")
struct InstructionWalkerTests {
  // endbr64; push %rbp; mov %rsp,%rbp; movl $1,8(%rip); lea 0(%rip),%rax; ret
  private static let code: [UInt8] = [
    0xF3, 0x0F, 0x1E, 0xFA, 0x55, 0x48, 0x89, 0xE5, 0xC7, 0x05, 8, 0, 0, 0, 1, 0, 0, 0, 0x48,
    0x8D, 0x05, 0, 0, 0, 0, 0xC3,
  ]
  private static let boundaries: [UInt64] = [0, 4, 5, 8, 18, 25, 26]

  @Test("Every byte is covered by the instruction it belongs to")
  func covering() {
    Self.code.withUnsafeBytes { bytes in
      for offset in 0..<UInt64(Self.code.count) {
        let start = Self.boundaries.last { $0 <= offset } ?? 0
        let end = Self.boundaries.first { $0 > offset } ?? 0
        for from in Self.boundaries where from <= start {
          #expect(
            InstructionWalker().instruction(covering: offset, from: from, in: bytes) == start..<end)
        }
      }
    }
  }

  @Test("Bytes that are no code, code that is cut off, and offsets behind it give nil")
  func invalid() {
    let walker = InstructionWalker()
    Self.code.withUnsafeBytes { bytes in
      #expect(walker.instruction(covering: 26, from: 0, in: bytes) == nil)
      #expect(walker.instruction(covering: 400, from: 0, in: bytes) == nil)
      #expect(walker.instruction(covering: 3, from: 5, in: bytes) == nil, "before the start")
      let cut = UnsafeRawBufferPointer(rebasing: bytes[0..<12])
      #expect(walker.instruction(covering: 9, from: 0, in: cut) == nil)
    }
    ([0x06, 0x06] as [UInt8]).withUnsafeBytes { bytes in
      #expect(walker.instruction(covering: 0, from: 0, in: bytes) == nil, "no such opcode")
    }
    #expect(
      walker.instruction(covering: 0, from: 0, in: UnsafeRawBufferPointer(start: nil, count: 0))
        == nil)
  }
}

@Suite("Sections of objects")
struct SectionRoleTests {
  static let rows: [(String, SectionRole)] = [
    (#".section .text.f,"ax",@progbits"#, .text),
    (#".section .rodata.f,"a",@progbits"#, .constant),
    (#".section .data.rel.ro.local,"aw",@progbits"#, .constant),
    (#".section .rodata.str1.1,"aMS",@progbits,1"#, .mergedStrings),
    (#".section .rodata.str2.2,"aMS",@progbits,2"#, .mergedStrings),
    (#".section .rodata.str4.4,"aMS",@progbits,4"#, .mergedStrings),
    (#".section .rodata.str8.8,"aMS",@progbits,8"#, .constant),
    (#".section .rodata.cst8,"aM",@progbits,8"#, .mergedConstants),
    (#".section .gcc_except_table,"a",@progbits"#, .tied),
    (#".section .data.x,"aw",@progbits"#, .data),
    (#".section .bss.x,"aw",@nobits"#, .bss),
    (#".section .tdata.x,"awT",@progbits"#, .threadData),
    (#".section .tbss.x,"awT",@nobits"#, .threadBSS),
    (#".section .init_array,"aw",@init_array"#, .initArray),
    (#".section .fini_array,"aw",@fini_array"#, .finiArray),
    (#".section .ctors.65435,"aw",@progbits"#, .constructors),
    (#".section .dtors,"aw",@progbits"#, .destructors),
    (#".section my_table,"aw",@progbits"#, .encapsulated),
    (#".section swift5_types,"a",@progbits"#, .encapsulated),
    (#".section .note.x,"a",@note"#, .constant),
    (#".section .debug_x,"",@progbits"#, .ignored),
    (#".section .gnu.lto_x,"e",@progbits"#, .ignored),
  ]

  @Test("A section has its role", arguments: rows)
  func role(_ directive: String, _ role: SectionRole) throws {
    let object = try ObjectFile.compiled(.assembler, "\(directive)\n.zero 16\n")
    let name = String(directive.dropFirst(9).prefix { $0 != "," })
    let index = try #require(object.section(named: name))
    #expect(SectionRole.all(of: object)[index] == role)
  }

  @Test("Merged strings with relocations are constants: their contents are known only later")
  func relocatedStrings() throws {
    let object = try ObjectFile.compiled(
      .assembler, #".section .rodata.cst8,"aM",@progbits,8"# + "\n.quad somewhere\n")
    let index = try #require(object.section(named: ".rodata.cst8"))
    #expect(SectionRole.all(of: object)[index] == .constant)
  }
}
