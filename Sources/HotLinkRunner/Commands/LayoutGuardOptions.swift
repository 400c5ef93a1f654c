// What is done when the layout of kept data has changed.
import ArgumentParser
import HotLink

/// `--layout` and `--heap-layout`.
struct LayoutGuardOptions: ParsableArguments {
  /// `POLICY`, or `NAME=POLICY` for a unit or a variable.
  struct Choice: ExpressibleByArgument {
    var name: String?
    var policy: LayoutPolicy

    init?(argument: String) {
      guard let mark = argument.lastIndex(of: "=") else {
        guard let policy = LayoutPolicy(rawValue: argument) else { return nil }
        self.policy = policy
        return
      }
      let name = argument[..<mark]
      guard !name.isEmpty,
        let policy = LayoutPolicy(rawValue: String(argument[argument.index(after: mark)...]))
      else { return nil }
      self.name = String(name)
      self.policy = policy
    }
  }

  enum Heap: String, ExpressibleByArgument, CaseIterable { case warn, refuse }

  @Option(
    help: ArgumentHelp(
      "When the layout of kept data changes: refuse, reset, migrate or restart; NAME=POLICY for one unit or variable. May be repeated.",
      valueName: "[name=]policy"))
  var layout: [Choice] = []

  @Option(
    help: "When a type changes that only pointers lead to: warn (accept and say so) or refuse.")
  var heapLayout = Heap.refuse

  var policies: LayoutPolicies {
    var policies = LayoutPolicies()
    for choice in layout {
      if let name = choice.name {
        policies.named[name] = choice.policy
      } else {
        policies.all = choice.policy
      }
    }
    policies.toleratesHeap = heapLayout == .warn
    return policies
  }
}
