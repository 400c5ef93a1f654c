// What a person reads when a layout has changed, word by word. The program puts its next version in place itself, so
// that one call of `hotlink watch` is the whole story.
import Foundation
import Testing

@Suite("Reports of changed layouts")
struct LayoutReportTests {
  /// The lines on standard error, without those that tell times.
  private func report(
    _ compiler: Compiler, _ before: String, _ after: String, _ options: [String] = []
  ) throws -> (code: Int32?, lines: [String]) {
    let folder = try TemporaryFolder()
    func source(_ declarations: String) -> String {
      let linkage = compiler.suffix == "c" ? "extern" : "extern \"C\""
      return """
        \(linkage) int rename(const char *, const char *);
        \(declarations)
        static int frames;
        \(linkage) void tick(void) { if (++frames == 5) rename("next.o", "build/game.o"); }
        """
    }
    _ = try compiler.object(source(after), "next", flags: ["-g"], in: folder)
    let first = try compiler.object(source(before), "game", flags: ["-g"], in: folder)
    try FileManager.default.createDirectory(
      atPath: folder.path("build"), withIntermediateDirectories: false)
    try FileManager.default.moveItem(atPath: first, toPath: folder.path("build/game.o"))
    let outcome = try Tool.run(
      Tool.hotlinkPath(),
      ["watch", "build", "--entry", "tick", "--hz", "1000", "--frames", "2000"] + options,
      directory: folder.root)
    let lines = outcome.stderr.split(separator: "\n").map(String.init).filter {
      !$0.contains("linked in") && !$0.contains("stopped after") && !$0.contains(" live now")
        && !$0.contains("old code that stays")
    }
    return (outcome.code, lines.map { $0.replacingOccurrences(of: "hotlink: ", with: "") })
  }

