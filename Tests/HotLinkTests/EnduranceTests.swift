// Thousands of reloads: memory and mappings stay what they were.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

/// What this process uses.
enum ProcessUsage {
  /// Resident bytes (Linux: /proc/self/statm).
  static func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
  }

  static func mappings() throws -> Int {
    // Read to its end: the kernel gives a page at a time, and Foundation's String stops at the first.
    let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/maps"))
    return file.readDataToEndOfFile().count { $0 == UInt8(ascii: "\n") }
  }

  /// Page faults that needed no disk.
  static func minorFaults() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_minflt
  }
}

@Suite("Endurance", .serialized)
struct EnduranceTests {
  static let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"
  static let rounds = isLong ? 10_000 : 1500
  static let settled = isLong ? 500 : 300

  static func unit(_ round: Int) -> String {
    """
    static int calls; int kept = 3;
    static const char *const words[] = { "round", "and", "round" };
    const char *text(int n) { return words[n % 3]; }
    int tick(int n) {
      switch (n) { case 0: return \(round); case 1: return 7; case 2: return 19; case 3: return 5;
                   case 4: return 88; case 5: return 1; case 6: return 63; }
      return ++calls + \(round % 4 == 0 ? "n" : "2 * n");
    }
    """
  }

  /// Eight versions, taken in turn: a compiler run each would be most of the time.
  static func versions() throws -> [[UInt8]] {
    try (0..<8).map { try Compiled.object(.gcc, unit($0), flags: ["-O1"]) }
  }

  @Test("Resident memory and mappings stay flat over thousands of reloads")
  func flat() async throws {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent]
    ) { [rounds = EnduranceTests.rounds as Int, settled = EnduranceTests.settled as Int] in
      alarm(500)
      let versions = try EnduranceTests.versions()
      let session = try Session()
      try session.add(versions[0], name: "tiny.o")
      try session.start()
      let tick = try session.function("tick", as: (@convention(c) (Int32) -> Int32).self)
      let log = EventLog(session)
      var resident = 0
      var mappings = 0
      let clock = ContinuousClock()
      let begin = clock.now
      for round in 1...rounds {
        try session.add(versions[round % 8], name: "tiny.o")
        #expect(session.waitUntilLinked())
        #expect(session.update())
        #expect(tick(0) == Int32(round % 8))
        #expect(tick(100) > Int32(round))
        if round == settled {
          resident = try ProcessUsage.residentBytes()
          mappings = try ProcessUsage.mappings()
        }
      }
      let time = clock.now - begin
      let end = try ProcessUsage.residentBytes()
      let pinned = Int(log.reloads.last?.pinnedBytes ?? 0)
      print(
        "\(rounds) reloads in \(time): resident \(resident) → \(end), pinned \(pinned),",
        "mappings \(mappings) → \(try ProcessUsage.mappings()),",
        "pins \(Set((log.reloads.last?.pins ?? []).map(\.reason)))")
      #expect(Double(end) <= 1.1 * Double(resident) + Double(pinned))
      #expect(pinned < 1 << 20, "text of old generations is recycled")
      #expect(try ProcessUsage.mappings() <= mappings + 2)
    }
    print(String(decoding: result?.standardOutputContent ?? [], as: UTF8.self))
  }

  @Test("Warm reloads of a 10 KB object take few page faults")
  func faults() async throws {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent]
    ) {
      alarm(120)
      let versions = try (0..<2).map { version in
        try Compiled.object(
          .gcc,
          (0..<120).map { "int f\($0)(int n) { return n * \($0 + 3) + \(version); }" }
            .joined(separator: "\n"), flags: ["-O1"])
      }
      print("object of \(versions[0].count) bytes")
      let session = try Session()
      try session.add(versions[0], name: "unit.o")
      try session.start()
      var before = 0
      for round in 1...300 {
        if round == 201 { before = ProcessUsage.minorFaults() }
        try session.add(versions[round % 2], name: "unit.o")
        _ = session.takeNew()
      }
      let faults = ProcessUsage.minorFaults() - before
      print("100 warm reloads: \(faults) minor faults")
      #expect(session.generation.number == 301)
      // One mapping round in each reload would already cost hundreds.
      #expect(faults < 200)
    }
    print(String(decoding: result?.standardOutputContent ?? [], as: UTF8.self))
  }
}
