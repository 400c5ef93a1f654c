// A change that was refused waits for the one that mends it, whenever that comes; what was ready before it is not held up.
import Glibc
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Changes that were refused")
struct RefusedChangeTests {
  private static let lacking =
    "extern int missing; int other(void) { return 2; } int *where(void) { return &missing; }"

  private func session() throws -> Session {
    let session = try Session([
      "ready.o": "int value(void) { return 1; }", "other.o": "int other(void) { return 1; }",
    ])
    try session.start()
    return session
  }

  @Test("One that was ready, and not taken yet, takes effect without the refused one")
  func readyBefore() throws {
    let session = try session()
    let log = EventLog(session)
    try session.add(c: "int value(void) { return 2; }", name: "ready.o")
    #expect(session.waitUntilLinked())
    try session.add(c: Self.lacking, name: "other.o")
    #expect(session.waitUntilLinked())
    #expect(log.refusals.map(\.unit) == ["other.o"])
    #expect(session.refusedUnits == ["other.o"])
    #expect(session.update())
    #expect(try session.call("value") == 2 && session.call("other") == 1)
    #expect(log.reloads.last?.heldBack == ["other.o"])
    // What is ready again is linked with the one that mends the refused one.
    try session.add(c: "int value(void) { return 3; }", name: "ready.o")
    #expect(!session.waitUntilLinked())
    try session.add(c: "int missing;", name: "missing.o")
    #expect(session.takeNew())
    #expect(try session.call("value") == 3 && session.call("other") == 2)
    #expect(session.refusedUnits.isEmpty)
  }

  @Test("Two units that need a reset are given it one after the other")
  func resets() throws {
    func unit(_ name: String, _ members: String) throws -> [UInt8] {
      try Compiled.object(
        .gcc,
        "struct s { \(members) } s_\(name) = {1, 2}; int \(name)(void) { return s_\(name).a; }",
        flags: ["-O1", "-g"])
    }
    let session = try Session()
    for name in ["one", "two"] { try session.add(unit(name, "int a, b;"), name: name + ".o") }
    try session.start()
    for name in ["one", "two"] { try session.add(unit(name, "int b, a;"), name: name + ".o") }
    #expect(!session.waitUntilLinked())
    #expect(session.retry(reset: "one.o").sorted() == ["one.o", "two.o"])
    // Whether or not the first has been tried by now.
    #expect(session.retry(reset: "two.o").sorted() == ["one.o", "two.o"])
    #expect(session.takeNew())
    #expect(try session.call("one") == 2 && session.call("two") == 2)
    #expect(session.retry() == [])
  }

  @Test(
    "What comes while a change is being refused is linked with it", .timeLimit(.minutes(3))
  )
  func addedMeanwhile() throws {
    let first = try [
      (name: "from.o", bytes: Compiled.object(.gcc, "int shared = 1;")),
      (
        name: "to.o",
        bytes: Compiled.object(.gcc, "extern int shared; int get(void) { return shared; }")
      ),
    ]
    let taking = try Compiled.object(.gcc, "int shared = 1; int get(void) { return shared; }")
    for pause in 0..<400 {
      let session = try Session()
      try session.add(first)
      try session.start()
      session.remove("from.o")
      usleep(UInt32(pause))
      try session.add(taking, name: "to.o")
      try #require(session.takeNew(), "after \(pause) µs")
      #expect(try session.call("get") == 1)
    }
  }
}
