// Input is a claim, not a fact (DESIGN section 2), for shared objects and executables: whatever is done to a
// file, the answer is a typed error or a correct load. Every list runs in a child process, which must come to
// its end; the numbers say that it did what it was meant to do.
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("Malformed shared objects are refused or loaded")
struct MalformedImageTests {
  static let everything: [ImageBreakage] =
    BreakableImage.allCases.map {
      // Every length of one library always, of all with HOTLINK_LONG_TESTS=1.
      ImageBreakage(
        subject: $0, family: .truncations, step: ImageBreakage.isLong || $0 == .gnu ? 1 : 23)
    }
    + BreakableImage.allCases.map {
      ImageBreakage(
        subject: $0, family: .flips, step: ImageBreakage.isLong ? 1 : $0 == .gnu ? 11 : 41,
        seed: .random(in: 1...1 << 40))
    }

  /// Deaths that are looked at before a list is given up.
  private static let patience = 12

  @Test("It ends with a typed error or a correct load:", arguments: everything)
  func survives(_ breakage: ImageBreakage) async throws {
    let bytes = try breakage.subject.bytes()
    _ = try BreakableImage.thrower()
    let mutations = breakage.mutations(of: bytes)
    let path = Compiled.folder.appending(path: "progress.\(UUID().uuidString)").path
    let progress = try RunProgress(path)
    defer { unlink(path) }
    var first = 0
    var deaths = 0
    let clock = ContinuousClock()
    let begin = clock.now
    while first < mutations.count && deaths < MalformedImageTests.patience {
      let result = await #expect(
        processExitsWith: .success, observing: [\.standardErrorContent]
      ) { [breakage, first = first as Int, path = path as String] in
        try breakage.run(from: first, progress: path)
      }
      if progress.begun == mutations.count, result?.exitStatus == .exitCode(0) { break }
      deaths += 1
      let number = progress.begun
      let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      Issue.record(
        """
        \(mutations[min(number, mutations.count - 1)]): \(said.suffix(2000))
        HOTLINK_REPLAY='\(breakage.subject.rawValue) \(breakage.family.rawValue) \
        \(breakage.step) \(breakage.seed) \(number)'
        """)
      first = number + 1
    }
    func counted(_ counter: ImageTrial.Counter) -> Int { progress.counted(counter.rawValue) }
    #expect(progress.begun == mutations.count, "the list was not finished")
    #expect(counted(.loads) == 2 * mutations.count)
    switch breakage.family {
    case .truncations:
      #expect(mutations.count == (bytes.count + breakage.step - 1) / breakage.step)
      // Only what no segment holds may be missing: section headers and their names.
      #expect(progress.accepted > 64 / breakage.step && progress.accepted < mutations.count / 2)
    case .flips:
      let bits = ImageLayout(bytes).bitCount
      #expect(mutations.count >= bits / breakage.step && bits > 10_000)
      // Names, values and sizes of symbols are most of the bits: whatever they are, it can be loaded.
      #expect(progress.accepted > mutations.count / 4)
      #expect(progress.accepted < mutations.count)
    }
    #expect(counted(.exceptions) >= progress.accepted)
    #expect(counted(.lookups) >= progress.accepted)
    print(
      "\(breakage.family) of \(breakage.subject): \(progress.begun) of \(mutations.count) inputs,",
      "\(progress.accepted) loaded, \(counted(.lookups)) lookups,",
      "\(counted(.indirect)) resolvers left, step \(breakage.step), seed \(breakage.seed),",
      "\(clock.now - begin)")
  }

  /// What to give in the environment to see one death where a debugger can: subject, family, step, seed,
  /// number and how many from there, as a failing run prints them.
  static let replay = ProcessInfo.processInfo.environment["HOTLINK_REPLAY"]?
    .split(separator: " ").map(String.init)

  @Test("One run again, in this process", .enabled(if: (replay?.count ?? 0) >= 5))
  func replays() throws {
    let words = try #require(MalformedImageTests.replay)
    let breakage = ImageBreakage(
      subject: try #require(BreakableImage(rawValue: words[0])),
      family: try #require(ImageBreakage.Family(rawValue: words[1])),
      step: try #require(Int(words[2])), seed: try #require(UInt64(words[3])))
    try breakage.run(
      from: try #require(Int(words[4])), progress: "/dev/shm/hotlink.replay",
      count: words.count > 5 ? Int(words[5]) ?? 1 : 1)
  }
}
