// The scenarios of Tests/Scenarios, each file in each of its ways. HOTLINK_SCENARIO=WORD plays those whose
// file's path contains the word.
import Foundation
import Testing

enum ScenarioFiles {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Scenarios").standardizedFileURL

  /// All files, or what is wrong with one of them.
  static let all = Result<[Scenario], any Error> {
    let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    return try paths.filter { $0.hasSuffix(".scenario") }.sorted().map { path in
      let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
      return try ScenarioParser.parse(text, file: "Tests/Scenarios/\(path)")
    }
  }

  static let cases: [ScenarioCase] = {
    let word = ProcessInfo.processInfo.environment["HOTLINK_SCENARIO"] ?? ""
    let files = ((try? all.get()) ?? []).filter { word.isEmpty || $0.file.contains(word) }
    return files.flatMap { file in
      file.builds.flatMap { build in
        file.arguments.map { ScenarioCase(scenario: file, build: build, arguments: $0) }
      }
    }
  }()
}

@Suite("Scenarios")
struct ScenarioTests {
  @Test("is seen as its file says", arguments: ScenarioFiles.cases)
  func plays(_ subject: ScenarioCase) throws { try ScenarioPlay.play(subject) }

  @Test("Each file is understood")
  func understood() throws { #expect(try ScenarioFiles.all.get().count > 0) }
}
