// The executable `hotlink`. A verb is a file in Commands and one word here.
import ArgumentParser

@main
enum Main {
  static func main() {
    HotLinkCommand.main(FileRuns.folded(ProgramTail.split(CommandLine.arguments).own))
  }
}

/// What follows `--` belongs to the program that is run, not to us.
enum ProgramTail {
  static let arguments = split(CommandLine.arguments).program

  static func split(_ all: [String]) -> (own: [String], program: [String]) {
    guard let end = all.firstIndex(of: "--") else { return (Array(all.dropFirst()), []) }
    return (Array(all[1..<end]), Array(all[(end + 1)...]))
  }
}

struct HotLinkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hotlink",
    abstract: "Runs compiled objects and swaps edited ones in while they run.",
    version: "0.1.0",
    subcommands: [
      Watch.self, Run.self, Check.self, Inspect.self, Doctor.self, Explain.self, Control.self,
      CompareChild.self,
    ])
}

/// What the runner's exit codes mean.
enum RunnerExit {
  static let accepted: Int32 = 0
  /// `check --against`: a word differs. `doctor`: something will hurt.
  static let different: Int32 = 1
  static let badInput: Int32 = 2
  /// `watch --layout restart`: kept data has another layout.
  static let restartNeeded: Int32 = 3
  static let cannotReach: Int32 = 4
  /// `check --against`: the other loader cannot load it either.
  static let oracleRefuses: Int32 = 5
}
