// Objects as one link set: what they see of each other is what ld makes of them; what ld refuses is refused, all of
// it at once, with both places.
import Foundation
import Testing

@Suite struct LinkSetTests {
  @Test(arguments: TestProgram.linkSets)
  func behavesAsLinked(_ program: TestProgram) throws {
    try program.expectSame()
  }

  /// The same in the order of the objects: which of several weak definitions or COMMON symbols comes
  /// first must not be by chance.
  @Test(arguments: [TestProgram.commonGrows, .weakAndCommon, .strongAndCommon, .hiddenRanges])
  func orderMattersAsForTheLinker(_ program: TestProgram) throws {
    var turned = program
    turned.sources.reverse()
    try turned.expectSame()
  }

  /// What a driver and we refuse, and our words for it.
  private func expectRefused(
    _ sources: [(String, Compiler)], _ text: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let folder = try TemporaryFolder()
    for (index, source) in sources.enumerated() {
      _ = try source.1.object(source.0, "unit\(index)", in: folder)
    }
    let names = sources.indices.map { "unit\($0).o" }
    let driver = try Tool.run("gcc", names + ["-o", "program"], directory: folder.root)
    #expect(driver.code != 0, "the driver links it", sourceLocation: sourceLocation)
    let outcome = try Tool.hotlink(["run", "--strict"] + names, directory: folder.root)
    #expect(outcome.end == .exited(2), sourceLocation: sourceLocation)
    #expect(outcome.stderr == text, sourceLocation: sourceLocation)
  }

  @Test func duplicatesAndMissingSymbolsAreToldTogether() throws {
    try expectRefused(
      [
        (
          "int zero, x = 1; int f(void) { return 1; } int main(void) { return counter_ad(); }", .gcc
        ),
        (
          """
          int pad = 3, x = 2; int g(void) { return 0; } int f(void) { return 2; }
          int counter_add(void) { return 1; } extern int gone; int *where = &gone;
          """, .gcc
        ),
      ],
      """
      error: duplicate symbol 'x'
        defined in unit0.o, section .data at +0x0
        and in unit1.o, section .data at +0x4
        help: make one of them static, or remove it
      error: duplicate symbol 'f'
        defined in unit0.o, section .text at +0x0
        and in unit1.o, section .text at +0xb
        help: make one of them static, or remove it
      error: undefined symbol 'counter_ad'
        in unit0.o, section .text at +0x15 (R_X86_64_PLT32)
        searched: all units, and the host process
        help: 'counter_add' exists in unit1.o
      error: undefined symbol 'gone'
        in unit1.o, section .data.rel at +0x0 (R_X86_64_64)
        searched: all units, and the host process
        help: add the unit that defines it, or name its library with -l

      """)
  }

  @Test func duplicatesInJSON() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object("int x = 1; int *p(void) { return &x; }", "one", in: folder)
    _ = try Compiler.gcc.object(
      "int pad = 1, x = 2; extern int gone; int *where = &gone;", "two", in: folder)
    let outcome = try Tool.hotlink(["check", "--json", "one.o", "two.o"], directory: folder.root)
    #expect(outcome.end == .exited(2))
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
    #expect(object["ok"] as? Bool == false)
    let duplicate = try #require((object["duplicates"] as? [[String: Any]])?.first)
    #expect(duplicate["symbol"] as? String == "x")
    let second = try #require(duplicate["second"] as? [String: Any])
    #expect(second["file"] as? String == "two.o" && second["section"] as? String == ".data")
    #expect(second["offset"] as? Int == 4)
    let missing = try #require((object["missing"] as? [[String: Any]])?.first)
    #expect(missing["symbol"] as? String == "gone" && missing["references"] as? Int == 1)
    #expect(object["undefined"] as? [String] == ["gone"])
  }

  @Test func referencesIntoDroppedGroupsAreRefused() throws {
    let group = """
      .section .text.g,"axG",@progbits,g,comdat
      .globl g
      .type g,@function
      g: mov $1,%eax
      ret
      .Lhere: ret
      .section .note.GNU-stack,"",@progbits
      .text

      """
    try expectRefused(
      [
        (group + ".globl main\nmain: jmp g\n", TestProgram.assembler),
        (group + ".globl user\nuser: lea .Lhere(%rip),%rax\nret\n", TestProgram.assembler),
      ],
      """
      error: '.text.g+2' is in a group that another object supplies
        in unit1.o, section .text at +0x3 (R_X86_64_PC32)
        refers to section .text.g, which was dropped
        help: refer to it by a global symbol, or put both into the group

      """)
  }

  @Test func hiddenNamesAreNotLookedForOutside() throws {
    try expectRefused(
      [
        (
          """
          __attribute__((visibility("hidden"))) int puts(const char *);
          int main(void) { return puts("found"); }
          """, .gcc
        )
      ],
      """
      error: undefined symbol 'puts'
        in unit0.o, section .text at +0xf (R_X86_64_PLT32)
        searched: all units, and the host process
        help: add the unit that defines it, or name its library with -l

      """)
  }

  @Test func aVersionThatNobodyHasIsMissing() throws {
    try expectRefused(
      [
        (
          """
          int f(void); __asm__(".symver f,foo@V9"); int main(void) { return f(); }
          """, .gcc
        ), ("int f_1(void) { return 1; } __asm__(\".symver f_1,foo@@V1\");", .gcc),
      ],
      """
      error: undefined symbol 'foo@V9'
        in unit0.o, section .text at +0x5 (R_X86_64_PLT32)
        searched: all units, and the host process
        help: add the unit that defines it, or name its library with -l

      """)
  }

  @Test func responseFilesAndLongLinesOfFiles() throws {
    let folder = try TemporaryFolder()
    let names = try (0..<40).map { index in
      try Compiler.gcc.object(
        index == 39
          ? "int f38(void); int main(void) { return f38(); }"
          : "int f\(index)(void) { return \(index == 0 ? "5" : "f\(index - 1)()"); } "
            + (index == 0 ? "" : "int f\(index - 1)(void);"),
        "a unit \(index)", in: folder)
    }
    #expect(try Tool.hotlink(["run"] + names).end == .exited(5))
    let list = names.map { "'\($0)'\n" }.joined()
    let file = try folder.write(list, to: "objects.txt")
    #expect(try Tool.hotlink(["run", "@" + file]).end == .exited(5))
  }
}
