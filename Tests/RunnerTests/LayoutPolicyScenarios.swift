// What may be done instead of a refusal: reset, migrate by name or by a hook of the program, restart; and what callers
// in other units have to do with it.
import Testing

@Suite("Layout policies")
struct LayoutPolicyScenarios {
  static let before = """
    enum mode { IDLE, RUN, FLY };
    struct item { signed char id; float w; };
    struct player { int hp; short gold; float speed; struct item items[2]; enum mode mode;
      unsigned flag : 3; int neg : 4; int gone; };
    """
  static let after = """
    enum mode { IDLE, WALK, RUN, SWIM, FLY };
    struct item { double w; int id; };
    struct player { short fresh; long gold; struct item items[3]; int neg : 6; unsigned flag : 5;
      enum mode mode; float speed; int hp; };
    """

  static func source(_ types: String, isNew: Bool, hook: String = "") -> String {
    """
    #include <stddef.h>
    extern int dprintf(int, const char *, ...);
    \(types)
    struct player it = { .hp = 100\(isNew ? ", .fresh = 77" : "") };
    static int frames;
    \(hook)
    void tick(void) {
      if (!frames++) {
        it.gold = -7; it.speed = 2.5f; it.items[1].id = -3; it.items[1].w = 1.5f;
        it.mode = FLY; it.flag = 5; it.neg = -2;
      }
      dprintf(1, "v=\(isNew ? 2 : 1) frames=%d hp=%d gold=%d id=%d w=%d mode=%d flag=%d neg=%d speed=%d fresh=%d\\n",
        frames, ++it.hp, (int)it.gold, it.items[1].id, (int)(it.items[1].w * 10), it.mode, it.flag,
        it.neg, (int)(it.speed * 10), \(isNew ? "it.fresh" : "0"));
    }
    """
  }

  private func values(_ line: Line) -> [Int?] {
    ["gold", "id", "w", "flag", "neg", "speed", "fresh"].map { line.number($0) }
  }

