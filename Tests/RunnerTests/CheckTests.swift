// `hotlink check`: what it says of a link holds together, byte by byte, and what it refuses is told in
// words that are pinned here.
import Foundation
import Testing

@Suite struct CheckTests {
  static let provider = """
    int shared = 5; const char table[7] = "abcdef"; long big[100] = {1}; char zero[33];
    int callee(int x) { return x * 3 + zero[x & 31]; }
    """
  static let user = """
    extern int shared; extern int callee(int); extern const char table[7]; extern char zero[33];
    int *pointer = &shared; const char *inside = &table[3]; char *end = &zero[32];
    int leaf(int a, int b) { return a * 31 + b; }
    __attribute__((noinline)) int own(int x) { __asm__ volatile(""); return x + 1; }
    int reads(void) { return shared + table[2]; }
    int calls(int x) { return own(x) + own(x + 1) + 1; }
    int far_calls(int x) { return callee(x) + callee(x + 1) + 1; }
    """

  private func objects(_ flags: [String], in folder: TemporaryFolder) throws -> [String] {
    [
      try Compiler.gcc.object(Self.provider, "provider", flags: flags, in: folder),
      try Compiler.gcc.object(Self.user, "user", flags: flags, in: folder),
    ]
  }

  @Test(arguments: [
    ["-O0"], ["-O2"], ["-O2", "-ffunction-sections", "-fdata-sections"], ["-O2", "-fPIC", "-g"],
  ])
  func nothingOverlapsAndAllIsAligned(_ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let files =
      try objects(flags, in: folder) + [
        Compiler.clangxx.object(
          """
          #include <map>
          #include <string>
          alignas(256) int aligned = 3; static thread_local int counter = 7;
          std::map<std::string, int> ages{{"a", 1}};
          int lookup(const std::string &name) { return ages[name] + ++counter + aligned; }
          """, "cxx", flags: flags, in: folder)
      ]
    let report = try CheckReport(of: files)
    #expect(report.ok && report.relocations > 20 && report.undefined.isEmpty)
    let ranges = report.sections.filter { $0.size > 0 && !$0.flags.contains("t") }
      .sorted { $0.address < $1.address }
    for (left, right) in zip(ranges, ranges.dropFirst()) {
      #expect(left.address + left.size <= right.address, "\(left) \(right)")
    }
    let symbols = report.symbols.filter {
      $0.size > 0 && ["function", "data", "constant"].contains($0.kind)
    }.sorted { $0.address < $1.address }
    #expect(symbols.count > 12)
    for (left, right) in zip(symbols, symbols.dropFirst()) where left.address != right.address {
      #expect(left.address + left.size <= right.address, "\(left) \(right)")
    }
    for file in files {
      let object = try Inspection(of: file)
      for section in object.sections where section.flags.contains("A") && section.size > 0 {
        let same = object.sections.filter { $0.name == section.name }
        let linked = report.sections.filter { $0.name == section.name && $0.image == file }
        // Groups may repeat a name; then it is not clear which is which.
        guard same.count == 1, let place = linked.first else { continue }
        #expect(place.address % max(section.align, 1) == 0, "\(section.name) of \(file)")
        #expect(place.size == section.size)
      }
    }
  }

  @Test(arguments: [["-O0"], ["-O2"], ["-O2", "-ffunction-sections"]])
  func functionsWithoutRelocationsKeepTheirBytes(_ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let files = try objects(flags, in: folder)
    let report = try CheckReport(of: files, ["--dump", "leaf", "--dump", "big"])
    for name in ["leaf", "big"] {
      let file = name == "leaf" ? files[1] : files[0]
      let object = try Inspection(of: file)
      let symbol = try #require(object.symbols.first { $0.name == name })
      guard case .number(let index) = symbol.section else { throw Tool.Failure(description: name) }
      let start = Int(object.sections[Int(index)].offset + symbol.value)
      let bytes = [UInt8](try Data(contentsOf: URL(filePath: file)))
      #expect(try report.dump(name) == Array(bytes[start..<start + Int(symbol.size)]))
    }
  }

  /// One field of `function` in the object, and the value the link gave it.
  private struct Applied {
    var type: String
    var symbol: String
    /// The value in the field, sign-extended.
    var value: UInt64
    var place: UInt64
    var addend: UInt64
  }

