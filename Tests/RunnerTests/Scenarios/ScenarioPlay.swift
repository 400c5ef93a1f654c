// Plays a scenario: the real `hotlink watch`, real compilers, real files. What it expects besides the lines of a file is
// the promise of every reload: no frame is lost, state goes on; of every refusal: a thousand frames as if nothing had been
// tried, and the edit undone is accepted.
import Foundation

final class ScenarioPlay {
  /// So many frames the program must go on after a refusal.
  static let framesAfterRefusal = 1000

  private let scenario: Scenario
  private let build: ScenarioBuild
  private let game: WatchHarness
  private var watch: LineWatch
  /// What the program says besides its frames, and where that of the step begins.
  private var said: [Line] = []
  private var saidBefore = 0
  /// The last frame before what became of an edit.
  private var lastBefore: Line?

  /// Plays a file in one of its ways.
  ///
  /// - Throws: `ScenarioError` with the place in the file, what was expected, and what was seen.
  static func play(_ subject: ScenarioCase) throws {
    try ScenarioPlay(subject).run()
  }

  private init(_ subject: ScenarioCase) throws {
    let (scenario, build) = (subject.scenario, subject.build)
    (self.scenario, self.build) = (scenario, build)
    let first = scenario.start.expectations.first { $0.word == .sees }
    watch = LineWatch(key: first?.pairs.first?.key ?? "")
    let names = scenario.sources.map(\.name)
    game = try WatchHarness(
      [:], build.toolchain, swift: build.swift, hz: 2000, arguments: subject.arguments,
      awaitStart: false
    ) { bench in
      for source in scenario.sources { try bench.write(source.name, source.text) }
      try bench.compile(names, of: names, build)
    }
  }

  private func run() throws {
    while true {
      let event = try take(try item(scenario.start.line, "the start"), scenario.start.line)
      if event?.event == "started" { break }
      guard event == nil else {
        throw failure(scenario.start.line, "the start", event?.reason ?? "")
      }
    }
    try firstFrame(scenario.start)
    try check(scenario.start)
    for step in scenario.steps { try play(step) }
    if scenario.steps.last?.outcome.kind == .restart { return }
    try frames(10, scenario.steps.last?.outcome.line ?? 0)
    let line = scenario.end?.line ?? scenario.steps.last?.line ?? 1
    do { try game.stop() } catch { throw failure(line, "a good end", "\(error)") }
    while let item = try? game.item() { try take(item, line) }
    if let end = scenario.end { try check(end) }
  }

  private func failure(_ line: Int, _ expected: String, _ seen: String) -> ScenarioError {
    ScenarioError(
      file: scenario.file, line: line,
      what: "expected: \(expected)\n  seen: \(seen)\(game.told())")
  }

  // MARK: Steps

  private func play(_ step: Scenario.Step) throws {
    saidBefore = said.count
    try save(step.saves, step.line)
    let event = try answer(step.outcome.line)
    try demand(step.outcome, event)
    switch step.outcome.kind {
    case .accepted:
      try firstFrame(step.outcome)
      try check(step.outcome, event)
      try frames(3, step.outcome.line)
    case .refused:
      try check(step.outcome, event)
      try frames(ScenarioPlay.framesAfterRefusal, step.outcome.line)
      try undo(step)
      guard step.isLeft else { return }
      try save(step.saves, step.line)
      let again = try answer(step.outcome.line)
      try demand(step.outcome, again)
      try check(step.outcome, again)
      try frames(10, step.outcome.line)
    case .restart:
      try check(step.outcome, event)
      guard event.restartNeeded == true else {
        throw failure(step.outcome.line, "a restart is needed", "only a refusal")
      }
      let end = try game.end()
      guard end == .exited(3) else { throw failure(step.outcome.line, "exit code 3", "\(end)") }
    case .unchanged:
      try check(step.outcome, event)
      try frames(3, step.outcome.line)
    case .start, .end: break
    }
  }

  /// A refused edit that is taken back is accepted, and nothing is new.
  private func undo(_ step: Scenario.Step) throws {
    let back = step.saves.reversed().map { save in
      Scenario.Save(name: save.name, before: save.text, text: save.before ?? "")
    }
    let line = step.outcome.line
    try save(back, line)
    let event = try answer(line)
    guard event.event == "reloaded" else {
      throw failure(line, "the undone edit is accepted", event.reason ?? event.event)
    }
    let functions = event.functions + event.addedFunctions + event.removedFunctions
    guard functions.isEmpty else {
      throw failure(line, "the undone edit changes no function", "\(functions)")
    }
    try frames(100, line)
  }

