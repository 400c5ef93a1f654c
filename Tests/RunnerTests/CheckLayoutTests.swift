// `hotlink check` at addresses of choice: the command line, and what its JSON promises (docs/check.md).
import Foundation
import Testing

@Suite struct CheckLayoutTests {
  private func objects(in folder: TemporaryFolder, _ flags: [String] = ["-O1", "-fPIC"]) throws
    -> [String]
  {
    try OutsideCheckerTests.objects(.init(compiler: .gcc, flags: flags), in: folder)
  }

  @Test(arguments: [
    "0", "0x10", "0x1001", "4198400", "0x7fffffff0000", "0x1234567890abc000", "0xffffffff80000000",
    "0xfffffffffff00000",
  ])
  func anyAddress(_ base: String) throws {
    let folder = try TemporaryFolder()
    let files = try objects(in: folder)
    let link = try CheckedLink(of: files, ["--base", base, "--direct"])
    let start =
      base.hasPrefix("0x") ? UInt64(base.dropFirst(2), radix: 16) ?? 1 : UInt64(base) ?? 1
    let lowest = link.sections.filter { !$0.flags.contains("t") }.map(\.address).min() ?? 0
    #expect(lowest >= start && lowest - start < 16)
    var checker = OutsideChecker(link)
    for file in files { try checker.check(file) }
    #expect(checker.faults.isEmpty, "\(checker.faults.prefix(3))")
  }

