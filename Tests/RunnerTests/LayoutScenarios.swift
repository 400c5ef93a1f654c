// A type that something kept has changes: refused, with both layouts; the program goes on with its state, and
// undoing the edit is accepted. What changes no layout is never refused.
import Testing

@Suite("Layouts are guarded")
struct LayoutScenarios {
  /// The program runs another thousand frames with the same state.
  static func runsOn(_ game: WatchHarness, _ sum: Int, frames: Int = 1000) throws {
    let from = try game.line("frames").number("frames") ?? 0
    let line = try game.line { ($0.number("frames") ?? 0) >= from + frames }
    #expect(line.number("sum") == sum)
  }

  static func start(_ edit: LayoutCase, _ toolchain: Toolchain, _ arguments: [String] = []) throws
    -> (WatchHarness, sum: Int)
  {
    let game = try WatchHarness(
      [edit.file: edit.source(edit.before)], toolchain, hz: 4000, arguments: arguments)
    return (game, try #require(try game.line("frames").number("sum")))
  }

  private func refuses(_ edit: LayoutCase, _ toolchain: Toolchain) throws {
    let (game, sum) = try Self.start(edit, toolchain)
    let refusal = try game.editRefused(edit.file, edit.source(edit.after))
    for part in edit.told {
      #expect(refusal.reason?.contains(part) == true, "\(part) in \(refusal.reason ?? "")")
    }
    #expect(refusal.unit?.hasSuffix("game.o") == true)
    #expect(refusal.layouts.first?.differences.first?.old.name.isEmpty == false)
    try Self.runsOn(game, sum)
    try game.edit(edit.file, edit.source(edit.before))
    try Self.runsOn(game, sum, frames: 100)
    try game.stop()
  }

  @Test("Refused in C", arguments: LayoutCase.inC, Toolchain.debugging)
  func inC(_ edit: LayoutCase, _ toolchain: Toolchain) throws { try refuses(edit, toolchain) }

  @Test("Refused in C++", arguments: LayoutCase.inCxx, Toolchain.debugging)
  func inCxx(_ edit: LayoutCase, _ toolchain: Toolchain) throws { try refuses(edit, toolchain) }

  @Test("Never refused", arguments: LayoutCase.harmless, Toolchain.debugging)
  func harmless(_ edit: LayoutCase, _ toolchain: Toolchain) throws {
    let (game, sum) = try Self.start(edit, toolchain)
    let reload = try game.edit(edit.file, edit.source(edit.after))
    #expect(reload.blind.isEmpty)
    try Self.runsOn(game, sum, frames: 100)
    try game.stop()
  }

  @Test("Every format of debug data", arguments: ["gcc", "clang"], Toolchain.debugFormats)
  func formats(_ compiler: String, _ flags: [String]) throws {
    let toolchain = Toolchain(c: compiler, flags: ["-g"] + flags)
    for edit in LayoutCase.inC.filter({
      ["fields reordered", "a bit field widened"].contains($0.name)
    })
      + LayoutCase.inCxx.filter({ $0.name == "a template's member" })
    {
      try refuses(edit, toolchain)
    }
    try harmless(LayoutCase.harmless[0], toolchain)
    try harmless(LayoutCase.harmless[9], toolchain)
  }

  @Test(
    "Blind without debug data, or with it elsewhere, and says so",
    arguments: [[], ["-g", "-gsplit-dwarf"], ["-g1"]])
  func blind(_ flags: [String]) throws {
    let edit = LayoutCase.inC[3]
    let (game, _) = try Self.start(edit, Toolchain(c: "gcc", flags: flags))
    let reload = try game.edit(edit.file, edit.source(edit.after))
    let unit = try #require(reload.blind.first)
    #expect(unit.unit.hasSuffix("game.o"))
    #expect(unit.reason == (flags.contains("-gsplit-dwarf") ? "split debug data" : "no debug data"))
    try game.stop()
  }
}
