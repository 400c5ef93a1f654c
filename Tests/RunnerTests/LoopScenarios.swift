// The loop around the program: frames, beginning and end.
import Foundation
import Testing

@Suite("The loop")
struct LoopScenarios {
  static let counting = """
    #include <stdio.h>
    #include <stdint.h>
    typedef struct { uint64_t number; double time, dt; int32_t stop, reserved; } hotlink_frame;
    static int started, ended;
    void begin(void) { dprintf(1, "begin=%d\\n", ++started); }
    void finish(void) { dprintf(1, "finish=%d\\n", ++ended); }
    void tick(hotlink_frame *frame) {
      dprintf(1, "n=%d started=%d ended=%d\\n", (int)frame->number, started, ended);
      if (STOP && frame->number == 7) frame->stop = 1;
    }
    """

  @Test("--frames N --hz 0 runs N frames and ends by itself", arguments: [1, 2, 250])
  func frames(_ count: Int) throws {
    let game = try WatchHarness(
      ["game.c": Self.counting.replacing("STOP", with: "0")], hz: 0, frames: count,
      arguments: ["--init", "begin", "--exit", "finish"])
    let stopped = try game.finished()
    #expect(stopped.frames == UInt64(count))
    #expect(game.lines.compactMap { $0.number("n") } == Array(0..<count))
    #expect(game.lines.first?.text == "begin=1", "--init once, before the first frame")
    #expect(game.lines.last?.text == "finish=1", "--exit once, after the last")
    #expect(game.count("begin=") == 1)
    #expect(game.count("finish=") == 1)
    #expect(game.events.last?.event == "stopped")
  }

  @Test("The program ends the loop")
  func stopFlag() throws {
    let game = try WatchHarness(
      ["game.c": Self.counting.replacing("STOP", with: "1")], hz: 0, frames: 100_000,
      arguments: ["--exit", "finish"])
    #expect(try game.finished().frames == 8)
    #expect(game.lines.last?.text == "finish=1")
  }

  @Test("A signal ends the loop after its frame", arguments: [SIGTERM, SIGINT])
  func signal(_ number: Int32) throws {
    let game = try WatchHarness(
      ["game.c": Self.counting.replacing("STOP", with: "0")],
      arguments: ["--init", "begin", "--exit", "finish"])
    try game.line("n")
    game.send(number)
    try game.finished()
    #expect(game.count("finish=1") == 1)
  }

  @Test("--hz keeps its pace")
  func pace() throws {
    let source = """
      #include <stdio.h>
      typedef struct { unsigned long number; double time, dt; int stop, reserved; } hotlink_frame;
      void tick(hotlink_frame *frame) { dprintf(1, "time=%d dt=%d\\n", (int)(frame->time * 1000), (int)(frame->dt * 1000)); }
      """
    let begin = Tool.now()
    let game = try WatchHarness(["game.c": source], hz: 50, frames: 50)
    try game.finished()
    let seconds = Tool.now() - begin
    #expect(seconds > 0.9, "50 frames at 50 a second")
    #expect(game.lines.last?.number("dt") == 20)
    let times = game.lines.compactMap { $0.number("time") }
    #expect(times == times.sorted())
    #expect((times.last ?? 0) >= 900)
  }

  @Test("The newest --exit and --init are called", arguments: Toolchain.few)
  func newestExit(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      void begin(void) { dprintf(1, "begin=\(version)\\n"); }
      void finish(void) { dprintf(1, "finish=\(version)\\n"); }
      void tick(void) { dprintf(1, "v=\(version)\\n"); }
      """
    }
    let game = try WatchHarness(
      ["game.c": source(1)], toolchain, arguments: ["--init", "begin", "--exit", "finish"])
    try game.line("v")
    try game.edit("game.c", source(2))
    try game.line("v")
    try game.stop()
    #expect(game.count("begin=1") == 1)
    #expect(game.count("begin=2") == 0)
    #expect(game.count("finish=2") == 1)
    #expect(game.count("finish=1") == 0)
  }

  @Test("A handler given to atexit runs once, the newest body", arguments: Toolchain.all)
  func atExit(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      #include <stdlib.h>
      void global_bye(void) { dprintf(1, "global=\(version)\\n"); }
      static void local_bye(void) { dprintf(1, "local=\(version)\\n"); }
      static int registered;
      void tick(void) {
        if (!registered) { registered = 1; atexit(global_bye); atexit(local_bye); }
        dprintf(1, "v=\(version)\\n");
      }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    try game.line()
    var reload = try game.edit("game.c", source(2))
    try game.line()
    reload = try game.edit("game.c", source(3))
    try game.line()
    try game.stop()
    #expect(game.count("global=3") == 1)
    #expect(game.count("global=") == 1)
    #expect(game.count("local=") == 1)
    #expect(game.count("local=3") == 1 || reload.reportsOldBody(of: "local_bye"))
  }

  @Test("A directory that is not there cannot be watched")
  func noDirectory() throws {
    let outcome = try Tool.hotlink(["watch", "/nowhere/at/all", "--json", "--frames", "1"])
    #expect(outcome.code == 4)
    #expect(outcome.stderr.contains("/nowhere/at/all"))
  }
}
