// Proof of effect: what still runs old code, and what is said to people. What changed, and when nothing did, why:
// Tests/Scenarios/effect.
import Foundation
import Testing

@Suite("Proof of effect")
struct EffectScenarios {
  static func source(_ body: String) -> String {
    "#include <stdio.h>\nint n;\nvoid tick(void) { dprintf(1, \"n=%d\\n\", ++n); }\n\(body)\n"
  }

  @Test("Saved again after a refusal")
  func refusedAgain() throws {
    let game = try WatchHarness(["game.c": Self.source("")])
    try game.line("n")
    try game.editRefused(
      "game.c", Self.source("extern int nowhere; int f(void) { return nowhere; }"))
    game.skipToEnd()
    try game.bench.shell("touch build/game.o")
    let same = try game.next()
    #expect(same.event == "unchanged" && same.isRefused == true)
    #expect(same.reason?.contains("as it was when it was refused") == true)
    try game.edit("game.c", Self.source("int g;"))
    try game.stop()
  }

  @Test("A thread that has not left old code: which, where, of which generation")
  func running() throws {
    let worker = """
      #include <pthread.h>
      #include <unistd.h>
      static volatile int go_on = 1;
      void spin_here(void) { while (go_on) usleep(1000); }
      static void *work(void *p) { pthread_setname_np(pthread_self(), "the-worker"); spin_here(); return p; }
      void begin(void) { pthread_t t; pthread_create(&t, 0, work, 0); pthread_detach(t); }
      """
    let game = try WatchHarness(
      ["game.c": Self.source(""), "worker.c": "#define _GNU_SOURCE\n" + worker],
      arguments: ["--init", "begin"])
    for _ in 0..<20 { try game.line("n") }
    let reload = try game.edit(
      "worker.c", "#define _GNU_SOURCE\n" + worker.replacing("usleep(1000)", with: "usleep(2000)"))
    let frame = try #require(
      reload.running.first { $0.function == "spin_here" }, "\(reload.running)")
    #expect(frame.generation == 1 && frame.threadName == "the-worker" && frame.thread != game.pid)
    let second = try game.edit(
      "worker.c", "#define _GNU_SOURCE\n" + worker.replacing("usleep(1000)", with: "usleep(3000)"))
    #expect(second.running.contains { $0.function == "spin_here" && $0.generation == 1 }, "still")
    try game.stop()
  }

  @Test("What is said to people")
  func text() throws {
    let folder = try Workbench(.gccSections)
    func write(_ text: String) throws {
      try folder.write("game.c", text)
      try folder.compile("game.c")
    }
    func source(_ value: Int, _ body: String) -> String {
      "int tuned = \(value); int kept = 4;\nint f(void) { return \(body); }\nvoid tick(void) { kept++; }\n"
    }
    try write(source(1, "1"))
    let process = try ChildProcess(
      [
        try Tool.hotlinkPath(), "watch", "build", "--entry", "tick", "--hz", "200", "--frames",
        "24000",
      ],
      in: folder.folder.root, errors: folder.folder.path("stderr"))
    func wait(_ text: String) throws {
      let deadline = Date(timeIntervalSinceNow: WatchHarness.patience)
      while !said.contains(text) {
        guard Date() < deadline else { throw Tool.Failure(description: "no “\(text)” in \(said)") }
        usleep(5000)
      }
    }
    var said: String { String(decoding: folder.folder.bytes("stderr"), as: UTF8.self) }
    try wait("linked in")
    try write(source(2, "2"))
    try wait("generation 2")
    try folder.shell("touch build/game.o")
    try wait("same bytes")
    process.send(SIGTERM)
    _ = process.wait(seconds: 20)
    close(process.output)
    let timeless = said.replacing(try Regex(#"[0-9.]+ (µs|ms)"#), with: "T")
    #expect(
      timeless
        == """
        hotlink: 1 unit, 2 functions, 0 relocations linked in T
        hotlink: generation 2: game.o, 1 function changed, 1 kept, 1 with a new initial value | read T, link T, guard T, swap T | live now
        hotlink:   tuned (game.o): untouched, has its new initial value
        hotlink:   game.o: layouts not compared, it was compiled without -g; only sizes and symbols were
        hotlink:   changed: f
        hotlink: game.o: saved, but it holds the same bytes as before; nothing to reload
        hotlink: stopped after N frames

        """.replacing(
          "N frames",
          with: said.split(separator: "after ").last.map {
            String($0.prefix { $0.isNumber }) + " frames"
          } ?? ""))
  }
}
