// gdb attached to `hotlink watch`: breakpoints at addresses in the arena are hit, before and after a
// reload, and leave nothing behind that would keep old code alive.
import Foundation
import Testing

@Suite("gdb", .serialized)
struct GdbTests {
  static func source(_ version: Int) -> String {
    """
    #include <stdio.h>
    #include <stdint.h>
    static uintptr_t body;
    static int frames;
    __attribute__((noinline)) int value(void) {
      uintptr_t here;
      __asm__ volatile("lea 0(%%rip), %0" : "=r"(here));
      body = here;
      return \(version);
    }
    int (*volatile pointer)(void) = value;
    void tick(void) {
      int v = pointer();
      dprintf(1, "v=%d frames=%d stub=%#lx body=%#lx\\n", v, ++frames, (long)value, (long)body);
    }
    """
  }

  /// Runs gdb on a process, with commands.
  static func gdb(_ pid: pid_t, _ commands: [String], in directory: String) throws -> String {
    let arguments =
      ["-q", "-nx", "-batch", "-p", String(pid), "-ex", "set pagination off"]
      + commands.flatMap { ["-ex", $0] }
    let outcome = try Tool.run("gdb", arguments, directory: directory, timeout: 60)
    guard outcome.code == 0 else {
      throw Tool.Failure(description: "gdb: \(outcome.end)\n\(outcome.stdout)\n\(outcome.stderr)")
    }
    return outcome.stdout + outcome.stderr
  }

  /// Whether a debugger may attach to a child here; containers and Yama may forbid it.
  static let isPermitted: Bool = {
    guard Tool.exists("gdb") else { return false }
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    let arguments = CStrings(["sleep", "30"])
    var child = pid_t()
    guard posix_spawnp(&child, "sleep", &files, nil, arguments.pointers, environ) == 0 else {
      return false
    }
    defer {
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
    }
    let outcome = try? Tool.run(
      "gdb", ["-q", "-nx", "-batch", "-p", String(child), "-ex", "info registers rip"], timeout: 30)
    return outcome.map { $0.stdout.contains("rip") } ?? false
  }()

  static let whenPermitted: ConditionTrait = .enabled(
    if: isPermitted, "gdb is missing, or ptrace is not permitted here (container, Yama)")

  @Test("Breakpoints at stub and body are hit before and after a reload", whenPermitted)
  func hitBeforeAndAfter() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    // Only the one before is still in use: text of earlier ones may be used again.
    var before = ""
    for version in 1...3 {
      if version > 1 { try game.edit("game.c", Self.source(version)) }
      let line = try game.line("body")
      #expect(line["v"] == "\(version)")
      let (stub, body) = try (#require(line["stub"]), #require(line["body"]))
      #expect(body != before, "each generation has a body of its own")
      before = body
      let told = try Self.gdb(
        game.pid,
        [
          "break *\(stub)", "break *\(body)", "continue", "info registers rip", "continue",
          "info registers rip", "continue", "detach",
        ], in: game.directory)
      // In one frame first the stub, then the body, then the next frame's stub, from either start.
      #expect(told.contains("Breakpoint 1, 0x"), "the stub\n\(told)")
      #expect(told.contains("Breakpoint 2, 0x"), "the body\n\(told)")
      let stops = told.split(separator: "\n").filter { $0.hasPrefix("rip ") }
      #expect(stops.contains { $0.contains(stub) }, "\(told)")
      #expect(stops.contains { $0.contains(body) }, "\(told)")
      #expect(!told.contains("Cannot insert breakpoint"))
      game.skipToEnd()
      #expect(try game.line("body")["v"] == "\(version)", "the program goes on after detaching")
    }
    try game.stop()
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...frames.count))
  }

  @Test("A breakpoint that stays over a reload is hit again", whenPermitted)
  func staysOverReload() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    let line = try game.line("body")
    let stub = try #require(line["stub"])
    let next = try game.bench.object("next.c", Self.source(2))
    try game.bench.folder.write(next, to: "next.o")
    // The stub is the function's address for good: 100 frames later the reload is long done.
    let told = try Self.gdb(
      game.pid,
      [
        "break *\(stub)", "continue", "shell mv next.o build/game.o", "ignore 1 100", "continue",
        "info breakpoints", "detach",
      ], in: game.directory)
    #expect(told.contains("already hit 102 times"), "\(told)")
    try game.event("reloaded", generation: 2)
    game.skipToEnd()
    #expect(try game.line("body")["v"] == "2")
    try game.stop()
    let versions = game.lines.compactMap { $0.number("v") }
    #expect(versions == versions.sorted())
  }

  @Test("Text that a debugger wrote into is fresh when it is used again", whenPermitted)
  func recycledText() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    var seen: [String: Int] = [:]
    // Each round's body gets a breakpoint, so that its page is private to the process; later bodies
    // come to lie where earlier ones were.
    for version in 2...13 {
      try game.edit("game.c", Self.source(version))
      let line = try game.line("body")
      #expect(line["v"] == "\(version)", "stale bytes of an older body run")
      let body = try #require(line["body"])
      seen[body, default: 0] += 1
      let told = try Self.gdb(
        game.pid, ["break *\(body)", "continue", "detach"], in: game.directory)
      #expect(told.contains("Breakpoint 1, 0x"), "\(told)")
    }
    #expect(seen.values.contains { $0 > 1 }, "text is recycled, so that this test means something")
    try game.stop()
  }
}
