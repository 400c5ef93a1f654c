// Links of crafted objects: what a relocation means, and what must not be written.
import LoaderEngine
import TestFixtures
import Testing

@Suite("Links of objects")
struct LinkTests {
  /// Sources linked together as units 0, 1, …
  static func link(
    _ sources: [String], compiler: Compiler = .assembler, flags: [String] = [],
    in space: LinkSpace, options: LinkOptions = LinkOptions()
  ) throws -> LinkedSet {
    let inputs = try sources.enumerated().map { index, source in
      LinkInput(
        object: try ObjectFile.compiled(compiler, source, flags: flags, name: "unit\(index).o"),
        unit: UInt32(index))
    }
    return try ObjectLinker.link(inputs, against: .empty, in: space, options: options)
  }

  private static func address(_ set: LinkedSet, _ name: String) throws -> UInt64 {
    let id = try #require(set.space.names.find(name))
    return try #require(set.definition(of: id)).address
  }

  private static func load<T: BitwiseCopyable>(_ set: LinkedSet, _ name: String, _ type: T.Type)
    throws
    -> T
  {
    let place = try #require(set.space.arena.place(of: Address(address(set, name))))
    return place.loadUnaligned(as: type)
  }

  @Test("Literals of wide characters are one, over objects, when all their characters are the same")
  func wideLiterals() throws {
    let space = try LinkSpace()
    let set = try Self.link(
      [0, 1].map { unit in
        """
        .section .rodata.str4.4,"aMS",@progbits,4
        .Lpad: .long \(unit + 7), 0
        .Lhi: .long 'h, 'i, 0
        .Lzeros: .long 256, 1 << 24, 0
        .Lother: .long 256, \(unit + 5), 0
        .section .rodata.str2.2,"aMS",@progbits,2
        .Lshort: .short 'h, 256, 0
        .section .rodata.str1.1,"aMS",@progbits,1
        .Lbytes: .byte 'h, 0, 0, 0, 'i, 0, 0, 0, 0, 0, 0, 0
        .data
        .globl hi\(unit), zeros\(unit), other\(unit), short\(unit), bytes\(unit)
        hi\(unit): .quad .Lhi
        zeros\(unit): .quad .Lzeros
        other\(unit): .quad .Lother
        short\(unit): .quad .Lshort
        bytes\(unit): .quad .Lbytes
        """
      }, in: space)
    func literal(_ name: String) throws -> UInt64 { try Self.load(set, name, UInt64.self) }
    for name in ["hi", "zeros", "short", "bytes"] {
      #expect(try literal(name + "0") == literal(name + "1"), "\(name)")
    }
    #expect(try literal("other0") != literal("other1"))
    #expect(try literal("hi0") != literal("bytes0"))
    func words(_ name: String) throws -> [UInt8]? {
      try set.space.arena.bytes(at: Address(literal(name)), count: 12)
    }
    #expect(try words("zeros1") == [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    #expect(try words("other1") == [0, 1, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0])
    #expect(try literal("hi0") % 4 == 0)
  }

