// Claims that were forged on purpose (DESIGN section 2): each is refused by a typed error that names the file, the
// structure and the place, or the image is loaded and works. In a child process, between guard pages, by every
// mapper.
import Foundation
import Glibc
import LoaderEngine
import TestFixtures
import Testing

@Suite("Forged shared objects")
struct ForgedImageTests {
  /// Deaths that are looked at before the rest is given up.
  private static let patience = 12

  @Test("Each forged claim is refused by name, or harmless")
  func verdicts() async throws {
    let forgeries = Forgery.all
    _ = try BreakableImage.thrower()
    let stem = Compiled.folder.appending(path: "forged.\(UUID().uuidString)").path
    let progress = try RunProgress(stem)
    defer {
      unlink(stem)
      unlink(stem + ".verdicts")
    }
    var first = 0
    var deaths = 0
    while first < forgeries.count, deaths < ForgedImageTests.patience {
      let result = await #expect(
        processExitsWith: .success, observing: [\.standardErrorContent]
      ) { [first = first as Int, stem = stem as String] in
        try ForgedImageTests.judge(from: first, stem)
      }
      if progress.begun == forgeries.count, result?.exitStatus == .exitCode(0) { break }
      deaths += 1
      let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      let name = forgeries[min(progress.begun, forgeries.count - 1)].name
      Issue.record("\(name): \(said.suffix(2000))")
      first = progress.begun + 1
    }
    let lines = try String(contentsOfFile: stem + ".verdicts", encoding: .utf8).split(
      separator: "\n")
    var judged: Set<Int> = []
    for line in lines {
      let fields = line.split(separator: "\t", maxSplits: 1).map(String.init)
      guard let number = Int(fields[0]), fields.count == 2 else { continue }
      judged.insert(number)
      let forgery = forgeries[number]
      #expect(
        forgery.expected.contains { fields[1].hasPrefix($0) }
          && !fields[1].contains("of another file"),
        "\(forgery.name): \(fields[1])")
    }
    #expect(judged.count == forgeries.count && judged.count > 250)
    print("\(judged.count) forged images, \(deaths) deaths")
  }

  /// In the child: verdicts from a number on, line by line, so that those before a death are kept.
  private static func judge(from first: Int, _ stem: String) throws {
    let forgeries = Forgery.all
    let progress = try RunProgress(stem)
    let trial = try ForgeryTrial(progress, room: 1 << 16)
    guard let out = fopen(stem + ".verdicts", "a") else { return }
    for number in first..<forgeries.count {
      progress.begin(number)
      alarm(20)
      let verdict: String
      do { verdict = try trial.verdict(forgeries[number]) } catch { verdict = "damage: \(error)" }
      fputs("\(number)\t\(verdict.replacing("\n", with: " "))\n", out)
      fflush(out)
    }
    progress.begin(forgeries.count)
    fclose(out)
  }
}
