// What a changed type means for other units: callers that were not rebuilt, owners of variables, stored closures, and
// edits that come after a refused one.
import Testing

@Suite("Layouts over units")
struct LayoutUnitScenarios {
  @Test(
    "A signature that changed under callers; with them it passes", arguments: Toolchain.debugging)
  func signatures(_ toolchain: Toolchain) throws {
    func callee(_ type: String) -> String { "\(type) scale(\(type) x) { return x * 2; }" }
    func caller(_ type: String) -> String {
      """
      extern int dprintf(int, const char *, ...); extern \(type) scale(\(type)); static int frames;
      void tick(void) { frames++; dprintf(1, "x=%d\\n", (int)scale(21)); }
      """
    }
    let game = try WatchHarness(["a.c": callee("int"), "game.c": caller("int")], toolchain)
    #expect(try game.line("x")["x"] == "42")
    let refusal = try game.editRefused("a.c", callee("float"))
    #expect(refusal.layouts.first?.kind == "function")
    #expect(refusal.layouts.first?.name == "scale")
    #expect(refusal.layouts.first?.callers?.first?.hasSuffix("game.o") == true)
    #expect(try game.line("x")["x"] == "42")
    let reload = try game.edit("game.c", caller("float"))
    #expect(reload.unitFiles.sorted() == ["a.o", "game.o"], "both at once")
    #expect(try game.line("x")["x"] == "42")
    try game.stop()
  }

  @Test("A structure by value, and one that the caller looks into", arguments: ["", "*"])
  func structures(_ star: String) throws {
    let ampersand = star.isEmpty ? "" : "&"
    let arrow = star.isEmpty ? "." : "->"
    func types(_ extra: String) -> String { "struct v { \(extra) int x, y; };" }
    func callee(_ extra: String) -> String {
      "\(types(extra)) int total(struct v \(star)v) { return v\(arrow)x + v\(arrow)y; }"
    }
    func caller(_ extra: String) -> String {
      """
      extern int dprintf(int, const char *, ...); \(types(extra)) extern int total(struct v \(star));
      void tick(void) { struct v v = { .x = 40, .y = 2 }; dprintf(1, "x=%d\\n", total(\(ampersand)v)); }
      """
    }
    let game = try WatchHarness(["a.c": callee(""), "game.c": caller("")], .gccDebug)
    #expect(try game.line("x")["x"] == "42")
    let refusal = try game.editRefused("a.c", callee("long z;"))
    #expect(refusal.layouts.first?.kind == "function", "\(refusal.reason ?? "")")
    #expect(try game.line("x")["x"] == "42")
    try game.edit("game.c", caller("long z;"))
    #expect(try game.line("x")["x"] == "42")
    try game.stop()
  }

