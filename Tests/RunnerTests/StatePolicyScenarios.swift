// `--state`: where the rules leave a choice, a flag decides: for all state, for a unit, for one variable.
import Testing

@Suite("Policies for state")
struct StatePolicyScenarios {
  /// Two tuned values and a counter; `touched` is changed by the program, `idle` is not.
  static func source(_ version: Int, touched: Int, idle: Int) -> String {
    """
    #include <stdio.h>
    static int touched = \(touched);
    int idle = \(idle);
    static int inside(void) { static int n = 5; return ++n; }
    void tick(void) {
      touched++;
      dprintf(1, "v=\(version) touched=%d idle=%d n=%d\\n", touched, idle, inside());
    }
    """
  }

  private func run(
    _ arguments: [String], _ toolchain: Toolchain = .gcc
  ) throws -> (before: Line, after: Line, reload: RunnerEvent) {
    let game = try WatchHarness(
      ["game.c": Self.source(1, touched: 10, idle: 20)], toolchain, arguments: arguments)
    for _ in 0..<3 { try game.line("v") }
    let reload = try game.edit("game.c", Self.source(2, touched: 1000, idle: 2000))
    let before = try game.last(before: reload, with: "v")
    let after = try game.line("v")
    #expect(after["v"] == "2")
    try game.stop()
    return (before, after, reload)
  }

  private func continues(_ before: Line, _ after: Line, _ key: String) {
    #expect(after.number(key) == before.number(key).map { $0 + 1 }, "\(key) goes on")
  }

  @Test("keep is what happens without a flag", arguments: Toolchain.all)
  func keep(_ toolchain: Toolchain) throws {
    for arguments in [[], ["--state", "keep"]] {
      let (before, after, reload) = try run(arguments, toolchain)
      continues(before, after, "touched")
      continues(before, after, "n")
      #expect(after["idle"] == "2000")
      #expect(reload.verdict(on: "touched")?.fate == "kept_over_edit")
      #expect(reload.verdict(on: "idle")?.fate == "reinitialised")
    }
  }

  @Test("hold: an edited initial value is nothing to anybody", arguments: Toolchain.few)
  func hold(_ toolchain: Toolchain) throws {
    let (before, after, reload) = try run(["--state", "hold"], toolchain)
    continues(before, after, "touched")
    #expect(after["idle"] == "20")
    let verdict = try #require(reload.verdict(on: "idle"))
    #expect(verdict.fate == "kept_over_edit" && verdict.value == 20 && verdict.source == 2000)
  }

  @Test("source: an edited initial value wins; what was not edited stays", arguments: Toolchain.few)
  func sourceWins(_ toolchain: Toolchain) throws {
    let (before, after, reload) = try run(["--state=source"], toolchain)
    #expect(after["touched"] == "1001" && after["idle"] == "2000")
    continues(before, after, "n")
    let verdict = try #require(reload.verdict(on: "touched"))
    #expect(verdict.fate == "overwritten" && verdict.source == 1000)
    #expect(verdict.value == before.number("touched").map { Int64($0) })
  }

  @Test("reset: initial values at each reload", arguments: Toolchain.all)
  func reset(_ toolchain: Toolchain) throws {
    let (_, after, reload) = try run(["--state", "reset"], toolchain)
    #expect(after["touched"] == "1001" && after["idle"] == "2000" && after["n"] == "6")
    #expect(reload.verdicts.count { $0.fate == "reset" } == 3)
  }

  @Test(
    "One variable, one unit, one variable of a unit: the most particular counts",
    arguments: [
      ["--state", "touched=reset"], ["--state", "hold", "--state", "touched=reset"],
      ["--state", "game.o=hold", "--state", "game.o:touched=reset"],
      ["--state", "build/game.o=reset", "--state", "inside=keep", "--state", "n=keep"],
    ])
  func particular(_ arguments: [String]) throws {
    let (before, after, _) = try run(arguments)
    #expect(after["touched"] == "1001")
    continues(before, after, "n")
    let idle = arguments.contains { $0.hasSuffix("hold") } ? "20" : "2000"
    #expect(after["idle"] == idle)
  }

