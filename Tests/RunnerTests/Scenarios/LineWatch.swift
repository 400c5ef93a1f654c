// Every line that a scenario's program prints is held against the one before it: keys that count have gone on by one
// step, steady ones are what they were. So a frame that was lost, or ran on other state, is seen wherever it is.

struct LineWatch {
  private enum Motion {
    case steady
    case counts(by: Int)
  }

  /// Lines with this key are the program's frames; others are what it says besides.
  let key: String
  private var motions: [String: Motion] = [:]
  private(set) var last: Line?

  init(key: String) { self.key = key }

  /// Takes `steady` and `counts` from what a section expects: from the last line on.
  ///
  /// - Returns: the first that is not in the line, with the key.
  mutating func declare(_ expectations: [Expectation]) -> (Expectation, key: String)? {
    for expectation in expectations where [.steady, .counts].contains(expectation.word) {
      for name in expectation.names {
        guard last?[name] != nil else { return (expectation, name) }
        motions[name] = expectation.word == .steady ? .steady : .counts(by: expectation.number)
      }
    }
    return nil
  }

  func isFrame(_ line: Line) -> Bool { line[key] != nil }

  /// Takes the next frame.
  ///
  /// - Parameter seen: keys that have a value of their own in it.
  /// - Returns: what is wrong.
  mutating func take(_ line: Line, seen: Set<String> = []) -> String? {
    defer { last = line }
    guard let last else { return nil }
    for (key, motion) in motions where !seen.contains(key) {
      switch motion {
      case .steady:
        guard line[key] != last[key] else { continue }
        return "'\(key)' is steady: “\(last)” → “\(line)”"
      case .counts(let step):
        guard let number = last.number(key), line.number(key) == number + step else {
          return "'\(key)' counts by \(step): “\(last)” → “\(line)”"
        }
      }
    }
    return nil
  }
}
