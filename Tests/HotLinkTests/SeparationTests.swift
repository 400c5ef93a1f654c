// Several sessions in one process, at once and one after the other.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Sessions beside and after each other", .serialized)
struct SeparationTests {
  private static let source = """
    int total; static int hidden; __thread int mine = 40;
    const char *text(void) { return "a literal"; }
    int f(void) { static int calls; total += 1; hidden += 10; mine += 1; return ++calls + hidden + total; }
    int own(void) { return mine; }
    """

  @Test("Two sessions with the same unit names have separate state", arguments: [false, true])
  func separateState(isAnonymous: Bool) throws {
    let make = {
      try Session(["a.o": SeparationTests.source]) { $0.usesAnonymousMemory = isAnonymous }
    }
    let (one, two) = (try make(), try make())
    try one.start()
    try two.start()
    #expect(try one.call("own") == 40 && two.call("own") == 40)
    #expect(try one.call("f") == 12 && one.call("f") == 24 && one.call("f") == 36)
    #expect(try two.call("f") == 12, "the other session's variables are its own")
    #expect(try one.call("own") == 43)
    #expect(try two.call("own") == 41, "thread-local ones too")
    #expect(try one.address(of: "total") != two.address(of: "total"))
    #expect(try one.address(of: "f") != two.address(of: "f"))
    try two.add(c: SeparationTests.source.replacing("++calls", with: "1000 + ++calls"), name: "a.o")
    #expect(two.takeNew())
    #expect(try one.call("f") == 48 && two.call("f") == 1024)
    #expect(one.generation.number == 1 && two.generation.number == 2)
  }

  @Test("An undefined call goes to the session that it belongs to")
  func separateHandlers() throws {
    let source = "int later(void); int f(void) { return later(); }"
    let sessions = try (0..<3).map { _ in try Session(["a.o": source]) }
    for (index, session) in sessions.enumerated() {
      let answer: IntFunction =
        switch index {
        case 0: { 100 }
        case 1: { 200 }
        default: { 300 }
        }
      let address = Address(
        UInt64(UInt(bitPattern: unsafeBitCast(answer, to: UnsafeRawPointer.self))))
      session.onUndefinedCall { $0 == "later" ? address : nil }
      try session.start()
    }
    #expect(try sessions.map { try $0.call("f") } == [100, 200, 300])
    #expect(try sessions.reversed().map { try $0.call("f") } == [300, 200, 100])
  }

  @Test(
    "Fifty sessions one after the other leave no more mappings than five", arguments: [false, true])
  func mappings(isAnonymous: Bool) async throws {
    await #expect(processExitsWith: .success) { [isAnonymous = isAnonymous as Bool] in
      func mappings() throws -> Int {
        try ProcessUsage.mappings()
      }
      var counts: [Int] = []
      for round in 0..<50 {
        let session = try Session(["a.o": SeparationTests.source]) {
          $0.usesAnonymousMemory = isAnonymous
        }
        try session.start()
        #expect(try session.call("f") == 12)
        #expect(try session.call("own") == 41, "round \(round)")
        try session.add(
          c: SeparationTests.source.replacing("++calls", with: "5 + ++calls"), name: "a.o")
        _ = session.takeNew()
        #expect(try session.call("f") == 29)
        counts.append(try mappings())
      }
      print("mappings of fifty sessions: \(counts[4]) after 5, \(counts[49]) after 50")
      precondition(counts[49] <= counts[4] + 4, "\(counts)")
    }
  }

  @Test("A session without a start can be dropped, and one that was refused")
  func dropped() throws {
    for _ in 0..<10 {
      _ = try Session(["a.o": SeparationTests.source])
      let refused = try Session(["a.o": "extern int lost; int f(void) { return lost; }"])
      #expect(throws: Refusal.self) { try refused.start() }
      let checked = try Session(["a.o": SeparationTests.source])
      #expect(try checked.check().undefined.isEmpty)
    }
  }
}