  @Test("A link that is refused while memory is made ready for it leaves no thread behind")
  func refusedEarly() throws {
    let space = try LinkSpace()
    func input(_ unit: UInt32, table: Bool) throws -> LinkInput {
      // A table between __start_ and __stop_ that others know may not grow.
      let source =
        ".text\n.globl f\(unit)\nf\(unit): .fill 20000, 1, 0x90\nret\n"
        + (table ? ".section entries,\"aw\"\n.quad 1\n" : "")
      return LinkInput(
        object: try ObjectFile.compiled(.assembler, source, flags: [], name: "u\(unit).o"),
        unit: unit)
    }
    let first = try ObjectLinker.link([input(0, table: true)], against: .empty, in: space)
    let table = try first.commit()
    let more = try (1...80).map { try input(UInt32($0), table: $0 == 80) }
    #expect(throws: LinkError.self) {
      try ObjectLinker.link(more, against: table, in: space)
    }
    #expect(!space.arena.isReadying)
    // Without the table they are linked, and their memory is ready.
    let second = try ObjectLinker.link(Array(more.dropLast()), against: table, in: space)
    #expect(!space.arena.isReadying && second.objects.count == 79)
  }

  @Test("SIZE relocations take the size of the definition, wherever it is")
  func sizes() throws {
    let space = try LinkSpace()
    let set = try Self.link(
      [
        """
        .section .rodata.a,"a",@progbits
        .globl size32, size64, own
        size32: .long there@SIZE
        size64: .quad there@SIZE + 2
        own: .quad here@SIZE
        .data
        .globl here
        .type here,@object; .size here,24
        here: .zero 24
        """,
        """
        .data
        .globl there
        .type there,@object; .size there,40
        there: .zero 40
        """,
      ], in: space)
    #expect(try Self.load(set, "own", UInt64.self) == 24)
    #expect(try Self.load(set, "size32", UInt32.self) == 40)
    #expect(try Self.load(set, "size64", UInt64.self) == 42)
  }

  @Test(
    "Words of every width hold their formula's value",
    arguments: [Arena.BackingChoice.automatic, .anonymous])
  func formulas(_ backing: Arena.BackingChoice) throws {
    let space = try LinkSpace(backing)
    let set = try Self.link(
      [
        """
        .data
        .globl abs64, pc32, pc64, gotoff, gotpc64, got64, gotpcrel, small16, small8, abs32, target
        abs64: .quad target + 5
        pc32: .long target - .
        pc64: .quad target - .
        gotoff: .quad target@GOTOFF
        gotpc64: .quad _GLOBAL_OFFSET_TABLE_ - .
        got64: .quad target@GOT
        gotpcrel: .long target@GOTPCREL
        abs32: .long number
        small16: .word number
        small8: .byte number - 0xf0
        .globl number
        .set number, 0x123
        .type target,@object; .size target,8
        target: .quad 7
        """
      ], in: space)
    let target = try Self.address(set, "target")
    let got = space.got.start.value
    let id = try #require(space.names.find("target"))
    let entry = try #require(space.got.existingEntry(id))
    #expect(space.got.value(entry) == target)
    func expect(_ name: String, _ value: UInt64) throws {
      #expect(try Self.load(set, name, UInt64.self) == value, "\(name)")
    }
    func expect32(_ name: String, _ value: UInt64) throws {
      let low = UInt32(truncatingIfNeeded: value)
      #expect(try Self.load(set, name, UInt32.self) == low, "\(name)")
    }
    try expect("abs64", target + 5)
    try expect32("pc32", target &- Self.address(set, "pc32"))
    try expect("pc64", target &- Self.address(set, "pc64"))
    try expect("gotoff", target &- got)
    try expect("gotpc64", got &- Self.address(set, "gotpc64"))
    try expect("got64", entry.value &- got)
    try expect32("gotpcrel", entry.value &- Self.address(set, "gotpcrel"))
    try expect32("abs32", 0x123)
    #expect(try Self.load(set, "small16", UInt16.self) == 0x123)
    #expect(try Self.load(set, "small8", UInt8.self) == 0x33)
  }

  static let overflows: [(String, String)] = [
    (".long target", "R_X86_64_32"), (".word target", "R_X86_64_16"),
    (".byte target", "R_X86_64_8"), (".word target - .", "R_X86_64_PC16"),
    (".byte target - .", "R_X86_64_PC8"), (".long target - 0x7fffffff - .", "R_X86_64_PC32"),
  ]

  @Test("A value that does not fit its field is refused with its place", arguments: overflows)
  func overflow(_ field: String, _ relocation: String) throws {
    let space = try LinkSpace()
    #expect {
      _ = try Self.link(
        [".section .mine,\"aw\"\n.zero 6\n\(field)\n.text\n.globl target\ntarget: ret"], in: space)
    } throws: { error in
      guard let error = error as? LinkError,
        case .overflow(let site, symbol: "target", value: _) = error.reason
      else { return false }
      return site.file == "unit0.o" && site.section == ".mine" && site.offset == 6
        && site.relocation == relocation
    }
  }

  @Test("COMMON symbols get the largest size and the strictest alignment of all")
  func commons() throws {
    let space = try LinkSpace()
    for (first, second) in [
      (".comm shared,100,16", ".comm shared,8,256"), (".comm other,8,256", ".comm other,100,16"),
    ] {
      let set = try Self.link([first, second], in: space)
      let name = first.contains("shared") ? "shared" : "other"
      let id = try #require(space.names.find(name))
      let definition = try #require(set.definition(of: id))
      #expect(definition.size == 100)
      #expect(definition.address % 256 == 0, "\(first), \(second)")
    }
  }

  @Test(
    "A COMMON symbol of any size and alignment is placed or refused",
    arguments: [
      "0xffffffffffffffff,16", "0x8000000000000000,16", "0xfffffffffffff000,1", "8,0x40000000",
    ])
  func hugeCommon(_ size: String) async throws {
    await #expect(processExitsWith: .success) { [size = size as String] in
      let space = try LinkSpace()
      _ = try? LinkTests.link([".comm huge,\(size)"], in: space)
    }
  }

  @Test("A definition beats COMMON, strong beats weak, and the first weak one wins")
  func precedence() throws {
    let space = try LinkSpace()
    let set = try Self.link(
      [
        ".weak a\n.data\na: .quad 1\n.weak b\nb: .quad 1\n.comm c,64,8",
        ".globl a\n.data\na: .quad 2\n.weak b\nb: .quad 2\n.globl c\nc: .quad 2",
      ], in: space)
    #expect(try Self.load(set, "a", UInt64.self) == 2)
    #expect(try Self.load(set, "b", UInt64.self) == 1)
    #expect(try Self.load(set, "c", UInt64.self) == 2)
  }

  @Test("A symbol defined twice names both files")
  func duplicate() throws {
    let space = try LinkSpace()
    let unit = ".globl twice\n.data\ntwice: .quad 1"
    var conflicts = LinkError.SymbolConflicts()
    conflicts.duplicates = [
      LinkError.Duplicate(
        symbol: "twice", first: LinkError.Place(file: "unit0.o", section: ".data"),
        second: LinkError.Place(file: "unit1.o", section: ".data"))
    ]
    #expect(throws: LinkError(file: "unit1.o", .conflicts(conflicts))) {
      try Self.link([unit, unit], in: space)
    }
  }

  @Test(
    "Names are spelled right by the nearest one there is",
    arguments: [
      ("counter_ad", "counter_add"), ("counter_addd", "counter_add"),
      ("countre_add", "counter_add"),
      ("xounter_add", "counter_add"), ("something_else_entirely", nil), ("f", nil),
    ] as [(String, String?)])
  func spelling(_ wrong: String, _ right: String?) throws {
    let space = try LinkSpace()
    #expect {
      _ = try Self.link(
        [
          ".data\n.quad \(wrong)",
          ".text\n.globl counter_add\n.type counter_add,@function\ncounter_add: ret",
        ],
        in: space)
    } throws: { error in
      guard let error = error as? LinkError, case .undefined(let symbols) = error.reason,
        symbols.count == 1
      else { return false }
      return symbols[0].name == wrong && symbols[0].suggestion?.name == right
        && (right == nil || symbols[0].suggestion?.definedIn == "unit1.o")
    }
  }

  @Test("A refused or dropped link gives its space back", arguments: [false, true])
  func spaceComesBack(isPermanent: Bool) throws {
    let space = try LinkSpace()
    var options = LinkOptions()
    options.isPermanent = isPermanent
    let good = FixtureSource.smallCXX
    _ = try Self.link([good], compiler: .gxx, in: space, options: options)
    let before = Arena.Kind.allCases.map { space.arena.used($0) }
    for _ in 0..<20 {
      _ = try Self.link([good], compiler: .gxx, in: space, options: options)
      _ = try? Self.link(
        [good, ".data\n.quad nobody"], compiler: .assembler, in: space, options: options)
      _ = try? Self.link([".data\n.quad nobody\n.text\n.zero 400"], in: space, options: options)
    }
    for (kind, used) in zip(Arena.Kind.allCases, before) {
      #expect(space.arena.used(kind) == used, "\(kind)")
    }
  }

  @Test("A relocation behind the end of an unwind table is not written into its neighbour")
  func shortUnwindTable() throws {
    let space = try LinkSpace()
    // A table that ends at its first zero word, with a relocation far behind it.
    let source = """
      .text
      f: ret
      .section .eh_frame,"a",@unwind
      .long 0
      .zero 4000
      .long f - .
      """
    let before = try space.arena.allocate(.constants, 64, alignment: 64)
    let start = before.range.start
    space.arena.release(before)
    let poison = space.arena.place(start, .constants)
    poison.initializeMemory(as: UInt8.self, repeating: 0xA5, count: 8192)
    let set = try? Self.link(
      [source.replacing(".long 0\n", with: ".long 4\n.long 0\n.long 0\n")], in: space)
    let end = set?.groups.first?.tied?.range.end ?? start &+ 64
    let used = Int(end &- start)
    let after = UnsafeRawBufferPointer(start: poison, count: 8192)[max(used, 0)...]
    #expect(after.allSatisfy { $0 == 0xA5 }, "bytes behind the allocation were written")
  }

  @Test("Initialisers that a program stores in .init_array by name can be looked at")
  func namedInitialisers() throws {
    let space = try LinkSpace()
    let set = try Self.link(
      [
        """
        static int ran;
        static void one(void) { ran++; }
        static void two(void) { ran++; }
        __attribute__((used, section(".init_array"))) static void (*const table[])(void) = {one, two};
        __attribute__((used, section(".init_array"))) void (*const second)(void) = two;
        void (*get(void))(void) { return second; }
        """
      ], compiler: .gcc, flags: ["-O0"], in: space)
    let place = try Self.address(set, "second")
    #expect(place > 4096, "its address is \(place)")
    #expect(space.arena.window.range.contains(Address(place)))
  }

  @Test(
    "A relocation across the end of a piece is not written behind the piece",
    arguments: [4, 7] as [UInt64])
  func straddling(offset: UInt64) throws {
    let space = try LinkSpace()
    let object = try ObjectFile.compiled(
      .assembler,
      ".data\n.quad 1, 2\n.text\n.globl f\nf: ret\n.reloc .data+\(offset), R_X86_64_64, f")
    let data = try #require(object.section(named: ".data"))
    let first = try space.arena.allocate(.data, 64, alignment: 64)
    let place = space.arena.place(first.range.start, .data)
    place.initializeMemory(as: UInt8.self, repeating: 0xA5, count: 64)
    let pieces = [
      PieceRequest(
        offset: 0, size: 8, home: .kept(address: first.range.start.value, place: place)),
      PieceRequest(offset: 8, size: 8, home: .fresh(.data)),
    ]
    #expect(throws: LinkError.self) {
      try ObjectLinker.link(
        [LinkInput(object: object, unit: 0, placements: [data: .pieces(pieces)])],
        against: .empty, in: space)
    }
    let behind = UnsafeRawBufferPointer(start: place + 8, count: 56)
    #expect(behind.allSatisfy { $0 == 0xA5 })
  }
}
