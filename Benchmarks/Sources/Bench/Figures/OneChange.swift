// J4.one: one changed object of 2,000, from its bytes until every caller runs it. Nobody is rebound by the peers.
//
//     J4.one       against ORC: removes the old object's resources, adds the new one, looks a function up, calls it
//     J4.one.lld   against `ld.lld -shared` of that object alone, dlopen, dlsym, the call and dlclose
//     J4.one.link  the part of it that the linker's thread spends, as the report tells it

enum OneChange {
  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("J4.one", "J4.one.lld", "J4.one.link") else { return }
    let units = try RunningUnits(WholeSet.count, fixtures)
    if let orc = try Orc.program(fixtures) {
      let peer = try OrcPeer(orc, fixtures)
      runner.measure(
        Figure(
          id: "J4.one", peer: "ORC", rounds: 60,
          measureOurs: units.edit, measurePeer: peer.edit))
    }
    let peer = try Peer(fixtures)
    runner.measure(
      Figure(
        id: "J4.one.lld", peer: "ld.lld -shared + dlopen", rounds: 30,
        measureOurs: units.edit, measurePeer: peer.edit))
    runner.measure(
      Figure(
        id: "J4.one.link", peer: "ld.lld -shared + dlopen", rounds: 30,
        measureOurs: {
          _ = try units.edit()
          return units.linkTime
        }, measurePeer: peer.edit))
  }

  private static let function = UnitSource.name(RunningUnits.edited) + "_value"

  private final class OrcPeer {
    private let process: PeerProcess
    private let edits: [Object]
    private var linked: String
    private var turn = 0

    init(_ orc: String, _ fixtures: Fixtures) throws {
      edits = try fixtures.edits(of: RunningUnits.edited, values: RunningUnits.values)
      let units = try fixtures.units(WholeSet.count)
      linked = units[RunningUnits.edited].path
      let list = try Orc.list(
        units.indices.map { (units[$0].path, UnitSource.name($0) + "_value") }, "set", fixtures)
      process = try PeerProcess(orc)
      guard try process.ask("keep \(list) \(function)").last == Double(RunningUnits.edited) else {
        throw BenchError("ORC did not link the set")
      }
    }

    func edit() throws -> Double {
      turn += 1
      let fresh = edits[turn % 2].path
      let numbers = try process.ask("edit \(linked) \(fresh) \(function)")
      guard numbers.count == 2, numbers[1] == Double(RunningUnits.values[turn % 2]) else {
        throw BenchError("ORC's edit did not take effect: \(numbers)")
      }
      linked = fresh
      return numbers[0]
    }
  }

  private final class Peer {
    /// The other units, for what the edited one refers to.
    private let base: SharedLibrary
    private let edits: [Object]
    private let file: String
    private let linker: String
    private var turn = 0

    init(_ fixtures: Fixtures) throws {
      linker = try SharedLibrary.findLinker()
      file = fixtures.folder + "/one.so"
      edits = try fixtures.edits(of: RunningUnits.edited, values: RunningUnits.values)
      base = try SharedLibrary(
        linking: try fixtures.units(200).map(\.path), to: fixtures.folder + "/base.so",
        by: linker, isGlobal: true)
    }

    func edit() throws -> Double {
      turn += 1
      var answer: Int32 = 0
      let time = try timed {
        let library = try SharedLibrary(linking: [edits[turn % 2].path], to: file, by: linker)
        let value: Question = try library.function(function)
        answer = value()
      }
      guard answer == Int32(RunningUnits.values[turn % 2]) else {
        throw BenchError("the peer's edit did not take effect")
      }
      return time
    }
  }
}
