// What a header defines and a library of the process has, too: singletons of templates, inline variables, static
// variables of inline functions. There is one of each, the library's, before and after reloads. ld.so is the oracle of
// what “one” means: a plugin with the same source, opened with dlopen, shares them.
import Testing

@Suite("Variables that the process has")
struct SharedVariableScenarios {
  private static let header = """
    #pragma once
    template <class T> struct Service { static T &shared() { static T one; return one; } static int uses; };
    template <class T> int Service<T>::uses = 40;
    struct Clock { int now = 7; int size[3] = {1, 2, 3}; };
    inline int frames = 3;
    inline int next() { static int last = 100; return ++last; }
    inline const int table[] = {1, 2, 3};
    extern "C" int engine_step();
    extern "C" void *engine_clock();
    """

  private static let engine = """
    #include "engine.hpp"
    extern "C" int engine_step() {
      Service<Clock>::shared().now++; Service<Clock>::uses++; frames++; return next();
    }
    extern "C" void *engine_clock() { return &Service<Clock>::shared(); }
    """

  private static func game(_ version: Int) -> String {
    """
    #include "engine.hpp"
    #include <cstdio>
    extern "C" void tick() {
      int before = next(), engine = engine_step();
      Clock &clock = Service<Clock>::shared();
      std::printf("v=\(version) same=%d now=%d uses=%d frames=%d next=%d table=%d\\n", &clock == engine_clock(), clock.now,
        Service<Clock>::uses - clock.now, frames - clock.now, engine - before, table[1] + \(version) - \(version));
      std::fflush(stdout);
    }
    """
  }

  @Test("A library's singletons are the program's", arguments: Toolchain.all)
  func shared(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["engine.hpp": Self.header, "game.cpp": Self.game(1)], toolchain,
      arguments: ["-l", "./engine/libengine.so"]
    ) { bench in
      try bench.library("libengine.cpp", Self.engine, .gcc, to: "engine")
    }
    func isOne(_ line: Line) {
      #expect(line.number("same") == 1, "\(line)")
      #expect(line.number("uses") == 33 && line.number("frames") == -4, "\(line)")
      #expect(line.number("next") == 1 && line.number("table") == 2, "\(line)")
    }
    var last = 7
    for _ in 0..<3 {
      let line = try game.line("v")
      isOne(line)
      #expect(line.number("now") ?? 0 > last)
      last = line.number("now") ?? 0
    }
    for version in 2...3 {
      let report = try game.edit("game.cpp", Self.game(version))
      #expect((report.changed ?? 0) >= 1)
      let line = try game.line("v")
      isOne(line)
      #expect(line.number("v") == version && line.number("now") ?? 0 > last)
    }
  }

  @Test("One of another size is the unit's own")
  func otherSize() throws {
    let game = try WatchHarness(
      ["engine.hpp": Self.header, "game.cpp": Self.game(1)],
      arguments: ["-l", "./engine/libengine.so"]
    ) { bench in
      try bench.write("engine.hpp", Self.header.replacing("int size[3] = {1, 2, 3};", with: ""))
      try bench.library("libengine.cpp", Self.engine, .gcc, to: "engine")
      try bench.write("engine.hpp", Self.header)
    }
    let line = try game.line("v")
    #expect(line.number("same") == 0)
    #expect(line.number("frames") ?? 0 > -4, "the plain one is still shared")
  }

  private static func played(_ game: WatchHarness) throws -> Int {
    let line = try game.line("v")
    #expect(line.number("same") == 1, "\(line)")
    return try #require(line.number("now"))
  }

  @Test(
    "An edit of its type is refused: the library goes on with it as it is",
    arguments: [
      ("int size[4] = {1, 2, 3};", ["-g"], "Clock"),
      ("int size[4] = {1, 2, 3};", [], "20 bytes here, and 16"),
      ("float size[3] = {1, 2, 3};", ["-g"], "a library of the process has the variable"),
    ])
  func editedType(_ edit: String, _ flags: [String], _ told: String) throws {
    let toolchain = Toolchain(c: "gcc", flags: flags)
    let game = try WatchHarness(
      ["engine.hpp": Self.header, "game.cpp": Self.game(1)], toolchain, hz: 4000,
      arguments: ["-l", "./engine/libengine.so"]
    ) { bench in
      try bench.library("libengine.cpp", Self.engine, .gcc, to: "engine")
    }
    let before = try Self.played(game)
    try game.bench.write(
      "engine.hpp", Self.header.replacing("int size[3] = {1, 2, 3};", with: edit))
    let refusal = try game.editRefused("game.cpp", Self.game(2))
    #expect(refusal.reason?.contains(told) == true, "\(refusal.reason ?? "")")
    for _ in 0..<1000 { try game.line("v") }
    #expect(try Self.played(game) > before)
    try game.bench.write("engine.hpp", Self.header)
    try game.edit("game.cpp", Self.game(3))
    #expect(try game.line("v").number("v") == 3)
    #expect(try Self.played(game) > before)
  }

  @Test("Where objects disagree about its size, it is the program's own")
  func disagreement() throws {
    let other = """
      #define size more[40], size
      #include "engine.hpp"
      extern "C" long other() { return (long)&Service<Clock>::shared(); }
      """
    let game = try WatchHarness(
      ["engine.hpp": Self.header, "game.cpp": Self.game(1), "a.cpp": other],
      arguments: ["-l", "./engine/libengine.so"]
    ) { bench in
      try bench.library("libengine.cpp", Self.engine, .gcc, to: "engine")
    }
    #expect(try game.line("v").number("same") == 0)
  }

  @Test("One that two units have is not resized by an edit of one", arguments: ["gcc", "clang"])
  func twoUnits(_ compiler: String) throws {
    let header = """
      struct World { int now = 7; int size[3] = {1, 2, 3}; };
      inline World world;
      extern "C" int step();
      """
    func game(_ version: Int) -> String {
      """
      #include "world.hpp"
      #include <cstdio>
      extern "C" void tick() { std::printf("v=\(version) now=%d\\n", step() + world.size[0] - 1); std::fflush(stdout); }
      """
    }
    let run = try WatchHarness(
      [
        "world.hpp": header, "game.cpp": game(1),
        "a.cpp": "#include \"world.hpp\"\nextern \"C\" int step() { return world.now++; }\n",
      ], Toolchain(c: compiler, flags: ["-std=c++17"]))
    try run.line("v")
    try run.bench.write("world.hpp", header.replacing("size[3]", with: "size[300]"))
    let refusal = try run.editRefused("game.cpp", game(2))
    #expect(refusal.reason?.contains("1204 bytes here, and 16") == true, "\(refusal.reason ?? "")")
    #expect(refusal.reason?.contains("a.o") == true)
    let before = try #require(try run.line("v").number("now"))
    #expect(try run.line("v").number("now") == before + 1)
    try run.bench.write("world.hpp", header)
    try run.edit("game.cpp", game(3))
    #expect(try run.line("v").number("v") == 3)
    #expect(try #require(try run.line("v").number("now")) > before)
  }
}
