// New types in a new file of a Swift module, which arrive while the old ones live. What else Swift programs do over
// reloads: Tests/Scenarios/swift.
import Testing

@Suite("Swift")
struct SwiftScenarios {
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
}
