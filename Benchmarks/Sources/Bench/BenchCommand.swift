// `bench`: HotLink against a peer, in rounds. A table for people, or one JSON object a line.
internal import ArgumentParser

@main
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures HotLink and a peer in turns and tells medians and their ratio.")

  @Flag(help: "One JSON object a line on standard output instead of a table.")
  var json = false

  @Option(help: "Only figures whose id is this, or begins with it and a dot. Repeatable.")
  var only: [String] = []

  @Option(help: "Rounds of every figure; each has its own number otherwise.")
  var rounds: Int?

  @Option(help: .hidden)
  var child: ColdStart?

  @Option(help: .hidden)
  var units = WholeSet.count

  @Option(help: .hidden)
  var side: Side?

  func validate() throws {
    if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1") }
  }

  func run() throws {
    if let child { return print(try child.measure(units)) }
    let runner = Runner(only: only, rounds: rounds, printsJSON: json, side: side)
    let fixtures = try Fixtures.inPackage()
    try Loading.measure(runner, fixtures)
    try Lookup.measure(runner, fixtures)
    try OneChange.measure(runner, fixtures)
    try WholeSet.measure(runner, fixtures)
    try Calls.measure(runner, fixtures)
    try ManyUnits.measure(runner, fixtures)
    try LargeObjects.measure(runner, fixtures)
    try FirstThrow.measure(runner, fixtures)
    try Guarding.measure(runner, fixtures)
    try runner.finish()
  }
}
