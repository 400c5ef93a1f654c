// `hotlink inspect` says what readelf says, of every kind of file; and of a file that lies, where it lies.
import Foundation
import Testing

/// Files of every kind, made on the spot or found on the system.
enum InspectedFile: String, CaseIterable, Sendable {
  case gccObject, clangGroups, swiftObject, libc, ls, manySections
  case aarch64, aarch64BigEndian, ppc64, s390x, riscv64, i386, mips, arm

  static let source = """
    extern int other(int); extern int shared; __thread int t = 3; static int local[4] = {1};
    int *pointer = &shared;
    int twice(int x) { return other(x) + shared + t + local[x & 3]; }
    int common_one;
    """

  func path(in folder: TemporaryFolder) throws -> String {
    switch self {
    case .gccObject:
      return try Compiler.gcc.object(Self.source, flags: ["-O2", "-g", "-fcommon"], in: folder)
    case .clangGroups:
      let source = """
        #include <vector>
        #include <string>
        inline int &counter() { static int value = 1; return value; }
        std::string join(std::vector<std::string> parts) {
          std::string all; for (auto &part : parts) all += part; counter()++;
            parts.push_back(all); return all;
        }
        """
      return try Compiler.clangxx.object(
        source, flags: ["-O1", "-ffunction-sections", "-fdata-sections", "-g"], in: folder)
    case .swiftObject:
      let source = """
        struct Point: Hashable { var x = 1, y = 2 }
        protocol Shape { func area() -> Double }
        final class Circle: Shape { var r = 1.0; func area() -> Double { r * r * 3.14 } }
        @_cdecl("total") public func total() -> Int32 {
          var set: Set<Point> = []; set.insert(Point(x: 3, y: 4)); return Int32(set.count)
        }
        """
      return try Compiler.swiftc.object(source, flags: ["-Onone"], in: folder)
    case .manySections:
      // More than 65,280 sections: SHN_XINDEX and SHT_SYMTAB_SHNDX.
      var source = ""
      for index in 0..<33_000 {
        source += ".section .text.f\(index),\"ax\"\n.globl f\(index)\nf\(index): call g\(index)\n"
      }
      let input = try folder.write(source, to: "many.s")
      try Tool.output("gcc", ["-c", input, "-o", folder.path("many.o")])
      return folder.path("many.o")
    case .libc: return "/usr/lib/x86_64-linux-gnu/libc.so.6"
    case .ls: return "/bin/ls"
    case .aarch64: return try foreign("aarch64-linux-gnu", folder)
    case .aarch64BigEndian: return try foreign("aarch64_be-linux-gnu", folder)
    case .ppc64: return try foreign("powerpc64-linux-gnu", folder)
    case .s390x: return try foreign("s390x-linux-gnu", folder)
    case .riscv64: return try foreign("riscv64-linux-gnu", folder)
    case .i386: return try foreign("i386-linux-gnu", folder)
    case .mips: return try foreign("mips-linux-gnu", folder)
    case .arm: return try foreign("armv7-linux-gnueabihf", folder)
    }
  }

  private func foreign(_ target: String, _ folder: TemporaryFolder) throws -> String {
    try Compiler.clang.object(Self.source, flags: ["--target=\(target)", "-O1"], in: folder)
  }

  /// class, data, machine.
  var identity: [String] {
    switch self {
    case .aarch64: ["ELF64", "little-endian", "aarch64"]
    case .aarch64BigEndian: ["ELF64", "big-endian", "aarch64"]
    case .ppc64: ["ELF64", "big-endian", "ppc64"]
    case .s390x: ["ELF64", "big-endian", "s390"]
    case .riscv64: ["ELF64", "little-endian", "riscv"]
    case .i386: ["ELF32", "little-endian", "x86"]
    case .mips: ["ELF32", "big-endian", "mips"]
    case .arm: ["ELF32", "little-endian", "arm"]
    default: ["ELF64", "little-endian", "x86-64"]
    }
  }

  var isNative: Bool { identity == ["ELF64", "little-endian", "x86-64"] }
}

