// Edits that several threads make at once, and that break and mend one another: whatever was refused in between and
// whenever it came, in the end each unit is what was added last.
import Foundation
import HotLink
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

@Suite("Edits from several threads")
struct ConcurrentEditsTests {
  private static let threads = 3
  private static let unitsPerThread = 3
  private static let rounds = 250

  /// What a version of a unit does to the others.
  private enum Version: Int, CaseIterable {
    case plain, other
    /// Does not define its variable, which others may need.
    case lacking
    /// Needs the variable of the next unit.
    case needing
    /// Defines the next unit's variable, which may do that itself.
    case doubling
    /// State that the guard refuses to carry over.
    case relaidOut

    func source(_ unit: Int, of count: Int) -> String {
      let next = (unit + 1) % count
      let variable = self == .lacking ? "" : "int data_\(unit) = 1;"
      let more =
        switch self {
        case .needing: "extern int data_\(next); int *more_\(unit)(void) { return &data_\(next); }"
        case .doubling: "int data_\(next) = 1;"
        case .relaidOut: "struct state { int b, a; };"
        default: "struct state { int a, b; };"
        }
      let state = more.contains("struct") ? "struct state state_\(unit) = {1, 2};" : ""
      return "\(variable) \(more) \(state) int value_\(unit)(void) { return \(rawValue); }"
    }
  }

  @Test(
    "the newest of each unit runs in the end, and nothing waits", .timeLimit(.minutes(5)),
    arguments: [false, true], [1, 2, 3])
  func newestRuns(inBackground: Bool, seed: UInt64) throws {
    let count = Self.threads * Self.unitsPerThread
    let versions = try (0..<count).map { unit in
      try Version.allCases.map {
        try Compiled.object(.gcc, $0.source(unit, of: count), flags: ["-O1", "-g"])
      }
    }
    var options = Session.Options()
    options.finishesInBackground = inBackground
    let session = try Session(options)
    let log = EventLog(session)
    for unit in 0..<count { try session.add(versions[unit][0], name: "\(unit).o") }
    try session.start()
    let ended = Atomic(0)
    for thread in 0..<Self.threads {
      let edits = Thread {
        var random = Seeded(seed &* 1000 &+ UInt64(thread))
        for _ in 0..<Self.rounds {
          let unit = thread * Self.unitsPerThread + Int(random.next() % UInt64(Self.unitsPerThread))
          // Mostly harmless, so that there are times at which the whole set may be linked.
          let kind = Int(random.next() % 40)
          let version = kind < 33 ? kind % 2 : min(kind - 31, Version.allCases.count)
          if version == Version.allCases.count {
            session.remove("\(unit).o")
          } else {
            try? session.add(versions[unit][version], name: "\(unit).o")
          }
          usleep(UInt32(random.next() % 400))
        }
        ended.add(1, ordering: .sequentiallyConsistent)
      }
      edits.stackSize = 8 << 20
      edits.start()
    }
    while ended.load(ordering: .sequentiallyConsistent) < Self.threads {
      session.update()
      usleep(50)
    }
    // The last of each, the guard's grant included; they come one by one, so that most are refused at first.
    for unit in 0..<count { try session.add(versions[unit][1], name: "\(unit).o") }
    for _ in 0..<2000 where !isNewest(session, count) {
      for unit in session.refusedUnits { session.retry(reset: unit) }
      if !session.takeNew() { usleep(1000) }
    }
    #expect(isNewest(session, count), "\(log.refusals.suffix(3)) \(session.refusedUnits)")
    #expect(session.refusedUnits.isEmpty)
    #expect(!log.reloads.isEmpty)
  }

  private func isNewest(_ session: Session, _ count: Int) -> Bool {
    (0..<count).allSatisfy { (try? session.call("value_\($0)")) == 1 }
  }
}
