// A header changes, and a build writes one object after the other: whichever comes first, nothing may run with two forms of one type.
import Testing

@Suite("A caller is rebuilt first")
struct CallerFirstScenarios {
  private static func callee(_ types: String, _ star: String) -> String {
    let arrow = star.isEmpty ? "." : "->"
    return "\(types) int total(struct v \(star)v) { return v\(arrow)x + v\(arrow)y; }"
  }
  private static func caller(_ types: String, _ star: String) -> String {
    """
    extern int dprintf(int, const char *, ...);
    \(types)
    extern int total(struct v \(star)); static int frames;
    void tick(void) {
      struct v v = { .x = 40, .y = 2 };
      dprintf(1, "frames=%d x=%d\\n", ++frames, total(\(star.isEmpty ? "" : "&")v));
    }
    """
  }
  private static let before = "struct v { int x, y; };"
  private static let after = "struct v { long z; int x, y; };"

  @Test(
    "A structure that it passes: it waits for the unit that it calls",
    arguments: ["", "*"], [Toolchain.gccDebug, .clangO2.with("-g")])
  func structure(_ star: String, _ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["a.c": Self.callee(Self.before, star), "game.c": Self.caller(Self.before, star)], toolchain)
    #expect(try game.line()["x"] == "42")
    let refusal = try game.editRefused("game.c", Self.caller(Self.after, star))
    let layout = try #require(refusal.layouts.first)
    #expect(layout.kind == "passed", "\(refusal.reason ?? "")")
    #expect(layout.name == "struct v")
    #expect(refusal.reason?.contains("z is new") == true)
    let frames = try #require(try game.line().number("frames"))
    #expect(try game.line().text == "frames=\(frames + 1) x=42")
    // Undone, then both, then back in the other order.
    try game.edit("game.c", Self.caller(Self.before, star))
    try game.editRefused("game.c", Self.caller(Self.after, star))
    let reload = try game.edit("a.c", Self.callee(Self.after, star))
    #expect(reload.unitFiles.sorted() == ["a.o", "game.o"], "both at once")
    #expect(try game.line()["x"] == "42")
    try game.editRefused("a.c", Self.callee(Self.before, star))
    try game.edit("game.c", Self.caller(Self.before, star))
    #expect(try game.line()["x"] == "42")
    #expect(try #require(try game.line().number("frames")) > frames)
    try game.stop()
  }

  @Test("The same in shared objects")
  func libraries() throws {
    let build = LibraryBuild.gccO2.with("-g")
    let game = try WatchHarness(
      libraries: [
        ("liba.c", Self.callee(Self.before, "*")), ("libgame.c", Self.caller(Self.before, "*")),
      ], build)
    #expect(try game.line()["x"] == "42")
    let refusal = try game.rebuildRefused("libgame.c", Self.caller(Self.after, "*"), build)
    #expect(refusal.layouts.first?.kind == "passed", "\(refusal.reason ?? "")")
    #expect(try game.line()["x"] == "42")
    try game.rebuild("liba.c", Self.callee(Self.after, "*"), build)
    #expect(try game.line()["x"] == "42")
    try game.stop()
  }

  @Test("A type that the called unit has another form of from the start is no reason")
  func alreadyDifferent() throws {
    let other = "struct v { int x, y; char more[64]; };"
    let game = try WatchHarness(
      ["a.c": Self.callee(other, "*"), "game.c": Self.caller(Self.before, "*")], .gccDebug)
    #expect(try game.line()["x"] == "42")
    let third = "struct v { int x, y; char some[8]; };"
    try game.edit("game.c", Self.caller(third, "*"))
    #expect(try game.line()["x"] == "42")
    try game.stop()
  }

  @Test(
    "A virtual function gets other parameters in its slot, where objects are made",
    arguments: [Toolchain.gccDebug, .clangO2.with("-g")])
  func virtualParameters(_ toolchain: Toolchain) throws {
    func types(_ parameter: String) -> String {
      """
      struct shape {
        int n = 0;
        virtual int area(int a) { return a; }
        virtual int scaled(\(parameter)) { return n; }
        virtual ~shape() {}
      };
      shape *make();
      """
    }
    func maker(_ parameter: String, _ result: String) -> String {
      """
      \(types(parameter))
      struct square : shape { int scaled(\(parameter) a) override { return \(result); } };
      shape *make() { return new square; }
      """
    }
    let game = try WatchHarness(
      [
        "a.cpp": maker("int", "a * 2"),
        "game.cpp": """
        extern "C" int dprintf(int, const char *, ...);
        \(types("int"))
        static shape *kept;
        extern "C" void tick() { if (!kept) kept = make(); dprintf(1, "x=%d\\n", kept->scaled(21)); }
        """,
      ], toolchain)
    #expect(try game.line()["x"] == "42")
    let refusal = try game.editRefused("a.cpp", maker("const char *", "*a"))
    #expect(refusal.reason?.contains("virtual function scaled() of shape is") == true)
    #expect(try game.line()["x"] == "42")
    try game.edit("a.cpp", maker("int", "a * 4"))
    #expect(try game.line()["x"] == "84")
    try game.stop()
  }
}
