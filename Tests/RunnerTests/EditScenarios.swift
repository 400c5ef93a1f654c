// The first promise: an edit of a function takes effect at the next call, in C, C++ and Swift.
import Testing

@Suite("An edit takes effect")
struct EditScenarios {
  @Test("C", arguments: Toolchain.all)
  func functionInC(_ toolchain: Toolchain) throws {
    func source(_ value: Int) -> String {
      """
      #include <stdio.h>
      int value(void) { return \(value); }
      void tick(void) { dprintf(1, "v=%d\\n", value()); }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    #expect(try game.line()["v"] == "1")
    let reload = try game.edit("game.c", source(2))
    #expect(reload.generation == 2)
    #expect(reload.unitFiles == ["game.o"])
    #expect(reload.relinkedFiles == ["game.o"])
    #expect(reload.functions.contains("value"))
    #expect(reload.added == 0)
    #expect(reload.removed == 0)
    #expect(try game.last(before: reload)["v"] == "1", "new code before its time")
    #expect(try game.line()["v"] == "2", "the first frame after the reload")
    try game.stop()
    #expect(game.lines.allSatisfy { $0["v"] == "1" || $0["v"] == "2" })
  }

  @Test("C++", arguments: Toolchain.few)
  func functionInCxx(_ toolchain: Toolchain) throws {
    func source(_ step: Int) -> String {
      """
      #include <cstdio>
      #include <string>
      #include <vector>
      namespace game {
      template <class T> T add(const std::vector<T> &all) {
        T sum = \(step);
        for (const T &each : all) sum += each;
        return sum;
      }
      class Player {
        std::vector<int> scores{1, 2, 3};
       public:
        std::string report() const;
      };
      std::string Player::report() const { return "v=" + std::to_string(add(scores)); }
      }
      static game::Player player;
      extern "C" void tick() { dprintf(1, "%s\\n", player.report().c_str()); }
      """
    }
    let game = try WatchHarness(["game.cpp": source(0)], toolchain)
    #expect(try game.line()["v"] == "6")
    let reload = try game.edit("game.cpp", source(100))
    #expect((reload.changed ?? 0) >= 1)
    #expect(try game.last(before: reload)["v"] == "6")
    #expect(try game.line()["v"] == "106")
    try game.stop()
  }

  @Test("Swift", arguments: SwiftMode.all)
  func functionInSwift(_ mode: SwiftMode) throws {
    func source(_ step: Int) -> String {
      """
      import Glibc
      struct Player {
        var scores = [1, 2, 3]
        func report() -> String { "v=\\(scores.reduce(\(step), +))" }
      }
      var player = Player()
      @c public func tick() {
        fputs(player.report() + "\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source(0)], swift: mode)
    #expect(try game.line()["v"] == "6")
    let reload = try game.edit("game.swift", source(100))
    #expect((reload.changed ?? 0) >= 1)
    #expect(reload.swiftRegistrations == 0, "a body-only edit registers nothing")
    #expect(try game.last(before: reload)["v"] == "6")
    #expect(try game.line()["v"] == "106")
    try game.stop()
  }

  @Test("Units in three languages call each other through C", arguments: SwiftMode.all)
  func mixed(_ mode: SwiftMode) throws {
    func c(_ value: Int) -> String { "int from_c(int x) { return x + \(value); }" }
    func cxx(_ value: Int) -> String {
      """
      extern "C" int from_c(int);
      struct Calculator { virtual int run(int x) { return from_c(x) + \(value); } };
      extern "C" int from_cxx(int x) { static Calculator one; Calculator *p = &one; return p->run(x); }
      """
    }
    func swift(_ value: Int) -> String {
      """
      import Glibc
      @_silgen_name("from_cxx") func fromCxx(_ x: Int32) -> Int32
      @c public func tick() {
        fputs("v=\\(fromCxx(\(value)))\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(
      ["low.c": c(1), "middle.cpp": cxx(10), "top.swift": swift(100)], .gccO2, swift: mode)
    #expect(try game.line()["v"] == "111")
    try game.edit("low.c", c(2))
    #expect(try game.line()["v"] == "112")
    try game.edit("middle.cpp", cxx(20))
    #expect(try game.line()["v"] == "122")
    try game.edit("top.swift", swift(200))
    #expect(try game.line()["v"] == "222")
    try game.stop()
  }
}
