// A real `hotlink watch build --json` in a child process, on sources that a test writes and edits. What
// the child prints is one sequence of program lines and events; a test walks along it with a cursor, so
// that “the first frame after the reload” is a fact and not a matter of timing.
import Foundation

/// A directory with sources and a build folder, and the runner watching it.
final class WatchHarness {
  let bench: Workbench
  private(set) var started: RunnerEvent
  private let process: ChildProcess
  private let output: ChildOutput
  private var cursor = 0

  var pid: pid_t { process.pid }
  /// The program's working directory, with the sources and `build/`.
  var directory: String { bench.folder.root }

  /// So long may anything take that is waited for, in seconds.
  static let patience = 20.0

  /// Writes and compiles sources, starts the runner and waits for its first link.
  ///
  /// - Parameters:
  ///   - sources: file names (`.c`, `.cpp`, `.swift`: compiled to `build/NAME.o`; others just written)
  ///     and contents.
  ///   - hz: frames a second.
  ///   - frames: ends by itself after so many; by default, and at the latest, after two minutes.
  ///   - prepare: what else the build does before the runner starts.
  init(
    _ sources: [String: String], _ toolchain: Toolchain = .gcc, swift: SwiftMode = .plain,
    hz: Int = 200, frames: Int? = nil, arguments: [String] = [], awaitStart: Bool = true,
    prepare: (Workbench) throws -> Void = { _ in }
  ) throws {
    bench = try Workbench(toolchain, swift)
    for (name, text) in sources { try bench.write(name, text) }
    for name in sources.keys.sorted() where Workbench.object(of: name) != nil {
      try bench.compile(name)
    }
    try prepare(bench)
    let limit = frames ?? max(hz, 1) * 120
    process = try ChildProcess(
      [try Tool.hotlinkPath(), "watch", "build", "--entry", "tick", "--json", "--hz", String(hz)]
        + ["--frames", String(limit)] + arguments,
      in: bench.folder.root, errors: bench.folder.path("stderr"))
    output = ChildOutput(reading: process.output)
    started = RunnerEvent.none
    if awaitStart { started = try event("started") }
  }

  // MARK: Edits

  /// Saves a new text of a source and recompiles it, as a build tool does.
  func save(_ name: String, _ text: String) throws {
    try bench.write(name, text)
    try bench.compile(name)
  }

  /// An edit that must take effect.
  ///
  /// - Returns: the report; the cursor stands at the first line of the new generation.
  @discardableResult
  func edit(_ name: String, _ text: String) throws -> RunnerEvent {
    skipToEnd()
    try save(name, text)
    return try reloaded()
  }

  /// An edit that must be refused.
  @discardableResult
  func editRefused(_ name: String, _ text: String) throws -> RunnerEvent {
    skipToEnd()
    try save(name, text)
    return try refused()
  }

  // MARK: What the child says

  @discardableResult
  func reloaded() throws -> RunnerEvent { try answer("reloaded", unlike: "refused") }
  @discardableResult
  func refused() throws -> RunnerEvent { try answer("refused", unlike: "reloaded") }

  /// What comes next, line or event.
  func item() throws -> ChildOutput.Item { try next("anything more") { $0 } }

  /// The next event, whatever it is.
  func next() throws -> RunnerEvent {
    try next("an event") { item in
      guard case .event(let event) = item else { return nil }
      return event
    }
  }

  /// What becomes of a change, either way.
  func answer() throws -> RunnerEvent {
    try next("an answer") { item in
      guard case .event(let event) = item else { return nil }
      return ["reloaded", "refused"].contains(event.event) ? event : nil
    }
  }

  private func answer(_ kind: String, unlike other: String) throws -> RunnerEvent {
    try next("event “\(kind)”") { item in
      guard case .event(let event) = item else { return nil }
      if event.event == other {
        throw Tool.Failure(
          description: "\(other) instead of \(kind): \(event.reason ?? event.functions.description)"
        )
      }
      return event.event == kind ? event : nil
    }
  }

