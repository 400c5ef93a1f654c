// Shared objects in `hotlink watch`: an edit takes effect whatever built the library and however its file
// arrived, and its state stays.
import Foundation
import Testing

@Suite("Shared objects")
struct LibraryScenarios {
  /// One of everything a library may hold.
  static func everything(_ version: Int) -> String {
    """
    #include <stdio.h>
    #include <stdlib.h>
    static int hidden = 10;
    int exported = 20;
    int zero;
    static long table[4] = { 1, 2, 3, 4 };
    __attribute__((visibility("hidden"))) int invisible = 30;
    static __attribute__((noinline)) int helper(int x) { return x + \(version); }
    __attribute__((noinline)) int visible(int x) { return helper(x) * 2; }
    static int (*pointer)(int);
    static int (*const callbacks[2])(int) = { helper, visible };
    static int compare(const void *a, const void *b) {
      return \(version % 2 == 1 ? "*(int *)a - *(int *)b" : "*(int *)b - *(int *)a");
    }
    const char *word(void) { return "word \(version)"; }
    void tick(void) {
      static int frames;
      static long *where;
      if (!pointer) pointer = helper;
      if (!where) where = &table[2];
      int all[3] = { 2, 3, 1 };
      qsort(all, 3, sizeof(int), compare);
      dprintf(1, "v=\(version) frames=%d hidden=%d exported=%d invisible=%d zero=%d sum=%ld p=%d a=%d b=%d"
        " first=%d word=%s same=%d\\n", ++frames, ++hidden, ++exported, ++invisible, ++zero,
        ++*where + table[0], pointer(0), callbacks[0](0), callbacks[1](0), all[0], word(),
        pointer == helper && callbacks[1] == visible);
    }
    """
  }