  private func applied(_ function: String, _ object: Inspection, _ report: CheckReport) throws
    -> [Applied]
  {
    let symbol = try #require(object.symbols.first { $0.name == function })
    guard case .number(let index) = symbol.section else {
      throw Tool.Failure(description: function)
    }
    let section = object.sections[Int(index)].name
    let bytes = try report.dump(function)
    let address = try report.symbol(function).address
    return object.relocations.filter {
      $0.section == section && $0.offset >= symbol.value
        && $0.offset < symbol.value + symbol.size
    }.map { relocation in
      let offset = Int(relocation.offset - symbol.value)
      let isWide = relocation.field == "word64"
      let raw = bytes[offset..<offset + (isWide ? 8 : 4)].number
      let value =
        isWide ? raw : UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: Int64(raw))))
      return Applied(
        type: relocation.type.description, symbol: relocation.symbol, value: value,
        place: address + UInt64(offset), addend: UInt64(bitPattern: relocation.addend ?? 0))
    }
  }

  @Test func fieldsHoldWhatTheirFormulasSay() throws {
    let folder = try TemporaryFolder()
    let files = try objects(["-O1", "-fPIE"], in: folder)
    let names = ["reads", "calls", "far_calls", "pointer", "inside", "end"]
    let report = try CheckReport(of: files, names.flatMap { ["--dump", $0] })
    let object = try Inspection(of: files[1])

    // S + A - P, and S + A.
    for function in ["reads", "pointer", "inside", "end"] {
      let fields = try applied(function, object, report)
      #expect(!fields.isEmpty)
      for field in fields {
        let s = try report.symbol(field.symbol).address
        let isRelative = field.type == "R_X86_64_PC32"
        #expect(isRelative || field.type == "R_X86_64_64", "\(field)")
        let expected = isRelative ? s &+ field.addend &- field.place : s &+ field.addend
        #expect(field.value == expected, "\(field)")
      }
    }
    // L + A - P: a call inside a unit reaches the body.
    let own = try applied("calls", object, report)
    #expect(own.count == 2)
    for field in own {
      #expect(field.type == "R_X86_64_PLT32" || field.type == "R_X86_64_PC32")
      let body = try report.symbol("own").address
      #expect(field.value &+ field.place &- field.addend == body, "\(field)")
    }
    // L + A - P: a call across units goes through one place that is no body, the function's stub.
    let far = try applied("far_calls", object, report)
    #expect(far.count == 2)
    let targets = Set(far.map { $0.value &+ $0.place &- $0.addend })
    #expect(targets.count == 1)
    let stub = try #require(targets.first)
    #expect(
      !report.sections.contains { $0.address <= stub && stub < $0.address + $0.size },
      "\(stub) lies in a section")
  }

  @Test func missingEntryIsRefused() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object("int f(void) { return 1; }", in: folder)
    let outcome = try Tool.hotlink(["check", "--entry", "tick", file])
    #expect(outcome.code == 2)
    #expect(
      outcome.stderr == """
        error: undefined symbol 'tick'
          searched: all units, and the host process
          help: add the unit that defines it, or name its library with -l

        """)
    #expect(try Tool.hotlink(["check", "--entry", "f", file]).code == 0)
  }

  @Test func undefinedSymbolsAreListedWhenAllowed() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "extern int b_missing, a_missing(int); int f(void) { return a_missing(b_missing); }",
      in: folder)
    let report = try CheckReport(of: [file], ["--allow-undefined"])
    #expect(report.ok)
    #expect(report.undefined.sorted() == ["a_missing", "b_missing"])
  }

  @Test func symbolsAreTheProgramsOwn() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "static int s; int g = 1; int f(void) { return s++ + g; }", flags: ["-O1"], in: folder)
    let report = try CheckReport(of: [file])
    #expect(
      report.symbols.map { "\($0.name) \($0.kind) \($0.binding)" }.sorted() == [
        "f function global", "g data global", "s data local",
      ])
  }
}

/// Input, and the whole message.
@Suite struct CheckRefusalTests {
  /// Runs `check` on files of `folder` by their names, so that no path is in the text.
  private func refusal(_ files: [String], in folder: TemporaryFolder, _ options: [String] = [])
    throws
    -> String
  {
    let outcome = try Tool.hotlink(["check"] + options + files, directory: folder.root)
    #expect(outcome.code == 2)
    #expect(outcome.stdout == "")
    return outcome.stderr
  }

  private func assembled(_ source: String, _ name: String, in folder: TemporaryFolder) throws {
    try folder.write(source, to: "\(name).s")
    try Tool.output("gcc", ["-c", "\(name).s", "-o", "\(name).o"], directory: folder.root)
  }

