// A scenario as it stands in a file of Tests/Scenarios: sources before, edits, and what must be seen. The
// format is told in Tests/Scenarios/README.md; `ScenarioParser` reads it, `ScenarioPlay` plays it.

/// One file.
struct Scenario: Sendable {
  /// A file of the program, and the line of the scenario where it stands.
  struct Source: Sendable {
    var name: String
    var text: String
    var line: Int
  }

  /// A source that is saved and compiled again; with the text it had, to undo it.
  struct Save: Sendable {
    var name: String
    /// What it had been; nil for a file that is new.
    var before: String?
    var text: String
    /// Only the object's time changes.
    var isTouch = false
  }

  struct Step: Sendable {
    var saves: [Save]
    var outcome: Outcome
    /// A refused edit that a later step builds upon: undone, and made again.
    var isLeft = false
    var line: Int
  }

  struct Outcome: Sendable {
    enum Kind: String, CaseIterable, Sendable {
      case start, accepted, refused, restart, unchanged, end
    }
    var kind: Kind
    var expectations: [Expectation]
    var line: Int
  }

  /// In the checkout: `Tests/Scenarios/layouts/field-added.scenario`.
  var file: String
  var title = ""
  var why = ""
  var covers: [String] = []
  var builds: [ScenarioBuild] = []
  /// For `hotlink watch`; each of them is a run.
  var arguments: [[String]] = []
  var sources: [Source] = []
  var start = Outcome(kind: .start, expectations: [], line: 0)
  var steps: [Step] = []
  var end: Outcome?
}

/// A line of what must be seen.
struct Expectation: Sendable {
  enum Word: String, CaseIterable, Sendable {
    // Lines of the program.
    case sees, steady, counts, says, said
    // The report of a reload.
    case fate, fates, kept, changed, added, removed, units, relinked, hooks, effect, blind, warns
    case held, registrations, shadowed, unmoved
    // A refusal.
    case reason, differs, kind, variable, caller, obstacle, policy, unit
  }

  var word: Word
  /// What stands behind the word.
  var text: String
  var names: [String] = []
  var pairs: [(key: String, value: String)] = []
  var number = 0
  var line: Int
}

/// A scenario's file is wrong, or what was seen is not what it says.
struct ScenarioError: Error, Equatable, CustomStringConvertible {
  var file: String
  var line: Int
  var what: String
  var description: String { "\(file):\(line): \(what)" }
}
