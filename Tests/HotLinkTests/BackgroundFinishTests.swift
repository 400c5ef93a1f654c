// A session that finishes reloads in the background tells the same of them, in the same order, without the host's help.
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Reloads finished in the background")
struct BackgroundFinishTests {
  /// One unit with a function, state with and without an edited initial value, and a constant.
  private static func unit(_ version: Int) -> String {
    """
    int untouched = \(version), kept;
    const int table[4] = {1, 2, 3, \(version)};
    int added_\(version)(void) { return \(version); }
    int value(void) { kept += 1; return \(version) * 100 + untouched * 10 + table[3]; }
    int same(void) { return kept; }
    """
  }

  @Test("they are told as in the foreground, for each of several edits")
  func tellTheSame() throws {
    let foreground = try reports { _ in }
    let background = try reports { $0.finishesInBackground = true }
    #expect(background.map(\.generation) == [2, 3, 4])
    for (one, other) in zip(foreground, background) {
      #expect(one.generation == other.generation)
      #expect(one.changed == other.changed && other.changed == ["value"])
      #expect(one.added == other.added && one.removed == other.removed)
      #expect(other.added.count == 1 && other.removed.count == 1)
      let verdicts = [one, other].map { report in
        report.verdicts.map { "\($0)" }.sorted()
      }
      #expect(verdicts[0] == verdicts[1])
      #expect(other.count { $0 == .kept } > 0)
      #expect(other.pauseMicroseconds >= other.swapMicroseconds)
    }
  }

  @Test("replaced code is recycled: rounds without number leave memory as it was")
  func recycles() throws {
    let session = try Session(["unit.o": Self.unit(1)]) { $0.finishesInBackground = true }
    let log = EventLog(session)
    try session.start()
    var held = UInt64.max
    // Other tests' threads may not answer in time; what they held goes with a later round.
    for round in 3..<300 where round < 41 || held >= 64 << 10 {
      try session.add(c: Self.unit(round % 2 + 1), name: "unit.o")
      try #require(session.takeNew())
      session.tellPublished()
      let pins = log.reloads.last?.pins.filter { $0.reason != .constants } ?? []
      #expect(pins.allSatisfy { $0.reason == .unknownThreads })
      held = pins.reduce(0) { $0 + $1.bytes }
    }
    #expect(log.reloads.count >= 38 && held < 64 << 10)
  }

  @Test("hooks are told before that how much changes")
  func tellsHooks() throws {
    func source(_ version: Int) -> String {
      """
      struct reload { unsigned long from, to; unsigned units, changed, added, removed; };
      int seen;
      void hotlink_after_reload(const struct reload *r) { seen = r->changed * 10 + r->added; }
      int value(void) { return \(version); }
      \(version == 2 ? "int more(void) { return 1; }" : "")
      """
    }
    let session = try Session(["unit.o": source(1)]) { $0.finishesInBackground = true }
    try session.start()
    try session.add(c: source(2), name: "unit.o")
    try #require(session.takeNew())
    let seen = try session.address(of: "seen").pointer?.load(as: Int32.self)
    #expect(seen == 11)
  }

  /// What a session says of three edits, each of which has taken effect when the next one comes.
  private func reports(_ change: (inout Session.Options) -> Void) throws -> [ReloadReport] {
    let session = try Session(["unit.o": Self.unit(1)], change)
    let log = EventLog(session)
    try session.start()
    for version in 2...4 {
      try session.add(c: Self.unit(version), name: "unit.o")
      try #require(session.takeNew())
      #expect(try session.call("value") == Int32(version * 100 + version * 10 + version))
    }
    session.endLinking()
    return log.reloads
  }
}
