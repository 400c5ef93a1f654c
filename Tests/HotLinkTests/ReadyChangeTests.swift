// A reload that is ready and that the host has not taken yet is prepared again when something comes: a change, which may be
// refused, or the first call of a unit that waits. Nothing that was to be done, or told, is lost on the way.
import Foundation
import HotLink
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

@Suite("Reloads that are prepared again")
struct ReadyChangeTests {
  private static let other = "int other(void) { return 1; }"
  private static let changed = "int other(void) { return 2; }"
  private static let lacking =
    "extern int missing; int other(void) { return 2; } int *where(void) { return &missing; }"

  /// A unit whose state the guard looks at.
  private static func unit(_ members: String, _ value: Int) throws -> [UInt8] {
    try Compiled.object(
      .gcc, "struct s { \(members) } s = {1, 2}; int value(void) { return s.a * 0 + \(value); }",
      flags: ["-O1", "-g"])
  }

  private func session(_ change: (inout Session.Options) -> Void = { _ in }) throws -> Session {
    let session = try Session([:], change)
    try session.add(Self.unit("int a, b;", 1), name: "a.o")
    try session.add(c: Self.other, name: "c.o")
    return session
  }

  /// A session that runs, with a hook that calls a unit which waits.
  private func hooked(_ variables: String, helper: String) throws -> Session {
    let session = try Session([
      "game.o": "\(variables) int value(void) { return 1; }",
      "hooks.o": """
      int helper(void); int calls; void hotlink_before_reload(void) { calls += helper(); }
      int count(void) { return calls; }
      """,
      "helper.o": helper,
    ]) { $0.isLazy = true }
    try session.start()
    return session
  }

  @Test("Hooks that linked a unit that waited are told")
  func hooks() throws {
    let session = try hooked("", helper: "int helper(void) { return 1; }")
    let log = EventLog(session)
    #expect(try session.call("value") == 1)
    for version in 2...3 {
      try session.add(c: "int value(void) { return \(version); }", name: "game.o")
      for _ in 0..<5 where log.reloads.count < version - 1 { session.takeNew() }
      #expect(try session.call("value") == version && session.call("count") == version - 1)
      #expect(log.reloads.last?.hooks == ["hotlink_before_reload"])
    }
  }

  @Test("It takes effect though a newer version of its unit is held back, and a third one comes")
  func heldBackItself() throws {
    let session = try session()
    try session.start()
    try session.add(Self.unit("int a, b;", 2), name: "a.o")
    #expect(session.waitUntilLinked())
    try session.add(Self.unit("int b, a;", 3), name: "a.o")
    #expect(session.waitUntilLinked())
    try session.add(c: Self.changed, name: "c.o")
    #expect(session.waitUntilLinked())
    #expect(session.update())
    #expect(try session.call("other") == 2 && session.call("value") == 2)
    #expect(session.refusedUnits == ["a.o"])
  }

