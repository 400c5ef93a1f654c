// What Swift programs do over reloads: modules of several files, new types and conformances, types that
// change their shape.
import Testing

@Suite("Swift")
struct SwiftScenarios {
  @Test("A module of several files, edited one at a time", arguments: SwiftMode.all)
  func severalFiles(_ mode: SwiftMode) throws {
    func model(_ version: Int) -> String {
      """
      protocol Weapon { func damage() -> Int }
      struct Sword: Weapon { var edge = 3; func damage() -> Int { edge * \(version) } }
      final class Hero {
        var weapon: any Weapon = Sword()
        var health = 100 { didSet { changes += \(version) } }
        var changes = 0
        lazy var name = "hero \\(health)"
        func hit() { health -= weapon.damage() }
        deinit { print("gone") }
      }
      enum State: Hashable { case idle, moving(Int), named(String)
        var text: String { switch self { case .idle: "idle\(version)"; case .moving(let n): "moving\\(n)"; case .named(let s): s } } }
      """
    }
    func view(_ version: Int) -> String {
      """
      import Glibc
      let hero = Hero()
      var states: [State: Int] = [:]
      @c public func tick() {
        if states.isEmpty { states = [.idle: 1, .moving(2): 2, .named("a"): 3] }
        let sum = states[.idle]! + states[.moving(2)]! * 10 + states[.named("a")]! * 100
        let text = states.keys.map(\\.text).sorted().joined(separator: "+")
        if hero.health < -1000 { hero.health = 100 }
        hero.hit()
        fputs("v=\(version) damage=\\(hero.weapon.damage()) sum=\\(sum) text=\\(text) "
          + "type=\\(type(of: hero.weapon)) is=\\(hero.weapon is Sword)\\n", stdout)
        fflush(stdout)
      }
      """
    }
    func build(_ bench: Workbench) throws {
      let flags = mode.flags.joined(separator: " ")
      // Only what changed is written anew, as a build tool with incremental compilation does.
      try bench.shell(
        """
        mkdir -p out && cd out
        swiftc -c -parse-as-library \(flags) -no-whole-module-optimization -module-name game ../model.swift ../view.swift
        for f in *.o; do cmp -s $f ../build/$f || mv $f ../build/$f; done
        """)
    }
    let game = try WatchHarness([:], swift: mode) {
      try $0.write("model.swift", model(1))
      try $0.write("view.swift", view(1))
      try build($0)
    }
    #expect(try game.line().text == "v=1 damage=3 sum=321 text=a+idle1+moving2 type=Sword is=true")
    try game.bench.write("model.swift", model(2))
    try build(game.bench)
    #expect(
      try game.line(where: { $0["damage"] == "6" }).text
        == "v=1 damage=6 sum=321 text=a+idle2+moving2 type=Sword is=true")
    try game.bench.write("view.swift", view(2))
    try build(game.bench)
    #expect(
      try game.line(where: { $0["v"] == "2" }).text
        == "v=2 damage=6 sum=321 text=a+idle2+moving2 type=Sword is=true")
    try game.stop()
  }

  static func program(_ types: String, _ body: String) -> String {
    """
    import Glibc
    protocol Shape { func area() -> Int }
    struct Square: Shape { var side = 2; func area() -> Int { side * side } }
    \(types)
    var shapes: [any Shape] = [Square()]
    func say(_ text: String) { fputs(text + "\\n", stdout); fflush(stdout) }
    @c public func tick() { \(body) }
    """
  }

  static let newTypes = """
    protocol Named { var name: String { get } }
    extension Square: Named { var name: String { "square" } }
    final class Circle: Shape, Named, CustomStringConvertible {
      var radius = 3
      func area() -> Int { radius * radius * 3 }
      var name: String { "circle" }
      var description: String { "a circle" }
    }
    """

  static let useOfNewTypes = #"""
    if shapes.count < 2 { shapes.append(Circle()) }
      let names = shapes.map { ($0 as? any Named)?.name ?? "?" }.joined(separator: ",")
      let text = shapes.compactMap { $0 as? any CustomStringConvertible }.count
      say("v=2 areas=\(shapes.map { $0.area() }) names=\(names) text=\(text) last=\(shapes[1])")
    """#

  @Test(
    "New types beside living ones are refused by name, and undone", arguments: SwiftMode.all)
  func newTypesInAFile(_ mode: SwiftMode) throws {
    let first = Self.program("", #"say("v=1 areas=\(shapes.map { $0.area() })")"#)
    let game = try WatchHarness(["game.swift": first], swift: mode)
    #expect(try game.line().text == "v=1 areas=[4]")
    let refusal = try game.editRefused(
      "game.swift", Self.program(Self.newTypes, Self.useOfNewTypes))
    #expect(refusal.reason?.contains("put it into a new file") == true)
    #expect(try game.line().text == "v=1 areas=[4]")
    try game.edit("game.swift", Self.program("", #"say("v=3 areas=\(shapes.map { $0.area() })")"#))
    #expect(try game.line(where: { $0["v"] == "3" }).text == "v=3 areas=[4]")
    try game.stop()
  }

  @Test("New types in a new file of the module, as the refusal advises", arguments: SwiftMode.all)
  func newTypesInANewFile(_ mode: SwiftMode) throws {
    func build(_ bench: Workbench, _ files: String) throws {
      let flags = mode.flags.joined(separator: " ")
      try bench.shell(
        """
        mkdir -p out && cd out
        swiftc -c -parse-as-library \(flags) -no-whole-module-optimization -module-name game \(files)
        for f in *.o; do cmp -s $f ../build/$f || mv $f ../build/$f; done
        """)
    }
    let game = try WatchHarness([:], swift: mode) {
      try $0.write("game.swift", Self.program("", #"say("v=1 areas=\(shapes.map { $0.area() })")"#))
      try build($0, "../game.swift")
    }
    #expect(try game.line().text == "v=1 areas=[4]")
    game.skipToEnd()
    try game.bench.write("extra.swift", Self.newTypes)
    try game.bench.write("game.swift", Self.program("", Self.useOfNewTypes))
    try build(game.bench, "../game.swift ../extra.swift")
    #expect(
      try game.line(where: { $0["v"] == "2" }).text
        == "v=2 areas=[4, 27] names=square,circle text=1 last=a circle")
    #expect(game.events.reduce(0) { $0 + ($1.swiftRegistrations ?? 0) } >= 1)
    // From now on these are types like all others.
    game.skipToEnd()
    try game.bench.write("extra.swift", Self.newTypes.replacing("radius * 3", with: "radius * 4"))
    try build(game.bench, "../game.swift ../extra.swift")
    let reload = try game.reloaded()
    #expect(reload.swiftRegistrations == 0)
    #expect(
      try game.line().text == "v=2 areas=[4, 36] names=square,circle text=1 last=a circle")
    try game.stop()
  }

  @Test(
    "A class that gets a method, or a stored property, while its objects live",
    arguments: SwiftMode.all)
  func classChangesShape(_ mode: SwiftMode) throws {
    func source(_ version: Int, _ members: String, _ use: String) -> String {
      """
      import Glibc
      class Player { var score = 40; func step() -> Int { score += 1; return score }
      \(members)
      }
      var player: Player? = nil
      @c public func tick() {
        if player == nil { player = Player() }
        fputs("v=\(version) score=\\(player!.step()) more=\\(\(use))\\n", stdout)
        fflush(stdout)
      }
      """
    }
    for (members, use, result) in [
      ("func extra() -> Int { score * 0 + 7 }", "player!.extra()", "7"),
      ("var lives = 5", "player!.lives", "5"),
    ] {
      let game = try WatchHarness(["game.swift": source(1, "", "0")], swift: mode)
      try game.line()
      game.skipToEnd()
      try game.save("game.swift", source(2, members, use))
      let answer = try game.answer()
      let before = try #require(game.last(before: answer).number("score"))
      let line = try game.line()
      if answer.event == "refused" {
        #expect(answer.reason?.contains("Player") == true, "\(answer.reason ?? "")")
        #expect(line["v"] == "1")
        try game.edit("game.swift", source(3, "", "1"))
        #expect(try game.line()["v"] == "3", "without the change of shape it goes on")
      } else {
        // A live object has no room for another property: only the method can be carried.
        #expect(members.contains("func"), "an old object has no such property")
        #expect(line.text == "v=2 score=\(before + 1) more=\(result)")
      }
      try game.stop()
    }
  }

  @Test("A global struct that grows", arguments: SwiftMode.all)
  func globalGrows(_ mode: SwiftMode) throws {
    func source(_ version: Int, _ members: String, _ use: String) -> String {
      """
      import Glibc
      struct Game { var level = 40; var name = "a long name that is on the heap"; \(members) }
      var before = 100
      var game = Game()
      var after = 200
      @c public func tick() {
        game.level += 1; before += 1; after += 1
        fputs("v=\(version) level=\\(game.level) before=\\(before) after=\\(after) more=\\(\(use)) "
          + "name=\\(game.name.count)\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source(1, "", "0")], swift: mode)
    try game.line()
    game.skipToEnd()
    try game.save("game.swift", source(2, "var lives = 5", "game.lives"))
    let answer = try game.answer()
    let old = try game.last(before: answer)
    let line = try game.line()
    for key in ["level", "before", "after"] {
      #expect(
        line.number(key).map { $0 - 1 } ?? 0 >= old.number(key) ?? .max, "\(key) \(old) → \(line)")
    }
    #expect(line["name"] == "31")
    if answer.event == "refused" {
      #expect(line["v"] == "1")
    } else {
      #expect(line["v"] == "2")
      #expect(line["more"] == "5", "the new part has its initial value")
    }
    try game.stop()
  }
}
