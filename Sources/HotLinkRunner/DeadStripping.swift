// `--dead-strip`: what the entry and the roots do not lead to is left out. ld(1), --gc-sections.
import ArgumentParser

struct DeadStripping: ParsableArguments {
  @Flag(help: "Leave out sections that nothing leads to from the entry and the roots.")
  var deadStrip = false

  @Option(help: "Symbol that stays, and what it leads to, with --dead-strip; may be repeated.")
  var root: [String] = []

  /// The roots; nil when everything stays.
  func roots(_ entry: String?) -> [String]? {
    deadStrip ? [entry].compactMap { $0 } + root : nil
  }

  func validate() throws {
    guard deadStrip || root.isEmpty else { throw ValidationError("--root needs --dead-strip") }
  }
}
