// A real `hotlink watch build --json` in a child process, on sources that a test writes and edits. What
// the child prints is one sequence of program lines and events; a test walks along it with a cursor, so
// that “the first frame after the reload” is a fact and not a matter of timing.
import Foundation
import Glibc
import Testing

/// A line of the program: `key=value` pairs by name.
struct Line: Sendable, CustomStringConvertible {
  let text: String

  subscript(key: String) -> String? {
    for word in text.split(separator: " ") where word.hasPrefix(key + "=") {
      return String(word.dropFirst(key.count + 1))
    }
    return nil
  }

  func number(_ key: String) -> Int? { self[key].flatMap { Int($0) } }
  var description: String { text }
}

/// A directory with sources and a build folder, and the runner watching it.
final class WatchHarness {
  let directory: URL
  let toolchain: Toolchain
  let swift: SwiftMode
  private(set) var started: RunnerEvent
  private let process: ChildProcess
  private let output: Output
  private var cursor = 0

  var build: URL { directory.appending(path: "build") }
  var pid: pid_t { process.pid }

  /// So long may anything take that is waited for, in seconds.
  static let patience = 20.0

  /// Writes and compiles sources, starts the runner and waits for its first link.
  ///
  /// - Parameters:
  ///   - sources: file names (`.c`, `.cpp`, `.swift`: compiled to `build/NAME.o`; others just written)
  ///     and contents.
  ///   - hz: frames a second.
  ///   - prepare: what else the build does before the runner starts.
  init(
    _ sources: [String: String], _ toolchain: Toolchain = .gcc, swift: SwiftMode = SwiftMode.all[0],
    hz: Int = 200, arguments: [String] = [], frames: Int? = nil, awaitStart: Bool = true,
    prepare: (URL) throws -> Void = { _ in }
  ) throws {
    self.toolchain = toolchain
    self.swift = swift
    directory = FileManager.default.temporaryDirectory
      .appending(path: "hotlink-scenario-\(UUID().uuidString.prefix(8))")
    let workshop = Workbench(directory: directory, toolchain: toolchain, swift: swift)
    do {
      try FileManager.default.createDirectory(
        at: directory.appending(path: "build"), withIntermediateDirectories: true)
      for (name, text) in sources.sorted(by: { $0.key < $1.key }) {
        try workshop.write(name, text)
        if let object = Workbench.object(of: name) { try workshop.compile(name, to: "build/" + object) }
      }
      try prepare(directory)
      // Never longer than two minutes, even if this process dies.
      let limit = frames ?? max(hz, 1) * 120
      var command = [try WatchHarness.binary(), "watch", "build", "--entry", "tick", "--json"]
      command += ["--hz", String(hz), "--frames", String(limit)] + arguments
      let ends = try ChildProcess.pipe()
      defer { close(ends.write) }
      do {
        process = try ChildProcess(
          command, in: directory, output: ends.write, errors: directory.appending(path: "stderr"))
      } catch {
        close(ends.read)
        throw error
      }
      output = Output(reading: ends.read)
    } catch {
      try? FileManager.default.removeItem(at: directory)
      throw error
    }
    started = try JSONDecoder().decode(RunnerEvent.self, from: Data(#"{"event":"none"}"#.utf8))
    if awaitStart { started = try event("started") }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// The `hotlink` beside the test bundle, or `HOTLINK_BINARY`.
  static func binary() throws -> String {
    if let path = ProcessInfo.processInfo.environment["HOTLINK_BINARY"] { return path }
    let here = [
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
      CommandLine.arguments.first,
    ]
    for case let place? in here {
      let candidate = URL(filePath: place).deletingLastPathComponent().appending(path: "hotlink")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate.path }
    }
    throw HarnessFailure(description: "no `hotlink` beside the tests: build it, or set HOTLINK_BINARY")
  }

  // MARK: Edits

  private var bench: Workbench { Workbench(directory: directory, toolchain: toolchain, swift: swift) }

  func write(_ name: String, _ text: String) throws { try bench.write(name, text) }

  /// Compiles a source that was written before.
  func compile(_ name: String, to object: String? = nil, flags: [String] = []) throws {
    let target = object ?? Workbench.object(of: name).map { "build/" + $0 } ?? name
    try bench.compile(name, to: target, flags: flags)
  }

  /// Compiles a text to an object outside the build folder.
  func object(_ name: String, _ text: String, as object: String) throws -> URL {
    try write(name, text)
    try compile(name, to: object)
    return directory.appending(path: object)
  }

  /// Saves a new text of a source and recompiles it, as a build tool does.
  func save(_ name: String, _ text: String) throws {
    try write(name, text)
    try compile(name)
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

  /// Puts an object into the build folder in one step.
  func install(_ object: URL, as name: String) throws {
    guard rename(object.path, build.appending(path: name).path) == 0 else {
      throw HarnessFailure(description: "rename \(object.path): \(String(cString: strerror(errno)))")
    }
  }

  /// A file in the program's working directory, by which a test tells it something.
  func touch(_ name: String) throws {
    try Data().write(to: directory.appending(path: name))
  }

  func shell(_ commands: String) throws {
    try runTool(["/bin/sh", "-ec", commands], in: directory)
  }

  // MARK: What the child says

  func reloaded() throws -> RunnerEvent { try answer("reloaded", unlike: "refused") }
  func refused() throws -> RunnerEvent { try answer("refused", unlike: "reloaded") }

  private func answer(_ kind: String, unlike other: String) throws -> RunnerEvent {
    try next("event “\(kind)”") { item in
      guard case .event(let event) = item else { return nil }
      if event.event == other {
        throw HarnessFailure(
          description: "\(other) instead of \(kind): \(event.reason ?? event.functions.description)")
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
    throw HarnessFailure(description: "no line before \(event.event)\(told())")
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
    (try? String(contentsOf: directory.appending(path: "stderr"), encoding: .utf8)) ?? ""
  }

  /// Moves the cursor past everything that has been said so far.
  func skipToEnd() { cursor = output.count }

  private func next<T>(_ what: String, _ matches: (Output.Item) throws -> T?) throws -> T {
    let deadline = Date(timeIntervalSinceNow: WatchHarness.patience)
    while true {
      let found = try output.scan(from: &cursor, matches)
      if let found { return found }
      guard output.wait(beyond: cursor, until: deadline) else {
        throw HarnessFailure(description: "waited in vain for \(what)\(told())")
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
    guard ending == .exit(0) else {
      throw HarnessFailure(description: "the program did not end well\(told())")
    }
    guard let event = events.last(where: { $0.event == "stopped" }) else {
      throw HarnessFailure(description: "no “stopped” at the end\(told())")
    }
    return event
  }

  /// Waits for the end, whatever it is.
  func end() throws -> Ending {
    guard let ending = process.wait(seconds: WatchHarness.patience) else {
      throw HarnessFailure(description: "the program does not end\(told())")
    }
    output.waitForClose()
    return ending
  }

  var isRunning: Bool { process.ending == nil }

  func send(_ signal: Int32) { process.send(signal) }
}

/// The files of a scenario.
struct Workbench {
  let directory: URL
  let toolchain: Toolchain
  let swift: SwiftMode

  /// `game.cpp` → `game.o`; nil for what is not compiled.
  static func object(of name: String) -> String? {
    guard let dot = name.lastIndex(of: "."), ["c", "cpp", "swift"].contains(name[name.index(after: dot)...])
    else { return nil }
    return name[..<dot] + ".o"
  }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: directory.appending(path: name))
  }

  func compile(_ name: String, to object: String, flags: [String] = []) throws {
    var command: [String]
    if name.hasSuffix(".swift") {
      let module = String(name.prefix { $0 != "." })
      command = ["swiftc", "-c", "-parse-as-library", "-module-name", module] + swift.flags
    } else if name.hasSuffix(".cpp") {
      command = [toolchain.cxx, "-std=c++20", "-c"] + toolchain.flags
    } else {
      command = [toolchain.c, "-c"] + toolchain.flags
    }
    try runTool(command + flags + [name, "-o", object], in: directory)
  }
}

/// What a child has written, in order; filled by a thread of its own.
private final class Output: @unchecked Sendable {
  enum Item {
    case line(Line)
    case event(RunnerEvent)
  }

  private let condition = NSCondition()
  private var all: [Item] = []
  private var closed = false

  init(reading descriptor: Int32) {
    Thread.detachNewThread { [self] in
      var rest: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { break }
        rest += buffer[..<count]
        var lines = rest.split(separator: 10, omittingEmptySubsequences: false)
        rest = lines.popLast().map(Array.init) ?? []
        append(lines.map { String(decoding: $0, as: UTF8.self) })
      }
      if !rest.isEmpty { append([String(decoding: rest, as: UTF8.self)]) }
      close(descriptor)
      condition.lock()
      closed = true
      condition.broadcast()
      condition.unlock()
    }
  }

  private func append(_ lines: [String]) {
    let decoder = JSONDecoder()
    var items: [Item] = []
    for line in lines {
      if line.hasPrefix(#"{"event":"#),
        let event = try? decoder.decode(RunnerEvent.self, from: Data(line.utf8))
      {
        items.append(.event(event))
      } else {
        items.append(.line(Line(text: line)))
      }
    }
    condition.lock()
    for item in items {
      if case .event(var event) = item {
        event.index = all.count
        all.append(.event(event))
      } else {
        all.append(item)
      }
    }
    condition.broadcast()
    condition.unlock()
  }

  var count: Int { locked { all.count } }
  var isClosed: Bool { locked { closed } }
  func items(upTo end: Int = .max) -> [Item] { locked { Array(all.prefix(end)) } }

  private func locked<T>(_ body: () throws -> T) rethrows -> T {
    condition.lock()
    defer { condition.unlock() }
    return try body()
  }

  /// Moves the cursor past the first match, or to the end.
  func scan<T>(from cursor: inout Int, _ matches: (Item) throws -> T?) throws -> T? {
    try locked {
      while cursor < all.count {
        cursor += 1
        if let found = try matches(all[cursor - 1]) { return found }
      }
      return nil
    }
  }

  /// Waits until there is more. False when nothing comes any more.
  func wait(beyond index: Int, until deadline: Date) -> Bool {
    locked {
      while all.count <= index && !closed {
        if !condition.wait(until: deadline) { return all.count > index }
      }
      return all.count > index
    }
  }

  func waitForClose() {
    let deadline = Date(timeIntervalSinceNow: 5)
    locked { while !closed, condition.wait(until: deadline) {} }
  }
}
