// J4.set: 2,000 units from nothing to started.
//
//     cold    the first session of a fresh process, from bytes in memory, against ORC in a fresh process
//     warm    a session in a process that has linked the set before, from bytes in memory, against ORC as warm
//     files   the same as warm from files, against `ld.lld -shared` of all files and dlopen
//     files.ld    against `ld -shared` and dlopen
//     cold.lld, warm.lld    against ld.lld and dlopen, for where ORC is not installed
//
// What counts is the time until a function of the set has given its answer; taking down counts on neither side. ORC is
// asked for a symbol of every object, so that it links all. J4.memory and J4.mappings are what a process has more when the
// set is linked: resident memory at its peak, and mappings.
internal import ArgumentParser
internal import Glibc
internal import HotLink
internal import SystemPackage

enum WholeSet {
  static let count = 2000
  private static let lld = "ld.lld -shared + dlopen"
  private static let question = UnitSource.name(RunningUnits.edited) + "_ask"
  private static let ids = [
    "J4.set.cold", "J4.set.warm", "J4.set.files", "J4.set.files.ld", "J4.set.cold.lld",
    "J4.set.warm.lld", "J4.memory", "J4.mappings",
  ]

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard ids.contains(where: { runner.wants($0) }) else { return }
    let units = try fixtures.units(count)
    let program = try Subprocess.ownPath()
    let linker = try SharedLibrary.findLinker()
    if let orc = try Orc.program(fixtures) {
      try measure(runner, fixtures, units, program, orc: orc)
    }
    let peer = { try linkShared(units, fixtures, linker) }
    runner.measure(
      Figure(
        id: "J4.set.cold.lld", peer: lld, rounds: 5,
        measureOurs: { try ColdStart.ours.inChild(program) },
        measurePeer: { try ColdStart.peer.inChild(program) }))
    runner.measure(
      Figure(
        id: "J4.set.warm.lld", peer: lld, rounds: 7,
        measureOurs: { try linkBytes(units) }, measurePeer: peer))
    runner.measure(
      Figure(
        id: "J4.set.files", peer: lld, rounds: 11,
        measureOurs: { try linkFiles(units) }, measurePeer: peer))
    if let ld = Subprocess.find("ld.bfd") ?? Subprocess.find("ld") {
      runner.measure(
        Figure(
          id: "J4.set.files.ld", peer: "ld -shared + dlopen", rounds: 3,
          measureOurs: { try linkFiles(units) },
          measurePeer: { try linkShared(units, fixtures, ld) }))
    }
  }

  private static func measure(
    _ runner: Runner, _ fixtures: Fixtures, _ units: [Object], _ program: String, orc: String
  ) throws {
    let list = try Orc.list(
      units.indices.map { (units[$0].path, UnitSource.name($0) + "_value") }, "set", fixtures)
    let command = "set \(list) \(question)"
    func answer(_ orc: PeerProcess) throws -> [Double] {
      let numbers = try orc.ask(command)
      guard numbers.count == 4, numbers[3] == Double(RunningUnits.edited + 1) else {
        throw BenchError("ORC said \(numbers)")
      }
      return numbers
    }
    let warm = try PeerProcess(orc)
    runner.measure(
      Figure(
        id: "J4.set.warm", peer: "ORC", rounds: 11,
        measureOurs: { try linkBytes(units) }, measurePeer: { try answer(warm)[0] }))
    runner.measure(
      Figure(
        id: "J4.set.cold", peer: "ORC", rounds: 7,
        measureOurs: { try ColdStart.ours.inChild(program) },
        measurePeer: { try answer(PeerProcess(orc))[0] }))
    runner.measure(
      Figure(
        id: "J4.memory", peer: "ORC", rounds: 3, unit: .bytes,
        measureOurs: { try ColdStart.memory.inChild(program) },
        measurePeer: { try answer(PeerProcess(orc))[1] }))
    runner.measure(
      Figure(
        id: "J4.mappings", peer: "ORC", rounds: 1, unit: .count,
        measureOurs: { try ColdStart.mappings.inChild(program) },
        measurePeer: { try answer(PeerProcess(orc))[2] }))
  }

  static func linkBytes(_ units: [Object]) throws -> Double {
    try link { session in try session.add(units.map { (name: $0.path, bytes: $0.bytes) }) }
  }

  static func linkFiles(_ units: [Object]) throws -> Double {
    try link { session in try session.add(units.map { FilePath($0.path) }) }
  }

  /// - Parameter live: called while the set is linked.
  static func link(adding add: (Session) throws -> Void, live: () -> Void = {}) throws -> Double {
    let start = nanoseconds()
    let session = try Session()
    try add(session)
    try session.start()
    let ask: Question = try session.function(question)
    let answer = ask()
    let end = nanoseconds()
    guard answer == Int32(RunningUnits.edited + 1) else { throw BenchError("wrong answer") }
    live()
    return end - start
  }

  static func linkShared(_ units: [Object], _ fixtures: Fixtures, _ linker: String) throws -> Double
  {
    // Too many for a command line.
    let list = fixtures.folder + "/set.rsp"
    try Fixtures.write(units.map { $0.path + "\n" }.joined(), to: list)
    let start = nanoseconds()
    let library = try SharedLibrary(
      linking: ["@" + list], to: fixtures.folder + "/set.so", by: linker)
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
  case memory
  case mappings
  case manyFiles
  case manyMemory

  func measure(_ count: Int) throws -> Double {
    let fixtures = try Fixtures.inPackage()
    switch self {
    case .ours: return try WholeSet.linkBytes(try fixtures.compiledUnits(count))
    case .peer:
      return try WholeSet.linkShared(
        try fixtures.compiledUnits(count), fixtures, try SharedLibrary.findLinker())
    case .memory: return try growth(try fixtures.compiledUnits(count)) { Memory.peak }
    case .mappings: return try growth(try fixtures.compiledUnits(count)) { Memory.mappings }
    case .manyFiles: return try WholeSet.linkFiles(try fixtures.paths(count))
    case .manyMemory:
      let units = try fixtures.paths(count)
      Memory.forgetPeak()
      let before = Memory.peak
      var after = 0.0
      _ = try WholeSet.link(
        adding: { try $0.add(units.map { FilePath($0.path) }) }, live: { after = Memory.peak })
      return after - before
    }
  }

  private func growth(_ units: [Object], _ measure: () -> Double) throws -> Double {
    Memory.forgetPeak()
    let before = measure()
    var after = 0.0
    _ = try WholeSet.link(
      adding: { session in try session.add(units.map { (name: $0.path, bytes: $0.bytes) }) },
      live: { after = measure() })
    return after - before
  }

  func inChild(_ program: String, units: Int? = nil) throws -> Double {
    let output = try Subprocess.output(
      program, ["--child", rawValue] + (units.map { ["--units", "\($0)"] } ?? []))
    guard let number = Double(output.prefix { $0 != "\n" }) else {
      throw BenchError("the child said \(output)")
    }
    return number
  }
}

/// What the kernel says this process has.
enum Memory {
  /// Linux: proc_pid_clear_refs(5).
  static func forgetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
  }

  /// Bytes that were resident at most (Linux: VmHWM).
  static var peak: Double {
    lines("/proc/self/status").first { $0.hasPrefix("VmHWM:") }.flatMap { line in
      line.split { $0 == " " || $0 == "\t" }.compactMap { Double($0) }.first.map { $0 * 1024 }
    } ?? .nan
  }

  static var mappings: Double { Double(lines("/proc/self/maps").count) }

  private static func lines(_ path: String) -> [Substring] {
    guard let bytes = try? Fixtures.streamed(path) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
  }
}
