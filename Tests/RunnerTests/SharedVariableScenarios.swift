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
}