  @Test("An opaque type: kept by a unit that does not know it")
  func opaque() throws {
    func callee(_ extra: String) -> String {
      """
      extern void *calloc(unsigned long, unsigned long);
      struct world { \(extra) int n; };
      struct world *make(void) { return calloc(1, 64); }
      int step(struct world *w) { return ++w->n; }
      """
    }
    let game = try WatchHarness(
      [
        "a.c": callee(""),
        "game.c": """
        extern int dprintf(int, const char *, ...); struct world;
        extern struct world *make(void); extern int step(struct world *); static struct world *kept;
        void tick(void) { if (!kept) kept = make(); dprintf(1, "n=%d\\n", step(kept)); }
        """,
      ], .gccDebug)
    try game.line("n")
    let refusal = try game.editRefused("a.c", callee("int first;"))
    #expect(refusal.layouts.first?.kind == "heap", "\(refusal.reason ?? "")")
    #expect(
      refusal.reason?.contains("game.o") == false
        || refusal.layouts.first?.unit.hasSuffix("a.o") == true)
    let before = try #require(try game.line("n").number("n"))
    #expect(try game.line("n").number("n") == before + 1)
    try game.edit("a.c", callee(""))
    try game.stop()
  }

  @Test("A variable that another unit refers to migrates only with that unit")
  func users() throws {
    func types(_ extra: String) -> String { "struct w { \(extra) int n; };" }
    func owner(_ extra: String) -> String { "\(types(extra)) struct w world = { .n = 5 };" }
    func user(_ extra: String) -> String {
      """
      extern int dprintf(int, const char *, ...); \(types(extra)) extern struct w world;
      void tick(void) { dprintf(1, "n=%d\\n", ++world.n); }
      """
    }
    let game = try WatchHarness(
      ["a.c": owner(""), "game.c": user("")], .gccDebug, arguments: ["--layout=migrate"])
    try game.line("n")
    let refusal = try game.editRefused("a.c", owner("int z;"))
    #expect(refusal.obstacle?.contains("game.o") == true, "\(refusal.obstacle ?? "")")
    let reload = try game.edit("game.c", user("int z;"))
    let last = try game.last(before: reload)
    #expect(try game.line("n").number("n") == last.number("n").map { $0 + 1 })
    #expect(reload.verdict(on: "world")?.fate == "migrated")
    try game.stop()
  }

  @Test("A refused unit stays; other edits take effect, and the report says so")
  func heldBack() throws {
    func a(_ extra: String) -> String {
      "struct p { \(extra) int n; }; static struct p it; int next(void) { return ++it.n; }"
    }
    func b(_ version: Int) -> String {
      """
      extern int dprintf(int, const char *, ...); extern int next(void);
      void tick(void) { dprintf(1, "v=\(version) n=%d\\n", next()); }
      """
    }
    let game = try WatchHarness(["a.c": a(""), "game.c": b(1)], .gccDebug)
    try game.line("v")
    try game.editRefused("a.c", a("int z;"))
    for version in 2...3 {
      let reload = try game.edit("game.c", b(version))
      #expect(reload.heldBack.count == 1)
      #expect(reload.heldBack.first?.hasSuffix("a.o") == true)
      let last = try game.last(before: reload)
      let line = try game.line("v")
      #expect(line["v"] == "\(version)")
      #expect(line.number("n") == last.number("n").map { $0 + 1 })
    }
    let reload = try game.edit("a.c", a(""))
    #expect(reload.heldBack.isEmpty)
    try game.stop()
  }

  // MARK: what stored closures capture

  @Test(
    "std::function in state: captures changed, closures added",
    arguments: [Toolchain.gccDebug, .clangDebug].map {
      $0.with("-ffunction-sections", "-fdata-sections")
    })
  func closures(_ toolchain: Toolchain) throws {
    func source(_ kept: String, extra: String = "") -> String {
      """
      #include <functional>
      extern "C" int dprintf(int, const char *, ...);
      static std::function<int()> it, other;
      static int frames, n;
      extern "C" void tick() {
        int k = 4, m = 1; (void)k; (void)m;
        \(extra)
        if (!frames++) it = \(kept);
        dprintf(1, "n=%d\\n", it());
      }
      """
    }
    let game = try WatchHarness(["game.cpp": source("[k] { return n += k; }")], toolchain)
    try game.line("n")
    let refusal = try game.editRefused("game.cpp", source("[k, m] { return n += k + m; }"))
    #expect(refusal.layouts.first?.kind == "closure", "\(refusal.reason ?? "")")
    let before = try #require(try game.line("n").number("n"))
    #expect(try game.line("n").number("n") == before + 4)
    try game.edit("game.cpp", source("[k] { return n += k * 1; }"))
    try game.edit(
      "game.cpp",
      source("[k] { return n += k; }", extra: "if (frames < 0) other = [m] { return m; };"))
    try game.stop()
  }

  // MARK: Swift

  @Test("Swift: stored properties of kept types", arguments: SwiftMode.all)
  func swift(_ mode: SwiftMode) throws {
    func source(_ fields: String, _ version: Int = 1, _ method: String = "") -> String {
      """
      import Glibc
      struct P { \(fields) }
      final class G { var n = 3; var p = P(x: 1); \(method) }
      nonisolated(unsafe) var g = G()
      struct Unkept { var a = 1 }
      @_cdecl("tick") public func tick() {
        g.n += 1
        print("v=\(version) n=\\(g.n) x=\\(Int(g.p.x))")
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source("var x: Int")], swift: mode)
    try game.line("v")
    let refusal = try game.editRefused("game.swift", source("var x: Double"))
    #expect(refusal.reason?.contains("game.P") == true, "\(refusal.reason ?? "")")
    #expect(refusal.reason?.contains("x was Int and is Double") == true, "\(refusal.reason ?? "")")
    let added = try game.editRefused("game.swift", source("var x: Int; var y = 2"))
    #expect(added.reason?.contains("y is new") == true, "\(added.reason ?? "")")
    #expect(added.layouts.first?.kind == "swift_type")
    let before = try #require(try game.line("n").number("n"))
    #expect(try game.line("n").number("n") == before + 1)
    let reload = try game.edit("game.swift", source("var x: Int", 2))
    #expect(reload.heldBack.isEmpty)
    #expect(try game.line("v")["v"] == "2")
    try game.stop()
  }
}
