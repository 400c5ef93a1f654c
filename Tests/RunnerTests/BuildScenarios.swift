// Build tools write, rename, unlink and undo; whatever they do, the newest whole object runs in the end.
import Foundation
import Testing

@Suite("Builds")
struct BuildScenarios {
  static func source(_ version: Int) -> String {
    """
    #include <stdio.h>
    static int frames;
    void tick(void) { dprintf(1, "v=\(version) frames=%d\\n", ++frames); }
    """
  }

  /// Demands that state went on through everything.
  static func expectUnbroken(_ game: WatchHarness) {
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...max(frames.count, 1)))
  }

  @Test("Compiled beside and renamed over, as make and ccache do")
  func renamedOver() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()
    for version in 2...4 {
      game.skipToEnd()
      try game.bench.write("game.c", Self.source(version))
      try game.bench.shell("gcc -c game.c -o build/game.o.tmp && mv build/game.o.tmp build/game.o")
      try game.reloaded()
      #expect(try game.line()["v"] == "\(version)")
    }
    #expect(game.events.count == 4, "one event for each build")
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("ld -r in place")
  func partialLink() throws {
    func part(_ version: Int) -> String { "int part(void) { return \(version); }" }
    let game = try WatchHarness([:]) {
      try $0.write(
        "a.c",
        "int part(void);\n"
          + Self.source(1).replacing("frames=", with: "p=%d frames=").replacing(
            "++frames", with: "part(), ++frames"))
      try $0.write("b.c", part(1))
      try $0.shell("gcc -c a.c b.c && ld -r -o build/game.o a.o b.o")
    }
    #expect(try game.line()["p"] == "1")
    for version in 2...5 {
      game.skipToEnd()
      try game.bench.write("b.c", part(version))
      try game.bench.shell("gcc -c b.c && ld -r -o build/game.o a.o b.o")
      try game.reloaded()
      #expect(try game.line()["p"] == "\(version)")
    }
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("Rewritten in place, byte range by byte range")
  func slowWriter() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()
    let bytes = try game.bench.object("next.c", Self.source(2))
    game.skipToEnd()
    let file = try #require(FileHandle(forWritingAtPath: game.bench.folder.path("build/game.o")))
    try file.truncate(atOffset: 0)
    for start in stride(from: 0, to: bytes.count, by: 256) {
      try file.write(contentsOf: bytes[start..<min(start + 256, bytes.count)])
      usleep(10_000)
    }
    try file.close()
    try game.reloaded()
    #expect(try game.line()["v"] == "2")
    #expect(game.events.count == 2, "half a file is no news: \(game.events.map(\.event))")
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("Deleted and made anew at once, while it runs")
  func recreated() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()
    for version in 2...6 {
      let bytes = try game.bench.object("next.c", Self.source(version))
      game.skipToEnd()
      try FileManager.default.removeItem(atPath: game.bench.folder.path("build/game.o"))
      try game.bench.folder.write(bytes, to: "build/game.o")
      try game.reloaded()
      #expect(try game.line()["v"] == "\(version)")
    }
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("The build folder's subfolders, one of them new")
  func subfolders() throws {
    func part(_ value: Int) -> String { "int part(void) { return \(value); }" }
    let main = """
      #include <stdio.h>
      int part(void);
      static int frames;
      void tick(void) { dprintf(1, "v=%d frames=%d\\n", FRAME, ++frames); }
      """
    let game = try WatchHarness(["main.c": main.replacing("FRAME", with: "0")])
    try game.line()
    game.skipToEnd()
    try game.bench.write("part.c", part(7))
    try game.bench.shell("mkdir -p build/deep/deeper && gcc -c part.c -o build/deep/deeper/part.o")
    try game.reloaded()
    try game.edit("main.c", main.replacing("FRAME", with: "part()"))
    #expect(try game.line()["v"] == "7")
    game.skipToEnd()
    try game.bench.write("part.c", part(8))
    try game.bench.shell("gcc -c part.c -o build/deep/deeper/part.o")
    try game.reloaded()
    #expect(try game.line()["v"] == "8")
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("Two edits in quick succession end at the newest", arguments: 0..<5)
  func quickSuccession(_ round: Int) throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()
    let second = try game.bench.object("game.c", Self.source(2))
    let third = try game.bench.object("game.c", Self.source(3))
    try game.bench.folder.write(second, to: "second.o")
    try game.bench.folder.write(third, to: "third.o")
    game.skipToEnd()
    rename(game.bench.folder.path("second.o"), game.bench.folder.path("build/game.o"))
    usleep(UInt32(round) * 500)
    rename(game.bench.folder.path("third.o"), game.bench.folder.path("build/game.o"))
    try game.line(where: { $0["v"] == "3" })
    usleep(300_000)
    try game.stop()
    let versions = game.lines.compactMap { $0.number("v") }
    #expect(versions == versions.sorted(), "never back to an older one")
    #expect(versions.last == 3)
    Self.expectUnbroken(game)
  }

  @Test("Two files changed by one build take effect together or one after the other")
  func twoFiles() throws {
    func main(_ version: Int) -> String {
      """
      #include <stdio.h>
      int part(void);
      static int frames;
      void tick(void) { dprintf(1, "v=\(version) p=%d frames=%d\\n", part(), ++frames); }
      """
    }
    func part(_ version: Int) -> String { "int part(void) { return \(version); }" }
    let game = try WatchHarness(["main.c": main(1), "part.c": part(1)])
    try game.line()
    for version in 2...6 {
      let (a, b) = try (
        game.bench.object("main.c", main(version)), game.bench.object("part.c", part(version))
      )
      game.skipToEnd()
      try game.bench.install(a, as: "main.o")
      try game.bench.install(b, as: "part.o")
      let line = try game.line(where: { $0["v"] == "\(version)" && $0["p"] == "\(version)" })
      #expect(line.text.hasPrefix("v=\(version) p=\(version) "))
    }
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("An edit undone is an edit; the same bytes again are none")
  func undone() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()
    try game.edit("game.c", Self.source(2))
    #expect(try game.line()["v"] == "2")
    try game.edit("game.c", Self.source(1))
    #expect(try game.line()["v"] == "1")
    let reloads = game.events.count { $0.event == "reloaded" }
    game.skipToEnd()
    try game.save("game.c", Self.source(1))
    let answer = try game.next()
    #expect(answer.event == "unchanged" && answer.unitFiles == ["game.o"], "and says so")
    #expect(answer.reason?.contains("same bytes") == true)
    try game.bench.shell("touch build/game.o; cp build/game.o copy.o; mv copy.o build/game.o")
    usleep(700_000)
    #expect(game.events.count { $0.event == "reloaded" } == reloads, "nothing changed")
    try game.edit("game.c", Self.source(3))
    #expect(try game.line()["v"] == "3")
    try game.stop()
    Self.expectUnbroken(game)
  }

  @Test("Files that are no units disturb nobody")
  func otherFiles() throws {
    let game = try WatchHarness(["game.c": Self.source(1)])
    try game.line()
    try game.bench.shell(
      "echo x > build/game.d; cp game.c build/game.c; mkdir build/empty; echo y > build/.game.o.swp"
    )
    usleep(400_000)
    #expect(game.events.count == 1)
    try game.edit("game.c", Self.source(2))
    #expect(try game.line()["v"] == "2")
    try game.stop()
    Self.expectUnbroken(game)
  }
}
