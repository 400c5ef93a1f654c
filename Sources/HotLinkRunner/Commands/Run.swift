// `hotlink run FILES… -- ARGS…`: links objects in memory and calls their main.
import ArgumentParser
import Glibc
import HotLink
import LoaderEngine
import SystemPackage

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Links objects, archives and shared objects in memory and runs them.",
    discussion: "Exits with the entry's value; 2 when the link is refused. `-` reads an object from"
      + " standard input. What follows `--` are the program's arguments.")

  @Argument(help: "Objects, archives and shared objects.")
  var files: [String]

  @Option(help: "Function to call, as `int main(int, char **, char **)`.")
  var entry: String = "main"

  @Option(name: .customShort("l"), help: "Library to open in the process first, as for a linker.")
  var libraries: [String] = []

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: "Link all members of the archives that follow, needed or not.")
  var wholeArchive = false

  @OptionGroup var stripping: DeadStripping

  @Flag(help: "Refuse undefined functions at once instead of when they are called.")
  var strict = false

  @Flag(help: "Report the link as JSON on standard output.")
  var json = false

  mutating func validate() throws { files = FileRuns.unfolded(files) }

  func run() throws {
    let reporter = Reporter(json: json)
    var options = Session.Options()
    options.isStrict = strict
    options.libraries = libraries
    options.deadStripRoots = stripping.roots(entry)
    options.wanted = [entry] + stripping.root
    options.relaxation = .all
    options.arguments = [files.first ?? "hotlink"] + ProgramTail.arguments
    do {
      let session = try Session(options)
      if json { session.onEvent { reporter.report($0) } }
      for file in InputFiles(files, on: CommandLine.arguments).files {
        try session.add(input: file)
      }
      try session.start()
      let address = try session.address(of: entry)
      let status = LinkedCode.main(address, ArgumentVector(options.arguments))
      // exit runs the program's handlers and finalisers; the session must outlive them.
      withExtendedLifetime(session) { Glibc.exit(status) }
    } catch let refusal as Refusal {
      reporter.failed(refusal)
    } catch let error as LinkError {
      reporter.failed(error)
    }
    throw ExitCode(RunnerExit.badInput)
  }
}

extension Session {
  /// A file by name, or standard input for `-`.
  func add(input: InputFiles.File) throws(LinkError) {
    guard input.path == "-" else {
      return try add(FilePath(input.path), isWhole: input.isWhole)
    }
    let (bytes, name) = try Session.read(input: input.path)
    try add(bytes, name: name)
  }

  static func read(input: String) throws(LinkError) -> (bytes: [UInt8], name: String) {
    guard input == "-" else {
      return (try FileContents(reading: FilePath(input)).bytes, input)
    }
    let contents = try FileContents(draining: STDIN_FILENO, name: "standard input")
    return (contents.bytes, "standard input")
  }
}
