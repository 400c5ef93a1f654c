// Hooks by name: the old code is told before a reload, the new code after it, on the host's thread, and
// nobody when the reload is refused. docs/decisions/0033.
import Testing

@Suite("Hooks")
struct HookScenarios {
  static let declaration = """
    #include <stdio.h>
    #include <stdint.h>
    typedef struct {
      uint64_t from, to;
      uint32_t units, changed, added, removed;
      const char *unit;
    } hotlink_reload;
    """

  static func tick(_ version: Int) -> String {
    """
    \(declaration)
    int state;
    void tick(void) { dprintf(1, "v=\(version) n=%d\\n", ++state); }
    """
  }

  @Test("Old code before, new code after; state is carried in between", arguments: Toolchain.few)
  func order(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      \(HookScenarios.tick(version))
      static int tuned = \(version) * 10;
      void hotlink_before_reload(hotlink_reload *r) {
        dprintf(1, "before=\(version) from=%d to=%d units=%d changed=%d unit=%s tuned=%d\\n", (int)r->from,
          (int)r->to, (int)r->units, (int)r->changed, r->unit ? r->unit : "none", tuned);
        state += 1000;
      }
      void hotlink_after_reload(void) { dprintf(1, "after=\(version) tuned=%d n=%d\\n", tuned, state); }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    try game.line("n")
    #expect(game.count("before=") == 0 && game.count("after=") == 0, "the start is no reload")
    game.skipToEnd()
    try game.save("game.c", source(2))
    let before = try game.line("before")
    #expect(before.text == "before=1 from=1 to=2 units=1 changed=3 unit=none tuned=10")
    let after = try game.line("after")
    #expect(after["after"] == "2" && after["tuned"] == "20")
    #expect(after.number("n").map { $0 > 1000 } == true, "what the old code wrote is carried")
    let reload = try game.reloaded()
    #expect(reload.hooks == ["hotlink_before_reload", "hotlink_after_reload"])
    let next = try game.line("n")
    #expect(next["v"] == "2" && next.number("n") == after.number("n").map { $0 + 1 })
    try game.stop()
  }