  private func save(_ saves: [Scenario.Save], _ line: Int) throws {
    let touched = saves.filter(\.isTouch).compactMap { Workbench.object(of: $0.name) }
    if !touched.isEmpty { try game.bench.shell("touch \(touched.joined(separator: " "))") }
    let written = saves.filter { !$0.isTouch }
    for save in written { try game.bench.write(save.name, save.text) }
    var sources = scenario.sources.map(\.name)
    for save in saves where !sources.contains(save.name) { sources.append(save.name) }
    do {
      try game.bench.compile(written.map(\.name), of: sources, build)
    } catch {
      throw failure(line, "it compiles", "\(error)")
    }
  }

  private func demand(_ outcome: Scenario.Outcome, _ event: RunnerEvent) throws {
    let wanted =
      switch outcome.kind {
      case .accepted: "reloaded"
      case .refused, .restart: "refused"
      case .unchanged: "unchanged"
      case .start, .end: ""
      }
    guard event.event == wanted else {
      throw failure(outcome.line, wanted, "\(event.event) \(event.reason ?? "")")
    }
  }

  // MARK: What the child says

  /// Takes a line of the program.
  ///
  /// - Returns: the event, if it is one.
  @discardableResult
  private func take(
    _ item: ChildOutput.Item, _ place: Int, seen: Set<String> = []
  ) throws -> RunnerEvent? {
    switch item {
    case .event(let event): return event
    case .line(let line):
      guard watch.isFrame(line) else {
        said.append(line)
        return nil
      }
      if let wrong = watch.take(line, seen: seen) { throw failure(place, "state goes on", wrong) }
      return nil
    }
  }

  private func item(_ place: Int, _ expected: String) throws -> ChildOutput.Item {
    do { return try game.item() } catch { throw failure(place, expected, "\(error)") }
  }

  /// What becomes of an edit. Frames before it are of the old code.
  private func answer(_ place: Int) throws -> RunnerEvent {
    while true {
      let event = try take(try item(place, "an answer"), place)
      guard let event, ["reloaded", "refused", "unchanged"].contains(event.event) else { continue }
      lastBefore = watch.last
      return event
    }
  }

  /// The next frames, which are no reload's.
  private func frames(_ count: Int, _ place: Int) throws {
    var left = count
    while left > 0 {
      let item = try item(place, "\(count) more frames")
      if let event = try take(item, place) {
        throw failure(place, "frames", "\(event.event) \(event.reason ?? "")")
      }
      if case .line(let line) = item, watch.isFrame(line) { left -= 1 }
    }
  }

  /// The first frame of a generation, and what it must show.
  private func firstFrame(_ outcome: Scenario.Outcome) throws {
    let sees = outcome.expectations.filter { $0.word == .sees }
    let seen = Set(sees.flatMap { $0.pairs.map(\.key) })
    while true {
      let item = try item(outcome.line, "a frame")
      try take(item, outcome.line, seen: seen)
      guard case .line(let line) = item, watch.isFrame(line) else { continue }
      for expectation in sees {
        for pair in expectation.pairs where line[pair.key] != pair.value {
          throw failure(expectation.line, "\(pair.key)=\(pair.value)", "“\(line)”")
        }
      }
      if let (expectation, key) = watch.declare(outcome.expectations) {
        throw failure(expectation.line, "a line with '\(key)'", "“\(line)”")
      }
      return
    }
  }

  private func check(_ outcome: Scenario.Outcome, _ event: RunnerEvent? = nil) throws {
    let says = outcome.expectations.filter { $0.word == .says }
    if let first = says.first {
      let seen = said[saidBefore...].map(\.text)
      let wanted = says.map(\.text).filter { $0 != "nothing" }
      guard seen == wanted else { throw failure(first.line, "\(wanted)", "\(seen)") }
    }
    for expectation in outcome.expectations where expectation.word == .said {
      let count = said.count { $0.text.contains(expectation.text) }
      guard count == expectation.number else {
        throw failure(
          expectation.line, "\(expectation.number) times “\(expectation.text)”",
          "\(count) times in \(said.suffix(30))")
      }
    }
    guard let event else { return }
    let wrong = outcome.expectations.compactMap { expectation in
      event.contradiction(of: expectation, last: lastBefore).map { (expectation, $0) }
    }
    guard let first = wrong.first else { return }
    let all = wrong.map { "\($0.0.line): \($0.0.word) \($0.0.text), but \($0.1)" }
    throw failure(first.0.line, "what the report says", "\n    " + all.joined(separator: "\n    "))
  }
}
