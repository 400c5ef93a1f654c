// A name that goes on as something else: a constant becomes a variable, a function becomes a variable or chooses its body when it
// is linked. What runs must never write where nothing can be written, or call what is no code.
import Testing

@Suite("Names that change their kind")
struct KindChangeScenarios {
  private static func constants(_ version: Int, isConstant: Bool) -> String {
    let const = isConstant ? "const" : ""
    return """
      extern int dprintf(int, const char *, ...);
      \(const) int table[4] = { 1, 2, 3, 4 };
      static \(const) int own[3] = { 7, 8, 9 };
      int other = 50, frames;
      int *\(const) place = &other;
      const int *looks = table, *kept;
      void tick(void) {
        if (!kept) kept = own;
        frames++;
        \(isConstant ? "" : "table[1]++; own[1]++; place = &frames;")
        dprintf(1, "v=\(version) frames=%d table=%d looks=%d own=%d kept=%d place=%d\\n", frames,
          table[1], looks[1], own[1], kept[1], *place == frames);
      }
      """
  }

  // gcc's default flags leave open which of two neighbours a reference means: refused.
  @Test(
    "A constant becomes a variable that is written, and a constant again",
    arguments: Toolchain.all.filter { $0.testDescription != "gcc" })
  func constantBecomesVariable(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["game.c": Self.constants(1, isConstant: true)], toolchain)
    #expect(try game.line().text.hasSuffix("table=2 looks=2 own=8 kept=8 place=0"))
    let reload = try game.edit("game.c", Self.constants(2, isConstant: false))
    // It is at another place now; a pointer that the program took leads to what it was.
    #expect(
      try game.line().text.hasSuffix("table=3 looks=3 own=9 kept=8 place=1"), "\(reload.verdicts)")
    #expect(reload.verdict(on: "table")?.fate == "moved")
    #expect(reload.verdict(on: "own")?.fate == "moved")
    try game.edit("game.c", Self.constants(3, isConstant: true))
    #expect(try game.line().text.contains("table=2 looks=2 own=8"))
    try game.edit("game.c", Self.constants(4, isConstant: false))
    let first = try #require(try game.line().number("table"))
    #expect(first > 2)
    #expect(try game.line().number("looks") == first + 1, "it is written where it is read")
    try game.stop()
  }

  @Test(
    "A function becomes a variable: refused until those that call it are rebuilt",
    arguments: Toolchain.few)
  func functionBecomesVariable(_ toolchain: Toolchain) throws {
    func user(_ declaration: String, _ use: String) -> String {
      """
      extern int dprintf(int, const char *, ...);
      extern int \(declaration);
      int frames;
      void tick(void) { frames++; dprintf(1, "frames=%d thing=%d\\n", frames, \(use)); }
      """
    }
    let function = "int thing(void) { return 5; }"
    let calls = user("thing(void)", "thing()")
    let game = try WatchHarness(["game.c": calls, "a.c": function], toolchain)
    #expect(try game.line()["thing"] == "5")
    let refusal = try game.editRefused("a.c", "int thing = 70;")
    #expect(refusal.reason?.contains("'thing' was a function and is a variable") == true)
    #expect(refusal.reason?.contains("used by: build/game.o") == true)
    let frames = try #require(try game.line().number("frames"))
    #expect(try game.line().number("frames") == frames + 1)
    try game.edit("a.c", function)
    #expect(try game.line()["thing"] == "5")
    // Both, one after the other.
    try game.editRefused("a.c", "int thing = 70;")
    try game.edit("game.c", user("thing", "++thing"))
    #expect(try game.line()["thing"] == "71")
    let back = try game.editRefused("a.c", function)
    #expect(back.reason?.contains("'thing' was a variable and is a function") == true)
    try game.edit("game.c", calls)
    #expect(try game.line()["thing"] == "5")
    try game.stop()
  }

  @Test("The same in shared objects")
  func functionOfLibrary() throws {
    let user = """
      extern int dprintf(int, const char *, ...);
      extern int thing(void);
      void tick(void) { dprintf(1, "thing=%d\\n", thing()); }
      """
    let function = "int thing(void) { return 5; }"
    let game = try WatchHarness(
      libraries: [("liba.c", function), ("libgame.c", user)], .gccO2)
    #expect(try game.line()["thing"] == "5")
    let refusal = try game.rebuildRefused("liba.c", "int thing = 70;", .gccO2)
    #expect(refusal.reason?.contains("'thing' was a function and is a variable") == true)
    #expect(try game.line()["thing"] == "5")
    try game.stop()
  }

  @Test("A function becomes one that is chosen", arguments: [Toolchain.gccO2.with("-g"), .clang])
  func functionBecomesIndirect(_ toolchain: Toolchain) throws {
    func chosen(_ name: String) -> String {
      """
      static int one(void) { return 51; }
      static int two(void) { return 52; }
      static void *choose(void) { return \(name); }
      int thing(void) __attribute__((ifunc("choose")));
      """
    }
    let game = try WatchHarness(
      [
        "game.c": """
        extern int dprintf(int, const char *, ...);
        extern int thing(void);
        void tick(void) { dprintf(1, "thing=%d\\n", thing()); }
        """, "a.c": "int thing(void) { return 5; }",
      ], toolchain)
    #expect(try game.line()["thing"] == "5")
    try game.edit("a.c", chosen("one"))
    #expect(try game.line()["thing"] == "51")
    try game.edit("a.c", chosen("two"))
    #expect(try game.line()["thing"] == "52")
    try game.edit("a.c", "int thing(void) { return 6; }")
    #expect(try game.line()["thing"] == "6")
    try game.stop()
  }
}
