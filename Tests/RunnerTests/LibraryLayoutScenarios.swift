// Types in shared objects change: told, refused, reset and migrated like those of objects, from the debug data that the
// linker put into the library. The cases are those of objects, and what only libraries have.
import Foundation
import Testing

@Suite("Layouts in shared objects")
struct LibraryLayoutScenarios {
  static let gcc = LibraryBuild.gcc.with("-g")
  static let gccO2 = LibraryBuild.gccO2.with("-g")
  static let clangO2 = LibraryBuild.clangO2.with("-g")
  static let builds = [gcc, clangO2]

  private static func libraryFile(_ edit: LayoutCase) -> String { "lib" + edit.file }

  private func start(_ edit: LayoutCase, _ build: LibraryBuild, _ arguments: [String] = []) throws
    -> (WatchHarness, sum: Int)
  {
    let game = try WatchHarness(
      libraries: [(Self.libraryFile(edit), edit.source(edit.before))], build,
      arguments: arguments, hz: 4000)
    return (game, try #require(try game.line("frames").number("sum")))
  }

  private func refuses(_ edit: LayoutCase, _ build: LibraryBuild) throws {
    let file = Self.libraryFile(edit)
    let (game, sum) = try start(edit, build)
    let refusal = try game.rebuildRefused(file, edit.source(edit.after), build)
    for part in edit.told where part != "game.o" {
      #expect(refusal.reason?.contains(part) == true, "\(part) in \(refusal.reason ?? "")")
    }
    #expect(refusal.unit?.hasSuffix("libgame.so") == true)
    #expect(refusal.layouts.first?.differences.first?.old.name.isEmpty == false)
    try LayoutScenarios.runsOn(game, sum)
    try game.rebuild(file, edit.source(edit.before), build)
    try LayoutScenarios.runsOn(game, sum, frames: 100)
    try game.stop()
  }

  private func accepts(_ edit: LayoutCase, _ build: LibraryBuild) throws {
    let (game, sum) = try start(edit, build)
    let reload = try game.rebuild(Self.libraryFile(edit), edit.source(edit.after), build)
    #expect(reload.blind.isEmpty)
    try LayoutScenarios.runsOn(game, sum, frames: 100)
    try game.stop()
  }

  private static func named(_ list: [LayoutCase], _ names: String...) -> [LayoutCase] {
    list.filter { edit in names.contains(edit.name) }
  }

  @Test(
    "Refused in C",
    arguments: named(
      LayoutCase.inC, "a field added before others", "fields reordered",
      "a field retyped to a type that was there",
      "a plain variable retyped with the same size", "a list that leads back to itself",
      "an enumerator inserted", "a static variable of a function", "a thread-local variable"),
    builds)
  func inC(_ edit: LayoutCase, _ build: LibraryBuild) throws { try refuses(edit, build) }

  @Test(
    "Refused in C++",
    arguments: named(
      LayoutCase.inCxx, "a base class added", "a virtual function added",
      "objects of derived classes in a container"), builds)
  func inCxx(_ edit: LayoutCase, _ build: LibraryBuild) throws { try refuses(edit, build) }

  @Test("Refused: a member behind a pointer, retyped with the same size", arguments: builds)
  func behindPointer(_ build: LibraryBuild) throws {
    try refuses(
      LayoutCase(
        name: "", before: "struct p { int a, b; }; static struct p one, *it = &one;",
        after: "struct p { int a; float b; }; static struct p one, *it = &one;",
        first: "it->a = 3;", sum: "it->a + one.a", told: ["b was int and is float"]), build)
  }

  @Test(
    "Never refused",
    arguments: named(
      LayoutCase.harmless, "comments and lines", "an unrelated type, added before",
      "an enumerator at the end", "an override"), builds)
  func harmless(_ edit: LayoutCase, _ build: LibraryBuild) throws { try accepts(edit, build) }

  @Test(
    "Every format of debug data",
    arguments: [
      ["-gdwarf-4"], ["-gdwarf-5", "-gz"], ["-gdwarf-4", "-fdebug-types-section"],
      ["-fuse-ld=lld", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"],
      ["-fuse-ld=gold", "-Wl,--compress-debug-sections=zlib"],
    ])
  func formats(_ flags: [String]) throws {
    let build = LibraryBuild(c: "gcc", flags: ["-g", "-O2"] + flags)
    for edit in Self.named(LayoutCase.inC, "fields reordered") { try refuses(edit, build) }
    for edit in Self.named(LayoutCase.inCxx, "a template's member") { try refuses(edit, build) }
    try accepts(LayoutCase.harmless[0], build)
  }

  @Test("Blind without debug data, and says so", arguments: [[], ["-g1"], ["-g", "-Wl,-S"]])
  func blind(_ flags: [String]) throws {
    let edit = LayoutCase.inC[3]
    let build = LibraryBuild(c: "gcc", flags: flags)
    let (game, _) = try start(edit, build)
    let reload = try game.rebuild(Self.libraryFile(edit), edit.source(edit.after), build)
    let unit = try #require(reload.blind.first)
    #expect(unit.unit.hasSuffix("libgame.so"))
    #expect(unit.reason == "no debug data")
    try game.stop()
  }

  @Test("Damaged debug data: whatever it claims, the program goes on", arguments: builds)
  func damaged(_ build: LibraryBuild) throws {
    // Refused by its vtable where nothing is understood of its types.
    let edit = LayoutCase.inCxx[3]
    let (game, sum) = try start(edit, build)
    try game.bench.shell("mkdir -p damage")
    try game.bench.library(Self.libraryFile(edit), edit.source(edit.after), build, to: "damage")
    let folder = game.bench.folder
    let bytes = folder.bytes("damage/libgame.so")
    let sections = try Readelf(folder.path("damage/libgame.so")).sections.filter {
      [".debug_info", ".debug_abbrev", ".debug_str_offsets", ".debug_addr"].contains($0.name)
    }
    #expect(sections.count >= 2)
    var state: UInt64 = 38
    func random(below limit: UInt64) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % Int(limit)
    }
    for number in 0..<40 {
      var broken = bytes
      for section in sections where section.size > 0 {
        for _ in 0...random(below: 6) {
          broken[Int(section.offset) + random(below: section.size)] =
            [0, 1, 0x7F, 0x80, 0xFF][random(below: 5)]
        }
      }
      game.skipToEnd()
      try folder.write(broken, to: "staged.so")
      try game.bench.shell("mv staged.so build/libgame.so")
      let refusal = try game.refused()
      #expect(refusal.unit?.hasSuffix("libgame.so") == true, "\(number)")
    }
    try LayoutScenarios.runsOn(game, sum, frames: 100)
    try game.stop()
  }

  @Test(
    "Migrate and reset, in place and in another place", arguments: builds, ["migrate", "reset"])
  func policies(_ build: LibraryBuild, _ policy: String) throws {
    func source(_ types: String, isNew: Bool) -> String {
      LayoutPolicyScenarios.source(types, isNew: isNew)
    }
    let (before, after) = (LayoutPolicyScenarios.before, LayoutPolicyScenarios.after)
    let game = try WatchHarness(
      libraries: [("libgame.c", source(before, isNew: false))], build,
      arguments: ["--layout", "it=" + policy])
    try game.line("v")
    let reload = try game.rebuild("libgame.c", source(after, isNew: true), build)
    let last = try game.last(before: reload)
    let line = try game.line("v")
    #expect(line["v"] == "2")
    #expect(line.number("frames") == last.number("frames").map { $0 + 1 })
    let values = ["gold", "id", "w", "flag", "neg", "speed", "fresh", "mode"].map {
      line.number($0)
    }
    if policy == "migrate" {
      #expect(values == [-7, -3, 15, 5, -2, 25, 77, 4])
      #expect(line.number("hp") == last.number("hp").map { $0 + 1 })
    } else {
      #expect(values == [0, 0, 0, 0, 0, 0, 77, 0])
      #expect(line.number("hp") == 101)
    }
    let verdict = reload.verdict(on: "it")
    #expect(verdict?.fate == (policy == "migrate" ? "migrated" : "reset"))
    #expect(verdict?.moved == true, "it has grown")
    // What is smaller stays where it is.
    let smaller = after.replacing("struct item items[3];", with: "struct item items[2];")
    let second = try game.rebuild("libgame.c", source(smaller, isNew: true), build)
    #expect(second.verdict(on: "it")?.fate == verdict?.fate)
    #expect(second.verdict(on: "it")?.moved == false)
    let kept = try game.last(before: second)
    #expect(
      try game.line("v").number("hp")
        == (policy == "migrate" ? kept.number("hp").map { $0 + 1 } : 101))
    try game.stop()
  }

