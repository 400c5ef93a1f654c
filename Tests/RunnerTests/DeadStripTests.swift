// `--dead-strip` leaves out what ld --gc-sections leaves out, and what is left runs.
import Foundation
import Testing

@Suite struct DeadStripTests {
  static let source = """
    #include <cstdio>
    #include <stdexcept>
    struct Shape { virtual ~Shape() {} virtual int sides() { return 1; } };
    struct Square : Shape { int sides() override { return 4; } };
    struct Unused : Shape { int sides() override { return 9; } };
    int unused_variable = 5, used_variable = 6;
    int unused_function() { std::puts("not reached"); throw unused_variable; }
    int only_unused_uses() { return unused_function(); }
    Shape *unused_maker() { return new Unused; }
    int used_function(Shape *shape) {
      if (shape->sides() == 7) throw std::runtime_error("seven");
      return shape->sides() + used_variable;
    }
    int rooted_helper() { return 3; }
    int rooted() { return rooted_helper(); }
    __attribute__((constructor)) void begin() { std::puts("begin"); }
    extern int __start_table[], __stop_table[];
    int walked_entry __attribute__((section("table"))) = 1;
    int dropped_entry __attribute__((section("other_table"))) = 2;
    int main() {
      Square square; int caught = 0;
      try { used_function(&square); throw 1; } catch (int n) { caught = n; }
      std::printf("caught %d\\n", caught);
      return used_function(&square) + int(__stop_table - __start_table);
    }
    """
  static let flags = ["-O1", "-ffunction-sections", "-fdata-sections"]

  @Test(arguments: [Compiler.gxx, .clangxx], [[], ["_Z6rootedv"]])
  func whatStaysIsWhatTheLinkerKeeps(_ compiler: Compiler, _ roots: [String]) throws {
    let folder = try TemporaryFolder()
    let file = try compiler.object(Self.source, flags: Self.flags, in: folder)
    let program = try compiler.program(
      [file], flags: ["-Wl,--gc-sections", "-fuse-ld=bfd"] + roots.map { "-Wl,-u,\($0)" },
      in: folder)
    let names = try Tool.output("nm", ["--defined-only", "-j", file]).split(separator: "\n")
    let linked = Set(
      try Tool.output("nm", ["--defined-only", "-j", program]).split(separator: "\n"))
    let options = ["--dead-strip", "--entry", "main"] + roots.flatMap { ["--root", $0] }
    let report = try CheckReport(of: [file], options)
    let found = Set(report.symbols.map(\.name))
    for name in names where !name.hasPrefix(".") && !name.hasPrefix("GCC_except") {
      #expect(found.contains(String(name)) == linked.contains(name), "\(name)")
    }
    #expect(!found.contains("unused_variable") && found.contains("used_variable"))
    #expect(found.contains("_Z6rootedv") == !roots.isEmpty)
    let outcome = try Tool.hotlink(["run", "--dead-strip", file])
    let expected = try Tool.run(program)
    #expect(outcome.end == expected.end && outcome.stdout == expected.stdout, "\(outcome.stderr)")
    #expect(expected.end == .exited(11))
  }

  @Test func whatIsDroppedMayReferToNothing() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      """
      int nowhere(void); extern int gone;
      int unused(void) { return nowhere() + gone; }
      int main(void) { return 6; }
      """, flags: Self.flags, in: folder)
    #expect(try Tool.hotlink(["run", "--strict", file]).end == .exited(2))
    #expect(try Tool.hotlink(["run", "--strict", "--dead-strip", file]).end == .exited(6))
  }

  @Test func aRootThatNobodyDefinesIsRefused() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object("int main(void) { return 6; }", in: folder)
    let outcome = try Tool.hotlink(["check", "--dead-strip", "--root", "absent", file])
    #expect(outcome.end == .exited(2))
    #expect(outcome.stderr.hasPrefix("error: undefined symbol 'absent'\n"))
  }
}