  @Test("Bodies, literals and callbacks are new, state is kept", arguments: LibraryBuild.all)
  func everythingAtOnce(_ build: LibraryBuild) throws {
    let game = try WatchHarness(libraries: [("libgame.c", Self.everything(1))], build)
    #expect(
      try game.line().text
        == "v=1 frames=1 hidden=11 exported=21 invisible=31 zero=1 sum=5 p=1 a=1 b=2 first=1 word=word 1 same=1"
    )
    for version in 2...3 {
      let reload = try game.rebuild("libgame.c", Self.everything(version), build)
      #expect(reload.generation == version)
      #expect(reload.unitFiles == ["libgame.so"])
      #expect(reload.relinkedFiles == ["libgame.so"])
      #expect(reload.functions.contains("helper"))
      #expect(!reload.functions.contains("visible"), "its body did not change")
      #expect(reload.added == 0)
      #expect(reload.removed == 0)
      #expect(reload.immovable == [])
      #expect(reload.kept ?? 0 >= 8)
      let frames = try #require(game.last(before: reload).number("frames"))
      let next = frames + 1
      #expect(
        try game.line().text
          == "v=\(version) frames=\(next) hidden=\(next + 10) exported=\(next + 20)"
          + " invisible=\(next + 30) zero=\(next) sum=\(next + 4) p=\(version) a=\(version)"
          + " b=\(version * 2) first=\(version == 2 ? 3 : 1) word=word \(version) same=1")
    }
    try game.stop()
  }

  @Test("However the file arrives", arguments: Workbench.Arrival.allCases)
  func arrivals(_ arrival: Workbench.Arrival) throws {
    let game = try WatchHarness(libraries: [("libgame.c", Self.everything(1))], .gcc)
    try game.line()
    for version in 2...4 {
      game.skipToEnd()
      try game.bench.library("libgame.c", Self.everything(version), .gcc, by: arrival)
      var answer = try game.answer()
      // A writer that is kept waiting between two steps for longer than a quiet file is waited for: the half is refused,
      // and the whole comes all the same. `PendingChangesTests` holds the spans to a clock of its own.
      while arrival == .slowCopy, answer.reason?.contains("half written") == true {
        answer = try game.answer()
      }
      #expect(answer.event == "reloaded", "\(answer.reason ?? "")")
      let frames = try #require(game.last(before: answer).number("frames"))
      let line = try game.line()
      #expect(line["v"] == "\(version)")
      #expect(line.number("frames") == frames + 1)
    }
    try game.stop()
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...frames.count))
  }

  @Test("A file that stays half written is refused, and the program goes on")
  func halfWritten() throws {
    let game = try WatchHarness(libraries: [("libgame.c", Self.everything(1))], .gcc)
    try game.line()
    let whole = game.bench.folder.bytes("build/libgame.so")
    for count in [0, 1, 63, 64, 1000, 4096, whole.count / 2, whole.count - 1] {
      game.skipToEnd()
      try game.bench.folder.write(Array(whole.prefix(count)), to: "half.so")
      try game.bench.shell("cp half.so build/libgame.so")
      let refusal = try game.refused()
      #expect(refusal.reason?.isEmpty == false, "\(count) bytes")
      #expect(try game.line()["v"] == "1")
    }
    try game.rebuild("libgame.c", Self.everything(2), .gcc, by: .copy)
    #expect(try game.line()["v"] == "2")
    try game.stop()
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...frames.count))
  }

  @Test("A library that is deleted takes its functions along")
  func deleted() throws {
    let main = """
      #include <stdio.h>
      #include <unistd.h>
      int vanishing(void);
      void tick(void) { dprintf(1, "v=%d\\n", access("stop", F_OK) ? vanishing() : 0); }
      """
    func part(_ value: Int) -> String {
      "int calls; int vanishing(void) { calls++; return \(value); }"
    }
    let game = try WatchHarness(
      libraries: [("libpart.c", part(7))], .gcc, objects: ["main.c": main])
    #expect(try game.line()["v"] == "7")
    try game.bench.touch("stop")
    try game.line(where: { $0["v"] == "0" })
    game.skipToEnd()
    try game.bench.shell("rm build/libpart.so")
    let reload = try game.reloaded()
    #expect(reload.unitFiles == ["libpart.so"])
    #expect(reload.removed == 1)
    #expect(try game.line()["v"] == "0")
    // It comes back.
    try game.rebuild("libpart.c", part(8), .gcc)
    try game.bench.shell("rm stop")
    try game.line(where: { $0["v"] == "8" })
    // And goes for good, while it is called.
    game.skipToEnd()
    try game.bench.shell("rm build/libpart.so")
    try game.reloaded()
    #expect(try game.end() == .signalled(6), "SIGABRT, not a jump to nowhere")
    #expect(game.errors.contains("vanishing"))
  }

  @Test("A deleted library whose variables are used is refused; it may come back")
  func deletedData() throws {
    let main = """
      #include <stdio.h>
      extern int shared;
      void tick(void) { dprintf(1, "v=%d\\n", ++shared); }
      """
    let game = try WatchHarness(
      libraries: [("libpart.c", "int shared = 70;")], .gcc, objects: ["main.c": main])
    #expect(try game.line()["v"] == "71")
    game.skipToEnd()
    try game.bench.shell("rm build/libpart.so")
    #expect(try game.refused().reason?.contains("shared") == true)
    try game.line()
    try game.rebuild("libpart.c", "int shared = 70;\nint other(void) { return 1; }", .gcc)
    try game.line()
    try game.stop()
    let values = game.lines.compactMap { $0.number("v") }
    #expect(values == Array(71..<(71 + values.count)))
  }

  @Test("A function that nobody defines is reported, and ends the program when called")
  func missingFunction() throws {
    let source = """
      #include <stdio.h>
      #include <unistd.h>
      int nowhere_to_be_found(void);
      void tick(void) {
        dprintf(1, "v=1\\n");
        if (!access("go", F_OK)) dprintf(1, "e=%d\\n", nowhere_to_be_found());
      }
      """
    let game = try WatchHarness(libraries: [("libgame.c", source)], .gcc)
    #expect(game.started.undefined == ["nowhere_to_be_found"])
    try game.line()
    let object = try game.rebuild(
      "libother.c", "int nowhere_to_be_found(void) { return 5; }", .gcc)
    #expect(object.added == 1)
    try game.bench.touch("go")
    #expect(try game.line("e")["e"] == "5", "a library that defines it came")
    try game.bench.shell("rm build/libother.so")
    #expect(try game.end() == .signalled(6))
    #expect(game.errors.contains("nowhere_to_be_found"))
  }

  @Test("With --strict, or bound at once, it is refused by name")
  func missingStrictly() throws {
    let source = "int nowhere_to_be_found(void); void tick(void) { nowhere_to_be_found(); }"
    for (flags, arguments) in [([], ["--strict"]), (["-fno-plt"], [])] {
      let game = try WatchHarness(
        libraries: [("libgame.c", source)], .gccO2, flags: ["libgame.c": flags],
        arguments: arguments, awaitStart: false)
      #expect(try game.refused().reason?.contains("nowhere_to_be_found") == true)
      #expect(try game.end() == .exited(2))
    }
  }

  @Test("`hotlink run` takes a shared object", arguments: LibraryBuild.few)
  func run(_ build: LibraryBuild) throws {
    let bench = try Workbench()
    try bench.library(
      "libdemo.cpp",
      """
      #include <cstdio>
      #include <stdexcept>
      #include <string>
      struct Noisy {
        Noisy() { std::puts("constructed"); }
        ~Noisy() { std::puts("destroyed"); std::fflush(stdout); }
      } noisy;
      extern "C" int demo(int argc, char **argv) {
        try { throw std::runtime_error(argv[1]); }
        catch (const std::exception &e) { std::puts(e.what()); }
        return argc + 40;
      }
      __attribute__((destructor)) static void last() { std::puts("finaliser"); std::fflush(stdout); }
      """, build)
    let outcome = try Tool.hotlink(
      ["run", bench.folder.path("build/libdemo.so"), "--entry", "demo", "--", "hello"])
    #expect(outcome.end == .exited(42), "\(outcome.stderr)")
    #expect(outcome.stdout == "constructed\nhello\ndestroyed\nfinaliser\n")
    let missing = try Tool.hotlink(
      ["run", bench.folder.path("build/libdemo.so"), "--entry", "demi"])
    #expect(missing.code == 2)
    #expect(missing.stderr.contains("demi"))
  }

  @Test("A library of swiftc runs; a new build of it is refused, and the program goes on")
  func swift() throws {
    func source(_ value: Int) -> String {
      """
      import Glibc
      final class Player { var score = \(value) }
      let player = Player()
      @c public func tick() {
        player.score += 1
        fputs("v=\\(player.score) \\([3, 1, 2].sorted())\\n", stdout)
        fflush(stdout)
      }
      """
    }
    func build(_ bench: Workbench, _ value: Int) throws {
      try bench.write("game.swift", source(value))
      try bench.shell(
        "swiftc -parse-as-library -emit-library game.swift -o staged.so; mv staged.so build/libgame.so"
      )
    }
    let game = try WatchHarness([:]) { try build($0, 1) }
    #expect(try game.line().text == "v=2 [1, 2, 3]")
    game.skipToEnd()
    try build(game.bench, 100)
    #expect(try game.refused().reason?.contains("Swift library") == true)
    try game.line()
    try game.stop()
    let values = game.lines.compactMap { $0.number("v") }
    #expect(values == Array(2..<(2 + values.count)))
  }

  @Test(
    "A stripped library runs; its state has no names, which refuses a new build",
    arguments: LibraryBuild.few)
  func stripped(_ build: LibraryBuild) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      static int counts[20] = { 1 };
      void tick(void) { counts[3]++; dprintf(1, "v=\(version) n=%d\\n", ++counts[0]); }
      """
    }
    let strip = ["libgame.c": ["-s"]]
    let game = try WatchHarness(libraries: [("libgame.c", source(1))], build, flags: strip)
    #expect(try game.line().text == "v=1 n=2")
    let refusal = try game.rebuildRefused("libgame.c", source(2), build, flags: ["-s"])
    #expect(refusal.reason?.contains("state in .") == true)
    #expect(refusal.reason?.contains("strip") == true)
    try game.line()
    try game.stop()
    let values = game.lines.compactMap { $0.number("n") }
    #expect(values == Array(2..<(2 + values.count)))
  }

  @Test("A stripped library without state of its own is replaced", arguments: LibraryBuild.few)
  func strippedStateless(_ build: LibraryBuild) throws {
    func part(_ value: Int) -> String {
      "int exported = 5;\nint part(void) { return \(value) + exported++; }"
    }
    let main = """
      #include <stdio.h>
      int part(void);
      void tick(void) { dprintf(1, "v=%d\\n", part()); }
      """
    let game = try WatchHarness(
      libraries: [("libpart.c", part(0))], build, objects: ["main.c": main],
      flags: ["libpart.c": ["-s"]])
    #expect(try game.line()["v"] == "5")
    let reload = try game.rebuild("libpart.c", part(1000), build, flags: ["-s"])
    let last = try #require(game.last(before: reload).number("v"))
    #expect(try game.line().number("v") == last + 1001)
    try game.stop()
  }
}