  @Test("Reset of a variable whose initialiser must run, and of a function's static")
  func initialisers() throws {
    func source(_ members: String, _ value: Int) -> String {
      """
      extern "C" int dprintf(int, const char *, ...);
      struct S { \(members) int n; S(int k) : n(k) {} };
      static int start() { return \(value); }
      S it(start());
      static int frames;
      static S &local() { static S one(start() * 10); return one; }
      extern "C" void tick(void) {
        dprintf(1, "frames=%d n=%d local=%d\\n", ++frames, ++it.n, ++local().n);
      }
      """
    }
    let build = LibraryBuild.clang.with("-g")
    let game = try WatchHarness(
      libraries: [("libgame.cpp", source("", 5))], build, arguments: ["--layout=reset"])
    try game.line("n")
    let reload = try game.rebuild("libgame.cpp", source("int z;", 7), build)
    let last = try game.last(before: reload)
    let line = try game.line("n")
    #expect(line.number("frames") == last.number("frames").map { $0 + 1 })
    #expect(line.number("n") == 8)
    #expect(line.number("local") == 71)
    try game.stop()
  }

  @Test("A hook of the new library carries a variable over")
  func hook() throws {
    func source(_ types: String, isNew: Bool, _ hook: String = "") -> String {
      LayoutPolicyScenarios.source(types, isNew: isNew, hook: hook)
    }
    let game = try WatchHarness(
      libraries: [("libgame.c", source(LayoutPolicyScenarios.before, isNew: false))], Self.gccO2)
    try game.line("v")
    let hook = """
      void hotlink_migrate_it(const void *old, size_t old_size, void *fresh, size_t size) {
        const int *hp = old;
        dprintf(1, "hook=1 hp=%d old=%d same=%d\\n", *hp, (int)old_size, fresh == &it);
        it.hp = *hp * 1000;
      }
      """
    let reload = try game.rebuild(
      "libgame.c", source(LayoutPolicyScenarios.after, isNew: true, hook), Self.gccO2)
    #expect(reload.verdict(on: "it")?.fate == "migrated_by_hook")
    let called = try #require(game.lines.last { $0["hook"] != nil })
    #expect(called["old"] == "40" && called["same"] == "1")
    #expect(try game.line("v").number("hp") == called.number("hp").map { $0 * 1000 + 1 })
    try game.stop()
  }

