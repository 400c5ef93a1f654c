// How shared objects, objects and the process's libraries are bound to each other while they change one by one.
import Foundation
import Testing

@Suite("Bindings of shared objects")
struct LibraryBindingScenarios {
  @Test(
    "A thread-local variable of one library, used by another and by an object",
    arguments: LibraryBuild.few)
  func sharedThreadLocal(_ build: LibraryBuild) throws {
    func owner(_ version: Int) -> String {
      """
      __thread int shared = 100; static __thread int own = 5;
      int owner(void) { shared += \(version); return ++own; }
      """
    }
    let user = "extern __thread int shared; int user(void) { return ++shared; }"
    let main = """
      #include <stdio.h>
      extern __thread int shared;
      int owner(void), user(void);
      void tick(void) {
        int own = owner();
        user();
        dprintf(1, "shared=%d own=%d\\n", shared, own);
      }
      """
    let game = try WatchHarness(
      libraries: [("libowner.c", owner(1)), ("libuser.c", user)], build, objects: ["main.c": main])
    #expect(try game.line().text == "shared=102 own=6")
    let reload = try game.rebuild("libowner.c", owner(10), build)
    let last = try #require(game.last(before: reload).number("shared"))
    #expect(try game.line()["shared"] == "\(last + 11)")
    let other = try game.rebuild("libuser.c", user + "\nint more(void) { return 1; }", build)
    let now = try #require(game.last(before: other).number("shared"))
    #expect(try game.line()["shared"] == "\(now + 11)")
    try game.stop()
    let own = game.lines.compactMap { $0.number("own") }
    #expect(own == Array(6..<(6 + own.count)))
  }

  @Test("Tables of functions and tags that live objects point at", arguments: LibraryBuild.few)
  func operations(_ build: LibraryBuild) throws {
    func source(_ version: Int, _ order: String) -> String {
      """
      #include <stdio.h>
      struct ops { int (*area)(int); int (*edge)(int); };
      static int square_area(int x) { return x * x * \(version); }
      static int square_edge(int x) { return 4 * x + \(version); }
      static const struct ops square = { \(order) };
      const struct ops circle = { square_edge, square_area };
      static const char tag = 't'; const int open_tag = 5;
      static struct { const struct ops *ops; const void *tag, *open_tag; } thing;
      void tick(void) {
        if (!thing.ops) { thing.ops = &square; thing.tag = &tag; thing.open_tag = &open_tag; }
        dprintf(1, "v=\(version) area=%d edge=%d same=%d tag=%d open=%d round=%d\\n", thing.ops->area(2),
          thing.ops->edge(2), thing.ops == &square, thing.tag == &tag, thing.open_tag == &open_tag, circle.edge(1));
      }
      """
    }
    let game = try WatchHarness(
      libraries: [("libgame.c", source(1, "square_area, square_edge"))], build)
    #expect(try game.line().text == "v=1 area=4 edge=9 same=1 tag=1 open=1 round=1")
    try game.rebuild("libgame.c", source(2, "square_area, square_edge"), build)
    let second = try game.line()
    #expect(second.text == "v=2 area=8 edge=10 same=1 tag=1 open=1 round=2")
    // An edited table is rewritten where it is: live objects see it.
    let reload = try game.rebuild("libgame.c", source(3, "square_edge, square_edge"), build)
    #expect(try game.line().text == "v=3 area=11 edge=11 same=1 tag=1 open=1 round=3")
    #expect(reload.verdict(on: "square")?.fate == "rewritten")
    try game.stop()
  }

