// The files that the policies judge: those of this checkout, or a handful made up by a test.
import Foundation

struct SourceFile {
  /// Path from the root of the repository, `Sources/LoaderEngine/ELF/Bytes.swift`.
  let path: String
  let text: String
  let swift: ScannedSwift

  init(_ path: String, _ text: String) {
    self.path = path
    self.text = text
    swift = ScannedSwift(path.hasSuffix(".swift") ? text : "")
  }

  var isSwift: Bool { path.hasSuffix(".swift") }
  var isC: Bool { [".c", ".h", ".S", ".cpp"].contains { path.hasSuffix($0) } }
  var name: String { path.split(separator: "/").last.map(String.init) ?? path }
  var lines: [Substring] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  /// `LoaderEngine` for a file anywhere below `Sources/LoaderEngine`.
  var target: String? {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
  }

  /// `ELF` for `Sources/LoaderEngine/ELF/Bytes.swift`; nil at the top of a target.
  var room: String? {
    let parts = path.split(separator: "/")
    return parts.count > 3 && parts[0] == "Sources" ? String(parts[2]) : nil
  }
}

struct SourceTree {
  var files: [SourceFile]

  var sources: [SourceFile] { files.filter { $0.path.hasPrefix("Sources/") } }
  var tests: [SourceFile] { files.filter { $0.path.hasPrefix("Tests/") } }

  init(_ files: [SourceFile]) { self.files = files }

  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static let checkout: Result<SourceTree, any Error> = Result { try SourceTree(readFrom: root) }

  private init(readFrom root: URL) throws {
    files = []
    for folder in ["Sources", "Tests"] {
      let names = try FileManager.default.subpathsOfDirectory(
        atPath: root.appending(path: folder).path)
      for name in names.sorted() where SourceTree.isText(name) {
        let path = "\(folder)/\(name)"
        files.append(
          SourceFile(
            path, try String(contentsOf: root.appending(path: path), encoding: .utf8)))
      }
    }
  }

  private static func isText(_ path: String) -> Bool {
    [".swift", ".c", ".h", ".S", ".cpp"].contains { path.hasSuffix($0) }
  }
}
