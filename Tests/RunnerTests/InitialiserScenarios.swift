// Initialisers run once: never again over objects that live, and for new ones only where the compiler
// made a function that does nothing else.
import Testing

@Suite("Initialisers")
struct InitialiserScenarios {
  static let toolchains: [Toolchain] = [.gcc, .gccO2, .gccO2Sections, .clang, .clangO2]

  static func noisy(_ version: Int, _ objects: String, _ report: String) -> String {
    """
    #include <cstdio>
    struct Noisy {
      int n;
      const char *name;
      Noisy(const char *name, int n) : n(n), name(name) { dprintf(1, "constructed %s\\n", name); }
      ~Noisy() { dprintf(1, "destroyed %s v=\(version)\\n", name); }
    };
    \(objects)
    extern "C" void tick() { dprintf(1, "v=\(version) \(report)); }
    """
  }

  @Test("A static with a constructor is not constructed twice", arguments: toolchains)
  func constructedOnce(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      Self.noisy(
        version,
        """
        Noisy a("a", 5);
        static Noisy hidden("hidden", 50);
        static Noisy &local() { static Noisy inner("inner", 500); return inner; }
        """, "a=%d hidden=%d inner=%d\\n\", ++a.n, ++hidden.n, ++local().n")
    }
    let game = try WatchHarness(["game.cpp": source(1)], toolchain)
    #expect(try game.line("v").text == "v=1 a=6 hidden=51 inner=501")
    for version in 2...4 {
      let reload = try game.edit("game.cpp", source(version))
      let before = try game.last(before: reload, with: "a")
      let after = try game.line("a")
      #expect(after["v"] == "\(version)")
      for key in ["a", "hidden", "inner"] {
        #expect(after.number(key) == before.number(key).map { $0 + 1 }, "\(key)")
      }
    }
    try game.stop()
    for name in ["a", "hidden", "inner"] {
      #expect(game.count("constructed \(name)") == 1)
      #expect(game.count("destroyed \(name) v=4") == 1, "destroyed once, by the newest code")
      #expect(game.count("destroyed \(name)") == 1)
    }
  }

  @Test("`B b;` beside a kept `A a;`", arguments: toolchains)
  func newBesideKept(_ toolchain: Toolchain) throws {
    let report = "a=%d b=%d\\n\", ++a.n, "
    let old = "Noisy a(\"a\", 5);"
    let new = "Noisy a(\"a\", 5);\nNoisy b(\"b\", 7);"
    let game = try WatchHarness(["game.cpp": Self.noisy(1, old, report + "0")], toolchain)
    #expect(try game.line("v").text == "v=1 a=6 b=0")

    game.skipToEnd()
    try game.save("game.cpp", Self.noisy(2, new, report + "b.n"))
    let answer = try game.answer()
    let line = try game.line("v")
    if answer.event == "refused" {
      let reason = try #require(answer.reason)
      #expect(reason.contains("'b'"))
      #expect(reason.contains("reset"))
      #expect(line["v"] == "1", "the old code runs on")
      #expect(line["b"] == "0")
      #expect(game.count("constructed b") == 0)
      // Undone, the unit can be edited as before.
      try game.edit("game.cpp", Self.noisy(3, old, report + "0"))
      #expect(try game.line("v")["v"] == "3")
    } else {
      #expect(
        toolchain.c == "clang", "g++ has one function for the whole file: it must not run again")
      #expect(game.count("constructed b") == 1)
      #expect(line["v"] == "2")
      #expect(line["b"] == "7")
      #expect(answer.verdict(on: "b") != nil, "new state gets its verdict")
    }
    let values = game.lines.compactMap { $0.number("a") }
    #expect(values == Array(6..<(6 + values.count)), "a counts on through all of it")
    #expect(game.count("constructed a") == 1)
    try game.stop()
  }

  @Test("A new variable with a constant value beside a kept object", arguments: toolchains)
  func constantBesideKept(_ toolchain: Toolchain) throws {
    let report = "a=%d c=%d\\n\", ++a.n, "
    let game = try WatchHarness(
      ["game.cpp": Self.noisy(1, "Noisy a(\"a\", 5);", report + "0")], toolchain)
    try game.line("v")
    let reload = try game.edit(
      "game.cpp", Self.noisy(2, "int c = 9;\nNoisy a(\"a\", 5);", report + "c++"))
    let before = try #require(game.last(before: reload, with: "a").number("a"))
    #expect(try game.line("a").text == "v=2 a=\(before + 1) c=9")
    #expect(try game.line("a").text == "v=2 a=\(before + 2) c=10")
    #expect(reload.verdict(on: "c")?.fate == "added")
    #expect(game.count("constructed a") == 1)
    try game.stop()
  }

  @Test("A new file runs its constructors, once", arguments: toolchains)
  func newFile(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["game.cpp": Self.noisy(1, "Noisy a(\"a\", 5);", "a=%d\\n\", ++a.n")], toolchain)
    try game.line("a")
    func extra(_ version: Int) -> String {
      """
      #include <cstdio>
      #include <string>
      static std::string text = std::string("text ") + "made";
      static int count = [] { dprintf(1, "initialised count\\n"); return 40; }();
      __attribute__((constructor)) static void hello() { dprintf(1, "constructor hello\\n"); }
      extern "C" int extra() { return ++count * 1000 + (int)text.size() + \(version); }
      """
    }
    try game.edit("extra.cpp", extra(0))
    let line = try game.line("a")
    #expect(line["v"] == "1")
    #expect(game.count("initialised count") == 1)
    #expect(game.count("constructor hello") == 1)
    try game.edit(
      "game.cpp",
      "extern \"C\" int extra();\n"
        + Self.noisy(2, "Noisy a(\"a\", 5);", "a=%d e=%d\\n\", ++a.n, extra()"))
    #expect(try game.line("e")["e"] == "41009")
    try game.edit("extra.cpp", extra(1))
    #expect(try game.line("e").number("e").map { $0 % 1000 } == 10)
    #expect(game.count("initialised count") == 1)
    #expect(game.count("constructor hello") == 1)
    try game.stop()
  }

  @Test("A constructor function of C runs once", arguments: Toolchain.few)
  func constructorInC(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      static int ready;
      __attribute__((constructor)) static void prepare(void) {
        ready += 10;
        dprintf(1, "prepared\\n");
      }
      void tick(void) { dprintf(1, "v=\(version) ready=%d\\n", ready); }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    #expect(try game.line("v").text == "v=1 ready=10")
    try game.edit("game.c", source(2))
    #expect(try game.line("v").text == "v=2 ready=10")
    #expect(game.count("prepared") == 1)
    try game.stop()
  }
}
