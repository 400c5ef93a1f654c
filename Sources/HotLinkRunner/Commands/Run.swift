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

  @Option(
    help: "Function to call, as `int main(int, char **, char **)`; `_start` as the kernel does.")
  var entry: String = "main"

  @OptionGroup var libraries: LibraryOptions

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: "Link all members of the archives that follow, needed or not.")
  var wholeArchive = false

  @OptionGroup var stripping: DeadStripping

  @Flag(help: "Refuse undefined functions at once instead of when they are called.")
  var strict = false

  @Option(
    help: "When debuggers are told of linked code: off, lazy (when one is there), on."
  )
  var debug = DebugChoice.lazy

  @Option(
    help:
      "Tell perf of linked code: map (/tmp/perf-PID.map) or jitdump (jit-PID.dump, for `perf inject`)."
  )
  var perf: PerfChoice?

  @Flag(help: "Report the link as JSON on standard output.")
  var json = false

  mutating func validate() throws { files = FileRuns.unfolded(files) }

  func run() throws {
    ThreadStorageRoom.make(for: libraries.opened)
    let reporter = Reporter(json: json)
    var options = Session.Options()
    options.isStrict = strict
    options.libraries = libraries.opened
    options.debugging = debug.mode
    options.profiling = perf?.mode ?? .off
    options.deadStripRoots = stripping.roots(entry)
    options.wanted = [entry] + stripping.root
    options.relaxation = .all
    options.isWholeProcess = true
    options.arguments = [programName] + ProgramTail.arguments
    do {
      let session = try Session(options)
      session.onEvent { reporter.report($0, ifWarning: !json) }
      for file in InputFiles(files, on: CommandLine.arguments).files + libraries.archives {
        try session.add(input: file)
      }
      try session.start()
      let status = try enter(session, ArgumentVector(options.arguments))
      session.endLinking()
      // exit runs the program's handlers and finalisers; the session must outlive them.
      withExtendedLifetime(session) { Glibc.exit(status) }
    } catch let refusal as Refusal {
      reporter.failed(refusal)
    } catch let error as LinkError {
      reporter.failed(error)
    }
    throw ExitCode(RunnerExit.badInput)
  }

  /// What the program is told that it is called: the first object's name, wherever libraries stand.
  private var programName: String {
    let objects = files.filter { file in
      ![".a", ".rlib"].contains(where: file.hasSuffix) && !file.contains(".so")
    }
    return objects.first ?? files.first ?? "hotlink"
  }

  /// Calls the entry; a program that has `_start` and no `main` begins where the kernel would begin it.
  private func enter(_ session: Session, _ arguments: ArgumentVector) throws(LinkError) -> Int32 {
    let generation = session.generation
    let hasOnlyStart = generation.symbol("main") == nil && generation.symbol("_start") != nil
    if entry == "_start" || (entry == "main" && hasOnlyStart) {
      LinkedCode.enter(try session.address(of: "_start"), arguments)
    }
    return LinkedCode.main(try session.address(of: entry), arguments)
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
