// What a watched program has written, in order: its own lines, and the runner's events between them.
import Foundation

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

/// The output of a child, filled by a thread of its own.
final class ChildOutput: @unchecked Sendable {
  enum Item {
    case line(Line)
    case event(RunnerEvent)
  }

  private let condition = NSCondition()
  private var all: [Item] = []
  private var closed = false

  /// - Parameter descriptor: closed at its end.
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
      locked {
        closed = true
        condition.broadcast()
      }
    }
  }

  private func append(_ lines: [String]) {
    let decoder = JSONDecoder()
    let items = lines.map { line -> Item in
      guard line.hasPrefix(#"{"event":"#),
        let event = try? decoder.decode(RunnerEvent.self, from: Data(line.utf8))
      else { return .line(Line(text: line)) }
      return .event(event)
    }
    locked {
      for item in items {
        if case .event(var event) = item {
          event.index = all.count
          all.append(.event(event))
        } else {
          all.append(item)
        }
      }
      condition.broadcast()
    }
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
        if !condition.wait(until: deadline) { break }
      }
      return all.count > index
    }
  }

  func waitForClose() {
    let deadline = Date(timeIntervalSinceNow: 5)
    locked { while !closed, condition.wait(until: deadline) {} }
  }
}
