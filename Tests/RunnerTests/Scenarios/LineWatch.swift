// Every line that a scenario's program prints is held against the one before it: keys that count have gone on by one
// step, steady ones are what they were. So a frame that was lost, or ran on other state, is seen wherever it is. There are
// a thousand lines for each refusal: a word is looked for where it was before, and only what differs is looked at closely.

struct LineWatch {
  private enum Motion {
    case steady
    case counts(by: Int)
  }

  private struct Watched {
    var key: String
    var motion: Motion
    /// Which word of the line it was.
    var place: Int
  }

  /// Lines that begin with this key are the program's frames; others are what it says besides.
  let key: String
  private let opening: String
  private var watched: [Watched] = []
  private(set) var last: Line?
  private var lastWords: [Substring] = []

  init(key: String) {
    self.key = key
    opening = key + "="
  }

  /// Takes `steady` and `counts` from what a section expects: from the last line on.
  ///
  /// - Returns: the first that is not in the line, with the key.
  mutating func declare(_ expectations: [Expectation]) -> (Expectation, key: String)? {
    for expectation in expectations where [.steady, .counts].contains(expectation.word) {
      for name in expectation.names {
        guard let place = lastWords.firstIndex(where: { $0.hasPrefix(name + "=") }) else {
          return (expectation, name)
        }
        watched.removeAll { $0.key == name }
        let motion = expectation.word == .steady ? Motion.steady : .counts(by: expectation.number)
        watched.append(Watched(key: name, motion: motion, place: place))
      }
    }
    return nil
  }

  func isFrame(_ line: Line) -> Bool { line.text.hasPrefix(opening) }

  /// Takes the next frame.
  ///
  /// - Parameter seen: keys that have a value of their own in it.
  /// - Returns: what is wrong.
  mutating func take(_ line: Line, seen: Set<String> = []) -> String? {
    let words = line.text.split(separator: " ")
    defer { (last, lastWords) = (line, words) }
    guard let last else { return nil }
    for one in watched where !seen.contains(one.key) && !isPlainlyRight(one, words) {
      let key = one.key
      switch one.motion {
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

  /// Whether a word that is where it was before is as it must be. False says nothing.
  private func isPlainlyRight(_ one: Watched, _ words: [Substring]) -> Bool {
    guard one.place < words.count, one.place < lastWords.count else { return false }
    let (new, old) = (words[one.place].utf8, lastWords[one.place].utf8)
    guard new.starts(with: one.key.utf8), old.starts(with: one.key.utf8) else { return false }
    let length = one.key.utf8.count
    // What follows the key, with its “=”.
    let (newRest, oldRest) = (Substring(new.dropFirst(length)), Substring(old.dropFirst(length)))
    guard newRest.utf8.first == UInt8(ascii: "="), oldRest.utf8.first == UInt8(ascii: "=") else {
      return false
    }
    switch one.motion {
    case .steady: return newRest == oldRest
    case .counts(let step):
      guard let number = Int(Substring(newRest.utf8.dropFirst())),
        let before = Int(Substring(oldRest.utf8.dropFirst()))
      else { return false }
      return number == before + step
    }
  }
}
