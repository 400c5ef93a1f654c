// The variables of a shared object over its builds: kept where they are, new, gone, resized, re-ordered; their
// first values edited; thread-local ones.
import Foundation
import Testing

@Suite("State of shared objects")
struct LibraryStateScenarios {
  /// A library that counts frames and prints some expressions.
  static func source(_ version: Int, _ variables: String, _ report: String, _ code: String = "")
    -> String
  {
    let format = report.split(separator: ",").map { name in
      "\(name.filter { $0.isLetter || $0.isNumber })=%d"
    }.joined(separator: " ")
    let rest = report.isEmpty ? "" : ", " + report
    return """
      #include <stdio.h>
      \(variables)
      static int frames;
      void tick(void) {
        \(code)
        frames++;
        dprintf(1, "v=\(version) frames=%d \(format)\\n", frames\(rest));
      }
      """
  }

  private func expectNoFrameLost(_ game: WatchHarness) {
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1..<(1 + frames.count)))
  }

  @Test("Variables that come, go and change places", arguments: LibraryBuild.few)
  func addedRemovedReordered(_ build: LibraryBuild) throws {
    let first = "static int a = 1; static int b = 2; int c = 3; static int z1, z2; int z3;"
    let report = "++a, ++b, ++c, ++z1, z2 += 2, z3 += 3"
    let game = try WatchHarness(libraries: [("libgame.c", Self.source(1, first, report))], build)
    try game.line(where: { $0.number("frames") == 3 })

    let second =
      "int z3; int before = 77; static int z2, z1; int c = 3; static int b = 2; static int a = 1; int zero[9];"
    let reload = try game.rebuild(
      "libgame.c", Self.source(2, second, report + ", ++before, zero[8] += 9"), build)
    var frames = try #require(game.last(before: reload).number("frames")) + 1
    #expect(
      try game.line().text
        == "v=2 frames=\(frames) a=\(1 + frames) b=\(2 + frames) c=\(3 + frames) z1=\(frames)"
        + " z22=\(2 * frames) z33=\(3 * frames) before=78 zero89=9")
    #expect(reload.verdict(on: "before")?.fate == "added")
    #expect(reload.verdict(on: "zero")?.fate == "added")

    let third = try game.rebuild(
      "libgame.c", Self.source(3, "static int b = 2; int zero[9];", "++b, zero[8] += 9"), build)
    let grown = frames
    frames = try #require(game.last(before: third).number("frames")) + 1
    #expect(
      try game.line().text
        == "v=3 frames=\(frames) b=\(2 + frames) zero89=\(9 * (frames - grown + 1))")
    for name in ["a", "c", "z1", "z2", "z3", "before"] {
      #expect(third.verdicts.contains { $0.symbol == name && $0.fate == "removed" }, "\(name)")
    }
    try game.stop()
    expectNoFrameLost(game)
  }

  @Test(
    "A variable that grows is refused by name; undone, all goes on", arguments: LibraryBuild.few)
  func grown(_ build: LibraryBuild) throws {
    func variables(_ size: Int) -> String {
      "int before = 5; int grower[\(size)] = { 1 }; int after = 6;"
    }
    let report = "++grower[0], ++before, ++after"
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables(2), report))], build)
    try game.line()
    let refusal = try game.rebuildRefused(
      "libgame.c", Self.source(2, variables(200), report), build)
    #expect(refusal.reason?.contains("'grower'") == true)
    #expect(refusal.reason?.contains("800") == true)
    #expect(try game.line()["v"] == "1")
    try game.rebuild("libgame.c", Self.source(3, variables(2), report), build)
    let line = try game.line()
    let frames = try #require(line.number("frames"))
    #expect(
      line.text
        == "v=3 frames=\(frames) grower0=\(1 + frames) before=\(5 + frames) after=\(6 + frames)")
    // A smaller one fits.
    let reload = try game.rebuild("libgame.c", Self.source(4, variables(1), report), build)
    #expect(reload.verdict(on: "grower")?.fate == "shrunk")
    #expect(try game.line().number("grower0") == game.line().number("grower0").map { $0 - 1 })
    try game.stop()
    expectNoFrameLost(game)
  }

  @Test(
    "An edited first value: untouched variables take it, others keep theirs",
    arguments: LibraryBuild.few)
  func initialValues(_ build: LibraryBuild) throws {
    func variables(_ value: Int) -> String {
      """
      volatile int tuned = \(value); static volatile int hidden = \(value); int counted = \(value);
      struct { const char *name; int hits; } player = { "bob", 0 };
      const char *names[3] = { "one", "two", "three" };
      int other(void) { return hidden; }
      """
    }
    let report =
      "(int)tuned, other(), ++counted, ++player.hits, (int)names[1][0], (int)player.name[2]"
    func expected(_ frames: Int, _ version: Int, _ tuned: Int) -> String {
      "v=\(version) frames=\(frames) inttuned=\(tuned) other=\(tuned) counted=\(100 + frames)"
        + " playerhits=\(frames) intnames10=116 intplayername2=98"
    }
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables(100), report))], build)
    #expect(try game.line().text == expected(1, 1, 100))
    let reload = try game.rebuild("libgame.c", Self.source(2, variables(900), report), build)
    let frames = try #require(game.last(before: reload).number("frames"))
    #expect(try game.line().text == expected(frames + 1, 2, 900))
    #expect(reload.verdict(on: "tuned")?.fate == "reinitialised")
    #expect(reload.verdict(on: "hidden")?.fate == "reinitialised")
    let kept = try #require(reload.verdict(on: "counted"))
    #expect(kept.fate == "kept_over_edit")
    #expect(kept.value == Int64(100 + frames))
    #expect(kept.source == 900)
    #expect(reload.verdict(on: "player") == nil, "its literal is another copy, no edit")
    #expect(reload.verdict(on: "names") == nil)
    #expect(reload.reinitialised == 2)
    try game.stop()
  }

  @Test("An edited literal in a table that nobody has touched", arguments: LibraryBuild.few)
  func literalInTable(_ build: LibraryBuild) throws {
    func variables(_ word: String) -> String {
      "const char *names[2] = { \"zero\", \"\(word)\" }; const char *touched = \"\(word)\";"
    }
    let code = "static char own[] = \"xyz\"; touched = own;"
    let report = "(int)names[1][0], (int)touched[0]"
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables("abc"), report, code))], build)
    #expect(try game.line().text == "v=1 frames=1 intnames10=97 inttouched0=120")
    let reload = try game.rebuild(
      "libgame.c", Self.source(2, variables("def"), report, code), build)
    #expect(reload.verdict(on: "names")?.fate == "reinitialised")
    #expect(reload.verdict(on: "touched")?.fate == "kept_over_edit")
    let frames = try #require(game.last(before: reload).number("frames"))
    #expect(try game.line().text == "v=2 frames=\(frames + 1) intnames10=100 inttouched0=120")
    try game.stop()
  }

  @Test("Arrays that are walked to their ends", arguments: LibraryBuild.most)
  func walked(_ build: LibraryBuild) throws {
    func variables(_ version: Int, _ more: String) -> String {
      """
      \(more)
      static int numbers[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
      static int zeros[64];
      static struct { int x, y; } pairs[5];
      __attribute__((noinline)) static int walk(void) {
        int sum = 0;
        for (int *p = numbers; p != numbers + 8; p++) sum += ++*p;
        for (int *p = zeros; p < zeros + 64; p++) sum += ++*p;
        for (int i = 4; i >= 0; i--) { pairs[i].x++; pairs[i].y += 2; sum += pairs[i].x + pairs[i].y; }
        for (int *p = zeros + 63; p >= zeros; p--) sum += *p * \(version - version);
        return sum;
      }
      """
    }
    // 8 + 8f + 64f + 15f
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables(1, ""), "walk()"))], build)
    #expect(try game.line()["walk"] == "95")
    var version = 1
    for more in ["static int early = 1; int *use_early(void) { return &early; }", "int late[7];"] {
      version += 1
      game.skipToEnd()
      try game.bench.library(
        "libgame.c", Self.source(version, variables(version, more), "walk()"), build)
      let answer = try game.answer()
      let line = try game.line()
      let frames = try #require(line.number("frames"))
      // Where it is not known which of two variables an end belongs to, the build is refused.
      #expect(line["v"] == "\(version)" || answer.event == "refused")
      if answer.event == "refused" {
        #expect(answer.reason?.contains("ambiguous") == true, "\(answer.reason ?? "")")
      }
      #expect(line.number("walk") == 8 + 87 * frames, "\(answer.event) \(answer.reason ?? "")")
    }
    try game.stop()
    for line in game.lines {
      let frames = try #require(line.number("frames"))
      #expect(line.number("walk") == 8 + 87 * frames, "\(line)")
    }
  }

  @Test("Pointers into kept data, and from it, stay right", arguments: LibraryBuild.few)
  func pointers(_ build: LibraryBuild) throws {
    func variables(_ more: String) -> String {
      """
      \(more)
      static int target = 10; int open_target = 20;
      static int *inner = &target; int **outer = &inner;
      int *first[2] = { &target, &open_target };
      static struct node { struct node *next; int n; } two, one = { &two, 1 }, two = { &one, 2 };
      static int *late;
      """
    }
    let report =
      "++**outer, ++*first[1], one.next->n++, one.next->next == &one, late == &target, inner == first[0]"
    let code = "if (!late) late = &target;"
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables(""), report, code))], build)
    try game.line()
    for version in 2...3 {
      let more = "int padding\(version)[13] = { 5 };"
      let reload = try game.rebuild(
        "libgame.c", Self.source(version, variables(more), report, code), build)
      let frames = try #require(game.last(before: reload).number("frames")) + 1
      let line = try game.line()
      #expect(
        line.text.hasPrefix(
          "v=\(version) frames=\(frames) outer=\(10 + frames) first1=\(20 + frames)"
            + " onenextn=\(1 + frames)"), "\(line)")
      #expect(line["onenextnextone"] == "1")
      #expect(line["latetarget"] == "1")
      #expect(line["innerfirst0"] == "1")
    }
    try game.stop()
  }

  static let models = [
    LibraryBuild.gcc, .gccO2, .gccO2.with("-mtls-dialect=gnu2"),
    .gccO2.with("-ftls-model=initial-exec"),
    .clangO2, .clang.with("-ftls-model=initial-exec"), .gccO2.with("-ftls-model=local-dynamic"),
  ]

  @Test("Thread-local variables, also of threads that run already", arguments: models)
  func threadLocals(_ build: LibraryBuild) throws {
    func source(_ version: Int) -> String {
      """
      #include <pthread.h>
      #include <stdio.h>
      #include <unistd.h>
      static __thread int mine = 1000;
      __thread long open_one = 7;
      static __thread char zeros[100];
      static volatile int worker_value, worker_version, started;
      __attribute__((noinline)) void work(void) {
        worker_value = ++mine + (zeros[99] ? 0 : 0) ; zeros[99] = 1; worker_version = \(version);
      }
      static void *worker(void *unused) { for (;;) { work(); usleep(500); } return unused; }
      void tick(void) {
        pthread_t thread;
        if (!started++) pthread_create(&thread, 0, worker, 0);
        dprintf(1, "v=\(version) mine=%d open=%ld worker=%d w=%d\\n", mine += 10, ++open_one, worker_value,
          worker_version);
      }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(1))], build)
    #expect(try game.line()["mine"] == "1010")
    try game.line(where: { $0.number("worker") ?? 0 > 1002 })
    for version in 2...3 {
      let reload = try game.rebuild("libgame.c", source(version), build)
      let before = try game.last(before: reload)
      let after = try game.line()
      #expect(after["v"] == "\(version)")
      #expect(after.number("mine") == before.number("mine").map { $0 + 10 })
      #expect(after.number("open") == before.number("open").map { $0 + 1 })
      try game.line(where: { $0["w"] == "\(version)" })
      let worker = game.lines.compactMap { $0.number("worker") }
      #expect(zip(worker, worker.dropFirst()).allSatisfy { $0 <= $1 }, "the worker's own counts on")
    }
    try game.stop()
  }

  @Test(
    "Thread-local variables that move are refused; one that comes new is found",
    arguments: LibraryBuild.few)
  func threadLayout(_ build: LibraryBuild) throws {
    func variables(_ more: String) -> String { "static __thread int mine = 5; \(more)" }
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables(""), "++mine"))], build)
    try game.line()
    let refusal = try game.rebuildRefused(
      "libgame.c",
      Self.source(
        2, "static __thread long front[9] = { 1 };" + variables(""), "++mine, (int)++front[8]"),
      build)
    #expect(refusal.reason?.contains("thread-local") == true)
    try game.rebuild("libgame.c", Self.source(3, variables("int plain;"), "++mine, ++plain"), build)
    let line = try game.line()
    #expect(line.number("mine") == line.number("frames").map { $0 + 5 })
    #expect(line["plain"] == "1")
    // None before: the first ones are new.
    let other = try WatchHarness(libraries: [("libgame.c", Self.source(1, "", ""))], build)
    try other.line()
    try other.rebuild("libgame.c", Self.source(2, variables(""), "++mine"), build)
    #expect(try other.line()["mine"] == "6")
    #expect(try other.line()["mine"] == "7")
    try other.stop()
    try game.stop()
  }

  @Test("An edited first value of a thread-local variable is told", arguments: LibraryBuild.few)
  func threadValue(_ build: LibraryBuild) throws {
    func variables(_ value: Int) -> String { "static __thread int mine = \(value);" }
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.source(1, variables(5), "++mine"))], build)
    try game.line()
    let reload = try game.rebuild("libgame.c", Self.source(2, variables(500), "++mine"), build)
    #expect(reload.verdict(on: "mine")?.fate == "kept_over_edit")
    let line = try game.line()
    #expect(line.number("mine") == line.number("frames").map { $0 + 5 })
    try game.stop()
  }

  @Test("State that no symbol names refuses a build that refers to it")
  func unnamedState() throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      __asm__(".data\\n .align 8\\n.Lsecret: .long 40\\n .long 0\\n.text\\n"
        ".type bump,@function\\nbump: incl .Lsecret(%rip)\\n movl .Lsecret(%rip), %eax\\n ret\\n .size bump, .-bump");
      int bump(void) __asm__("bump");
      void tick(void) { dprintf(1, "v=\(version) n=%d\\n", bump()); }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(1))], .gcc)
    #expect(try game.line()["n"] == "41")
    let refusal = try game.rebuildRefused("libgame.c", source(2), .gcc)
    #expect(refusal.reason?.contains("no names") == true)
    try game.line()
    try game.stop()
    let values = game.lines.compactMap { $0.number("n") }
    #expect(values == Array(41..<(41 + values.count)))
  }

  @Test("Hand-written code, and data in the text", arguments: [LibraryBuild.gcc, .clangO2])
  func assembly(_ build: LibraryBuild) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      static int state = 100;
      __asm__(".text\\n.type numbers,@object\\nnumbers: .long \(version), 0x06060606, 0xffffffff\\n.size numbers, 12\\n"
        ".type fetch,@function\\nfetch: leaq numbers(%rip), %rax\\n movl (%rax), %eax\\n ret\\n.size fetch, .-fetch\\n");
      int fetch(void);
      void tick(void) { dprintf(1, "v=%d n=%d\\n", fetch(), ++state); }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(1))], build)
    #expect(try game.line().text == "v=1 n=101")
    game.skipToEnd()
    try game.bench.library("libgame.c", source(2), build)
    let answer = try game.answer()
    let line = try game.line()
    if answer.event == "refused" {
      #expect(answer.reason?.contains("decoded") == true)
      #expect(line["v"] == "1")
    } else {
      #expect(line["v"] == "2")
    }
    try game.stop()
    let values = game.lines.compactMap { $0.number("n") }
    #expect(values == Array(101..<(101 + values.count)))
  }
}
