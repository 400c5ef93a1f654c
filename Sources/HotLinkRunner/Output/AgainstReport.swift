// What `hotlink check --against dlopen` tells: one object a line for programs, one line a library and its
// differences for people, and a table of all of them for a document.
import ArgumentParser
import Glibc
import HotLink
import LoaderEngine
import SystemPackage

struct AgainstReport {
  let json: Bool
  let table: String?

  /// Runs the comparisons and tells of each as it is there.
  ///
  /// - Throws: `ExitCode`, the worst of all libraries.
  func run(_ check: AgainstCheck, _ files: [String]) throws {
    var summary = SweepTable()
    var worst: Int32 = 0
    var number = 0
    do {
      try check.run(files) { verdict, total in
        number += 1
        summary.add(verdict)
        if AgainstReport.rank(verdict.exitCode) > AgainstReport.rank(worst) {
          worst = verdict.exitCode
        }
        if json {
          print(AgainstReport.json(verdict).text)
        } else {
          print(
            AgainstReport.text(verdict, total > 1 ? "[\(number)/\(total)] " : ""), terminator: "")
        }
        fflush(nil)
      }
      if let table { try write(summary.markdown, to: table) }
    } catch {
      Reporter(json: json).failed(error)
      throw ExitCode(RunnerExit.badInput)
    }
    if !json, number > 1 { print(summary.line) }
    if number == 0 {
      throw ValidationError("no shared objects in \(files.joined(separator: ", "))")
    }
    if worst != 0 { throw ExitCode(worst) }
  }

  private static func rank(_ code: Int32) -> Int {
    switch code {
    // A library that is loaded wrongly is worse than one that is refused.
    case RunnerExit.different: 3
    case RunnerExit.badInput: 2
    case RunnerExit.oracleRefuses: 1
    default: 0
    }
  }

  private func write(_ text: String, to path: String) throws(LinkError) {
    let file = FilePath(path)
    do {
      let descriptor = try FileDescriptor.open(
        file, .writeOnly, options: [.create, .truncate],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
      _ = try descriptor.closeAfter { try descriptor.writeAll(text.utf8) }
    } catch {
      throw LinkError(
        file: path,
        .system(
          SystemError(call: "open", subject: path, code: (error as? Errno)?.rawValue ?? EIO)))
    }
  }

  static func json(_ verdict: LibraryVerdict) -> JSON {
    var counts = (relocations: 0, compared: 0)
    var extra: [(String, JSON)] = []
    switch verdict.state {
    case .compared(let relocations, let compared): counts = (relocations, compared)
    case .failed(let reason): extra = [("failed", .string(reason))]
    case .refused(let reason): extra = [("refused", .string(reason))]
    }
    return .object(
      [
        ("library", .string(verdict.library)), ("relocations", .count(counts.relocations)),
        ("compared", .count(counts.compared)),
        (
          "different",
          .array(
            verdict.differences.map {
              .object([
                ("offset", .unsigned($0.offset)), ("type", .string($0.type)),
                ("symbol", .string($0.symbol)), ("ours", .string($0.ours)),
                ("theirs", .string($0.theirs)),
              ])
            })
        ),
        ("skipped", .object(verdict.skipped.map { ($0.reason, .count($0.count)) })),
      ] + extra)
  }

  static func text(_ verdict: LibraryVerdict, _ prefix: String) -> String {
    switch verdict.state {
    case .failed(let reason): return "\(prefix)\(verdict.library): not loaded: \(reason)\n"
    case .refused(let reason):
      return "\(prefix)\(verdict.library): dlopen cannot load it: \(reason)\n"
    case .compared(let relocations, let compared):
      var line = "\(prefix)\(verdict.library): \(compared) of \(relocations) relocations compared, "
      line += "\(verdict.differences.count) different"
      for skip in verdict.skipped { line += "; \(skip.count) skipped: \(skip.reason)" }
      var text = line + "\n"
      for difference in verdict.differences {
        text += "  \(Messages.hex(difference.offset)) \(difference.type) \(difference.symbol)\n"
        text += "    ours:   \(difference.ours)\n    theirs: \(difference.theirs)\n"
      }
      return text
    }
  }
}