  @Test("A structure: members added, gone, moved, bit fields")
  func structure() throws {
    let (code, lines) = try report(
      .gcc,
      """
      struct item { int id; float weight; };
      struct player { int hp; unsigned alive : 1; unsigned team : 3; float speed; struct item items[2]; int old; };
      struct player players[4];
      """,
      """
      struct item { int id; float weight; };
      struct player { int hp; unsigned alive : 1; unsigned team : 4; struct item items[2]; float speed; int mana; };
      struct player players[4];
      """)
    #expect(code == 0)
    #expect(
      lines == [
        "error: the layout of 'players' changed: struct player[4]",
        "  in build/game.o",
        "  players[].old is gone",
        "  players[].mana is new",
        "  players[].team had 3 bits and has 4 bits",
        "  players[].speed moved from +8 to +24",
        "  players[].items moved from +12 to +8",
        "    old: struct player, 32 bytes        | new: struct player, 32 bytes",
        "    +0         4  int             hp    | +0         4  int             hp",
        "    +4.0   1 bit  unsigned int    alive | +4.0   1 bit  unsigned int    alive",
        "  ~ +4.1  3 bits  unsigned int    team  | +4.1  4 bits  unsigned int    team",
        "  ~ +8         4  float           speed |",
        "  ~ +12       16  struct item[2]  items | +8        16  struct item[2]  items",
        "  ~                                     | +24        4  float           speed",
        "  +                                     | +28        4  int             mana",
        "  - +28        4  int             old   |",
        "  help: undo the change, or restart; or choose what becomes of 'players':",
        "    --layout=players=reset    it gets its initial value",
        "    --layout=players=migrate    members are carried over by name",
        "    void hotlink_migrate_players(const void *old, size_t old_size, void *new, size_t new_size)"
          + "    in the new code, as extern \"C\"",
        "  the program goes on as it was",
      ])
  }

  @Test("A class: base, virtual functions; the same layout twice; a policy that cannot be followed")
  func classType() throws {
    let rest = "namespace world { Shape shape; Shape *first = &shape; }"
    let (code, lines) = try report(
      .gxx,
      "struct Shape { virtual float area() { return 0; } virtual void draw() {} float x; }; \(rest)",
      """
      struct Base { int id; };
      struct Shape : Base { virtual void draw() {} virtual float area() { return 0; } virtual void hide() {} float x; };
      \(rest)
      """, ["--layout=migrate"])
    #expect(code == 0)
    #expect(
      lines == [
        "error: the layout of 'world::shape' changed: Shape",
        "  in build/game.o",
        "  base class Base of Shape is new",
        "  virtual function hide() of Shape is new",
        "  world::shape.x moved from +8 to +12",
        "  virtual function area() of Shape moved from slot 0 to slot 1",
        "  virtual function draw() of Shape moved from slot 1 to slot 0",
        "    old: Shape, 16 bytes       | new: Shape, 16 bytes",
        "  +                            | +8      4  Base",
        "    +0      8           (vptr) | +0      8           (vptr)",
        "  ~ +8      4  float    x      | +12     4  float    x",
        "  ~ slot 0  8  virtual  area() |",
        "  ~ slot 1  8  virtual  draw() | slot 0  8  virtual  draw()",
        "  ~                            | slot 1  8  virtual  area()",
        "  +                            | slot 2  8  virtual  hide()",
        "error: the layout of what 'world::first' points to changed: Shape *",
        "  in build/game.o",
        "  Shape: as above",
        "  --layout=migrate cannot be followed: only its own code can copy Shape",
        "  help: undo the change, or restart; or choose what becomes of 'world::shape':",
        "    --layout=world::shape=reset    it gets its initial value",
        "    --layout=world::shape=migrate    members are carried over by name",
        "    void hotlink_migrate_world__shape(const void *old, size_t old_size, void *new, size_t new_size)"
          + "    in the new code, as extern \"C\"",
        "  the program goes on as it was",
      ])
  }

  @Test("An enumeration, and a restart")
  func enumeration() throws {
    let (code, lines) = try report(
      .gcc, "enum state { IDLE, RUN } now;", "enum state { IDLE, WALK, RUN } now;",
      ["--layout", "restart"])
    #expect(code == 3)
    #expect(
      lines == [
        "error: the layout of 'now' changed: enum state",
        "  in build/game.o",
        "  enumerator RUN was 1 and is 2",
        "    old: enum state, 4 bytes | new: enum state, 4 bytes",
        "    = 0  IDLE                | = 0  IDLE",
        "  +                          | = 1  WALK",
        "  ~ = 1  RUN                 | = 2  RUN",
        "  help: undo the change, or restart; or choose what becomes of 'now':",
        "    --layout=now=reset    it gets its initial value",
        "    --layout=now=migrate    members are carried over by name",
        "    void hotlink_migrate_now(const void *old, size_t old_size, void *new, size_t new_size)"
          + "    in the new code, as extern \"C\"",
        "  restart needed",
      ])
  }

  @Test("A warning, and what was migrated, reset, not compared")
  func notes() throws {
    let heap = try report(
      .gcc, "struct p { int a; }; struct p *it;", "struct p { int a, b; }; struct p *it;",
      ["--heap-layout=warn"])
    #expect(
      heap.lines == [
        "  warning: the layout of what 'it' points to changed: struct p *",
        "    in build/game.o",
        "    it->b is new",
        "      old: struct p, 4 bytes | new: struct p, 8 bytes",
        "      +0  4  int  a          | +0  4  int  a",
        "    +                        | +4  4  int  b",
      ])
    let migrated = try report(
      .gcc, "struct { int a, b; } it;", "struct { int b, a; } it;", ["--layout=migrate"])
    #expect(migrated.lines == ["  it (game.o): migrated by name, 8 → 8 bytes"])
    let reset = try report(
      .gcc, "struct { int a, b; } it;", "struct { int b, a; } it;", ["--layout=it=reset"])
    #expect(reset.lines == ["  it (game.o): reset to its initial value"])
  }

  @Test("A policy that does not exist")
  func unknownPolicy() throws {
    for value in ["forget", "=reset", "it=forget", "it="] {
      let outcome = try Tool.hotlink(["watch", ".", "--layout", value])
      #expect(outcome.code == 64, "\(value): \(outcome.stderr)")
    }
  }
}
