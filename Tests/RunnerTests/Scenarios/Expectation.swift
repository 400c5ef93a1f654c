// The words of what must be seen: which stand in which section, and what follows each of them.

extension Expectation {
  /// Not a line of this section.
  struct Unreadable: Error {
    var what: String
  }

  private enum Shape {
    case text, names, pairs, number, countAndText, namesOrNone
    case none(or: String)
  }

  private static func shape(of word: Word) -> Shape {
    switch word {
    case .sees: .pairs
    case .steady, .counts, .fate: .names
    case .says, .warns, .reason, .differs, .obstacle, .policy, .variable, .kind, .unit, .caller:
      .text
    case .said, .fates: .countAndText
    case .kept, .registrations: .number
    case .changed, .added, .removed, .units, .relinked, .hooks, .shadowed, .unmoved: .namesOrNone
    case .effect: .none(or: "some")
    case .blind, .held: .none(or: "")
    }
  }

  static func words(of kind: Scenario.Outcome.Kind) -> [Word] {
    switch kind {
    case .start: [.sees, .steady, .counts, .said]
    case .accepted:
      [
        .sees, .steady, .counts, .says, .said, .fate, .fates, .kept, .changed, .added, .removed,
        .units, .relinked, .hooks, .effect, .blind, .warns, .held, .registrations, .shadowed,
        .unmoved,
      ]
    case .refused, .restart:
      [
        .reason, .differs, .kind, .variable, .caller, .obstacle, .policy, .unit, .said, .says,
      ]
    case .unchanged: [.reason, .units, .said]
    case .end: [.said]
    }
  }

  /// The fates of docs/state.md and docs/layouts.md, as the JSON report names them.
  static let fates = [
    "kept", "kept_over_edit", "reinitialised", "grown", "shrunk", "added", "removed", "rewritten",
    "moved", "initialiser_not_run", "initialised", "reset", "migrated", "migrated_by_hook",
    "overwritten", "moved_with_value",
  ]

  /// Sizes and values are numbers; a value may be that of a key in the last frame before.
  private static func isFact(_ pair: (key: String, value: String)) -> Bool {
    switch pair.key {
    case "from", "to", "source": Int(pair.value) != nil
    case "value", "hook": true
    case "moved": ["yes", "no"].contains(pair.value)
    default: false
    }
  }

  /// Reads a line.
  ///
  /// - Throws: `Unreadable`.
  init(_ line: String, in kind: Scenario.Outcome.Kind, line number: Int) throws {
    let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
    guard let word = Word(rawValue: parts[0]) else {
      throw Unreadable(what: "unknown word '\(parts[0])'")
    }
    guard Expectation.words(of: kind).contains(word) else {
      throw Unreadable(what: "'\(word)' does not stand in '\(kind)'")
    }
    let text = parts.count == 2 ? parts[1] : ""
    self.init(word: word, text: text, line: number)
    try readRest()
  }

  private mutating func readRest() throws {
    guard !text.isEmpty else { throw Unreadable(what: "'\(word)' what?") }
    names = text.split(separator: " ").map(String.init)
    switch Expectation.shape(of: word) {
    case .text: break
    case .names: try readNames()
    case .pairs: try readPairs()
    case .number: try readNumber(text)
    case .countAndText:
      try readNumber(names[0])
      text = String(text.dropFirst(names[0].count + 1))
      names.removeFirst()
      guard word != .fates || Expectation.fates.contains(text) else {
        throw Unreadable(what: "unknown fate '\(text)'")
      }
      guard !text.isEmpty else { throw Unreadable(what: "'\(word)' what?") }
    case .namesOrNone: if text == "none" { names = [] }
    case .none(let other):
      guard text == "none" || other.isEmpty || text == other else {
        throw Unreadable(what: "'\(word)' is none or \(other)")
      }
    }
  }

  private mutating func readPairs() throws {
    for name in names {
      let pair = name.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2 else { throw Unreadable(what: "'\(name)' is no key=value") }
      pairs.append((pair[0], pair[1]))
    }
  }

  private mutating func readNumber(_ text: String) throws {
    guard let number = Int(text) else { throw Unreadable(what: "'\(text)' is no number") }
    self.number = number
  }

  /// `counts a b`, `counts a by 2`, `fate a b grown from=4 to=8`.
  private mutating func readNames() throws {
    switch word {
    case .counts:
      number = 1
      if names.count > 2, names[names.count - 2] == "by" {
        try readNumber(names[names.count - 1])
        names.removeLast(2)
      }
    case .fate:
      guard let place = names.lastIndex(where: Expectation.fates.contains), place > 0 else {
        throw Unreadable(what: "'\(text)' names no fate, or nothing that has it")
      }
      let facts = Array(names[(place + 1)...])
      let (fate, symbols) = (names[place], Array(names[..<place]))
      names = facts
      try readPairs()
      for pair in pairs where !Expectation.isFact(pair) {
        throw Unreadable(what: "'\(pair.key)=\(pair.value)' is no fact of a fate")
      }
      (text, names) = (fate, symbols)
    default: break
    }
  }
}
