// Relocations of shared objects: each type, in whatever order a linker writes them, and the protection of
// what they wrote. psABI AMD64, table 4.9; gABI, RELR; GNU: PT_GNU_RELRO.
import Glibc
import LoaderEngine
import TestFixtures
import Testing

@Suite("Dynamic relocations")
struct DynamicRelocationTests {
  // MARK: order

  static let pointers = """
    static long a = 1, b = 2;
    extern long outside[];
    long outside[4] = {3, 4, 5, 6};
    long *mixed[] = {&a, &outside[1], &b, &outside[2], &a, &outside[3], &b};
    struct __attribute__((packed)) { char c; long *odd; } unaligned = {1, &b};
    static long *own[200] = {[0] = &a, [70] = &b, [199] = &a};
    long run(void) {
      long sum = 0;
      for (int i = 0; i < 7; i++) sum = sum * 10 + *mixed[i];
      return sum * 1000 + *unaligned.odd * 100 + *own[70] * 10 + *own[199] + (own[71] != 0);
    }
    """

  /// Layouts of the same relocations.
  static let layouts: [(name: String, flags: [String])] = [
    ("combined", []),
    ("unordered", ["-Wl,-z,nocombreloc"]),
    ("relr", ["-Wl,-z,pack-relative-relocs"]),
    ("relr of lld", ["-fuse-ld=lld", "-Wl,--pack-dyn-relocs=relr"]),
    ("lld", ["-fuse-ld=lld"]),
    ("gold", ["-fuse-ld=gold"]),
  ]

  @Test(
    "RELATIVE is applied wherever it stands, RELR mixes with RELA",
    arguments: layouts.indices, Origin.allCases)
  func order(layout: Int, origin: Origin) throws {
    let (name, flags) = Self.layouts[layout]
    let image = try SharedObject("pointers\(layout)", flags: flags, Self.pointers).load(origin)
    let compact = image.provider.entries.compactRelative
    #expect(compact.isEmpty != name.hasPrefix("relr"), "\(name)")
    #expect(try image.call("run") == 1_425_162_221, "\(name)")
  }