@Suite struct InspectTests {
  @Test(arguments: InspectedFile.allCases)
  func saysWhatReadelfSays(_ file: InspectedFile) throws {
    let folder = try TemporaryFolder()
    let path = try file.path(in: folder)
    let ours = try Inspection(of: path)
    let theirs = try Readelf(path)

    #expect(ours.file == path)
    #expect([ours.class, ours.data, ours.machine] == file.identity)
    #expect(ours.class == theirs.header["Class"])
    #expect(theirs.header["Type"]?.hasPrefix(ours.type) == true)
    #expect("0x" + String(ours.entry, radix: 16) == theirs.header["Entry point address"])
    #expect(ours.buildID == theirs.buildID)

    #expect(ours.sections.count == theirs.sections.count)
    for (our, their) in zip(ours.sections, theirs.sections) {
      // readelf's own words for types and flags it does not know, or that are the machine's.
      let type =
        their.type.contains("+") || our.type.hasPrefix("0x") || !file.isNative
        ? our.type : their.type
      let flags = their.flags.allSatisfy("WAXMSILOGTCRE".contains) ? their.flags : our.flags
      let expected = Readelf.Section(
        index: their.index, name: their.name, type: type, flags: flags, address: their.address,
        offset: their.offset, size: their.size, link: their.link, info: their.info,
        align: their.align, entsize: their.entsize)
      let found = Readelf.Section(
        index: our.index, name: our.name, type: our.type, flags: our.flags, address: our.address,
        offset: our.offset, size: our.size, link: our.link, info: our.info, align: our.align,
        entsize: our.entsize)
      guard found == expected else {
        Issue.record("section: \(found), readelf: \(expected)")
        return
      }
    }

    #expect(
      ours.segments.map {
        Readelf.Segment(
          type: $0.type, flags: $0.flags, offset: $0.offset, address: $0.address,
          fileSize: $0.fileSize, memorySize: $0.memorySize, align: $0.align)
      } == theirs.segments)

    #expect(ours.symbols.count == theirs.symbols.count)
    for (our, their) in zip(ours.symbols, theirs.symbols) {
      let found = Readelf.Symbol(
        name: our.name, value: our.value, size: our.size, type: our.type, binding: our.binding,
        visibility: our.visibility, section: our.section.description)
      guard found == their else {
        Issue.record("symbol: \(found), readelf: \(their)")
        return
      }
    }

    #expect(ours.relocations.count == theirs.relocations.count)
    for (our, their) in zip(ours.relocations, theirs.relocations) {
      let isSame =
        our.offset == their.offset && our.symbol == their.symbol && our.addend == their.addend
        && our.type == (file.isNative ? .name(their.typeName) : .number(their.type))
      guard isSame else {
        Issue.record("relocation: \(our), readelf: \(their)")
        return
      }
      if file.isNative { #expect(our.formula != nil && our.field != nil) }
    }

    #expect(ours.dynamic.map(\.tag) == theirs.dynamicTags)
    #expect(ours.dynamic.filter { $0.tag == "NEEDED" }.compactMap(\.text) == theirs.needed)
  }