  @Test("What is held back stays so over a first call", arguments: [false, true])
  func firstCall(calls: Bool) throws {
    let session = try session { $0.isLazy = true }
    try session.add(c: "int lazy(void) { return 7; }", name: "lazy.o")
    try session.start()
    #expect(try session.call("value") == 1 && session.call("other") == 1)
    let log = EventLog(session)
    try session.add(Self.unit("int a, b;", 2), name: "a.o")
    #expect(session.waitUntilLinked())
    try session.add(Self.unit("int b, a;", 3), name: "a.o")
    #expect(session.waitUntilLinked())
    if calls { #expect(try session.call("lazy") == 7) }
    #expect(session.takeNew())
    #expect(try session.call("value") == 2)
    #expect(session.refusedUnits == ["a.o"])
    try session.add(c: Self.changed, name: "c.o")
    #expect(session.takeNew())
    #expect(try session.call("other") == 2)
    #expect(log.reloads.last?.heldBack == ["a.o"] && log.refusals.count == 1)
  }

  @Test("Who waits finds it while a first call on another thread links it again")
  func waitsForFirstCall() throws {
    let more = (0..<400).map { "int more\($0)(int a) { return a * \($0); }" }.joined(separator: " ")
    for pause in 0..<40 {
      let session = try Session([
        "a.o": "int value(void) { return 1; }", "lazy.o": "int lazy(void) { return 7; }",
      ]) { $0.isLazy = true }
      try session.start()
      #expect(try session.call("value") == 1)
      try session.add(c: "int value(void) { return 2; } " + more, name: "a.o")
      #expect(session.waitUntilLinked())
      let calling = Thread { _ = try? session.call("lazy") }
      calling.start()
      usleep(UInt32(pause) * 20)
      #expect(session.waitUntilLinked(), "after \(pause * 20) µs")
      while !calling.isFinished { usleep(100) }
      #expect(session.update())
      #expect(try session.call("value") == 2)
    }
  }

  @Test("A reset that was granted outlives it, and is given once")
  func grants() throws {
    for _ in 0..<20 {
      let session = try session()
      try session.start()
      try session.add(c: Self.changed, name: "c.o")
      #expect(session.waitUntilLinked())
      try session.add(Self.unit("int b, a;", 3), name: "a.o")
      #expect(session.waitUntilLinked())
      #expect(session.retry(reset: "a.o") == ["a.o"])
      session.update()
      session.takeNew()
      #expect(try session.call("other") == 2 && session.call("value") == 3)
      // Nobody has asked for another one.
      #expect(session.retry(reset: "a.o") == [])
      try session.add(Self.unit("int a, b;", 4), name: "a.o")
      #expect(!session.waitUntilLinked())
    }
  }

  @Test(
    "A reset that was used is not there for what comes next, whenever it comes",
    arguments: [0, 1, 2])
  func usedGrants(order: Int) throws {
    let session = try session()
    try session.start()
    try session.add(Self.unit("int b, a;", 2), name: "a.o")
    #expect(!session.waitUntilLinked())
    #expect(session.retry(reset: "a.o") == ["a.o"])
    #expect(session.waitUntilLinked())
    let next = try Self.unit("int a, b;", 3)
    switch order {
    case 0: break
    case 1:
      try session.add(
        Compiled.object(.gcc, Self.lacking.replacing("other", with: "value")), name: "a.o")
      #expect(session.waitUntilLinked())
    default: try session.add(next, name: "a.o")
    }
    for _ in 0..<1000 {
      if session.update() { break }
      usleep(1000)
    }
    // What was added last may have come in time to be linked in its place.
    guard try order < 2 || session.call("value") == 2 else { return }
    try session.add(next, name: "a.o")
    #expect(!session.waitUntilLinked())
    #expect(try session.call("value") == 2)
  }

  @Test("Hooks are called for the next one, when the one they were called for is refused")
  func hooksOfRefused() throws {
    let session = try hooked(
      "int gone = 5;", helper: "extern int gone; int helper(void) { return gone - 4; }")
    let log = EventLog(session)
    #expect(try session.call("value") == 1)
    // Nobody needs the variable, until the hook calls a unit that does.
    try session.add(c: "int value(void) { return 2; }", name: "game.o")
    for _ in 0..<5 { session.takeNew() }
    let calls = try session.call("count")
    try session.add(c: "int gone = 5; int value(void) { return 3; }", name: "game.o")
    for _ in 0..<5 where try session.call("value") != 3 { session.takeNew() }
    #expect(try session.call("value") == 3)
    #expect(try session.call("count") == calls + 1, "\(log.refusals)")
    #expect(log.reloads.last?.hooks == ["hotlink_before_reload"])
  }

  @Test("That a unit cannot be looked into is news when it takes effect", arguments: [false, true])
  func blindness(refuses: Bool) throws {
    func blind(_ value: Int) throws -> [UInt8] {
      try Compiled.object(
        .gcc, "struct s { int a; } s = {1}; int value(void) { return s.a * 0 + \(value); }")
    }
    let session = try Session(["c.o": Self.other])
    try session.add(blind(1), name: "a.o")
    try session.start()
    let log = EventLog(session)
    try session.add(blind(2), name: "a.o")
    #expect(session.waitUntilLinked())
    if refuses {
      try session.add(c: Self.lacking, name: "c.o")
      #expect(session.waitUntilLinked())
    }
    #expect(session.update())
    #expect(log.reloads.last?.blindUnits.map(\.isNews) == [true])
  }

  @Test("What comes while it is taken to be linked again is not lost")
  func arrivals() throws {
    let (lacking, missing) = try (
      Compiled.object(.gcc, Self.lacking), Compiled.object(.gcc, "int missing;")
    )
    let versions = try (1...2).map { version in
      try ["value", "third"].map {
        try Compiled.object(.gcc, "int \($0)(void) { return \(version); }")
      }
    }
    for round in 0..<500 {
      let session = try Session(["other.o": Self.other])
      try session.add(versions[0][0], name: "value.o")
      try session.add(versions[0][1], name: "third.o")
      try session.start()
      try session.add(versions[1][0], name: "value.o")
      #expect(session.waitUntilLinked())
      let goes = Atomic(false)
      let hasCome = Atomic(false)
      let adding = Thread {
        for _ in 0..<1 << 30 where goes.load(ordering: .acquiring) { break }
        for _ in 0..<round % 300 { _ = goes.load(ordering: .acquiring) }
        try? session.add(versions[1][1], name: "third.o")
        hasCome.store(true, ordering: .releasing)
      }
      adding.start()
      usleep(200)
      goes.store(true, ordering: .releasing)
      try session.add(lacking, name: "other.o")
      while !hasCome.load(ordering: .acquiring) { usleep(100) }
      _ = session.waitUntilLinked()
      session.update()
      try session.add(missing, name: "missing.o")
      session.takeNew()
      #expect(try session.call("third") == 2 && session.call("value") == 2, "round \(round)")
    }
  }

  @Test("What is dropped on the way ends outside the session's lock")
  func drops() async {
    await #expect(processExitsWith: .success) {
      let host = SharedObject(
        "readyhost",
        """
        void (*callback)(void);
        __attribute__((destructor)) static void end(void) { if (callback) callback(); }
        int host(void) { return 1; }
        """)
      let library = SharedObject(
        "readyunit", needs: [host], "int host(void); int lib(void) { return host(); }")
      let handle = try #require(dlopen(try host.path(), RTLD_NOW))
      let place = try #require(dlsym(handle, "callback"))
      let callback: VoidFunction = {
        // Another thread asks the session something meanwhile.
        let asking = Thread {
          _ = ReadyChangeTests.watched?.generation
          ReadyChangeTests.isAnswered.store(true, ordering: .sequentiallyConsistent)
        }
        asking.start()
        for _ in 0..<1000 {
          if ReadyChangeTests.wasAnswered { return }
          usleep(10_000)
        }
      }
      place.assumingMemoryBound(to: VoidFunction.self).pointee = callback
      let session = try Session(["c.o": "int other(void) { return 1; }"])
      try session.start()
      ReadyChangeTests.watched = session
      try session.add(try library.bytes(), name: "libreadyunit.so")
      #expect(session.waitUntilLinked())
      dlclose(handle)
      #expect(!ReadyChangeTests.wasAnswered)
      session.remove("libreadyunit.so")
      _ = session.waitUntilLinked()
      #expect(ReadyChangeTests.wasAnswered)
      ReadyChangeTests.watched = nil
    }
  }
  nonisolated(unsafe) private static var watched: Session?
  private static let isAnswered = Atomic(false)
  private static var wasAnswered: Bool { isAnswered.load(ordering: .sequentiallyConsistent) }

  @Test("One that could not be published waits, though another is held back")
  func unpublished() async {
    await #expect(processExitsWith: .success) {
      // Thread-local storage cannot be given to its thread.
      let session = try ReadyChangeTests().session()
      try session.start()
      try session.add(c: Hermit.source, name: "hermit.o", flags: ["-O1", "-fno-stack-protector"])
      #expect(session.takeNew())
      #expect(try session.call("hermit") > 0)
      try session.add(try ReadyChangeTests.unit("int b, a;", 3), name: "a.o")
      #expect(!session.waitUntilLinked())
      let log = EventLog(session)
      try session.add(c: "__thread int t = 5; int other(void) { return 2; }", name: "c.o")
      #expect(session.waitUntilLinked())
      #expect(!session.update())
      for _ in 0..<10 {
        usleep(50_000)
        session.update()
      }
      #expect(session.refusedUnits.sorted() == ["a.o", "c.o"] && log.refusals.count == 1)
      exit(log.refusals.count == 1 ? 0 : 1)
    }
  }
}
