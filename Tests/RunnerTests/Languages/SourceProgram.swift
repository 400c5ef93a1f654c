// A program in `Fixtures/programs/LANGUAGE/NAME`: a source file, or a folder of them. Its first comments say how it is
// run, so that a new program is a new file and nothing else:
//
//     run: ARGUMENTS…        one for each way to run it      input: TEXT     what it reads, with \n for a new line
//     flags: … gcc: … clang: …   for compiling; `none`: not with this compiler      environment: NAME=VALUE
//     libraries: -lX         for both links    archives: libX.a …   for both     link: …   for the driver's only
import Foundation
import Testing

struct SourceProgram: Sendable, CustomTestStringConvertible {
  var path: String
  /// All source files, the one that holds the directives first.
  var files: [String]
  private var directives: [String: [String]] = [:]

  var testDescription: String { name }
  var name: String { (path as NSString).lastPathComponent }

  /// All programs of a language, by name.
  static func all(_ language: String) -> [SourceProgram] {
    let folder = root + "/" + language
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.sorted().map { SourceProgram(folder + "/" + $0) }
  }

  /// Where programs are: three folders above this file.
  private static let root: String = {
    var url = URL(filePath: #filePath)
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.appending(path: "Fixtures/programs").path
  }()

  init(_ path: String) {
    self.path = path
    var isFolder = ObjCBool(false)
    _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let all = isFolder.boolValue ? names.sorted().map { path + "/" + $0 } : [path]
    // Headers and interfaces are found by those that include them.
    files = all.filter { !$0.hasSuffix(".h") && !$0.hasSuffix(".ads") }
    for file in files {
      let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
      for line in text.split(separator: "\n").prefix(20) { read(line) }
    }
  }

  private mutating func read(_ line: Substring) {
    guard let mark = ["// ", "!  ", "! ", "--  ", "# ", "; "].first(where: line.hasPrefix),
      let colon = line.firstIndex(of: ":")
    else { return }
    let key = String(line[..<colon].dropFirst(mark.count))
    let keys = [
      "run", "input", "flags", "gcc", "clang", "environment", "libraries", "archives", "link",
      "driver",
    ]
    guard keys.contains(key) else { return }
    directives[key, default: []].append(
      line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
  }

  /// The words of a directive; `"two words"` is one.
  func words(_ key: String) -> [String] { (directives[key] ?? []).flatMap(SourceProgram.words) }

  /// The arguments of each run; one run without any when none is named.
  var runs: [[String]] { (directives["run"] ?? [""]).map(SourceProgram.words) }

  var input: [UInt8] {
    Array((directives["input"] ?? []).joined().replacing("\\n", with: "\n").utf8)
  }

  var environment: [String: String] {
    var found: [String: String] = [:]
    for entry in directives["environment"] ?? [] {
      let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
      found[parts[0]] = parts.last
    }
    return found
  }

  /// Paths of the archives it names, as its compiler finds them.
  func archives(_ driver: String) throws -> [String] {
    try words("archives").map { name in
      let system = "/usr/lib/x86_64-linux-gnu/" + name
      if FileManager.default.fileExists(atPath: system) { return system }
      return try Tool.output(driver, ["-print-file-name=" + name])
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }

  private static func words(_ text: String) -> [String] {
    var found: [String] = []
    var word = ""
    var isQuoted = false
    var isOpen = false
    for character in text {
      switch character {
      case "\"":
        isQuoted.toggle()
        isOpen = true
      case " " where !isQuoted:
        if isOpen { found.append(word) }
        word = ""
        isOpen = false
      default:
        word.append(character)
        isOpen = true
      }
    }
    if isOpen { found.append(word) }
    return found
  }
}