  @Test func formulasAreTheDocumentsOwn() throws {
    let folder = try TemporaryFolder()
    let ours = try Inspection(of: InspectedFile.gccObject.path(in: folder))
    let code = ours.relocations.filter { $0.section == ".text" }
    let rows = Set(code.map { "\($0.type) | \($0.formula ?? "") | \($0.field ?? "")" })
    #expect(
      rows.isSuperset(of: [
        "R_X86_64_PLT32 | L + A - P | word32 (s)", "R_X86_64_PC32 | S + A - P | word32 (s)",
        "R_X86_64_TPOFF32 | tpoff(S) + A | word32 (s)",
      ]), "\(rows)")
    let data = try #require(ours.relocations.first { $0.section?.hasPrefix(".data") == true })
    #expect(data.symbol == "shared")
    #expect(data.formula == "S + A")
    #expect(data.field == "word64")
  }

  @Test func groupsNameSignatureAndMembers() throws {
    let folder = try TemporaryFolder()
    let path = try InspectedFile.clangGroups.path(in: folder)
    let ours = try Inspection(of: path)
    // `COMDAT group section [    4] `.group' [_Z7counterv] contains 2 sections:`
    var theirs: [String] = []
    for line in try Tool.output("readelf", ["-W", "-g", path]).split(separator: "\n") {
      if let match = line.firstMatch(
        of: /COMDAT group section \[ *(\d+)\] `.group' \[(.+)\] contains (\d+) section/)
      {
        theirs.append("\(match.1) \(match.2) \(match.3)")
      }
    }
    #expect(theirs.count > 1)
    #expect(ours.groups.map { "\($0.section) \($0.signature) \($0.members.count)" } == theirs)
    #expect(ours.groups.allSatisfy { $0.comdat })
    for member in ours.groups.flatMap(\.members) {
      #expect(ours.sections[member].flags.contains("G"))
    }
  }

  @Test func archivesListTheirMembers() throws {
    let path = "/usr/lib/x86_64-linux-gnu/libz.a"
    let names = try Tool.output("ar", ["t", path]).split(separator: "\n").map(String.init)
    let outcome = try Tool.hotlink(["inspect", path])
    #expect(outcome.code == 0)
    let lines = outcome.stdout.split(separator: "\n").map(String.init)
    #expect(Array(lines.prefix(2)) == [path, "  archive, \(names.count) members"])
    #expect(
      lines.dropFirst(3).map { $0.split(separator: " ").last.map(String.init) ?? "" } == names)

    struct Listing: Decodable {
      struct Member: Decodable {
        var name: String
        var size: Int?
        var kind: String
      }
      var archive: Bool
      var thin: Bool
      var members: [Member]
    }
    let json = try Tool.hotlink(["inspect", "--json", path])
    let listing = try JSONDecoder().decode(Listing.self, from: Data(json.output))
    #expect(listing.archive && !listing.thin)
    #expect(listing.members.map(\.name) == names)
    #expect(listing.members.allSatisfy { $0.kind == "object" && ($0.size ?? 0) > 500 })
  }

  @Test func thinArchivesListTheirMembers() throws {
    let folder = try TemporaryFolder()
    let object = try Compiler.gcc.object("int f(void) { return 1; }", in: folder)
    try Tool.output("ar", ["rcT", folder.path("thin.a"), object], directory: folder.root)
    let outcome = try Tool.hotlink(["inspect", folder.path("thin.a")])
    #expect(outcome.code == 0)
    #expect(outcome.stdout.contains("thin archive, 1 member\n"))
    #expect(outcome.stdout.hasSuffix("unit.o\n"))
  }

  @Test func standardInputIsRead() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int f(void) { return 1; }", in: folder)
    let outcome = try Tool.hotlink(["inspect", "-"], input: folder.bytes("unit.o"))
    #expect(outcome.code == 0)
    #expect(
      outcome.stdout.hasPrefix("standard input\n  ELF64, little-endian, x86-64, REL, System V\n"))
  }

  @Test func peopleGetAlignedColumns() throws {
    let folder = try TemporaryFolder()
    let source = ".section .text,\"ax\"\n.globl f\nf: call g\n.size f, 5\n"
    let input = try folder.write(source, to: "unit.s")
    try Tool.output("gcc", ["-c", input, "-o", folder.path("unit.o")])
    let outcome = try Tool.hotlink(["inspect", "unit.o"], directory: folder.root)
    #expect(
      outcome.stdout == """
        unit.o
          ELF64, little-endian, x86-64, REL, System V
          entry 0x0, flags 0x0

        sections: 8
          #  type      flags  address  offset  size  entry  link  info  align  name
          0  NULL                 0x0     0x0   0x0      0     0     0      0
          1  PROGBITS  AX         0x0    0x40   0x5      0     0     0      1  .text
          2  RELA      I          0x0    0x98  0x18     24     5     1      8  .rela.text
          3  PROGBITS  WA         0x0    0x45   0x0      0     0     0      1  .data
          4  NOBITS    WA         0x0    0x45   0x0      0     0     0      1  .bss
          5  SYMTAB               0x0    0x48  0x48     24     6     1      8  .symtab
          6  STRTAB               0x0    0x90   0x5      0     0     0      1  .strtab
          7  STRTAB               0x0    0xb0  0x31      0     0     0      1  .shstrtab

        symbols in .symtab: 3
          #  value  size  type    binding  visibility  section  name
          0    0x0     0  NOTYPE  LOCAL    DEFAULT         UND
          1    0x0     5  NOTYPE  GLOBAL   DEFAULT           1  f
          2    0x0     0  NOTYPE  GLOBAL   DEFAULT         UND  g

        relocations in .rela.text: 1
          section  offset  type            field       formula    symbol and addend
          .text       0x1  R_X86_64_PLT32  word32 (s)  L + A - P  g - 0x4

        """)
  }
}

/// Files that are not what they claim: exit code 2, and a text that says where.
@Suite struct InspectRefusalTests {
  @Test func textIsNotELF() throws {
    let text = try refusal(of: Array("hello\n".utf8))
    #expect(
      text == """
        error: not an ELF file
          in bad.o
          begins with: 68 65 6c 6c
          help: pass an object made with `cc -c`, an archive, or remove the file

        """)
  }

  @Test func emptyFileIsNotELF() throws {
    let text = try refusal(of: [])
    #expect(
      text == """
        error: not an ELF file
          in bad.o
          it is empty
          help: pass an object made with `cc -c`, an archive, or remove the file

        """)
  }

  @Test func missingFileIsTold() throws {
    let outcome = try Tool.hotlink(["inspect", "/nowhere/unit.o"])
    #expect(outcome.code == 2)
    #expect(
      outcome.stderr == """
        error: open: No such file or directory
          for /nowhere/unit.o

        """)
  }

  @Test func truncatedObjectIsMalformed() throws {
    let folder = try TemporaryFolder()
    _ = try InspectedFile.gccObject.path(in: folder)
    let bytes = folder.bytes("unit.o")
    let offset = bytes[40..<48].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let text = try refusal(of: Array(bytes.prefix(bytes.count / 2)))
    #expect(
      text == """
        error: malformed section headers: outside the file
          in bad.o at 0x\(String(offset, radix: 16))
          help: the file may be half written or damaged; build it again

        """)
  }

  @Test func refusalIsJSONWhenAsked() throws {
    let folder = try TemporaryFolder()
    try folder.write("hello\n", to: "bad.o")
    let outcome = try Tool.hotlink(["inspect", "--json", "bad.o"], directory: folder.root)
    #expect(outcome.code == 2)
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any]
    #expect(object?["unit"] as? String == "bad.o")
    #expect(
      object?["reason"] as? String == "not an ELF file; in bad.o; begins with: 68 65 6c 6c; "
        + "help: pass an object made with `cc -c`, an archive, or remove the file")
  }

  /// Cut at every length, and with every byte of its headers and tables changed, in turn.
  @Test func damagedFilesNeverTrap() throws {
    let folder = try TemporaryFolder()
    _ = try InspectedFile.mips.path(in: folder)
    let bytes = folder.bytes("unit.o")
    var cases: [[UInt8]] = stride(from: 0, to: bytes.count, by: 23).map { Array(bytes.prefix($0)) }
    for position in stride(from: 4, to: 52, by: 1) {
      for value: UInt8 in [0xFF, 0x80] {
        var damaged = bytes
        damaged[position] = value
        cases.append(damaged)
      }
    }
    // A fixed seed: what fails can be run again.
    var seed: UInt64 = 0x5EED
    for _ in 0..<150 {
      var damaged = bytes
      for _ in 0..<3 {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        damaged[Int(seed >> 33) % damaged.count] = UInt8(truncatingIfNeeded: seed >> 25)
      }
      cases.append(damaged)
    }
    for (index, damaged) in cases.enumerated() {
      try folder.write(damaged, to: "bad.o")
      let outcome = try Tool.hotlink(["inspect", folder.path("bad.o")], timeout: 20)
      #expect(
        outcome.code == 0 || outcome.code == 2, "case \(index): \(outcome.end) \(outcome.stderr)")
    }
  }

  private func refusal(of bytes: [UInt8]) throws -> String {
    let folder = try TemporaryFolder()
    try folder.write(bytes, to: "bad.o")
    let outcome = try Tool.hotlink(["inspect", "bad.o"], directory: folder.root)
    #expect(outcome.code == 2)
    #expect(outcome.stdout == "")
    return outcome.stderr
  }
}
