// A variable that grows: in place where there is room, otherwise refused by name. Pointers to it may
// exist, so it never moves.
import Testing

@Suite("A variable that grows")
struct GrowthScenarios {
  static func source(_ size: Int, _ version: Int) -> String {
    let first = (1...4).map { "\($0)" }.joined(separator: ", ")
    return """
      #include <stdio.h>
      int table[\(size)] = { \(first)\(size > 4 ? ", 5, 6, 7, 8" : "") };
      static int zeroes[\(size)];
      static int after = 77;
      static int *pointer;
      static int *zero_pointer;
      void tick(void) {
        if (!pointer) { pointer = table; zero_pointer = zeroes; table[0] = 100; zeroes[1] = 200; }
        after++;
        dprintf(1, "v=\(version) first=%d second=%d last=%d zero=%d zlast=%d after=%d same=%d%d\\n", table[0],
          table[1], table[\(size > 4 ? 7 : 3)], zeroes[1], zeroes[\(size - 1)], after,
          pointer == table, zero_pointer == zeroes);
      }
      """
  }

  @Test("in place, with sections", arguments: Toolchain.sectioned)
  func inPlace(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(["game.c": Self.source(4, 1)], toolchain)
    #expect(
      try game.line().text == "v=1 first=100 second=2 last=4 zero=200 zlast=0 after=78 same=11")
    let reload = try game.edit("game.c", Self.source(8, 2))
    let after = try #require(game.last(before: reload).number("after"))
    #expect(
      try game.line().text
        == "v=2 first=100 second=2 last=8 zero=200 zlast=0 after=\(after + 1) same=11")
    let grown = reload.verdict(on: "table")
    #expect(grown?.fate == "grown")
    #expect(grown?.from == 16)
    #expect(grown?.to == 32)
    #expect(reload.verdict(on: "zeroes")?.fate == "grown")
    try game.stop()
  }

  @Test("beyond its room: refused by name", arguments: Toolchain.all)
  func withoutRoom(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(["game.c": Self.source(4, 1)], toolchain)
    try game.line()
    let refusal = try game.editRefused("game.c", Self.source(100_000, 2))
    let reason = try #require(refusal.reason)
    #expect(reason.contains("'table'") || reason.contains("'zeroes'"), "\(reason)")
    #expect(reason.contains("grew"))
    #expect(refusal.unit?.hasSuffix("game.o") == true)
    let before = try #require(game.line().number("after"))
    #expect(
      try game.line().text
        == "v=1 first=100 second=2 last=4 zero=200 zlast=0 after=\(before + 1) same=11",
      "the old generation runs on its own state")
    // Undone, and edited elsewhere: nothing of the refused change is left.
    try game.edit("game.c", Self.source(4, 3))
    let line = try game.line()
    #expect(line.text.hasPrefix("v=3 first=100 second=2 last=4 zero=200 "))
    try game.stop()
  }

  @Test(
    "with default flags: in place, or refused by name", arguments: [Toolchain.gcc, .gccO2, .clang])
  func defaultFlags(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(["game.c": Self.source(4, 1)], toolchain)
    try game.line()
    game.skipToEnd()
    try game.save("game.c", Self.source(8, 2))
    let answer = try game.answer()
    let line = try game.line()
    #expect(line["zero"] == "200")
    #expect(line["first"] == "100")
    #expect(line["same"] == "11")
    if answer.event == "refused" {
      #expect(
        answer.reason?.contains("'table'") == true || answer.reason?.contains("'zeroes'") == true)
      #expect(line["v"] == "1")
    } else {
      #expect(line["v"] == "2")
      #expect(line["last"] == "8")
    }
    try game.stop()
  }
}
