// What others hold of a shared object's code: pointers to functions, callbacks, vtables, types. They reach the
// newest code, and compare equal over its builds.
import Foundation
import Testing

@Suite("Identity in shared objects")
struct LibraryIdentityScenarios {
  @Test("Pointers that other units and libc hold", arguments: LibraryBuild.few)
  func callbacks(_ build: LibraryBuild) throws {
    func part(_ version: Int) -> String {
      """
      #include <signal.h>
      #include <stdio.h>
      #include <stdlib.h>
      typedef int (*callback)(int);
      void keep(callback f); void keep_table(const callback *table);
      static int local(int x) { return x + \(version); }
      int open_one(int x) { return x + 10 * \(version); }
      static int second(int x) { return x + 100 * \(version); }
      static const callback table[] = { local, open_one, second };
      callback writable[] = { second, local };
      static int signals;
      static void on_signal(int n) { (void)n; signals += \(version); }
      static void at_end(void) { dprintf(1, "end v=\(version)\\n"); }
      void begin(void) { keep(local); keep_table(table); signal(SIGUSR1, on_signal); atexit(at_end); }
      int is_same(callback f) { return f == local && table[0] == local && writable[1] == local; }
      int signalled(void) { raise(SIGUSR1); return signals; }
      """
    }
    let main = """
      #include <stdio.h>
      typedef int (*callback)(int);
      static callback kept; static const callback *kept_table;
      extern callback writable[];
      void begin(void); int is_same(callback), signalled(void), open_one(int);
      void keep(callback f) { kept = f; }
      void keep_table(const callback *table) { kept_table = table; }
      void tick(void) {
        static int started;
        if (!started++) begin();
        dprintf(1, "kept=%d t=%d,%d,%d w=%d same=%d open=%d signals=%d\\n", kept(0), kept_table[0](0),
          kept_table[1](0), kept_table[2](0), writable[0](0), is_same(kept), kept_table[1] == open_one, signalled());
      }
      """
    let game = try WatchHarness(
      libraries: [("libpart.c", part(1))], build, objects: ["main.c": main])
    #expect(try game.line().text == "kept=1 t=1,10,100 w=100 same=1 open=1 signals=1")
    for version in 2...3 {
      let reload = try game.rebuild("libpart.c", part(version), build)
      #expect(reload.immovable == [])
      let signals = try #require(game.last(before: reload).number("signals"))
      #expect(
        try game.line().text
          == "kept=\(version) t=\(version),\(version)0,\(version)00 w=\(version)00 same=1 open=1"
          + " signals=\(signals + version)")
    }
    try game.stop()
    #expect(game.count("end v=3") == 1, "registered once, run by the newest code")
    #expect(game.count("end v=") == 1)
  }

  static func shapes(_ version: Int, _ more: String = "", _ order: String = "corners sides")
    -> String
  {
    let bodies = [
      "corners": "virtual int corners() const { return 40; }",
      "sides": "virtual int sides() const { return 4; }",
    ]
    return """
      #include <cstdio>
      #include <functional>
      #include <memory>
      #include <stdexcept>
      #include <typeinfo>
      #include <vector>
      struct Shape { virtual ~Shape() {} virtual int area() const = 0; };
      namespace {
      struct Secret : Shape { int area() const override { return 1000 * \(version); } };
      }
      struct Square : Shape {
        int side;
        Square(int side) : side(side) {}
        int area() const override { return side * \(version); }
        \(order.split(separator: " ").compactMap { bodies[String($0)] }.joined(separator: "\n  "))
        \(more)
      };
      struct Left : virtual Shape { int l = 1; int area() const override { return l * \(version); } };
      struct Right : virtual Shape { int r = 2; };
      struct Both : Left, Right { int area() const override { return l + r + 10 * \(version); } };
      static std::vector<std::unique_ptr<Shape>> all;
      static std::function<int(int)> function;
      extern "C" void tick() {
        static int frames;
        if (all.empty()) {
          all.emplace_back(new Square(3));
          all.emplace_back(new Secret);
          all.emplace_back(new Both);
          int base = 7;
          function = [base](int x) { return base + x * \(version); };
        }
        int area = 0, is_square = 0, is_secret = 0, is_right = 0, caught = 0;
        for (auto &each : all) {
          area += each->area();
          is_square += dynamic_cast<Square *>(each.get()) != nullptr;
          is_secret += dynamic_cast<Secret *>(each.get()) != nullptr;
          is_right += dynamic_cast<Right *>(each.get()) != nullptr;
          caught += typeid(*each) == typeid(Secret);
        }
        Square *square = dynamic_cast<Square *>(all[0].get());
        dprintf(1, "v=\(version) frames=%d area=%d sides=%d corners=%d square=%d secret=%d right=%d type=%d f=%d\\n", ++frames,
          area, square->sides(), square->corners(), is_square, is_secret, is_right, caught, function(1));
      }
      """
  }

  @Test("Virtual calls and casts of objects made before", arguments: LibraryBuild.few)
  func virtualCalls(_ build: LibraryBuild) throws {
    let game = try WatchHarness(libraries: [("libgame.cpp", Self.shapes(1))], build)
    #expect(
      try game.line().text
        == "v=1 frames=1 area=1016 sides=4 corners=40 square=1 secret=1 right=1 type=1 f=8")
    for version in 2...3 {
      let reload = try game.rebuild("libgame.cpp", Self.shapes(version), build)
      let frames = try #require(game.last(before: reload).number("frames")) + 1
      let line = try game.line()
      #expect(
        line.text
          == "v=\(version) frames=\(frames) area=\(1003 * version + 3 + 10 * version) sides=4 corners=40 square=1"
          + " secret=1 right=1 type=1 f=\(7 + version)")
    }
    try game.stop()
  }

  @Test(
    "A class that gets a virtual function is refused: its objects live", arguments: LibraryBuild.few
  )
  func grownTable(_ build: LibraryBuild) throws {
    let game = try WatchHarness(libraries: [("libgame.cpp", Self.shapes(1))], build)
    try game.line()
    let refusal = try game.rebuildRefused(
      "libgame.cpp", Self.shapes(2, "virtual int third() { return 3; }"), build)
    #expect(refusal.reason?.contains("_ZTV6Square") == true)
    try game.rebuild("libgame.cpp", Self.shapes(3), build)
    #expect(try game.line()["v"] == "3")
    // The same functions in another order fit: the table of living objects is rewritten.
    let reload = try game.rebuild("libgame.cpp", Self.shapes(4, "", "sides corners"), build)
    let line = try game.line()
    #expect(line["area"] == "4055")
    #expect(line["sides"] == "4")
    #expect(line["corners"] == "40")
    #expect(reload.verdict(on: "_ZTV6Square")?.fate == "rewritten")
    try game.stop()
  }

  @Test("Exceptions between libraries and objects, after reloads", arguments: LibraryBuild.few)
  func exceptions(_ build: LibraryBuild) throws {
    let header = """
      #include <stdexcept>
      struct Trouble : std::runtime_error { int n; Trouble(int n) : std::runtime_error("trouble"), n(n) {} };
      """
    func low(_ version: Int) -> String {
      "\(header)\nextern \"C\" void fail(int n) { if (n % 2) throw Trouble(n + \(version)); throw n; }"
    }
    func middle(_ version: Int) -> String {
      """
      \(header)
      extern "C" void fail(int);
      struct Guard { int *p; ~Guard() { *p += \(version); } };
      extern "C" int middle(int n, int *cleaned) {
        Guard guard{cleaned};
        try { fail(n); } catch (int x) { return x + 1000 * \(version); }
        return 0;
      }
      """
    }
    func main(_ version: Int) -> String {
      """
      \(header)
      #include <cstdio>
      extern "C" int middle(int, int *);
      extern "C" void tick() {
        int cleaned = 0, number = 0, trouble = 0;
        number = middle(2, &cleaned);
        try { middle(1, &cleaned); } catch (const std::exception &e) {
          if (auto *t = dynamic_cast<const Trouble *>(&e)) trouble = t->n;
        }
        dprintf(1, "v=\(version) number=%d trouble=%d cleaned=%d\\n", number, trouble, cleaned);
      }
      """
    }
    let game = try WatchHarness(
      libraries: [("liblow.cpp", low(1)), ("libmiddle.cpp", middle(1))], build,
      objects: ["main.cpp": main(1)])
    #expect(try game.line().text == "v=1 number=1002 trouble=2 cleaned=2")
    try game.rebuild("liblow.cpp", low(5), build)
    #expect(try game.line().text == "v=1 number=1002 trouble=6 cleaned=2")
    try game.rebuild("libmiddle.cpp", middle(3), build)
    #expect(try game.line().text == "v=1 number=3002 trouble=6 cleaned=6")
    try game.edit("main.cpp", main(2))
    #expect(try game.line().text == "v=2 number=3002 trouble=6 cleaned=6")
    try game.rebuild("liblow.cpp", low(7), build)
    #expect(try game.line().text == "v=2 number=3002 trouble=8 cleaned=6")
    try game.stop()
  }

  @Test(
    "An IFUNC is asked again by the new build", arguments: [LibraryBuild.gcc, .gccO2, .clangO2])
  func indirectFunction(_ build: LibraryBuild) throws {
    func part(_ version: Int) -> String {
      """
      static int chosen(int x) { return x + \(version); }
      static void *choose(void) { return chosen; }
      int picked(int) __attribute__((ifunc("choose")));
      int part(int x) { return picked(x) * 10; }
      """
    }
    let main = """
      #include <stdio.h>
      int part(int), picked(int);
      static int (*kept)(int);
      void tick(void) {
        if (!kept) kept = picked;
        dprintf(1, "part=%d picked=%d kept=%d\\n", part(1), picked(1), kept(1));
      }
      """
    let game = try WatchHarness(
      libraries: [("libpart.c", part(1))], build, objects: ["main.c": main])
    #expect(try game.line().text == "part=20 picked=2 kept=2")
    try game.rebuild("libpart.c", part(2), build)
    #expect(try game.line().text == "part=30 picked=3 kept=3")
    try game.stop()
  }

  @Test("A constant that other units see", arguments: LibraryBuild.few)
  func constants(_ build: LibraryBuild) throws {
    func part(_ version: Int) -> String {
      """
      extern const int limit, table[], open_end[];
      const int limit = \(version); const int table[3] = { \(version), 2, 3 };
      const int open_end[] = { \((0..<(version + 2)).map { _ in "1" }.joined(separator: ", ")), 0 };
      int part(void) { return limit; }
      """
    }
    func user(_ name: String) -> String {
      """
      extern const int limit, table[], open_end[];
      int \(name)(void) { int n = 0; while (open_end[n]) n++; return limit * 100 + table[0] * 10 + n; }
      """
    }
    let main = """
      #include <stdio.h>
      int from_object(void), from_library(void), part(void);
      void tick(void) { dprintf(1, "object=%d library=%d part=%d\\n", from_object(), from_library(), part()); }
      """
    let game = try WatchHarness(
      libraries: [("libpart.c", part(1)), ("libuser.c", user("from_library"))], build,
      objects: ["main.c": main, "user.c": user("from_object")])
    #expect(try game.line().text == "object=113 library=113 part=1")
    for version in [2, 4] {
      try game.rebuild("libpart.c", part(version), build)
      let sum = version * 110 + version + 2
      let line = try game.line()
      #expect(line.text == "object=\(sum) library=\(sum) part=\(version)")
    }
    try game.stop()
  }
}
