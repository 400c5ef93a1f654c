// What a report says and what `hotlink ctl` does, in cases that went wrong once.
import Testing

@Suite("Reports and requests")
struct ReportScenarios {
  @Test("A change that was refused by its layout is let through with a reset, once")
  func resetOfLayout() throws {
    func source(_ members: String) -> String {
      """
      extern int dprintf(int, const char *, ...);
      struct { \(members) } kept = { .n = 5 };
      static int frames;
      void tick(void) { frames++; dprintf(1, "frames=%d n=%d\\n", frames, kept.n++); }
      """
    }
    let game = try WatchHarness(["game.c": source("int n;")], .gccDebugSections)
    try game.line(where: { $0.number("n") ?? 0 > 20 })
    try game.editRefused("game.c", source("float first; int n;"))
    game.skipToEnd()
    #expect(try Tool.hotlink(["ctl", "reset", "game.o", "--pid", String(game.pid)]).code == 0)
    let reload = try game.reloaded()
    #expect(reload.verdict(on: "kept")?.fate == "reset")
    let line = try game.line()
    #expect(line["n"] == "5")
    #expect(line.number("frames") ?? 0 > 20, "only what it takes")
    // The next one is refused again.
    try game.editRefused("game.c", source("int n;"))
    try game.edit("game.c", source("float first; int n;"))
    try game.stop()
  }

  @Test("A function that has returned is not told as running", arguments: Toolchain.few)
  func returned(_ toolchain: Toolchain) throws {
    func source(_ step: Int) -> String {
      "int deep(int x) { return x ? 1 + x : \(step); } int next(int x) { return deep(x) + \(step); }"
    }
    let game = try WatchHarness(
      [
        "a.c": source(1),
        "game.c": """
        extern int dprintf(int, const char *, ...);
        extern int next(int);
        static int frames;
        void tick(void) { frames = next(frames) - frames; dprintf(1, "x=%d\\n", frames); }
        """,
      ], toolchain)
    for step in 2...5 {
      let reload = try game.edit("a.c", source(step))
      #expect(reload.running.isEmpty)
      try game.line()
    }
    try game.stop()
  }

  @Test(
    "doctor tells of debug data that the layout guard cannot use",
    arguments: [("gcc", "-g1"), ("clang", "-gline-tables-only"), ("gcc", "-gsplit-dwarf")])
  func blindness(_ compiler: String, _ flag: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("int kept; int tick(int x) { return kept += x; }", to: "a.c")
    try Tool.output(
      compiler, ["-g", flag, "-ffunction-sections", "-fdata-sections", "-c", "a.c", "-o", "a.o"],
      directory: folder.root)
    let outcome = try Tool.hotlink(["doctor", folder.path("a.o")])
    let isSplit = flag == "-gsplit-dwarf"
    #expect(outcome.code == 1)
    #expect(
      outcome.stdout.contains(isSplit ? "[split-debug-data]" : "[no-type-data]"),
      "\(outcome.stdout)")
  }
}