  @Test func sameInputSameOutput() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      """
      #include <stdio.h>
      #include <stdlib.h>
      __thread int depth; extern int outside;
      int main(int n, char **v) { printf("%s %d\\n", v[0], ++depth + outside); puts("x"); return atoi(v[1]); }
      """, flags: ["-O2", "-fPIC"], in: folder)
    let arguments = [
      "check", "--json", "--bytes", "--base", "0x4000000000", "--direct", "--define",
      "outside=0x4000001000", file,
    ]
    let first = try Tool.hotlink(arguments)
    #expect(first.code == 0, "\(first.stderr)")
    let second = try Tool.hotlink(arguments)
    #expect(first.output == second.output)
  }

  @Test func addressesThatDoNotFitAreRefused() throws {
    let folder = try TemporaryFolder()
    let files = try objects(in: folder)
    let outcome = try Tool.hotlink(["check", "--base", "0xffffffffffffff00"] + files)
    #expect(outcome.code == 2)
    #expect(
      outcome.stderr == """
        error: a link at 0xffffffffffffff00 reaches beyond 2^64
          help: choose a lower address

        """)
    #expect(try Tool.hotlink(["check", "--base", "high"] + files).code == 64)
    #expect(try Tool.hotlink(["check", "--define", "high"] + files).code == 64)
  }

  @Test func definedSymbolsGoBeforeTheProcess() throws {
    let folder = try TemporaryFolder()
    try folder.write(".data\n.quad malloc, mine + 2\n", to: "unit.s")
    let file = folder.path("unit.o")
    try Tool.output("gcc", ["-c", folder.path("unit.s"), "-o", file])
    let options = [
      "--base", "0x10000", "--define", "malloc=0xffff800012345678", "--define", "mine=70",
    ]
    let link = try CheckedLink(of: [file], options)
    #expect(
      try link.section(".data").contents == [0x78, 0x56, 0x34, 0x12, 0, 0x80, 0xFF, 0xFF, 72]
        + [UInt8](repeating: 0, count: 7))
    #expect(link.defines.map(\.symbol) == ["malloc", "mine"])
    #expect(link.imports.isEmpty)
    // An object that defines the name as well is a second definition.
    let twice = try Compiler.gcc.object("int mine;", "twice", in: folder)
    let outcome = try Tool.hotlink(["check", file, twice] + options)
    #expect(outcome.code == 2)
    #expect(
      outcome.stderr.hasPrefix("error: duplicate symbol 'mine'\n  defined in --define\n"),
      "\(outcome.stderr)")
  }

  /// Far from the process's libraries, calls go through stubs and data is refused by name.
  @Test func theHostOutOfReach() throws {
    let folder = try TemporaryFolder()
    let calls = try Compiler.gcc.object(
      "int puts(const char *); int f(void) { return puts(\"x\"); }", "calls", in: folder)
    let link = try CheckedLink(of: [calls], ["--base", "0x100000000000", "--direct"])
    let stub = try #require(link.stubs.first { $0.symbol == "puts" })
    #expect(stub.target == nil)
    #expect(link.imports.map(\.symbol) == ["puts"])
    try folder.write(".text\nmov environ(%rip), %rax\n", to: "data.s")
    try Tool.output("gcc", ["-c", "data.s", "-o", "data.o"], directory: folder.root)
    let outcome = try Tool.hotlink(
      ["check", "--json", "--base", "0x100000000000", "data.o"], directory: folder.root)
    #expect(outcome.code == 2)
    struct Refusal: Decodable {
      struct Facts: Decodable {
        var kind: String
        var symbol: String
        var relocation: String
        var file: String
        var section: String
        var offset: UInt64
        var value: Int64
      }
      var error: Facts
    }
    let facts = try JSONDecoder().decode(Refusal.self, from: Data(outcome.output)).error
    #expect(facts.kind == "overflow" && facts.symbol == "environ")
    #expect(facts.relocation == "R_X86_64_PC32" && facts.file == "data.o")
    #expect(facts.section == ".text" && facts.offset == 3)
    #expect(facts.value > Int64(Int32.max) || facts.value < Int64(Int32.min))
  }

  /// What cannot reach a body in one step takes two.
  @Test func callsOutOfReachGoThroughStubs() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "int far_away(void); int f(void) { return far_away(); }", flags: ["-O2"], in: folder)
    let link = try CheckedLink(
      of: [file], ["--base", "0x10000", "--direct", "--define", "far_away=0x7777777777777777"])
    let stub = try #require(link.stubs.first { $0.symbol == "far_away" })
    #expect(stub.target == 0x7777_7777_7777_7777)
    let near = try CheckedLink(
      of: [file], ["--base", "0x10000", "--direct", "--define", "far_away=0x7777"])
    #expect(near.stubs.isEmpty)
    for link in [link, near] {
      var checker = OutsideChecker(link)
      try checker.check(file)
      #expect(checker.faults.isEmpty, "\(checker.faults)")
    }
  }

  /// Every member of the JSON, by name and kind of value: who adds one adds it to docs/check.md, too.
  @Test func theJSONIsDocumented() throws {
    let folder = try TemporaryFolder()
    let files = try objects(
      in: folder, ["-O1", "-fPIC", "-fno-plt", "-ftls-model=initial-exec"])
    let outcome = try Tool.hotlink(
      [
        "check", "--json", "--bytes", "--merge", "--base", "0x400000", "--define", "extra=1",
        "--dump", "choose",
      ] + files)
    let whole = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
    var members = Set(whole.keys)
    for list in ["sections", "symbols", "got", "stubs", "defines", "relaxed"] {
      let items = try #require(whole[list] as? [[String: Any]], "\(list)")
      #expect(!items.isEmpty, "\(list)")
      for item in items {
        members.formUnion(item.keys.map { "\(list)[].\($0)" })
        for piece in item["pieces"] as? [[String: Any]] ?? [] {
          members.formUnion(piece.keys.map { "sections[].pieces[].\($0)" })
        }
      }
    }
    #expect(
      members.sorted() == [
        "bytes", "defines", "defines[].address", "defines[].symbol", "got", "got[].address",
        "got[].image", "got[].index", "got[].kind", "got[].symbol", "got[].value", "got_start",
        "imports", "ok", "relaxed", "relaxed[].form", "relaxed[].image", "relaxed[].offset",
        "relaxed[].section", "relocations", "sections", "sections[].address", "sections[].bytes",
        "sections[].flags", "sections[].image", "sections[].index", "sections[].name",
        "sections[].nobits", "sections[].pieces", "sections[].pieces[].address",
        "sections[].pieces[].offset", "sections[].pieces[].size", "sections[].size", "steps",
        "stubs",
        "stubs[].address", "stubs[].image", "stubs[].index", "stubs[].symbol", "stubs[].target",
        "symbols", "symbols[].address", "symbols[].binding", "symbols[].image", "symbols[].index",
        "symbols[].kind", "symbols[].name", "symbols[].size", "tls_block", "undefined",
      ])
    let source = URL(filePath: #filePath).deletingLastPathComponent()
    let document = try String(
      contentsOf: source.appending(path: "../../docs/check.md"), encoding: .utf8)
    for member in members {
      let name = member.split(separator: ".").last ?? ""
      #expect(document.contains("`\(name)`"), "docs/check.md does not name \(member)")
    }
  }
}
