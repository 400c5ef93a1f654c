// `hotlink doctor [PATH]`: what will hurt, before it does.
import ArgumentParser
import Foundation

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Looks for flags, limits and permissions that will hurt, and says what to do.",
    discussion: """
      Reads all objects, archives and shared objects below a directory: what their compilers noted about flags, how
      their sections are made, whether they are older than their sources, who may write them; then the limits of
      this machine. Nothing is linked or run.

      Exit codes: 0 nothing will hurt, 1 something will, 2 there is no such file or directory.
      """)

  @Argument(help: "Directories or files.")
  var paths: [String] = ["."]

  @Flag(help: "One JSON object on standard output.")
  var json = false

  func run() throws {
    var files: [String] = []
    var directories = 0
    for path in paths {
      var isDirectory = ObjCBool(false)
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
        return try fail("no such file or directory: \(path)")
      }
      guard isDirectory.boolValue else {
        files.append(path)
        continue
      }
      directories += 1
      let tree = FileManager.default.enumerator(
        at: URL(filePath: path), includingPropertiesForKeys: [.isDirectoryKey])
      while let entry = tree?.nextObject() as? URL {
        let values = try? entry.resourceValues(forKeys: [.isDirectoryKey])
        if values?.isDirectory == true { directories += 1 }
        if ["o", "a", "so"].contains(entry.pathExtension), values?.isDirectory != true {
          files.append(relative(entry, to: path))
        }
      }
    }
    let objects = ObjectFindings(files.sorted(), CompilationDatabase(near: paths.first ?? "."))
    let system = SystemFindings(directories: directories, size: objects.size)
    var findings = (objects.findings + system.findings).joined
    if files.isEmpty {
      findings.append(
        Finding(
          severity: .note, code: "no-objects", place: paths.joined(separator: ", "),
          what: "no objects", why: "only the machine was looked at",
          help: "build first, and name the directory that the objects are in"))
    }
    show(findings, files: files.count, units: objects.units)
    throw ExitCode(
      findings.contains { $0.severity == .hurts } ? RunnerExit.different : RunnerExit.accepted)
  }

  /// As the path was given, not as the enumerator makes it.
  private func relative(_ entry: URL, to path: String) -> String {
    let root = URL(filePath: path).standardizedFileURL.resolvingSymlinksInPath().path
    let full = entry.standardizedFileURL.resolvingSymlinksInPath().path
    guard full.hasPrefix(root + "/") else { return entry.path }
    let rest = full.dropFirst(root.count + 1)
    return path == "."
      ? String(rest) : "\(path.hasSuffix("/") ? String(path.dropLast()) : path)/\(rest)"
  }

  private func show(_ findings: [Finding], files: Int, units: Int) {
    let hurting = findings.count { $0.severity == .hurts }
    if json {
      return print(
        JSON.object([
          ("ok", .bool(hurting == 0)), ("files", .count(files)), ("units", .count(units)),
          ("findings", .array(findings.map(\.json))),
        ]).text)
    }
    for finding in findings { print(finding.text) }
    let looked = "\(files) file\(files == 1 ? "" : "s"), \(units) unit\(units == 1 ? "" : "s")"
    print(
      hurting == 0
        ? "\(looked): nothing will hurt"
        : "\(looked): \(hurting) finding\(hurting == 1 ? "" : "s") that will hurt")
  }

  private func fail(_ message: String) throws {
    if json {
      print(JSON.object([("ok", .bool(false)), ("error", .string(message))]).text)
    } else {
      FileHandle.standardError.write(Data("error: \(message)\n".utf8))
    }
    throw ExitCode(RunnerExit.badInput)
  }
}
