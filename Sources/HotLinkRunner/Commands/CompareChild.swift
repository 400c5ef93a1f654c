// The process in which `hotlink check --against dlopen` compares one library. Started by it alone: what it
// finds goes into a file, line by line, so that a crash leaves what was found before.
import ArgumentParser
import Glibc
import LoaderEngine
import SystemPackage

struct CompareChild: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "compare", shouldDisplay: false)

  @Argument var library: String
  @Argument var report: String
  @Option(name: .customShort("l")) var libraries: [String] = []
  @Option var first: [String] = []
  @Option var falsify: UInt64?

  func run() throws {
    let file = open(report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw ExitCode(RunnerExit.badInput) }
    // A dependency that aborts leaves nothing behind.
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(4), &none)  // RLIMIT_CORE
    chdir(FilePath(library).removingLastComponent().string)
    func say(_ fields: String...) {
      var line = Array((fields.map(ComparisonLines.escaped).joined(separator: "\t") + "\n").utf8)
      while !line.isEmpty {
        let count = write(file, line, line.count)
        guard count > 0 else { return }
        line.removeFirst(count)
      }
    }
    for name in libraries {
      guard dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nil else {
        say("refused", dlerror().map { String(cString: $0) } ?? name)
        _exit(0)
      }
    }
    say("phase", "dlopen")
    // One that does not load is for the load of the program itself to tell.
    for name in first { _ = dlopen(name, RTLD_LAZY | RTLD_LOCAL) }
    let outcome = ComparedLibrary.compare(FilePath(library), falsified: falsify) {
      say("phase", "load")
    }
    switch outcome {
    case .refused(let reason): say("refused", reason)
    case .notLoaded(let error): say("failed", Messages.line(error))
    case .compared(let found):
      for difference in found.differences {
        say(
          "different", String(difference.offset), difference.type, difference.symbol,
          difference.ours.description, difference.theirs.description)
      }
      for skip in LoaderComparison.Skip.allCases {
        if let count = found.skipped[skip] {
          say("skipped", Messages.reason(skip), String(count))
        }
      }
      say("compared", String(found.relocations), String(found.compared))
    }
    // Without finalisers: they would run over a library that was never initialised.
    _exit(0)
  }
}

/// The lines of a child's file: fields between tabs.
enum ComparisonLines {
  static func escaped(_ field: String) -> String {
    String(
      field.unicodeScalars.map { scalar in
        scalar == "\t" || scalar == "\n" || scalar == "\r" ? " " : Character(scalar)
      })
  }

  static func fields(_ text: String) -> [[String]] {
    text.split(separator: "\n").map { line in
      line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
  }
}