  @Test(
    "A variable that outgrew its place: refused, or moved with its value",
    arguments: Toolchain.sectioned)
  func move(_ toolchain: Toolchain) throws {
    func source(_ count: Int) -> String {
      """
      #include <stdio.h>
      int table[\(count)] = { 1, 2, 3 };
      int behind = 7;
      void tick(void) {
        table[0]++; table[\(count) - 1]++;
        dprintf(1, "size=%d first=%d last=%d behind=%d other=%d\\n", (int)sizeof table, table[0],
          table[\(count) - 1], ++behind, other());
      }
      """.replacing("#include <stdio.h>", with: "#include <stdio.h>\nint other(void);")
    }
    let other = "extern int table[]; int other(void) { return table[0] * 10; }"
    let sources = ["game.c": source(4), "other.c": other]
    let refusing = try WatchHarness(sources, toolchain)
    try refusing.line("size")
    let refusal = try refusing.editRefused("game.c", source(5000))
    #expect(refusal.reason?.contains("--state table=move") == true, "\(refusal.reason ?? "")")
    try refusing.edit("game.c", source(4))
    try refusing.stop()

    let game = try WatchHarness(sources, toolchain, arguments: ["--state", "table=move"])
    try game.line("size")
    let reload = try game.edit("game.c", source(5000))
    let before = try game.last(before: reload, with: "size")
    let after = try game.line("size")
    #expect(after["size"] == "20000")
    continues(before, after, "first")
    continues(before, after, "behind")
    #expect(after["last"] == "1")
    #expect(
      after.number("other") == after.number("first").map { $0 * 10 }, "the other unit follows")
    let verdict = try #require(reload.verdict(on: "table"))
    #expect(verdict.fate == "moved_with_value" && verdict.from == 16 && verdict.to == 20000)
    #expect(reload.relinkedFiles.sorted() == ["game.o", "other.o"])
    let next = try game.edit("game.c", source(4999))
    let last = try game.last(before: next, with: "size")
    continues(last, try game.line("size"), "first")
    try game.stop()
  }

  /// g++ makes one function that initialises all of a file.
  static func objects(_ extra: String) -> String {
    """
    #include <cstdio>
    struct Thing {
      int value;
      Thing(int v) : value(v) { std::printf("made=%d\\n", v); std::fflush(stdout); }
      ~Thing() { std::printf("ended=%d\\n", value); std::fflush(stdout); }
    };
    Thing one(1);
    \(extra)
    int plain = 30;
    extern "C" void tick() { one.value += 10; std::printf("one=%d plain=%d\\n", one.value, ++plain); std::fflush(stdout); }
    """
  }

  @Test("A unit that needs a reset: refused by name, reset with a flag, each object ended once")
  func needsReset() throws {
    let (old, new) = (Self.objects(""), Self.objects("Thing two(2);"))
    let refusing = try WatchHarness(["game.cpp": old], .gcc)
    try refusing.line("one")
    let refusal = try refusing.editRefused("game.cpp", new)
    #expect(
      refusal.reason?.contains("--state game.o=reset-when-needed") == true,
      "\(refusal.reason ?? "")")
    #expect(refusing.count("made=") == 1)
    try refusing.edit("game.cpp", old)
    try refusing.stop()

    let game = try WatchHarness(
      ["game.cpp": old], .gcc, arguments: ["--state", "game.o=reset-when-needed"])
    try game.line("one")
    let body = try game.edit("game.cpp", old.replacing("+= 10", with: "+= 20"))
    #expect(body.verdicts.allSatisfy { $0.fate != "reset" }, "only when needed")
    let reload = try game.edit("game.cpp", new)
    let line = try game.line("one")
    #expect(line["one"] == "11" && line["plain"] == "31")
    #expect(reload.verdicts.contains { $0.fate == "reset" && $0.symbol == "one" })
    #expect(game.count("made=1") == 2 && game.count("made=2") == 1 && game.count("ended=") == 1)
    try game.stop()
    #expect(game.count("ended=") == 3, "\(game.lines.map(\.text).filter { $0.contains("ended") })")
  }

  @Test("Swift: globals of a unit are initialised anew", arguments: SwiftMode.all)
  func swift(_ mode: SwiftMode) throws {
    func source(_ version: Int) -> String {
      """
      import Glibc
      final class Player { var score: Int; init(_ score: Int) { self.score = score } }
      var player = Player(Int(getpid() > 0 ? 50 : 0))
      var count = 7
      @c public func tick() {
        player.score += 1; count += 1
        fputs("v=\(version) p=\\(player.score) c=\\(count)\\n", stdout); fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(
      ["game.swift": source(1)], swift: mode, arguments: ["--state", "count=reset"])
    for _ in 0..<3 { try game.line("v") }
    let reload = try game.edit("game.swift", source(2))
    let before = try game.last(before: reload, with: "v")
    let after = try game.line("v")
    #expect(after.number("p") == before.number("p").map { $0 + 1 })
    #expect(after.number("c") == before.number("c").map { $0 + 1 }, "one variable of Swift is kept")
    try game.stop()
  }
}