  @Test func allMissingSymbolsAtOnceWithSitesAndNearestSpelling() throws {
    let folder = try TemporaryFolder()
    try assembled(
      """
      .globl counter_add, user
      counter_add: ret
      user: call counter_ad
      call counter_ad
      call counter_ad
      call counter_ad
      mov far_away(%rip), %eax
      ret
      """, "unit", in: folder)
    try assembled(
      ".section .text.tick,\"ax\"\n.globl tick\ntick: nop\ncall nowhere_to_be_found\nret\n",
      "other",
      in: folder)
    let text = try refusal(["unit.o", "other.o"], in: folder)
    #expect(
      text == """
        error: undefined symbol 'counter_ad'
          in unit.o, section .text at +0x2 (R_X86_64_PLT32)
          in unit.o, section .text at +0x7 (R_X86_64_PLT32)
          in unit.o, section .text at +0xc (R_X86_64_PLT32)
          and 1 more
          searched: all units, and the host process
          help: 'counter_add' exists in unit.o
        error: undefined symbol 'far_away'
          in unit.o, section .text at +0x17 (R_X86_64_PC32)
          searched: all units, and the host process
          help: add the unit that defines it, or name its library with -l
        error: undefined symbol 'nowhere_to_be_found'
          in other.o, section .text.tick at +0x2 (R_X86_64_PLT32)
          searched: all units, and the host process
          help: add the unit that defines it, or name its library with -l

        """)
  }

  @Test func duplicateSymbolNamesBoth() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int twice(void) { return 1; }", "one", in: folder)
    _ = try Compiler.gcc.object("int twice(void) { return 2; }", "two", in: folder)
    let text = try refusal(["one.o", "two.o"], in: folder)
    #expect(
      text == """
        error: duplicate symbol 'twice'
          defined in one.o, section .text at +0x0
          and in two.o, section .text at +0x0
          help: make one of them static, or remove it

        """)
  }

  @Test func truncatedObject() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int f(void) { return 1; }", in: folder)
    let bytes = folder.bytes("unit.o")
    try folder.write(Array(bytes.prefix(bytes.count - 100)), to: "cut.o")
    let headers = String(bytes[40..<48].number, radix: 16)
    let count = bytes[60..<62].number
    let text = try refusal(["cut.o"], in: folder)
    #expect(
      text == """
        error: malformed section headers: \(count) of them leave the file
          in cut.o at 0x\(headers)
          help: the file may be half written or damaged; build it again

        """)
  }

  @Test func textNamedAsAnObject() throws {
    let folder = try TemporaryFolder()
    try folder.write("int main() {}\n", to: "x.o")
    let text = try refusal(["x.o"], in: folder)
    #expect(
      text == """
        error: not an ELF file
          in x.o
          begins with: 69 6e 74 20
          help: pass an object made with `cc -c`, an archive, or remove the file

        """)
  }

  @Test(arguments: [
    ("aarch64-linux-gnu", "aarch64, 64-bit, little-endian"),
    ("powerpc64-linux-gnu", "ppc64, 64-bit, big-endian"),
    ("i386-linux-gnu", "x86, 32-bit, little-endian"),
  ])
  func objectForAnotherMachine(_ target: String, _ found: String) throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.clang.object(
      "int f(void) { return 1; }", flags: ["--target=\(target)"], in: folder)
    let text = try refusal(["unit.o"], in: folder)
    #expect(
      text == """
        error: made for another machine
          in unit.o
          found: \(found)
          expected: x86-64, 64-bit, little-endian
          help: compile for this machine

        """)
  }

  @Test func bitcodeOfClang() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.clang.object("int f(void) { return 1; }", flags: ["-flto"], in: folder)
    let text = try refusal(["unit.o"], in: folder)
    #expect(
      text == """
        error: LLVM bitcode
          in unit.o
          help: compile without -flto

        """)
  }

  @Test func intermediateCodeOfGCC() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int f(void) { return 1; }", flags: ["-flto"], in: folder)
    let outcome = try Tool.hotlink(["check", "unit.o"], directory: folder.root)
    #expect(outcome.code == 2)
    #expect(outcome.stderr.contains("compile without -flto"))
  }

  @Test func programAmongObjectsIsNone() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int f(void) { return 1; }", in: folder)
    let text = try refusal(["unit.o", "/bin/ls"], in: folder)
    #expect(
      text == """
        error: not a relocatable object
          in /bin/ls
          help: pass an object made with `cc -c`

        """)
  }

  @Test func refusalIsJSONWhenAsked() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int g(void); int f(void) { return g(); }", in: folder)
    let outcome = try Tool.hotlink(["check", "--json", "unit.o"], directory: folder.root)
    #expect(outcome.code == 2)
    struct Report: Decodable {
      var ok: Bool
      var reason: String
      var undefined: [String]
    }
    let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output))
    #expect(!report.ok)
    #expect(report.undefined == ["g"])
    #expect(report.reason.hasPrefix("undefined symbol 'g'; in unit.o, section .text at +0x"))
  }
}