  @Test("Of a unit: by its file's name, and static functions inside it", arguments: Toolchain.few)
  func ofUnits(_ toolchain: Toolchain) throws {
    func part(_ version: Int) -> String {
      """
      \(HookScenarios.declaration)
      __attribute__((used)) static void hotlink_before_reload(hotlink_reload *r) {
        dprintf(1, "inner_before=\(version) unit=%s\\n", r->unit);
      }
      __attribute__((used)) static void hotlink_after_reload(hotlink_reload *r) {
        dprintf(1, "inner_after=\(version) unit=%s\\n", r->unit);
      }
      int part(void) { return \(version); }
      """
    }
    let hooks = """
      \(HookScenarios.declaration)
      void hotlink_before_reload(void) { dprintf(1, "all_before=1\\n"); }
      void hotlink_after_reload(void) { dprintf(1, "all_after=1\\n"); }
      void hotlink_before_reload_some_part(hotlink_reload *r) { dprintf(1, "outer_before=1 unit=%s\\n", r->unit); }
      void hotlink_after_reload_some_part(hotlink_reload *r) { dprintf(1, "outer_after=1 unit=%s\\n", r->unit); }
      void hotlink_after_reload_game(void) { dprintf(1, "game_after=1\\n"); }
      """
    let main = HookScenarios.tick(1).replacing(
      "{ dprintf", with: "{ int part(void); part(); dprintf")
    let game = try WatchHarness(
      ["game.c": main, "some-part.c": part(1), "hooks.c": hooks], toolchain)
    try game.line("n")
    let reload = try game.edit("some-part.c", part(2))
    let told = game.lines.filter { !$0.text.hasPrefix("v=") }.map {
      String($0.text.prefix { $0 != " " })
    }
    #expect(
      told == [
        "all_before=1", "outer_before=1", "inner_before=1", "outer_after=1", "inner_after=2",
        "all_after=1",
      ])
    #expect(game.lines.contains { $0["unit"]?.hasSuffix("build/some-part.o") == true })
    #expect(reload.hooks.count == 6)
    try game.edit("game.c", HookScenarios.tick(2))
    #expect(game.count("game_after=1") == 1 && game.count("outer_after") == 1)
    try game.stop()
  }

  @Test("Added, changed and removed by the very edit", arguments: Toolchain.few)
  func comeAndGo(_ toolchain: Toolchain) throws {
    func hook(_ version: Int) -> String {
      """

      void hotlink_before_reload(void) { dprintf(1, "before=\(version)\\n"); }
      void hotlink_after_reload(void) { dprintf(1, "after=\(version)\\n"); }
      """
    }
    let game = try WatchHarness(["game.c": HookScenarios.tick(1)], toolchain)
    try game.line("n")
    #expect(
      try game.edit("game.c", HookScenarios.tick(2) + hook(2)).hooks == ["hotlink_after_reload"])
    #expect(try game.edit("game.c", HookScenarios.tick(3) + hook(3)).hooks.count == 2)
    #expect(try game.edit("game.c", HookScenarios.tick(4)).hooks == ["hotlink_before_reload"])
    #expect(try game.edit("game.c", HookScenarios.tick(5)).hooks == [])
    let told = game.lines.filter { $0["v"] == nil }.map(\.text)
    #expect(told == ["after=2", "before=2", "after=3", "before=3"])
    try game.stop()
  }

  @Test("A refused reload calls nobody")
  func refused() throws {
    let toolchain = Toolchain.gcc
    func source(_ size: Int) -> String {
      """
      \(HookScenarios.declaration)
      int table[\(size)] = { 1 };
      int behind = 5;
      void hotlink_before_reload(void) { dprintf(1, "before=\(size)\\n"); }
      void hotlink_after_reload(void) { dprintf(1, "after=\(size)\\n"); }
      void tick(void) { dprintf(1, "n=%d\\n", ++behind + table[0]); }
      """
    }
    let game = try WatchHarness(["game.c": source(4)], toolchain)
    try game.line("n")
    try game.editRefused("game.c", source(4000))
    #expect(game.count("before=") == 0 && game.count("after=") == 0)
    try game.edit("game.c", source(4))
    #expect(game.count("before=4") == 1 && game.count("after=4") == 1)
    try game.stop()
  }

  @Test("A hook in a unit that waited, and one that calls a unit that waited")
  func lazily() throws {
    let hooks = """
      #include <stdio.h>
      int helper(void);
      void hotlink_before_reload(void) { dprintf(1, "before=%d\\n", helper()); }
      """
    let game = try WatchHarness(
      [
        "game.c": HookScenarios.tick(1), "hooks.c": hooks,
        "helper.c": "int helper(void) { return 77; }",
      ], .gcc)
    try game.line("n")
    try game.edit("game.c", HookScenarios.tick(2))
    #expect(game.count("before=77") == 1, "once, although it made the reload be linked again")
    #expect(try game.line("n")["v"] == "2")
    try game.edit("game.c", HookScenarios.tick(3))
    #expect(game.count("before=77") == 2)
    try game.stop()
  }

  @Test("In C++ and Swift")
  func languages() throws {
    let game = try WatchHarness(
      [
        "game.cpp": """
        #include <cstdio>
        extern "C" void tick() { std::printf("v=1\\n"); std::fflush(stdout); }
        extern "C" void hotlink_after_reload_game(void *) { std::printf("after=game\\n"); }
        """,
        "world.swift": """
        import Glibc
        @c public func hotlink_before_reload() { print("before=swift"); fflush(stdout) }
        """,
      ], .gcc)
    try game.line("v")
    try game.edit(
      "game.cpp",
      """
      #include <cstdio>
      extern "C" void tick() { std::printf("v=2\\n"); std::fflush(stdout); }
      extern "C" void hotlink_after_reload_game(void *) { std::printf("after=game2\\n"); }
      """)
    // What the hook wrote lies in stdout's buffer until the next frame.
    try game.line { $0["v"] == "2" }
    #expect(game.count("before=swift") == 1 && game.count("after=game2") == 1)
    try game.stop()
  }
}
