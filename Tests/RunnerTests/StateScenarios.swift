// State stays: variables keep address and value over an edit, unless the edit was to their initial value
// and nobody has touched them.
import Testing

@Suite("State continues")
struct StateScenarios {
  static let commons = Toolchain.all.map { $0.with("-fcommon") }

  @Test("Counters of every kind in C", arguments: StateScenarios.commons)
  func countersInC(_ toolchain: Toolchain) throws {
    func source(_ version: Int, extra: String = "") -> String {
      """
      #include <stdio.h>
      #include <stdint.h>
      \(extra)
      int global;
      static int local;
      int warm = 1000;
      static long warm_local = 2000;
      int common;
      static char small;
      static int64_t array[3] = { 10, 20, 30 };
      static int inside(void) { static int n; static int m = 500; m++; return ++n * 0 + m; }
      void tick(void) {
        array[1]++;
        dprintf(1, "v=\(version) a=%d b=%d c=%d d=%ld e=%d f=%d g=%d h=%d\\n", ++global, ++local, ++warm,
          ++warm_local, ++common, (int)(small = (small + 1) % 100), (int)array[1], inside());
      }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    #expect(try game.line().text == "v=1 a=1 b=1 c=1001 d=2001 e=1 f=1 g=21 h=501")
    for version in 2...4 {
      let reload = try game.edit("game.c", source(version))
      let before = try game.last(before: reload)
      let after = try game.line()
      #expect(after["v"] == "\(version)")
      for key in ["a", "b", "c", "d", "e", "g", "h"] {
        #expect(after.number(key) == before.number(key).map { $0 + 1 }, "\(key)")
      }
      #expect(after.number("f") == before.number("f").map { ($0 + 1) % 100 })
      #expect(reload.kept == 9, "a verdict for each variable, those in COMMON too")
    }
    try game.stop()
  }

  @Test("A new variable before the old ones", arguments: Toolchain.all)
  func newNeighbour(_ toolchain: Toolchain) throws {
    func source(_ version: Int, _ extra: String, _ use: String) -> String {
      """
      #include <stdio.h>
      \(extra)
      static int first;
      static int second = 100;
      int third;
      static int inside(void) { static int n = 7; return ++n; }
      void tick(void) {
        dprintf(1, "v=\(version) a=%d b=%d c=%d d=%d new=%d\\n",
          ++first, ++second, ++third, inside(), \(use));
      }
      """
    }
    let game = try WatchHarness(["game.c": source(1, "", "0")], toolchain)
    try game.line()
    try game.bench.write(
      "game.c", source(2, "static int a0; static int a1 = 55; int a2;", "++a0 + a1 + a2"))
    game.skipToEnd()
    try game.bench.compile("game.c")
    let answer = try game.answer()
    let before = try game.last(before: answer)
    if answer.event == "refused" {
      // Where the references cannot be told apart: said by name, and nothing has happened.
      #expect(!toolchain.hasSections, "with sections each variable has its own place")
      #expect(answer.reason?.isEmpty == false)
      #expect(try game.line()["v"] == "1")
    } else {
      let after = try game.line()
      #expect(after["v"] == "2")
      #expect(after.number("new") == 56)
      for key in ["a", "b", "c", "d"] {
        #expect(after.number(key) == before.number(key).map { $0 + 1 }, "\(key)")
      }
      #expect(try game.line().number("new") == 57)
    }
    try game.stop()
  }

  @Test("Template statics, inline variables and static members in C++", arguments: Toolchain.all)
  func countersInCxx(_ toolchain: Toolchain) throws {
    let header = """
      #include <cstdio>
      template <class T> struct Count { static int n; static int next() { return ++n; } };
      template <class T> int Count<T>::n = 50;
      inline int shared = 70;
      struct Game { static inline long ticks = 90; static int frames; };
      inline int inside() { static int n = 110; return ++n; }
      namespace { int hidden = 130; }
      int other();
      """
    func main(_ version: Int) -> String {
      """
      #include "count.hpp"
      int Game::frames = 30;
      extern "C" void tick() {
        int o = other();
        dprintf(1, "v=\(version) a=%d b=%d c=%ld d=%d e=%d f=%d o=%d\\n", Count<int>::next(), ++shared,
          ++Game::ticks, inside(), ++hidden, ++Game::frames, o);
      }
      """
    }
    func second(_ value: Int) -> String {
      """
      #include "count.hpp"
      int other() {
        Count<int>::next(); ++shared; ++Game::ticks; ++hidden; inside();
        return hidden * 1000 + \(value);
      }
      """
    }
    let game = try WatchHarness(
      ["count.hpp": header, "main.cpp": main(1), "second.cpp": second(1)], toolchain)
    #expect(try game.line().text == "v=1 a=52 b=72 c=92 d=112 e=131 f=31 o=131001")
    func continues(_ reload: RunnerEvent, _ version: Int, _ value: Int) throws {
      let before = try game.last(before: reload)
      let after = try game.line()
      #expect(after["v"] == "\(version)")
      for key in ["a", "b", "c", "d"] {
        #expect(
          after.number(key) == before.number(key).map { $0 + 2 }, "\(key) shared by two units")
      }
      for key in ["e", "f"] { #expect(after.number(key) == before.number(key).map { $0 + 1 }) }
      #expect(after.number("o").map { $0 % 1000 } == value)
      #expect(
        after.number("o").map { $0 / 1000 } == before.number("o").map { $0 / 1000 + 1 },
        "the other unit's variable of the same name")
    }
    try continues(game.edit("main.cpp", main(2)), 2, 1)
    try continues(game.edit("second.cpp", second(2)), 2, 2)
    try continues(game.edit("main.cpp", main(3)), 3, 2)
    try game.stop()
  }

  @Test("Globals, static members and instances in Swift", arguments: SwiftMode.all)
  func countersInSwift(_ mode: SwiftMode) throws {
    func source(_ version: Int) -> String {
      """
      import Glibc
      var global = 10
      private var hidden = 20
      var computed = Int(getpid() > 0 ? 30 : 0)
      struct Game { static var level = 40; static var names = ["a"] }
      final class Player { var score = 50 }
      let player = Player()
      @c public func tick() {
        global += 1; hidden += 1; computed += 1; Game.level += 1; player.score += 1
        Game.names.append("b")
        if Game.names.count > 9 { Game.names = ["a"] }
        fputs("v=\(version) a=\\(global) b=\\(hidden) c=\\(computed) d=\\(Game.level) "
          + "e=\\(player.score) n=\\(Game.names.joined())\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source(1)], swift: mode)
    #expect(try game.line().text == "v=1 a=11 b=21 c=31 d=41 e=51 n=ab")
    for version in 2...3 {
      let reload = try game.edit("game.swift", source(version))
      let before = try game.last(before: reload)
      let after = try game.line()
      #expect(after["v"] == "\(version)")
      for key in ["a", "b", "c", "d", "e"] {
        #expect(after.number(key) == before.number(key).map { $0 + 1 }, "\(key)")
      }
      let names = try #require(before["n"])
      #expect(after["n"] == (names.count > 8 ? "a" : names + "b"))
    }
    try game.stop()
  }

  @Test("A literal in a heap object stays readable over 100 reloads", arguments: Toolchain.few)
  func literals(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      // Lengths differ, so that literals move; the copy tells whether what the pointer shows is whole.
      let text = "message \(version) " + String(repeating: "x", count: version * 7 % 90)
      return """
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        struct node { const char *text; char *copy; struct node *next; };
        struct node *all;
        int seen;
        void tick(void) {
          if (seen < \(version)) {
            struct node *one = malloc(sizeof *one);
            one->text = "\(text)";
            one->copy = strdup(one->text);
            one->next = all;
            all = one;
            seen = \(version);
          }
          int bad = 0, count = 0;
          for (struct node *each = all; each; each = each->next, count++)
            if (strcmp(each->text, each->copy)) bad++;
          dprintf(1, "v=\(version) count=%d bad=%d last=%zu\\n", count, bad, strlen(all->text));
        }
        """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    try game.line("v")  // the first version makes its node, too
    for version in 2...101 {
      try game.edit("game.c", source(version))
      let line = try game.line("v")
      guard line["v"] == "\(version)", line["count"] == "\(version)", line["bad"] == "0" else {
        Issue.record("after \(version - 1) reloads: \(line)")
        break
      }
    }
    try game.stop()
  }

  @Test("An untouched constant that is tuned takes its new value", arguments: Toolchain.all)
  func tuned(_ toolchain: Toolchain) throws {
    func source(_ gravity: String, _ lives: Int, _ level: String, _ scale: String) -> String {
      """
      #include <stdio.h>
      float gravity = \(gravity);
      int lives = \(lives);
      int level\(level);
      double scale\(scale);
      static int touched;
      void tick(void) {
        if (!touched) { touched = 1; lives += 40; }
        dprintf(1, "g=%g lives=%d level=%d scale=%g\\n", gravity, lives, level, scale);
      }
      """
    }
    let game = try WatchHarness(["game.c": source("60", 3, "", " = 1.5")], toolchain)
    #expect(try game.line().text == "g=60 lives=43 level=0 scale=1.5")

    let reload = try game.edit("game.c", source("30.5f", 9, " = 5", ""))
    #expect(try game.line().text == "g=30.5 lives=43 level=5 scale=0")
    #expect(reload.verdict(on: "gravity")?.fate == "reinitialised")
    #expect(reload.verdict(on: "level")?.fate == "reinitialised", ".bss → .data")
    #expect(reload.verdict(on: "scale")?.fate == "reinitialised", ".data → .bss")
    #expect(reload.reinitialised == 3)
    let lives = reload.verdict(on: "lives")
    #expect(lives?.fate == "kept_over_edit")
    #expect(lives?.value == 43)
    #expect(lives?.source == 9)

    let second = try game.edit("game.c", source("61", 9, " = 6", " = 2.5"))
    #expect(try game.line().text == "g=61 lives=43 level=6 scale=2.5")
    #expect(second.verdict(on: "lives") == nil, "its source did not change this time")
    try game.stop()
  }

  @Test("A thread-local counter continues", arguments: Toolchain.few + [.gcc.with("-fPIC")])
  func threadLocal(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      _Thread_local int shared = 10;
      static _Thread_local int local;
      void tick(void) { dprintf(1, "v=\(version) a=%d b=%d\\n", ++shared, ++local); }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    #expect(try game.line().text == "v=1 a=11 b=1")
    for version in 2...3 {
      let reload = try game.edit("game.c", source(version))
      let before = try game.last(before: reload)
      let after = try game.line()
      #expect(after["v"] == "\(version)")
      #expect(after.number("a") == before.number("a").map { $0 + 1 })
      #expect(after.number("b") == before.number("b").map { $0 + 1 })
    }
    try game.stop()
  }

  @Test("Functions and variables of one name in two units stay apart", arguments: Toolchain.all)
  func sameNames(_ toolchain: Toolchain) throws {
    func unit(_ name: String, _ value: Int) -> String {
      """
      static int count;
      static int helper(int x) { return x + \(value) + (count += 1) * 0; }
      int (*volatile pointer_\(name))(int) = helper;
      int \(name)(void) { return pointer_\(name)(1000) + helper(1000); }
      int count_\(name)(void) { return count; }
      """
    }
    let main = """
      #include <stdio.h>
      int left(void), right(void), count_left(void), count_right(void);
      void tick(void) {
        int l = left(), r = right();
        dprintf(1, "left=%d right=%d cl=%d cr=%d\\n", l, r, count_left(), count_right());
      }
      """
    let game = try WatchHarness(
      ["main.c": main, "left.c": unit("left", 1), "right.c": unit("right", 2)], toolchain)
    #expect(try game.line().text == "left=2002 right=2004 cl=2 cr=2")
    let reload = try game.edit("left.c", unit("left", 10))
    #expect(reload.relinkedFiles == ["left.o"])
    let before = try game.last(before: reload)
    let after = try game.line()
    #expect(after["left"] == "2020")
    #expect(after["right"] == "2004")
    #expect(after.number("cl") == before.number("cl").map { $0 + 2 })
    #expect(after.number("cr") == before.number("cr").map { $0 + 2 })
    try game.stop()
  }
}