  @Test("DT_RELACOUNT is a hint nobody believes", arguments: [0, 1, 3, 0x00FF_FFFF, UInt64.max])
  func relativeCount(claim: UInt64) throws {
    let object = SharedObject("pointers0", Self.pointers)
    var bytes = try object.bytes()
    let expected = try object.load().call("run")
    try bytes.setDynamic(0x6FFF_FFF9, to: claim)
    let image = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "claims"))
    #expect(try image.call("run") == expected)
  }

  static let chooser = SharedObject(
    "chooser",
    """
    static long calls, five = 5;
    long *relative = &five;
    extern long helper(void), helped;
    extern long *elsewhere;
    static long chosen_one(void) { return 42; }
    static void *resolve(void) {
      calls++;
      return *relative == 5 && helper() == 9 && *elsewhere == 7 ? chosen_one : 0;
    }
    long chosen(void) __attribute__((ifunc("resolve")));
    static long own(void) __attribute__((ifunc("resolve")));
    long asked(void) { return calls; }
    long nine(void) { return 9; }
    long by_own(void) { return own(); }
    """)
  static func choosing(_ flag: String) -> SharedObject {
    SharedObject(
      "choosing", flags: [flag], needs: [chooser],
      """
      long chosen(void), by_own(void), asked(void), nine(void);
      static long seven = 7;
      long *elsewhere = &seven;
      // A call through a slot that is relocated after the pointer that asks for the IFUNC.
      long helper(void) { return nine(); }
      long (*pointer)(void) = chosen;
      long run(void) { return chosen() + pointer() + by_own(); }
      long same(void) { long (*volatile address)(void) = chosen; return address == pointer; }
      """)
  }

  @Test(
    "IFUNCs are asked last, once, when all images of the group are relocated",
    arguments: ["-Wl,-z,lazy", "-Wl,-z,now"], [false, true])
  func indirect(flag: String, isLazy: Bool) throws {
    // The resolver uses a function and a pointer of the image that needs it.
    let image = try Self.choosing(flag).load(
      .memory, options: isLazy ? LazyBindingTests.lazy : nil)
    #expect(try image.call("run") == 126)
    #expect(try image.call("same") == 1)
    // One resolver for two functions at one place: asked once.
    #expect(try image.call("asked") == 1)
    #expect(try image.call("chosen") == 42)
    #expect(try image.call("asked") == 1)
  }

  // MARK: formulas

  /// `value` is what the word must hold, from S, A, P and the size of the symbol.
  static let types:
    [(type: UInt32, name: String, width: Int, value: @Sendable (UInt64, UInt64, UInt64) -> UInt64)] =
      [
        (1, "R_X86_64_64", 8, { s, a, _ in s &+ a }),
        (6, "R_X86_64_GLOB_DAT", 8, { s, a, _ in s &+ a }),
        (24, "R_X86_64_PC64", 8, { s, a, p in s &+ a &- p }),
        (2, "R_X86_64_PC32", 4, { s, a, p in s &+ a &- p }),
        (32, "R_X86_64_SIZE32", 4, { _, a, _ in 24 &+ a }),
        (33, "R_X86_64_SIZE64", 8, { _, a, _ in 24 &+ a }),
        (0, "R_X86_64_NONE", 8, { _, _, _ in 0x1111 }),
      ]
  static let marked = SharedObject(
    "marked",
    """
    long target[3] = {1, 2, 3};
    __asm__(".data; .globl word; .type word, @object; .size word, 8; word: .quad target + 0x1234567; .text");
    """)

  /// The fixture with its marked relocation as another type, with addend 5.
  static func marked(as type: UInt32, addend: UInt64 = 5) throws -> [UInt8] {
    var bytes = try marked.bytes()
    let at = try #require(
      stride(from: 0, to: bytes.count - 24, by: 8).first {
        bytes.word($0 + 16) == 0x1234567 && bytes.word($0 + 8) & 0xFFFF_FFFF == 1
      })
    bytes.setWord(at + 8, bytes.word(at + 8) & ~0xFFFF_FFFF | UInt64(type))
    bytes.setWord(at + 16, addend)
    // What stands there before is none of RELA's business; the data segment is found by its page.
    let load = try #require(
      (0..<Int(bytes.word(56) & 0xFFFF)).map { Int(bytes.word(32)) + $0 * 56 }.first {
        bytes.word($0) == 6 << 32 | 1
      })
    let place = Int(bytes.word(at) - bytes.word(load + 16) + bytes.word(load + 8))
    bytes.setWord(place, 0x1111)
    return bytes
  }

  @Test("Each type writes what its formula says", arguments: types.indices)
  func formulas(index: Int) throws {
    let (type, name, width, value) = Self.types[index]
    let image = try LinkContext().loadLibrary(
      ImageSource(FileContents(try Self.marked(as: type)), name: name))
    let s = try #require(image.address(of: "target")).value
    let p = try #require(image.address(of: "word")).value
    let expected = value(s, 5, p)
    let mask = width == 4 ? 0xFFFF_FFFF : UInt64.max
    // What a narrow field leaves is what was there.
    #expect(UInt64(bitPattern: Int64(try image.word("word"))) == expected & mask, "\(name)")
  }

  @Test("A value that does not fit its field is an error that names place and symbol")
  func overflow() throws {
    let bytes = try Self.marked(as: 10)  // R_X86_64_32
    let reason = LoadedImages.refusal {
      _ = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "narrow"))
    }
    guard case .overflow(let site, let symbol, _) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(site.relocation == "R_X86_64_32" && symbol == "target")
  }

  @Test("A type that no shared object may have is refused by name", arguments: [9, 19, 41, 200])
  func unknown(type: UInt32) throws {
    let bytes = try Self.marked(as: type)
    let reason = LoadedImages.refusal {
      _ = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "odd"))
    }
    guard case .unsupported = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
  }

  // MARK: protection

  @Test(
    "RELRO's end is rounded down: what shares its last page stays writable",
    arguments: Origin.allCases)
  func relroRounding(origin: Origin) throws {
    let object = SharedObject(
      "rounded", flags: ["-Wl,-z,relro", "-Wl,-z,now"],
      """
      static long other = 1;
      long *const table[1500] = { &other, &other };
      long variable[3000] = {7};
      long run(void) { return ++variable[0] + *table[1]; }
      """)
    var bytes = try object.bytes()
    let header = try #require(bytes.programHeader(0x6474_E552))
    let end = bytes.word(header + 16) + bytes.word(header + 40)
    // A linker that does not pad: the range ends inside the page of ordinary data.
    bytes.setWord(header + 40, (end + 4095) & ~4095 + 64 - bytes.word(header + 16))
    let image = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "rounded"))
    let table = try #require(image.address(of: "table"))
    let variable = try #require(image.address(of: "variable"))
    #expect(image.permissions(at: table &+ 4096).hasPrefix("r--"))
    #expect(image.permissions(at: variable).hasPrefix("rw-"))
    #expect(try image.call("run") == 9)
  }

  /// One that is read as a whole when it is opened, and one that is not: what it asks for is known when it is mapped.
  static let textual = [0, 100_000].map { size in
    SharedObject(
      "textual\(size)", flags: ["-Wl,-z,notext"],
      """
      long datum = 6;
      const char room[\(size + 1)] = {1};
      __asm__(".text; .globl run; .type run, @function; run: movabs $datum, %rax; movq (%rax), %rax; ret;"
        ".size run, .-run");
      """)
  }

  @Test(
    "Relocations in code are applied where that is allowed, and no page stays writable",
    arguments: Origin.allCases)
  func textRelocations(origin: Origin) throws {
    for object in Self.textual {
      let image = try object.load(origin)
      #expect(try image.call("run") == 6)
      #expect(image.permissions(at: try #require(image.address(of: "run"))).hasPrefix("r-x"))
    }
  }

  @Test("… and refused where it is not", arguments: Origin.allCases)
  func textRelocationsRefused(origin: Origin) {
    var options = ImageOptions()
    options.textRelocations = .refused
    for object in Self.textual {
      let reason = LoadedImages.refusal { _ = try object.load(origin, options: options) }
      guard case .unsupported(let what, _) = reason else {
        Issue.record("\(String(describing: reason))")
        return
      }
      #expect(what.contains("DT_TEXTREL"))
    }
  }

  @Test("An executable stack and code that can be written are refused")
  func unsafePages() {
    let source = "long datum = 1; long run(void) { return datum; }"
    #expect(
      LoadedImages.refusal {
        _ = try SharedObject("execstack", flags: ["-Wl,-z,execstack"], source).load()
      } != nil)
    let reason = LoadedImages.refusal {
      var bytes = try SharedObject("plaincode", source).bytes()
      let text = try #require(
        (0..<Int(bytes.word(56) & 0xFFFF)).map { Int(bytes.word(32)) + $0 * 56 }.first {
          bytes.word($0) == 5 << 32 | 1
        })
      bytes.setWord(text, 7 << 32 | 1)
      _ = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "writable code"))
    }
    guard case .unsupported(let what, _) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(what.contains("writable and executable"))
  }

  // MARK: what is missing

  @Test(
    "All missing symbols of all images are reported together, with places and the nearest spelling")
  func missing() throws {
    let inner = SharedObject(
      "lackinginner",
      """
      extern long inner_missing; extern long common_missing(void);
      long *table[5] = {&inner_missing, &inner_missing, &inner_missing, &inner_missing, &inner_missing};
      long (*other)(void) = common_missing;
      long compute_total(long n) { return n; }
      """)
    let outer = SharedObject(
      "lackingouter", needs: [inner],
      """
      long compute_totals(long), common_missing(void), zzz_nothing_like_it_9(void);
      extern long absent __attribute__((weak));
      long *fine = &absent;
      long run(void) { return compute_totals(1) + common_missing() + zzz_nothing_like_it_9(); }
      """)
    let reason = LoadedImages.refusal { _ = try outer.load(.memory) }
    guard case .undefined(let symbols) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(
      symbols.map(\.name) == [
        "common_missing", "compute_totals", "inner_missing", "zzz_nothing_like_it_9",
      ])
    #expect(symbols.map(\.references) == [2, 1, 5, 1])
    #expect(symbols.map(\.sites.count) == [2, 1, 3, 1])
    #expect(Set(symbols[0].sites.map(\.file)) == ["liblackingouter.so", "liblackinginner.so"])
    #expect(symbols[2].sites.allSatisfy { $0.relocation == "R_X86_64_64" && $0.offset > 0 })
    #expect(symbols[1].suggestion?.name == "compute_total")
    #expect(symbols[1].suggestion?.definedIn == "liblackinginner.so")
    #expect(symbols[3].suggestion == nil)
  }
}
