// Input is a claim, not a fact (DESIGN section 2): whatever is done to a file, the answer is a typed
// error or a clean link. Every run happens in a child process, which must come to the end of its list.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Malformed input is refused")
struct MalformedTests {
  static let everything: [Breakage] =
    [.smallC, .smallCXX, .archive].map {
      Breakage(subject: $0, family: .truncations, manner: .check)
    }
    + [.smallC, .smallCXX, .archive].map {
      Breakage(subject: $0, family: .flips, manner: .check)
    }
    + [.smallC, .smallCXX, .swift].flatMap { subject in
      [.truncations, .corruptions].map {
        Breakage(
          subject: subject, family: $0, manner: .check, seed: .random(in: 1...1 << 40))
      }
    }.filter { $0.family == .corruptions || $0.subject == .swift }
    + [.smallC, .smallCXX].flatMap { subject in
      [.check, .reload].map { Breakage(subject: subject, family: .extremes, manner: $0) }
    }
    + [.smallC, .smallCXX, .swift].map {
      Breakage(subject: $0, family: .corruptions, manner: .reload, seed: .random(in: 1...1 << 40))
    }
    + [.implicit, .compact, .compressed, .threadLocal, .large].flatMap { subject in
      [.truncations, .flips, .corruptions].map {
        Breakage(subject: subject, family: $0, manner: .check, seed: .random(in: 1...1 << 40))
      }
    }
    + [.implicit, .compact, .threadLocal, .compressed, .debugged, .indexed].map {
      Breakage(subject: $0, family: .corruptions, manner: .reload, seed: .random(in: 1...1 << 40))
    }
    + (Breakage.isLong
      ? [.check, .reload].flatMap { manner in
        [.swift, .implicit, .compact, .threadLocal, .large].map {
          Breakage(subject: $0, family: .extremes, manner: manner)
        }
      } : [])

  /// Deaths that are looked at before a family is given up.
  private static let patience = 12

  @Test("It ends with a typed error or a clean link:", arguments: everything)
  func survives(_ breakage: Breakage) async throws {
    let bytes = try breakage.bytes()
    let mutations = breakage.mutations(of: bytes)
    let path = Compiled.folder.appending(path: "progress.\(UUID().uuidString)").path
    let progress = try RunProgress(path)
    defer { unlink(path) }
    var first = 0
    var deaths = 0
    let clock = ContinuousClock()
    let begin = clock.now
    while first < mutations.count && deaths < MalformedTests.patience {
      let result = await #expect(
        processExitsWith: .success, observing: [\.standardErrorContent]
      ) { [breakage, first = first as Int, path = path as String] in
        alarm(580)  // a loop that does not end ends here
        try breakage.run(from: first, progress: path)
      }
      if progress.begun == mutations.count, result?.exitStatus == .exitCode(0) { break }
      deaths += 1
      let number = progress.begun
      let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      Issue.record(
        "run \(number), \(mutations[min(number, mutations.count - 1)]): \(said)")
      first = number + 1
    }
    #expect(progress.begun == mutations.count, "the list was not finished")
    #expect(mutations.count > 100)
    // Whole, the subject links: what is refused was refused for its damage.
    #expect(breakage.family != .flips || progress.accepted > 0, "no input was linked")
    print(
      "\(breakage.testDescription): \(progress.begun) of \(mutations.count) inputs,",
      "\(progress.accepted) linked, seed \(breakage.seed), \(clock.now - begin)")
  }

  /// What to give in the environment to see one death where a debugger can: family, subject, manner,
  /// seed, number and how many from there, as a failing run prints them.
  static let replay = ProcessInfo.processInfo.environment["HOTLINK_REPLAY"]?
    .split(separator: " ").map(String.init)

  @Test("One run again, in this process", .enabled(if: replay != nil))
  func replays() throws {
    let words = try #require(MalformedTests.replay)
    let breakage = Breakage(
      subject: try #require(Breakage.Subject(rawValue: words[1])),
      family: try #require(Breakage.Family(rawValue: words[0])),
      manner: try #require(Breakage.Manner(rawValue: words[2])),
      seed: try #require(UInt64(words[3])))
    let number = try #require(Int(words[4]))
    let count = words.count > 5 ? Int(words[5]) ?? 1 : 1
    try breakage.run(from: number, progress: "/dev/shm/hotlink.replay", count: count)
  }
}
