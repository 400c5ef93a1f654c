// J4.one: one changed object of 200, from its bytes until every caller runs it. The peer links that
// object alone, opens it, asks for the function, calls it and closes it: nobody is rebound.

enum OneChange {
  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("J4.one", "J4.one.link") else { return }
    let units = try RunningUnits(200, fixtures)
    let peer = try Peer(200, fixtures)
    try runner.measure(
      Figure(
        id: "J4.one", peer: "ld.lld -shared + dlopen", rounds: 60,
        measureOurs: units.edit, measurePeer: peer.edit))
    try runner.measure(
      Figure(
        id: "J4.one.link", peer: "ld.lld -shared + dlopen", rounds: 30,
        measureOurs: {
          _ = try units.edit()
          return units.linkTime
        }, measurePeer: peer.edit))
  }

  private final class Peer {
    /// The other units, for what the edited one refers to.
    private let base: SharedLibrary
    private let edits: [Object]
    private let file: String
    private let linker: String
    private var turn = 0

    init(_ count: Int, _ fixtures: Fixtures) throws {
      linker = try SharedLibrary.findLinker()
      file = fixtures.folder + "/one.so"
      edits = try fixtures.edits(of: RunningUnits.edited, values: RunningUnits.values)
      base = try SharedLibrary(
        linking: try fixtures.units(count).map(\.path), to: fixtures.folder + "/base.so",
        by: linker, isGlobal: true)
    }

    func edit() throws -> Double {
      turn += 1
      var answer: Int32 = 0
      let time = try timed {
        let library = try SharedLibrary(linking: [edits[turn % 2].path], to: file, by: linker)
        let value: Question = try library.function(UnitSource.name(RunningUnits.edited) + "_value")
        answer = value()
      }
      guard answer == Int32(RunningUnits.values[turn % 2]) else {
        throw BenchError("the peer's edit did not take effect")
      }
      return time
    }
  }
}
