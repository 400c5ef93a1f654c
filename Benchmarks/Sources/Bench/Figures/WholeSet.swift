// J4.set: 500 units from nothing to started. Preliminary: the goal is set on 2,000 units and against ORC.
//
//     cold    the first session of a fresh process, from bytes in memory
//     warm    a session in a process that has linked the set before, from bytes in memory
//     files   the same as warm, from files
//
// The peer is always `ld.lld -shared` of all files and dlopen; taking down is not counted on either side.
internal import ArgumentParser
internal import HotLink
internal import SystemPackage

enum WholeSet {
  static let count = 500
  static let peer = "ld.lld -shared + dlopen"
  private static let question = UnitSource.name(RunningUnits.edited) + "_ask"

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("J4.set.cold", "J4.set.warm", "J4.set.files") else { return }
    let units = try fixtures.units(count)
    let program = try Subprocess.ownPath()
    let linker = try SharedLibrary.findLinker()
    let peer = { try linkShared(units, fixtures, linker) }
    try runner.measure(
      Figure(
        id: "J4.set.cold", peer: Self.peer, rounds: 11,
        measureOurs: { try ColdStart.ours.inChild(program) },
        measurePeer: { try ColdStart.peer.inChild(program) }))
    try runner.measure(
      Figure(
        id: "J4.set.warm", peer: Self.peer, rounds: 15,
        measureOurs: { try linkBytes(units) }, measurePeer: peer))
    try runner.measure(
      Figure(
        id: "J4.set.files", peer: Self.peer, rounds: 15,
        measureOurs: { try linkFiles(units) }, measurePeer: peer))
  }

  static func linkBytes(_ units: [Object]) throws -> Double {
    try link(units) { session, unit in try session.add(unit.bytes, name: unit.path) }
  }

  static func linkFiles(_ units: [Object]) throws -> Double {
    try link(units) { session, unit in try session.add(FilePath(unit.path)) }
  }

  private static func link(
    _ units: [Object], adding add: (Session, Object) throws -> Void
  ) throws -> Double {
    let start = nanoseconds()
    let session = try Session()
    for unit in units { try add(session, unit) }
    try session.start()
    let ask: Question = try session.function(question)
    let answer = ask()
    let end = nanoseconds()
    guard answer == Int32(RunningUnits.edited + 1) else { throw BenchError("wrong answer") }
    return end - start
  }

  static func linkShared(_ units: [Object], _ fixtures: Fixtures, _ linker: String) throws -> Double
  {
    let start = nanoseconds()
    let library = try SharedLibrary(
      linking: units.map(\.path), to: fixtures.folder + "/set.so", by: linker)
    let ask: Question = try library.function(question)
    let answer = ask()
    let end = nanoseconds()
    guard answer == Int32(RunningUnits.edited + 1) else { throw BenchError("wrong answer") }
    return end - start
  }
}

/// What `bench --child` measures once, in a process that has done nothing before.
enum ColdStart: String, ExpressibleByArgument {
  case ours
  case peer

  func measure() throws -> Double {
    let fixtures = try Fixtures.inPackage()
    let units = try fixtures.compiledUnits(WholeSet.count)
    switch self {
    case .ours: return try WholeSet.linkBytes(units)
    case .peer: return try WholeSet.linkShared(units, fixtures, try SharedLibrary.findLinker())
    }
  }

  func inChild(_ program: String) throws -> Double {
    let output = try Subprocess.output(program, ["--child", rawValue])
    guard let time = Double(output.prefix { $0 != "\n" }) else {
      throw BenchError("the child said \(output)")
    }
    return time
  }
}
