// `hotlink check FILES…`: links, runs nothing, and shows what came out.
import ArgumentParser
import Glibc
import HotLink
import LoaderEngine

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Links objects and archives without running anything and shows the result.",
    discussion: """
      Shared objects and executables alone are loaded, and summed up, without running any of their code;       the libraries they need that the process's own loader opens do run theirs.

      Exit codes: 0 the link is accepted, 2 it is refused.

      With --trace bindings: loads shared objects, runs none of their code, and prints a line for each \
      symbol that was looked up.

      With --against dlopen: loads shared objects, each in a process of its own, by ld.so and by us, \
      and compares what every relocation wrote. Their initialisers do not run; those of the libraries \
      they need do. Exit codes: 0 nothing differs, 1 something does, 2 we cannot load it, 5 dlopen cannot \
      either; of several files the worst: 1, then 2, then 5.
      """)

  @Argument(help: "Objects and archives. With --against: shared objects, or directories of them.")
  var files: [String]

  @Option(help: "Loader to compare with, relocation by relocation.")
  var against: Oracle?

  @Option(help: "bindings: load shared objects and print what each symbol was bound to.")
  var trace: Trace?

  @Option(help: "Symbol whose linked bytes are shown; may be repeated.")
  var dump: [String] = []

  @Option(help: "Symbol that must be defined.")
  var entry: String?

  @Option(name: .customShort("l"), help: "Library to open in the process first, as for a linker.")
  var libraries: [String] = []

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: "Link all members of the archives that follow, needed or not.")
  var wholeArchive = false

  @OptionGroup var stripping: DeadStripping

  @Flag(help: "List undefined symbols instead of refusing them.")
  var allowUndefined = false

  @Flag(
    help: "The result as one JSON object on standard output; with --against one a line and file.")
  var json = false

  @Option(help: "File that gets the results of all libraries as a table (with --against).")
  var table: String?

  @Option(help: "Seconds that each library may take (with --against).")
  var timeLimit = 60.0

  @OptionGroup(title: "For people who work on linkers (docs/check.md)")
  var layout: LayoutOptions

  @Option(help: .hidden)
  var falsify: UInt64?

  mutating func validate() throws {
    files = FileRuns.unfolded(files)
    guard !stripping.deadStrip || entry != nil || !stripping.root.isEmpty else {
      throw ValidationError("--dead-strip needs --entry or --root")
    }
  }

  func run() throws {
    if against != nil {
      return try AgainstReport(json: json, table: table).run(
        AgainstCheck(libraries: libraries, falsify: falsify, timeLimit: timeLimit), files)
    }
    if trace == .bindings { return try BindingTrace(json: json).run(files) }
    let reporter = Reporter(json: false)
    var options = Session.Options()
    options.isStrict = true
    options.allowUndefined = allowUndefined
    options.libraries = libraries
    options.deadStripRoots = stripping.roots(entry)
    options.wanted = [entry].compactMap { $0 } + dump + stripping.root
    do {
      if files.allSatisfy(ImageCheck.isImage), dump.isEmpty, !layout.isApart {
        return try ImageCheck(json: json, entry: entry).run(files)
      }
      layout.apply(to: &options)
      let inputs = InputFiles(files, on: CommandLine.arguments).files
      // Archives alone are looked at as a whole: nothing asks for a member.
      let isWhole = entry == nil && files.allSatisfy { $0.hasSuffix(".a") }
      let session: Session
      if let base = layout.base {
        let contents = try layout.contents(of: inputs)
        options.layout = try ImaginaryLayout(
          base: base.value, inputs: contents, merges: options.mergesConstants)
        session = try Session(options)
        for (file, content) in zip(inputs, contents) {
          try session.add(content.bytes, name: content.name, isWhole: file.isWhole || isWhole)
        }
      } else {
        session = try Session(options)
        for var file in inputs {
          file.isWhole = file.isWhole || isWhole
          try session.add(input: file)
        }
      }
      let result = try session.check(layout.bytes ? .bytes : .places)
      if let entry, !result.symbols.contains(where: { $0.name == entry }) {
        throw LinkError(
          file: files.first ?? "",
          .undefined([LinkError.UndefinedSymbol(name: entry, sites: [], references: 1)]))
      }
      if json {
        CheckJSON(dump: dump).print(result, session, layout.defines)
      } else {
        printTable(result, session)
      }
    } catch let refusal as Refusal {
      try refuse(refusal, reporter)
    } catch let error as LinkError {
      try refuse(Refusal(unit: error.file, reason: .link(error)), reporter)
    }
  }

  private func refuse(_ refusal: Refusal, _ reporter: Reporter) throws {
    if json {
      Reporter(json: true).emit(
        [
          ("ok", .bool(false)), ("reason", .string(Messages.line(refusal))),
          ("unit", .string(refusal.unit)), ("undefined", .strings(refusal.undefinedNames)),
          ("error", CheckJSON.error(refusal)),
        ] + refusal.symbolDefects)
    } else {
      reporter.failed(refusal)
    }
    throw ExitCode(RunnerExit.badInput)
  }

  private func printTable(_ result: CheckResult, _ session: Session) {
    for section in result.sections {
      print(
        Messages.hex(section.address), section.size, section.flags, section.name, section.image,
        separator: "\t")
    }
    for symbol in result.symbols {
      print(
        Messages.hex(symbol.address), symbol.size, symbol.kind, symbol.binding, symbol.name,
        symbol.image, separator: "\t")
    }
    if layout.bytes { printContents(result) }
    for name in result.undefined { print("undefined", name, separator: "\t") }
    for name in dump {
      print(
        name, session.linkedBytes(of: name).map(Messages.bytes) ?? "not defined", separator: "\t")
    }
    print("\(result.relocations) relocations applied")
  }
}

extension Check {
  private func printContents(_ result: CheckResult) {
    for section in result.sections {
      guard let bytes = section.bytes else { continue }
      print(Messages.bytes(bytes), section.name, section.image, separator: "\t")
    }
    for entry in result.got {
      print(Messages.hex(entry.address), "got", entry.kind, entry.referred.symbol, separator: "\t")
    }
    for stub in result.stubs {
      print(Messages.hex(stub.address), "stub", stub.referred.symbol, separator: "\t")
    }
  }
}
