// Random programs, random edits: after each reload that takes effect, the running program does what a
// freshly started one does that was made of the same objects by the system's linker and given the state
// that the rules say. 20 programs of 10 edits; 300 with HOTLINK_LONG_TESTS=1. HOTLINK_SEED=N: that one only.
import Foundation
import Testing

@Suite("Random programs agree with freshly started ones")
struct DifferentialTests {
  private static let environment = ProcessInfo.processInfo.environment
  static let isLong = environment["HOTLINK_LONG_TESTS"] == "1"
  static let seeds: [UInt64] =
    if let named = environment["HOTLINK_SEED"].flatMap({ UInt64($0) }) {
      [named]
    } else if isLong {
      { first in (0..<300).map { first + $0 } }(UInt64.random(in: 1000...1 << 40))
    } else {
      Array(1...20)
    }
  static let edits = 10
  static let frames = 4
  static let toolchains =
    Toolchain.all + [Toolchain(c: "gcc", flags: ["-Og", "-g"]), .clangO2Sections.with("-g")]

  @Test("A running program and a fresh one", arguments: seeds)
  func agree(_ seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    let toolchain = DifferentialTests.toolchains[
      random.below(DifferentialTests.toolchains.count)]
    var run = try DifferentialRun(seed, toolchain, &random)
    for _ in 0..<DifferentialTests.edits { try run.step(&random) }
    try run.game.stop()
    // Where each variable has a section of its own, nearly everything can be done.
    if toolchain.hasSections {
      #expect(run.refused * 2 <= DifferentialTests.edits, "\(run.who): \(run.history)")
    }
  }
}

/// One program on its way through its edits.
struct DifferentialRun {
  let game: WatchHarness
  let who: String
  private(set) var refused = 0
  private(set) var history: [String] = []
  private var program: GeneratedProgram

  init(_ seed: UInt64, _ toolchain: Toolchain, _ random: inout SeededNumbers) throws {
    program = GeneratedProgram(&random)
    who = "HOTLINK_SEED=\(seed) (\(program.isCxx ? "C++" : "C"), \(toolchain.testDescription))"
    game = try WatchHarness(program.files, toolchain, hz: 200) { bench in
      try bench.write("oracle.c", GeneratedProgram.oracle)
      try bench.compile("oracle.c", to: "oracle.o")
    }
    try game.line("at")
  }

  /// One edit, and the comparison after it.
  mutating func step(_ random: inout SeededNumbers) throws {
    do {
      try makeStep(&random)
    } catch let error as Tool.Failure where !error.description.hasPrefix(who) {
      throw failure(error.description)
    }
  }

  private mutating func makeStep(_ random: inout SeededNumbers) throws {
    var edited = program
    let said = edited.edit(&random)
    history.append(said)
    let answer = try install(edited)
    if let keep = ProcessInfo.processInfo.environment["HOTLINK_KEEP"] {
      try game.bench.shell("rm -rf \(keep)/\(history.count); cp -r . \(keep)/\(history.count)")
    }
    switch answer {
    case .unchanged: program = edited
    case .reloaded(let event, let units):
      try compare(event, units, edited)
      program = edited
    case .refused(let reason):
      refused += 1
      history[history.count - 1] += " (refused: \(reason))"
      try staysAsItWas()
      guard case .reloaded(let event, _) = try install(program) else {
        throw failure("undoing was not accepted")
      }
      try compare(event, [], program)
    }
  }

  private enum Answer {
    case unchanged
    /// The last event, and the units that it replaced.
    case reloaded(RunnerEvent, Set<String>)
    case refused(String)
  }

  /// Builds what a program's text says, and waits for what becomes of it.
  private func install(_ wanted: GeneratedProgram) throws -> Answer {
    let bench = game.bench
    var fresh: [(name: String, bytes: [UInt8])] = []
    let files = wanted.files
    for (name, text) in files { try bench.write(name, text) }
    let isSharedEdit = wanted.shared != program.shared
    for (index, unit) in wanted.units.enumerated() {
      let before = bench.folder.bytes("build/\(unit.name).o")
      guard
        isSharedEdit || files[wanted.source(index)] != program.files[program.source(index)]
          || refused > 0
      else { continue }
      try bench.compile(wanted.source(index), to: "outside.o")
      let bytes = bench.folder.bytes("outside.o")
      if bytes != before { fresh.append(("\(unit.name).o", bytes)) }
    }
    guard !fresh.isEmpty else { return .unchanged }
    game.skipToEnd()
    for (name, bytes) in fresh { try bench.install(bytes, as: name) }
    var missing = Set(fresh.map(\.name))
    while true {
      let event = try game.answer()
      if event.event == "refused" { return .refused(event.reason ?? "") }
      missing.subtract(event.unitFiles)
      if missing.isEmpty { return .reloaded(event, Set(event.unitFiles)) }
    }
  }

  private func compare(_ event: RunnerEvent, _ units: Set<String>, _ new: GeneratedProgram) throws {
    let before = try game.last(before: event, with: "at")
    var state = StateOracle.state(of: before)
    for (old, new) in zip(program.units, new.units) where units.contains(new.name + ".o") {
      state = StateOracle.carried(state, from: old, to: new)
    }
    let frame = before.number("frame") ?? 0
    let expected = try StateOracle.run(
      game.bench, new, from: state, frame: frame, frames: DifferentialTests.frames)
    for line in expected {
      let actual = try game.line("at").text
      guard actual == line else {
        throw failure(
          "generation \(event.generation ?? 0): \(StateOracle.difference(actual, line))"
            + "\n  before: \(before)\n  verdicts: \(event.verdicts)")
      }
    }
  }

  /// A refused edit changes nothing: the fresh program made of the old text does the same.
  private func staysAsItWas() throws {
    game.skipToEnd()
    let from = try game.line("at")
    let next = try game.line("at")
    guard next.number("at") == from.number("at").map({ $0 + 1 }) else {
      throw failure("frames are missing: \(from.number("at") ?? 0), \(next.number("at") ?? 0)")
    }
  }

  private func failure(_ what: String) -> Tool.Failure {
    Tool.Failure(description: "\(who): \(what)\n  edits: \(history)")
  }
}
