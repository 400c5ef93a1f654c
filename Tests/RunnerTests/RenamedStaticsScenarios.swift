// Compilers rename variables that the source did not touch: gcc numbers the statics of functions over the file,
// clang takes static aggregates apart when it can. The program's values stay all the same.
import Testing

@Suite("Variables that compilers rename")
struct RenamedStaticsScenarios {
  static let toolchains = Toolchain.all + [Toolchain(c: "gcc", flags: ["-O3"]), .gcc.with("-Os")]

  @Test(
    "Statics of one name in several functions, with one added behind and before",
    arguments: toolchains)
  func numbered(_ toolchain: Toolchain) throws {
    func source(_ functions: [(name: String, start: Int)]) -> String {
      let bodies = functions.map {
        "__attribute__((noinline)) int \($0.name)(void) { static int n = \($0.start); static int calls; calls++; return n += 1 + calls * 0; }"
      }
      let words = functions.map { "\($0.name)=%d" }.joined(separator: " ")
      let calls = functions.map { "\($0.name)()" }.joined(separator: ", ")
      return "#include <stdio.h>\n" + bodies.joined(separator: "\n")
        + "\nvoid tick(void) { dprintf(1, \"\(words)\\n\", \(calls)); }\n"
    }
    let game = try WatchHarness(["game.c": source([("a", 100), ("b", 200)])], toolchain)
    for _ in 0..<3 { try game.line("a") }
    func edited(_ functions: [(name: String, start: Int)], fresh: String) throws {
      let reload = try game.edit("game.c", source(functions))
      let before = try game.last(before: reload, with: "a")
      let after = try game.line("a")
      for (name, start) in functions {
        let expected = name == fresh ? start + 1 : before.number(name).map { $0 + 1 }
        #expect(after.number(name) == expected, "\(name): \(before) → \(after), \(reload.verdicts)")
      }
      #expect(
        !reload.functions.contains { $0 == "a" || $0 == "b" }, "another number is no other function"
      )
    }
    try edited([("a", 100), ("b", 200), ("c", 300)], fresh: "c")
    try edited([("d", 400), ("a", 100), ("b", 200), ("c", 300)], fresh: "d")
    try edited([("d", 400), ("a", 100), ("b", 200)], fresh: "")
    try game.stop()
  }

  @Test(
    "A static struct and array that are whole, in parts, and whole again", arguments: Toolchain.all)
  func parts(_ toolchain: Toolchain) throws {
    func source(_ version: Int, whole: Bool) -> String {
      """
      #include <stdio.h>
      static struct { int x; short y; double z; } player = { 1, 2, 3.0 };
      static int table[4] = { 10, 20, 30, 40 };
      static volatile int which = 2;
      \(whole ? "void *escaped; int index_of(int i) { escaped = &player; return table[i & 3]; }" : "")
      void tick(void) {
        player.x++; player.y += 2; player.z += 0.5;
        table[0]++; table[1] += 2; table[2] += 3; table[3] += 4;
        dprintf(1, "v=\(version) x=%d y=%d z=%d a=%d b=%d c=%d d=%d w=%d\\n", player.x, player.y,
          (int)(player.z * 2), table[0], table[1], table[2], table[3], \(whole ? "index_of(which)" : "which"));
      }
      """
    }
    let steps = ["x": 1, "y": 2, "z": 1, "a": 1, "b": 2, "c": 3, "d": 4]
    let game = try WatchHarness(["game.c": source(1, whole: true)], toolchain)
    for _ in 0..<3 { try game.line("v") }
    for version in 2...5 {
      let reload = try game.edit("game.c", source(version, whole: version % 2 == 1))
      let before = try game.last(before: reload, with: "v")
      let after = try game.line("v")
      #expect(after["v"] == "\(version)")
      for (key, step) in steps {
        #expect(
          after.number(key) == before.number(key).map { $0 + step },
          "\(key): \(before) → \(after), \(reload.verdicts)")
      }
    }
    try game.stop()
  }

  @Test(
    "A type that is caught, beside variables that change their places", arguments: Toolchain.all)
  func caught(_ toolchain: Toolchain) throws {
    func source(_ first: String) -> String {
      """
      #include <cstdio>
      int target = 6;
      \(first)
      int last = 7;
      extern "C" void tick() {
        int caught = 0;
        try { throw 5L; } catch (long value) { caught = (int)value; }
        std::printf("caught=%d last=%d\\n", caught, last += moved > 0); std::fflush(stdout);
      }
      """
    }
    let game = try WatchHarness(["game.cpp": source("unsigned moved = 91;")], toolchain)
    try game.line("caught")
    for first in [
      "unsigned moved;",
      "static int extra = 3; unsigned moved = 4; int other() { return extra++; }",
      "unsigned moved = 91;",
    ] {
      game.skipToEnd()
      try game.save("game.cpp", source(first))
      _ = try game.answer()
      for _ in 0..<3 { #expect(try game.line("caught")["caught"] == "5") }
    }
    try game.stop()
  }

  @Test(
    "First values edited of one whose parts were not all touched: it is one variable",
    arguments: [(true, true), (true, false), (false, true)])
  func editedParts(_ split: (before: Bool, after: Bool)) throws {
    func source(_ version: Int, whole: Bool, _ first: String) -> String {
      """
      #include <stdio.h>
      static int table[4] = { \(first) };
      static volatile int which = 2;
      \(whole ? "int index_of(int i) { return table[i & 3]; }" : "")
      void tick(void) {
        table[0]++;
        if (which == 7) { table[1] += 2; table[2] += 3; table[3] += 4; }
        dprintf(1, "v=\(version) a=%d b=%d c=%d d=%d w=%d\\n", table[0], table[1], table[2], table[3],
          \(whole ? "index_of(which)" : "which"));
      }
      """
    }
    let toolchain = Toolchain.clangO2Sections
    let game = try WatchHarness(
      ["game.c": source(1, whole: !split.before, "10, 20, 30, 40")], toolchain)
    try game.line("a")
    let isSplit = (try? game.bench.shell("nm build/game.o | grep -q table.1")) != nil
    #expect(isSplit == split.before, "clang takes it apart, or this tests nothing")
    let reload = try game.edit("game.c", source(2, whole: !split.after, "11, 21, 31, 41"))
    let before = try #require(try game.last(before: reload, with: "a").number("a"))
    let after = try game.line("a")
    #expect(
      after.text.hasPrefix("v=2 a=\(before + 1) b=20 c=30 d=40"), "\(after) \(reload.verdicts)")
    try game.stop()
  }
}
