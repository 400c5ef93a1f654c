// `bench`: HotLink against a peer, in rounds. A table for people, or one JSON object a line.
internal import ArgumentParser
internal import Glibc

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

  @Option(help: .hidden)
  var part: Part?

  func validate() throws {
    if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1") }
  }

  func run() throws {
    // A peer that ended is told of by what it did not answer.
    signal(SIGPIPE, SIG_IGN)
    if let child { return print(try child.measure(units)) }
    let destination: Destination = part != nil ? .parent : json ? .json : .table
    let runner = Runner(only: only, rounds: rounds, destination: destination, side: side)
    let fixtures = try Fixtures.inPackage()
    if let part {
      part.measure(runner, fixtures)
    } else if only.isEmpty, side == nil {
      for part in Part.allCases {
        do {
          try part.measureInChild(runner, rounds: rounds)
        } catch {
          runner.fail(part.rawValue, error)
        }
      }
    } else {
      for part in Part.allCases { part.measure(runner, fixtures) }
    }
    try runner.finish()
  }
}
