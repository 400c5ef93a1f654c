// gdb over reloads: it stops in the new line with the new variables, fifty reloads later still; a frame of
// old code keeps its old lines; what is gone is gone from gdb, too.
import Foundation
import Testing

@Suite("gdb over reloads", .serialized)
struct DebuggerReloadTests {
  /// Each version has its own number of lines, and names that only it has.
  static func source(_ version: Int) -> String {
    """
    int frames;
    \(String(repeating: "// one line more\n", count: version % 7))
    static int own_\(version)(int value) {
      int local_\(version) = value + \(version);
      return local_\(version);  // stop
    }
    void tick(void) {
      frames = own_\(version)(frames) - \(version) + 1;
    }
    """
  }

  private static func stop(_ version: Int) -> Int {
    GdbSession.line("// stop", in: source(version))
  }

  @Test(
    "A breakpoint in a new line stops with new locals", GdbTests.whenPermitted,
    arguments: [Toolchain.gcc.with("-g"), Toolchain.clang.with("-g", "-gdwarf-4")])
  func newLine(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(["game.c": Self.source(1)], toolchain)
    for version in 2...4 {
      try game.bench.folder.write(
        try game.bench.object("game.c", Self.source(version)), to: "next\(version).o")
    }
    var commands: [String] = ["tbreak own_1", "continue", "info locals"]
    for version in 2...4 {
      commands += [
        // Pending, or in other code, until the version is there.
        "tbreak own_\(version)", "shell mv next\(version).o build/game.o", "continue",
        "break game.c:\(Self.stop(version))", "continue", "info locals", "backtrace 2", "delete",
      ]
    }
    let told = try GdbSession.attach(game.pid, commands, in: game.directory)
    for version in 2...4 {
      #expect(
        told.contains("own_\(version) (value=") && told.contains("at game.c:\(Self.stop(version))"),
        "\(version)\n\(told)")
      #expect(told.contains("local_\(version) = "), "\(version)\n\(told)")
    }
    #expect(told.contains(" in tick () at game.c:"), "\(told)")
    #expect(!told.contains("Cannot"), "\(told)")
    try game.event("reloaded", generation: 4)
    try game.stop()
  }

  @Test("Fifty reloads later still, and gdb's list stays short", GdbTests.whenPermitted)
  func manyReloads() throws {
    let last = 51
    let game = try WatchHarness(["game.c": Self.source(1)], Toolchain.gcc.with("-g"))
    for version in 2...last {
      try game.bench.folder.write(
        try game.bench.object("game.c", Self.source(version)), to: "next\(version).o")
    }
    var commands: [String] = ["tbreak own_1", "continue"]
    for version in 2...last {
      commands += [
        "tbreak own_\(version)", "shell mv next\(version).o build/game.o", "continue",
      ]
    }
    commands += [
      "break game.c:\(Self.stop(last))", "continue", "info locals", "backtrace 2",
      "maint info jit",
    ]
    let told = try GdbSession.attach(game.pid, commands, in: game.directory)
    for version in 2...last {
      #expect(told.contains("own_\(version) (value="), "\(version)")
    }
    #expect(told.contains("local_\(last) = "), "\(told.suffix(2000))")
    #expect(told.contains("game.c:\(Self.stop(last))\n"), "\(told.suffix(2000))")
    // The unit as it is now, at most a few versions that something on the stack looks like, the stubs.
    #expect((2...12).contains(GdbSession.images(told)), "\(told.suffix(2000))")
    try game.stop()
  }

  @Test("A frame of old code shows its old lines until it ends", GdbTests.whenPermitted)
  func oldFrames() throws {
    func waiter(_ text: String) -> String {
      """
      #include <unistd.h>
      extern volatile int released, waiting;
      \(text)
      void *wait_here(void *argument) {
        int old_local = 4711;
        waiting = 1;
        while (!released)
          usleep(1000);  // waits
        return argument ? &released + old_local : 0;
      }
      """
    }
    let game = """
      #include <pthread.h>
      #include <stdio.h>
      #include <unistd.h>
      volatile int released, waiting;
      void *wait_here(void *argument);
      static pthread_t thread;
      static int started;
      void tick(void) {
        if (!started) { started = 1; pthread_create(&thread, 0, wait_here, 0); }
        if (started == 1 && access("release", F_OK) == 0) {
          released = 1; pthread_join(thread, 0); started = 2;
        }
        dprintf(1, "started=%d waiting=%d\\n", started, waiting);
      }
      """
    let harness = try WatchHarness(
      ["game.c": game, "waiter.c": waiter("")], Toolchain.gcc.with("-g"),
      arguments: ["--debug", "on"])
    try harness.line { $0["waiting"] == "1" }
    try harness.edit("waiter.c", waiter("// a\n// b\n// c\n// d\n"))
    let line = GdbSession.line("// waits", in: waiter(""))
    let look = ["thread apply all -q -s frame function wait_here", "maint info jit"]
    let told = try GdbSession.attach(
      harness.pid,
      ["thread apply all -q backtrace", "thread apply all -s -q frame apply all -q -s info locals"]
        + look,
      in: harness.directory)
    #expect(told.contains("wait_here (argument=0x0) at waiter.c:\(line)"), "\(told)")
    #expect(told.contains("old_local = 4711"), "\(told)")
    try harness.bench.touch("release")
    try harness.line { $0["started"] == "2" }
    // What nobody is inside of any more is taken out of gdb's sight.
    try harness.edit("waiter.c", waiter("// a\n"))
    // That may be at a later safe point: stacks are searched for anything that looks like an address of it.
    var after = ""
    for _ in 1...10 {
      after = try GdbSession.attach(
        harness.pid, ["info line wait_here", "maint info jit"], in: harness.directory)
      if !after.contains("Line 4 of") { break }
    }
    #expect(after.contains("Line 5 of \"waiter.c\""), "\(after)")
    #expect(!after.contains("Line 4 of"), "\(after)")
    try harness.stop()
  }
}
