// A reload while other threads run in the unit: no crash, and each calls the new body at its next call.
import Foundation
import Testing

@Suite("Threads")
struct ThreadScenarios {
  /// A loop that a thread is in, and the function it calls, in one unit or in two.
  static func loop(_ version: Int, threads: Int) -> String {
    """
    #include <pthread.h>
    #include <stdio.h>
    #include <unistd.h>
    int step(int id);
    extern volatile int steps[8];
    static _Thread_local int mine = 5;
    volatile int versions[8];
    static void *work(void *argument) {
      int id = (int)(long)argument;
      for (;;) {
        versions[id] = step(id);
        if (++mine != steps[id] + 5) versions[id] = -1000000;
        usleep(200);
      }
      return 0;
    }
    static int running;
    void tick(void) {
      while (running < \(threads)) {
        pthread_t thread;
        pthread_create(&thread, 0, work, (void *)(long)running++);
      }
      dprintf(1, "v=\(version) thread=%d last=%d steps=%d\\n", versions[0], versions[\(threads - 1)], steps[0]);
    }
    """
  }

  static func step(_ version: Int) -> String {
    """
    volatile int steps[8];
    __attribute__((noinline)) static int padding(int x) { return x * \(version) + (\(version) % 3 ? 1 : x); }
    __attribute__((noinline)) int step(int id) {
      steps[id]++;
      return \(version) + 0 * padding(id);
    }
    """
  }

  /// Counters never begin anew.
  static func expectGrowingSteps(_ game: WatchHarness) {
    let steps = game.lines.compactMap { $0.number("steps") }
    #expect(steps == steps.sorted())
    #expect(!game.lines.contains { $0.text.contains("=-1000000") }, "a thread-local began anew")
  }

  @Test(
    "A thread that loops calls the new body of another unit's function", arguments: Toolchain.all)
  func otherUnit(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["loop.c": Self.loop(1, threads: 1), "step.c": Self.step(1)], toolchain)
    try game.line(where: { $0["thread"] == "1" })
    for version in 2...4 {
      try game.edit("step.c", Self.step(version))
      try game.line(where: { $0["thread"] == "\(version)" })
    }
    #expect(try game.line()["thread"] == "4")
    // The loop itself is edited: the thread stays in its first body, and still calls the newest step.
    try game.edit("loop.c", Self.loop(2, threads: 1))
    #expect(try game.line().text.hasPrefix("v=2 thread=4 "))
    try game.edit("step.c", Self.step(5))
    try game.line(where: { $0["thread"] == "5" })
    try game.stop()
    Self.expectGrowingSteps(game)
  }

  @Test(
    "A thread that loops in its own unit calls the new body, or it is said",
    arguments: Toolchain.all)
  func ownUnit(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      Self.loop(version, threads: 1) + "\n" + Self.step(version)
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    try game.line(where: { $0["thread"] == "1" })
    for version in 2...4 {
      let reload = try game.edit("game.c", source(version))
      usleep(50_000)  // a hundred rounds of the thread
      game.skipToEnd()
      let line = try game.line()
      #expect(line["v"] == "\(version)")
      let isSaid =
        reload.pins.contains { $0.unit.hasSuffix("game.o") && $0.reason.contains("stack") }
        || reload.reportsOldBody(of: "step")
      #expect(
        line["thread"] == "\(version)" || isSaid, "the thread runs old code, and no word of it")
    }
    try game.stop()
    Self.expectGrowingSteps(game)
  }

  @Test("Forty reloads under four threads", arguments: Toolchain.few)
  func manyReloads(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["loop.c": Self.loop(1, threads: 4), "step.c": Self.step(1)], toolchain)
    try game.line(where: { $0["last"] == "1" })
    let steps = try (2...5).map { try game.bench.object("step.c", Self.step($0)) }
    let loops = try (2...5).map { try game.bench.object("loop.c", Self.loop($0, threads: 4)) }
    for round in 0..<40 {
      game.skipToEnd()
      if round % 2 == 0 {
        try game.bench.install(steps[round / 2 % 4], as: "step.o")
        try game.reloaded()
      } else {
        try game.bench.install(loops[round / 2 % 4], as: "loop.o")
        try game.reloaded()
        #expect(try game.line()["v"] == "\(round / 2 % 4 + 2)")
      }
    }
    try game.line(where: { $0["last"] == "5" && $0["thread"] == "5" })
    try game.stop()
    Self.expectGrowingSteps(game)
  }

  @Test(
    "A thread waiting inside a function returns to the body it called", arguments: Toolchain.few)
  func blockedInside(_ toolchain: Toolchain) throws {
    func wait(_ version: Int) -> String {
      """
      #include <unistd.h>
      int wait_here(int file) {
        char c;
        return read(file, &c, 1) == 1 ? \(version) : -1;
      }
      """
    }
    let main = """
      #include <pthread.h>
      #include <stdio.h>
      #include <unistd.h>
      int wait_here(int file);
      static int pipes[2];
      static void *work(void *argument) {
        for (;;) dprintf(1, "woke=%d\\n", wait_here(pipes[0]));
        return argument;
      }
      static pthread_t thread;
      void tick(void) {
        if (!thread) {
          if (pipe(pipes)) return;
          pthread_create(&thread, 0, work, 0);
        }
        if (!access("go", F_OK)) {
          unlink("go");
          if (write(pipes[1], "x", 1) != 1) return;
        }
        dprintf(1, "v=1\\n");
      }
      """
    let game = try WatchHarness(["main.c": main, "wait.c": wait(1)], toolchain)
    try game.line("v")
    usleep(50_000)
    for version in 2...4 { try game.edit("wait.c", wait(version)) }
    try game.bench.touch("go")
    #expect(try game.line("woke").text == "woke=1", "the call that waited")
    usleep(50_000)
    // Now it waits in the fourth body, which is not the first one that stays mapped anyway.
    for version in 5...12 {
      let reload = try game.edit("wait.c", wait(version))
      #expect(
        reload.pins.contains { $0.unit.hasSuffix("wait.o") && $0.reason.contains("stack") },
        "a thread waits in an old body")
    }
    try game.bench.touch("go")
    #expect(try game.line("woke").text == "woke=4")
    usleep(50_000)
    try game.bench.touch("go")
    #expect(try game.line("woke").text == "woke=12")
    try game.stop()
  }
}
