// gdb driven by a script: it starts the built `hotlink`, or attaches to one that runs.
import Foundation

enum GdbSession {
  private static let settings = [
    "set pagination off", "set breakpoint pending on", "set debuginfod enabled off",
    "set print thread-events off",
  ]

  /// Runs `hotlink ARGUMENTS` from its start. The script must not run to the program's end: gdb 13 may
  /// lose a process that ends while another of its threads lives (“Couldn't get registers”).
  ///
  /// - Returns: all that gdb and the program print.
  static func start(_ arguments: [String], _ commands: [String], in directory: String) throws
    -> String
  {
    try run(commands, ["--args", try Tool.hotlinkPath()] + arguments, directory)
  }

  /// Attaches to a process that runs; it goes on afterwards.
  static func attach(_ pid: pid_t, _ commands: [String], in directory: String) throws -> String {
    try run(commands + ["detach"], ["-p", String(pid)], directory)
  }

  private static func run(_ commands: [String], _ target: [String], _ directory: String) throws
    -> String
  {
    let script = (settings + commands).flatMap { ["-ex", $0] }
    let outcome = try Tool.run(
      "gdb", ["-q", "-nx", "-batch"] + script + target, directory: directory, timeout: 90)
    guard outcome.code == 0 else {
      throw Tool.Failure(
        description: "gdb: \(outcome.end)\n\(outcome.stdout)\n\(outcome.stderr.suffix(2000))")
    }
    return outcome.stdout
  }

  /// How many images `maint info jit` lists: entry, image, size.
  static func images(_ told: String) -> Int {
    told.split(separator: "\n").count { line in
      let columns = line.split(separator: " ")
      return columns.count == 3 && columns[0].hasPrefix("0x") && columns[1].hasPrefix("0x")
        && Int(columns[2]) != nil
    }
  }

  /// The number of the line that holds a mark.
  static func line(_ mark: String, in source: String) -> Int {
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
    return (lines.firstIndex { $0.contains(mark) } ?? -2) + 1
  }
}
