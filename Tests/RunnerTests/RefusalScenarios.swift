// Files that are no objects are refused by name, and the old generation runs on as if nothing had been; at the start the
// program ends. Objects that cannot be linked: Tests/Scenarios/refused.
import Testing

@Suite("Refused")
struct RefusalScenarios {
  static func source(_ version: Int) -> String {
    """
    #include <stdio.h>
    static int frames;
    void tick(void) { dprintf(1, "v=\(version) frames=%d\\n", ++frames); }
    """
  }

  /// The program runs on: no frame is missing, none came twice, and all are of one version.
  static func runsOn(_ game: WatchHarness, version: Int) throws {
    for _ in 0..<3 {
      let line = try game.line("v")
      #expect(line["v"] == "\(version)")
    }
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...frames.count), "the counter counts on")
  }

  @Test("An object cut off at twenty lengths", arguments: [Toolchain.gcc, .clangO2Sections])
  func truncated(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(["game.c": Self.source(1)], toolchain)
    try game.line()
    let whole = try game.bench.object("next.c", Self.source(2))
    for step in 0..<20 {
      game.skipToEnd()
      // The last one lacks a single byte.
      let length = step == 19 ? whole.count - 1 : whole.count * step / 20
      try game.bench.install(Array(whole[..<length]), as: "game.o")
      let refusal = try game.refused()
      #expect(refusal.unit?.hasSuffix("game.o") == true, "length \(length)")
      #expect(
        refusal.reason?.contains("game.o") == true, "length \(length): \(refusal.reason ?? "")")
    }
    try Self.runsOn(game, version: 1)
    game.skipToEnd()
    try game.bench.install(whole, as: "game.o")
    try game.reloaded()
    try Self.runsOn(game, version: 2)
    try game.stop()
  }

  @Test("A text file named .o, and an object for another machine")
  func strangers() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()

    game.skipToEnd()
    try game.bench.install(Array("int main(void) { return 0; }\n".utf8), as: "text.o")
    let text = try game.refused()
    #expect(text.unit?.hasSuffix("text.o") == true)
    #expect(text.reason?.contains("not an ELF file") == true)
    #expect(text.reason?.contains("text.o") == true)
    try Self.runsOn(game, version: 1)

    game.skipToEnd()
    try game.bench.write("far.c", "int far_away(void) { return 1; }")
    try game.bench.shell("clang --target=aarch64-unknown-linux-gnu -c far.c -o far.tmp")
    try game.bench.install(game.bench.folder.bytes("far.tmp"), as: "far.o")
    let machine = try game.refused()
    #expect(machine.unit?.hasSuffix("far.o") == true)
    #expect(machine.reason?.contains("another machine") == true)
    #expect(machine.reason?.lowercased().contains("aarch64") == true, "\(machine.reason ?? "")")
    try Self.runsOn(game, version: 1)

    game.skipToEnd()
    try game.bench.shell("gcc -m32 -c far.c -o far.tmp")
    try game.bench.install(game.bench.folder.bytes("far.tmp"), as: "far.o")
    #expect(try game.refused().unit?.hasSuffix("far.o") == true)

    // The other files can still be edited.
    try game.edit("game.c", Self.source(2))
    try Self.runsOn(game, version: 2)
    try game.stop()
  }

  @Test("At the start, a refusal ends with exit code 2 and the reason")
  func atStart() throws {
    for (object, word) in [
      (Array("just text".utf8), "not an ELF file"),
      (Array([0x7F, 0x45, 0x4C, 0x46]), "damaged.o"),
    ] {
      let game = try WatchHarness(["game.c": Self.source(1)], awaitStart: false) {
        try $0.folder.write(object, to: "build/damaged.o")
      }
      #expect(try game.end() == .exited(2))
      #expect(game.events.first?.event == "refused")
      #expect(game.events.first?.reason?.contains(word) == true)
    }
    let game = try WatchHarness(["game.c": "int not_tick(void) { return 1; }"], awaitStart: false)
    #expect(try game.end() == .exited(2))
    #expect(game.events.contains { $0.reason?.contains("'tick'") == true })
  }
}