  @Test(
    "Migrate by name: moved, widened, bit fields, arrays, enumerators",
    arguments: Toolchain.debugging.prefix(2),
    ["migrate", "it=migrate", "game.o=migrate"])
  func byName(_ toolchain: Toolchain, _ policy: String) throws {
    let game = try WatchHarness(
      ["game.c": Self.source(Self.before, isNew: false)], toolchain,
      arguments: ["--layout", policy])
    try game.line("v")
    let reload = try game.edit("game.c", Self.source(Self.after, isNew: true))
    let last = try game.last(before: reload)
    let line = try game.line("v")
    #expect(line["v"] == "2")
    #expect(values(line) == [-7, -3, 15, 5, -2, 25, 77])
    #expect(line.number("mode") == 4, "FLY is FLY")
    #expect(line.number("hp") == last.number("hp").map { $0 + 1 })
    #expect(line.number("frames") == last.number("frames").map { $0 + 1 })
    #expect(reload.verdict(on: "it")?.fate == "migrated")
    #expect(try game.line("v").number("hp") == last.number("hp").map { $0 + 2 })
    // The way back would lose bits: refused, with what stands in the way.
    let refusal = try game.editRefused("game.c", Self.source(Self.before, isNew: false))
    #expect(
      refusal.obstacle == "gold has no conversion from long int to short int"
        || refusal.obstacle == "gold has no conversion from long to short")
    #expect(try game.line("v")["v"] == "2")
    try game.stop()
  }

  @Test(
    "Reset: initial value, and nothing else is touched", arguments: Toolchain.debugging.prefix(2))
  func reset(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["game.c": Self.source(Self.before, isNew: false)], toolchain,
      arguments: ["--layout", "it=reset"])
    try game.line("v")
    let reload = try game.edit("game.c", Self.source(Self.after, isNew: true))
    let last = try game.last(before: reload)
    let line = try game.line("v")
    #expect(line.number("hp") == 101)
    #expect(values(line) == [0, 0, 0, 0, 0, 0, 77])
    #expect(line.number("frames") == last.number("frames").map { $0 + 1 })
    #expect(reload.verdict(on: "it")?.fate == "reset")
    try game.stop()
  }

  @Test(
    "A hook goes before every policy, and before everything else",
    arguments: Toolchain.debugging.prefix(2))
  func hook(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["game.c": Self.source(Self.before, isNew: false)], toolchain,
      arguments: ["--layout", "restart"])
    try game.line("v")
    let hook = """
      void hotlink_migrate_it(const void *old, size_t old_size, void *fresh, size_t size) {
        const int *hp = old;
        dprintf(1, "hook=1 hp=%d old=%d new=%d same=%d\\n", *hp, (int)old_size, (int)size, fresh == &it);
        it.hp = *hp * 1000; it.fresh = 55;
      }
      """
    let reload = try game.edit("game.c", Self.source(Self.after, isNew: true, hook: hook))
    #expect(reload.verdict(on: "it")?.fate == "migrated_by_hook")
    #expect(reload.verdict(on: "it")?.hook == "hotlink_migrate_it")
    let called = try #require(game.lines.last { $0["hook"] != nil })
    #expect(called["old"] == "40" && called["same"] == "1")
    let line = try game.line("v")
    #expect(line.number("hp") == called.number("hp").map { $0 * 1000 + 1 })
    #expect(line.number("fresh") == 55)
    #expect(line.number("gold") == -7, "what could be carried by name was there already")
    try game.stop()
  }

  @Test("A hook for a variable in a namespace, of a class that only its code can copy")
  func hookInCxx() throws {
    func source(_ members: String, _ hook: String) -> String {
      """
      extern "C" int dprintf(int, const char *, ...);
      namespace game { struct Thing { virtual int f() { return n; } \(members) }; Thing thing; }
      \(hook)
      static int frames;
      extern "C" void tick() {
        if (!frames++) game::thing.n = 42;
        dprintf(1, "n=%d\\n", game::thing.f());
      }
      """
    }
    let game = try WatchHarness(
      ["game.cpp": source("int n = 0;", "")], .gccDebugSections, arguments: ["--layout=migrate"])
    try game.line("n")
    let refusal = try game.editRefused("game.cpp", source("int z = 0; int n = 0;", ""))
    #expect(refusal.obstacle == "only its own code can copy game::Thing")
    let reload = try game.edit(
      "game.cpp",
      source(
        "int z = 0; int n = 0;",
        """
        struct OldThing { void *table; int n; };
        inline void *operator new(decltype(sizeof 0), void *place) { return place; }
        extern "C" void hotlink_migrate_game__thing(const void *old, unsigned long, void *fresh, unsigned long) {
          (new (fresh) game::Thing)->n = ((const OldThing *)old)->n + 1;
        }
        """))
    #expect(reload.verdict(on: "thing")?.fate == "migrated_by_hook")
    #expect(try game.line("n").number("n") == 43)
    try game.stop()
  }

  @Test(
    "Reset of a variable whose initialiser must run", arguments: [Toolchain.clangDebug, .gccDebug])
  func dynamicInitialiser(_ toolchain: Toolchain) throws {
    func source(_ members: String) -> String {
      """
      extern "C" int dprintf(int, const char *, ...); extern "C" int getpid();
      struct Thing { \(members) int n; Thing() : n(getpid() > 0 ? 7 : 0) {} };
      Thing it; static int frames;
      static Thing &inside() { static Thing thing; return thing; }
      extern "C" void tick() {
        if (!frames++) { it.n = 42; inside().n = 43; }
        dprintf(1, "n=%d m=%d\\n", it.n, inside().n);
      }
      """
    }
    let game = try WatchHarness(
      ["game.cpp": source("")], toolchain, arguments: ["--layout=reset"])
    #expect(try game.line("n").text == "n=42 m=43")
    game.skipToEnd()
    try game.save("game.cpp", source("int z;"))
    let answer = try game.answer()
    if answer.event == "refused" {
      // g++ has one function for the whole file: it would also run over what lives.
      #expect(
        answer.reason?.contains("_GLOBAL__sub_I") == true
          || answer.reason?.contains("initialis") == true)
    }
    #expect(try game.line("n").text == (answer.event == "refused" ? "n=42 m=43" : "n=7 m=7"))
    #expect(!toolchain.isClang || answer.event == "reloaded", "clang has one for each variable")
    try game.stop()
  }

  @Test("Restart: the program ends with exit code 3, and says why")
  func restart() throws {
    let edit = LayoutCase.inC[0]
    let (game, _) = try LayoutScenarios.start(edit, .gccDebug, ["--layout", "restart"])
    let refusal = try game.editRefused(edit.file, edit.source(edit.after))
    #expect(refusal.restartNeeded == true)
    #expect(refusal.policy == "restart")
    #expect(try game.end() == .exited(3))
  }

  @Test("The most particular policy counts")
  func particular() throws {
    let edit = LayoutCase.inC[3]
    let (game, sum) = try LayoutScenarios.start(
      edit, .gccDebug, ["--layout=restart", "--layout=game.o=refuse", "--layout=it=migrate"])
    let reload = try game.edit(edit.file, edit.source(edit.after))
    #expect(reload.verdict(on: "it")?.fate == "migrated")
    try LayoutScenarios.runsOn(game, sum, frames: 100)
    try game.stop()
  }

  @Test("--heap-layout=warn lets objects behind pointers be, and names them")
  func heap() throws {
    func source(_ fields: String) -> String {
      """
      extern int dprintf(int, const char *, ...); extern void *calloc(unsigned long, unsigned long);
      struct p { int a; \(fields) }; struct p *it; static int frames;
      void tick(void) { if (!frames++) { it = calloc(1, 64); it->a = 5; } dprintf(1, "a=%d\\n", it->a); }
      """
    }
    let game = try WatchHarness(
      ["game.c": source("")], .gccDebug, arguments: ["--heap-layout=warn"])
    try game.line("a")
    let reload = try game.edit("game.c", source("int b;"))
    let warning = try #require(reload.layoutWarnings.first)
    #expect(warning.name == "it")
    #expect(warning.differences.first?.text == "it->b is new")
    #expect(warning.differences.first?.old.members.map(\.name) == ["a"])
    #expect(warning.differences.first?.new.members.map(\.name) == ["a", "b"])
    #expect(try game.line("a")["a"] == "5")
    try game.stop()
  }
}
