// What shall become of state where the rules leave a choice.
import ArgumentParser
import HotLink

/// `--state`.
struct StateOptions: ParsableArguments {
  /// `POLICY`, or `NAME=POLICY` for a unit, a variable, or `UNIT:VARIABLE`.
  struct Choice: ExpressibleByArgument {
    var name: String?
    var policy: StatePolicy

    init?(argument: String) {
      let mark = argument.lastIndex(of: "=")
      let last = mark.map { argument[argument.index(after: $0)...] } ?? argument[...]
      guard let policy = StatePolicy(rawValue: String(last)) else { return nil }
      self.policy = policy
      name = mark.map { String(argument[..<$0]) }
      if name?.isEmpty == true { return nil }
    }
  }

  @Option(
    help: ArgumentHelp(
      "What becomes of state at a reload: keep, hold, source, reset, move or reset-when-needed; NAME=POLICY for one unit (game.o), variable (Game::score) or both (game.o:score). May be repeated.",
      valueName: "[name=]policy"))
  var state: [Choice] = []

  var policies: StatePolicies {
    var policies = StatePolicies()
    for choice in state {
      if let name = choice.name {
        policies.named[name] = choice.policy
      } else {
        policies.all = choice.policy
      }
    }
    return policies
  }
}
