// What only libraries have of changed types: damaged debug data, and callers on both sides. That types in shared objects are
// told, refused, reset and migrated like those of objects is in Tests/Scenarios/layouts and policies.
import Foundation
import Testing

@Suite("Layouts in shared objects")
struct LibraryLayoutScenarios {
  static let gcc = LibraryBuild.gcc.with("-g")
  static let clangO2 = LibraryBuild.clangO2.with("-g")
  static let builds = [gcc, clangO2]

  @Test("Damaged debug data: whatever it claims, the program goes on", arguments: builds)
  func damaged(_ build: LibraryBuild) throws {
    // Refused by its vtable where nothing is understood of its types.
    func source(_ more: String) -> String {
      """
      extern "C" int dprintf(int, const char *, ...);
      struct S { virtual int f() { return n; } \(more) int n = 0; };
      S one, *it = &one;
      static int frames;
      extern "C" void tick() {
        if (!frames++) it->n = 5;
        dprintf(1, "frames=%d sum=%d\\n", frames, it->f());
      }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.cpp", source(""))], build, hz: 1000)
    try game.line("frames")
    try game.bench.shell("mkdir -p damage")
    try game.bench.library(
      "libgame.cpp", source("virtual int g() { return 1; }"), build, to: "damage")
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
    for _ in 0..<100 { #expect(try game.line("frames")["sum"] == "5") }
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...frames.count), "no frame is missing")
    try game.stop()
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