  /// Waits for an event from the cursor on.
  @discardableResult
  func event(_ kind: String, generation: Int? = nil) throws -> RunnerEvent {
    try next("event “\(kind)”") { item in
      guard case .event(let event) = item, event.event == kind else { return nil }
      return generation == nil || event.generation == generation ? event : nil
    }
  }

  /// The next line of the program from the cursor on, of those that have a key.
  @discardableResult
  func line(_ key: String? = nil) throws -> Line {
    try next("a line\(key.map { " with \($0)=" } ?? "")") { item in
      guard case .line(let line) = item else { return nil }
      return key == nil || line[key ?? ""] != nil ? line : nil
    }
  }

  /// Waits for a line that contains a text.
  @discardableResult
  func line(containing text: String) throws -> Line {
    try next("a line with “\(text)”") { item in
      guard case .line(let line) = item, line.text.contains(text) else { return nil }
      return line
    }
  }

  /// Waits for a line that a test recognises.
  @discardableResult
  func line(where matches: (Line) -> Bool) throws -> Line {
    try next("a certain line") { item in
      guard case .line(let line) = item, matches(line) else { return nil }
      return line
    }
  }

  /// The last line of the program before an event.
  func last(before event: RunnerEvent, with key: String? = nil) throws -> Line {
    for item in output.items(upTo: event.index).reversed() {
      if case .line(let line) = item, key == nil || line[key ?? ""] != nil { return line }
    }
    throw Tool.Failure(description: "no line before \(event.event)\(told())")
  }

  /// All lines of the program so far.
  var lines: [Line] {
    output.items().compactMap { item in
      guard case .line(let line) = item else { return nil }
      return line
    }
  }

  /// All events so far.
  var events: [RunnerEvent] {
    output.items().compactMap { item in
      guard case .event(let event) = item else { return nil }
      return event
    }
  }

  func count(_ text: String) -> Int { lines.reduce(0) { $0 + ($1.text.contains(text) ? 1 : 0) } }

  /// What it has written to standard error.
  var errors: String {
    String(decoding: bench.folder.bytes("stderr"), as: UTF8.self)
  }

  /// Moves the cursor past everything that has been said so far.
  func skipToEnd() { cursor = output.count }

  private func next<T>(_ what: String, _ matches: (ChildOutput.Item) throws -> T?) throws -> T {
    let deadline = Date(timeIntervalSinceNow: WatchHarness.patience)
    while true {
      let found = try output.scan(from: &cursor, matches)
      if let found { return found }
      guard output.wait(beyond: cursor, until: deadline) else {
        throw Tool.Failure(description: "waited in vain for \(what)\(told())")
      }
    }
  }

  /// Everything that helps to see why.
  func told() -> String {
    let tail = output.items().suffix(12).map { item in
      switch item {
      case .line(let line): "  | \(line)"
      case .event(let event): "  * \(event.event) \(event.reason ?? "")"
      }
    }
    let how = output.isClosed ? process.wait(seconds: 5).map { "\($0)" } ?? "runs" : "runs"
    return "\n  child: \(how)\n\(tail.joined(separator: "\n"))\n\(errors)"
  }

  // MARK: The end

  /// Ends the program as a person would, and demands that it ends well.
  ///
  /// - Returns: the `stopped` event.
  @discardableResult
  func stop() throws -> RunnerEvent {
    process.send(SIGTERM)
    return try finished()
  }

  /// Waits for the end, and demands exit code 0.
  @discardableResult
  func finished() throws -> RunnerEvent {
    let ending = try end()
    guard ending == .exited(0) else {
      throw Tool.Failure(description: "the program did not end well\(told())")
    }
    guard let event = events.last(where: { $0.event == "stopped" }) else {
      throw Tool.Failure(description: "no “stopped” at the end\(told())")
    }
    return event
  }

  /// Waits for the end, whatever it is.
  func end() throws -> Tool.End {
    guard let ending = process.wait(seconds: WatchHarness.patience) else {
      throw Tool.Failure(description: "the program does not end\(told())")
    }
    output.waitForClose()
    return ending
  }

  var isRunning: Bool { process.end == nil }

  func send(_ signal: Int32) { process.send(signal) }
}