  @Test("Restart: the program ends with exit code 3")
  func restart() throws {
    let edit = LayoutCase.inC[3]
    let (game, _) = try start(edit, Self.gcc, ["--layout=restart"])
    let refusal = try game.rebuildRefused(
      Self.libraryFile(edit), edit.source(edit.after), Self.gcc)
    #expect(refusal.restartNeeded == true)
    #expect(try game.end() == .exited(3))
  }

  // MARK: over units

  @Test(
    "A signature that changed under callers, from a library to an object and back",
    arguments: builds, [true, false])
  func signatures(_ build: LibraryBuild, _ isCalleeLibrary: Bool) throws {
    func callee(_ type: String) -> String { "\(type) scale(\(type) x) { return x * 2; }" }
    func caller(_ type: String) -> String {
      """
      extern int dprintf(int, const char *, ...); extern \(type) scale(\(type)); static int frames;
      void tick(void) { frames++; dprintf(1, "x=%d\\n", (int)scale(21)); }
      """
    }
    let (library, object) =
      isCalleeLibrary
      ? (callee("int"), ["game.c": caller("int")]) : (caller("int"), ["a.c": callee("int")])
    // Objects are compiled with debug data, too.
    let game = try WatchHarness(
      object, build.toolchain.with("-g")
    ) { try $0.library("liba.c", library, build) }
    #expect(try game.line("x")["x"] == "42")
    let refusal =
      isCalleeLibrary
      ? try game.rebuildRefused("liba.c", callee("float"), build)
      : try game.editRefused("a.c", callee("float"))
    #expect(refusal.layouts.first?.kind == "function")
    #expect(refusal.layouts.first?.name == "scale")
    let user = isCalleeLibrary ? "game.o" : "liba.so"
    #expect(refusal.layouts.first?.callers?.first?.hasSuffix(user) == true)
    #expect(try game.line("x")["x"] == "42")
    let reload =
      isCalleeLibrary
      ? try game.edit("game.c", caller("float"))
      : try game.rebuild("liba.c", caller("float"), build)
    #expect(reload.units.count == 2, "both at once")
    #expect(try game.line("x")["x"] == "42")
    try game.stop()
  }

  @Test("A variable that an object refers to, and an opaque type that it keeps")
  func users() throws {
    func types(_ extra: String) -> String { "struct w { \(extra) int n; };" }
    func owner(_ extra: String, _ hidden: String = "") -> String {
      """
      extern void *calloc(unsigned long, unsigned long);
      \(types(extra)) struct w world = { .n = 5 }; struct hidden { \(hidden) int n; };
      struct hidden *make(void) { return calloc(1, 64); }
      int step(struct hidden *h) { return ++h->n; }
      """
    }
    func user(_ extra: String) -> String {
      """
      extern int dprintf(int, const char *, ...); \(types(extra)) extern struct w world;
      struct hidden; extern struct hidden *make(void); extern int step(struct hidden *);
      static struct hidden *kept;
      void tick(void) {
        if (!kept) kept = make();
        dprintf(1, "n=%d step=%d\\n", ++world.n, step(kept));
      }
      """
    }
    let build = Self.gcc
    let game = try WatchHarness(
      ["game.c": user("")], build.toolchain.with("-g"), arguments: ["--layout=migrate"]
    ) { try $0.library("liba.c", owner(""), build) }
    try game.line("n")
    let opaque = try game.rebuildRefused("liba.c", owner("", "int first;"), build)
    #expect(opaque.layouts.first?.kind == "heap", "\(opaque.reason ?? "")")
    let refusal = try game.rebuildRefused("liba.c", owner("int z;"), build)
    #expect(refusal.obstacle?.contains("game.o") == true, "\(refusal.obstacle ?? "")")
    let before = try #require(try game.line("n").number("n"))
    #expect(try game.line("n").number("n") == before + 1)
    let reload = try game.edit("game.c", user("int z;"))
    let last = try game.last(before: reload)
    let line = try game.line("n")
    #expect(line.number("n") == last.number("n").map { $0 + 1 })
    #expect(line.number("step") == last.number("step").map { $0 + 1 })
    #expect(reload.verdict(on: "world")?.fate == "migrated")
    try game.stop()
  }
}
