// A Swift file that gets its first type while it runs: its records know each other by distance, so they come and stay together, and the
// file goes on to be edited.
import Testing

@Suite("The first type of a Swift file")
struct SwiftTypeScenarios {
  private static func source(_ version: Int, _ types: String, _ text: String) -> String {
    """
    import Glibc
    \(types)
    nonisolated(unsafe) var frames = 0
    @_cdecl("tick") public func tick() {
      frames += 1
      var line = "v=\(version) frames=\\(frames) is=\(text)\\n"
      line.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
    }
    """
  }

  @Test("added, used, edited, and edited again", arguments: SwiftMode.all)
  func first(_ mode: SwiftMode) throws {
    let game = try WatchHarness(["game.swift": Self.source(1, "", "nothing")], swift: mode)
    #expect(try game.line()["is"] == "nothing")
    let player =
      "struct Player { var hp = 7; var tag = 3 }\nnonisolated(unsafe) var player = Player()"
    let reflected =
      "\\(String(reflecting: type(of: player as Any))),\\(Mirror(reflecting: player).children.count)"
    try game.edit("game.swift", Self.source(2, player, reflected))
    #expect(try game.line()["is"] == "game.Player,2")
    try game.edit("game.swift", Self.source(3, player, "\\(player.hp)"))
    #expect(try game.line()["is"] == "7")
    try game.edit(
      "game.swift",
      Self.source(
        4, player + "\nextension Player { func twice() -> Int { 2 * hp } }", "\\(player.twice())"))
    #expect(try game.line()["is"] == "14")
    let refusal = try game.editRefused(
      "game.swift", Self.source(5, player.replacing("var hp", with: "var mana = 1; var hp"), "x"))
    #expect(refusal.reason?.contains("mana is new") == true, "\(refusal.reason ?? "")")
    #expect(try game.line()["is"] == "14")
    try game.edit("game.swift", Self.source(6, player, reflected))
    #expect(try game.line()["is"] == "game.Player,2")
    try game.stop()
  }
}