  @Test("Constants that are walked over, and literals beside them", arguments: LibraryBuild.most)
  func walkedConstants(_ build: LibraryBuild) throws {
    func source(_ version: Int, _ more: String) -> String {
      """
      #include <stdio.h>
      \(more)
      static const int primes[6] = { 2, 3, 5, 7, 11, 13 };
      static const char *const words[3] = { "a", "bb", "ccc" };
      static const char text[] = "literal";
      __attribute__((noinline)) static int up(void) {
        int sum = 0;
        for (const int *p = primes; p != primes + 6; p++) sum += *p;
        for (const char *const *p = words; p < words + 3; p++) sum += (*p)[0] != 0;
        return sum;
      }
      __attribute__((noinline)) static int down(void) {
        int sum = 0;
        for (const int *p = primes + 5; p >= primes; p--) sum += *p;
        for (int i = 2; i >= 0; i--) sum += words[i][0] - 'a';
        return sum;
      }
      void tick(void) {
        dprintf(1, "v=\(version) up=%d down=%d %s %s%d\\n", up(), down(), text, "beside", \(version));
      }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(1, ""))], build)
    #expect(try game.line().text == "v=1 up=44 down=44 literal beside1")
    for (version, more) in [
      (2, "static const int early[3] = { 9, 9, 9 }; const int *use_early(void) { return early; }"),
      (3, "const char *const late[] = { \"x\", \"y\" };"),
    ] {
      try game.rebuild("libgame.c", source(version, more), build)
      #expect(try game.line().text == "v=\(version) up=44 down=44 literal beside\(version)")
    }
    try game.stop()
  }

  @Test("Arrays that are walked downwards", arguments: LibraryBuild.few)
  func walkedDownwards(_ build: LibraryBuild) throws {
    func source(_ version: Int, _ more: String) -> String {
      """
      #include <stdio.h>
      \(more)
      static long before[4] = { 1, 1, 1, 1 }; static int numbers[50]; static int frames;
      __attribute__((noinline)) static int walk(int *from, int *to) {
        int sum = 0;
        for (; from != to; from--) sum += ++*from;
        return sum;
      }
      void tick(void) {
        for (int i = 3; i >= 0; i--) before[i]++;
        int sum = walk(numbers + 49, numbers - 1);
        dprintf(1, "v=\(version) frames=%d sum=%d b=%ld\\n", ++frames, sum, before[0] + before[3]);
      }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(1, ""))], build)
    try game.line()
    for (version, more) in [
      (2, "int early[30];"), (3, "static int inner[3]; int *in(void) { return inner; }"),
    ] {
      game.skipToEnd()
      try game.bench.library("libgame.c", source(version, more), build)
      let answer = try game.answer()
      #expect(answer.event == "reloaded" || answer.reason?.contains("ambiguous") == true)
      try game.line()
    }
    try game.stop()
    for line in game.lines {
      let frames = try #require(line.number("frames"))
      #expect(line.number("sum") == 50 * frames, "\(line)")
      #expect(line.number("b") == 2 + 2 * frames, "\(line)")
    }
  }

  @Test(
    "A private library that two share calls back into what is reloaded",
    arguments: [LibraryBuild.gcc, .clangO2])
  func sharedPrivate(_ build: LibraryBuild) throws {
    let middle = """
      #include <stdio.h>
      int called_back(int); int state;
      __attribute__((constructor)) static void up(void) { dprintf(1, "up\\n"); }
      __attribute__((destructor)) static void down(void) { dprintf(1, "down\\n"); }
      int through(int x) { state++; return called_back(x); }
      """
    func first(_ version: Int) -> String {
      """
      #include <stdio.h>
      int through(int), second(void); extern int state;
      int called_back(int x) { return x + \(version); }
      void tick(void) { int n = through(1); int m = second(); dprintf(1, "v=\(version) n=%d m=%d state=%d\\n", n, m, state); }
      """
    }
    func second(_ version: Int) -> String {
      "int through(int); int second(void) { return through(\(version)); }"
    }
    let flags = ["-Lprivate", "-lmiddle", "-Wl,-rpath,$ORIGIN/../private"]
    let game = try WatchHarness([:], build.toolchain) { bench in
      try bench.library("libmiddle.c", middle, build, to: "private")
      try bench.library("libfirst.c", first(1), build, flags: flags)
      try bench.library("libsecond.c", second(10), build, flags: flags)
    }
    #expect(try game.line("n").text == "v=1 n=2 m=11 state=2")
    var reload = try game.rebuild("libfirst.c", first(5), build, flags: flags)
    var state = try #require(game.last(before: reload, with: "n").number("state"))
    #expect(try game.line("n").text == "v=5 n=6 m=15 state=\(state + 2)")
    reload = try game.rebuild("libsecond.c", second(20), build, flags: flags)
    state = try #require(game.last(before: reload, with: "n").number("state"))
    #expect(try game.line("n").text == "v=5 n=6 m=25 state=\(state + 2)")
    try game.stop()
    #expect(game.count("up") == 1)
    #expect(game.count("down") == 1)
  }

  @Test("A library that needs one more library than before")
  func oneMoreNeeded() throws {
    let helper = """
      #include <stdio.h>
      static int ready;
      __attribute__((constructor)) static void up(void) { ready = 40; dprintf(1, "up\\n"); }
      __attribute__((destructor)) static void down(void) { dprintf(1, "down\\n"); }
      int helper(void) { return ++ready; }
      """
    func source(_ version: Int, _ call: String) -> String {
      """
      #include <stdio.h>
      int helper(void); static int n;
      void tick(void) { dprintf(1, "v=\(version) n=%d h=%d\\n", ++n, \(call)); }
      """
    }
    let flags = ["-Lprivate", "-lhelper", "-Wl,-rpath,$ORIGIN/../private"]
    let game = try WatchHarness([:]) { bench in
      try bench.library("libhelper.c", helper, .gcc, to: "private")
      try bench.library("libgame.c", source(1, "0"), .gcc)
    }
    try game.line("n")
    for version in 2...3 {
      let reload = try game.rebuild("libgame.c", source(version, "helper()"), .gcc, flags: flags)
      let line = try game.line("n")
      let last = try game.last(before: reload, with: "n")
      #expect(line["n"] == "\((last.number("n") ?? 0) + 1)")
      #expect(line["h"] == "\(version == 2 ? 41 : (last.number("h") ?? 0) + 1)")
    }
    try game.stop()
    #expect(game.count("up") == 1)
    #expect(game.count("down") == 1)
  }

  @Test("A library follows what others define, take away and move", arguments: LibraryBuild.few)
  func follows(_ build: LibraryBuild) throws {
    let library = """
      #include <stdio.h>
      extern int optional(void) __attribute__((weak)); extern const int limits[];
      extern int maybe __attribute__((weak));
      static int n;
      void tick(void) {
        int length = 0;
        while (limits[length]) length++;
        dprintf(1, "n=%d optional=%d maybe=%d length=%d abs=%d\\n", ++n, optional ? optional() : -1,
          &maybe ? maybe : -1, length, abs(-3));
      }
      """.replacingOccurrences(
        of: "#include <stdio.h>", with: "#include <stdio.h>\nint labs_of(int); int abs(int);")
    func object(_ count: Int) -> String {
      "extern const int limits[]; const int limits[] = { \(String(repeating: "1, ", count: count))0 };"
    }
    let game = try WatchHarness(
      libraries: [("libgame.c", library)], build.with("-fno-builtin"),
      objects: ["limits.c": object(2)])
    #expect(try game.line().text == "n=1 optional=-1 maybe=-1 length=2 abs=3")
    // A constant of an object that gets longer.
    try game.edit("limits.c", object(9))
    #expect(try game.line()["length"] == "9")
    // Weak references that come to mean something.
    try game.edit("optional.c", "int optional(void) { return 7; }\nint maybe = 8;")
    var line = try game.line()
    #expect(line["optional"] == "7")
    #expect(line["maybe"] == "8")
    // A function of the process that a unit now defines.
    try game.rebuild("libabs.c", "int abs(int x) { return x * 100; }", build.with("-fno-builtin"))
    line = try game.line()
    #expect(line["abs"] == "-300")
    try game.stop()
    let frames = game.lines.compactMap { $0.number("n") }
    #expect(frames == Array(1..<(1 + frames.count)), "it was relinked and kept its state")
  }

  @Test(
    "A library of several files gets one more, which starts by itself", arguments: LibraryBuild.few)
  func moreFiles(_ build: LibraryBuild) throws {
    func main(_ version: Int) -> String {
      """
      #include <cstdio>
      #include <string>
      static std::string kept = std::string("kept ") + "text";
      extern "C" int extra() __attribute__((weak));
      extern "C" void tick() { dprintf(1, "v=\(version) kept=%d extra=%d\\n", (int)kept.size(), extra ? extra() : -1); }
      """
    }
    let extra = """
      #include <cstdio>
      #include <string>
      static std::string text = std::string("new ") + "text!";
      static int count = [] { dprintf(1, "initialised\\n"); return 40; }();
      extern "C" int extra() { return ++count * 100 + (int)text.size(); }
      """
    let game = try WatchHarness(libraries: [("libgame.cpp", main(1))], build)
    #expect(try game.line("v").text == "v=1 kept=9 extra=-1")
    try game.bench.write("extra.cpp", extra)
    try game.rebuild("libgame.cpp", main(2), build, flags: ["extra.cpp"])
    #expect(try game.line("v").text == "v=2 kept=9 extra=4109")
    try game.rebuild("libgame.cpp", main(3), build, flags: ["extra.cpp"])
    #expect(try game.line("v")["v"] == "3")
    try game.stop()
    #expect(game.count("initialised") == 1)
  }

  @Test("A stripped library of C++ objects ends well", arguments: LibraryBuild.few)
  func strippedEnd(_ build: LibraryBuild) throws {
    let source = """
      #include <cstdio>
      struct Last { ~Last() { dprintf(1, "destroyed\\n"); } };
      Last last;
      extern "C" void tick() { dprintf(1, "v=1\\n"); }
      """
    let game = try WatchHarness(
      libraries: [("libgame.cpp", source)], build, flags: ["libgame.cpp": ["-s"]])
    try game.line("v")
    game.skipToEnd()
    try game.bench.library(
      "libgame.cpp", source.replacingOccurrences(of: "v=1", with: "v=2"), build, flags: ["-s"])
    let answer = try game.answer()
    #expect(try game.line("v")["v"] == (answer.event == "reloaded" ? "2" : "1"))
    try game.stop()
    #expect(game.count("destroyed") == 1)
  }
}
