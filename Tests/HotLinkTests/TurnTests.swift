// One thread at a time reads and links, whoever has the news; what comes meanwhile is not lost.
import Foundation
import Glibc
import HotLink
import LoaderEngine
import Synchronization
import SystemPackage
import TestFixtures
import Testing

@Suite("Turns at linking")
struct TurnTests {
  private static let versions = 4

  private static func source(_ name: String, _ version: Int) -> String {
    "int \(name)(void) { return \(version); }"
  }

  /// A source of changes whose thread is the test's.
  private final class Deliveries: Sendable {
    private let deliver = Mutex<(@Sendable (ChangeBatch) -> Void)?>(nil)
    var source: ChangeSource {
      ChangeSource(
        lendsThread: true,
        start: { [self] deliver in
          self.deliver.withLock { $0 = deliver }
          deliver(ChangeBatch(isComplete: true))
        }, stop: {})
    }
    func send(_ path: FilePath) { deliver.withLock { $0 }?(ChangeBatch(written: [path])) }
  }

  @Test(
    "a host that adds and a watcher that delivers at the same time: the newest of both runs",
    arguments: [false, true])
  func bothAtOnce(inBackground: Bool) throws {
    let folder = FilePath(Compiled.folder.path).appending("turns-\(inBackground)-\(getpid())")
    try FileManager.default.createDirectory(
      atPath: folder.string, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder.string) }
    let own = try (0..<Self.versions).map {
      try Compiled.object(.gcc, Self.source("added", $0), flags: ["-O1"])
    }
    let files = try (0..<Self.versions).map {
      try Compiled.object(.gcc, Self.source("delivered", $0), flags: ["-O1"])
    }
    let path = folder.appending("delivered.o")
    let session = try Session(["other.o": "int other(void) { return 1; }"]) {
      $0.finishesInBackground = inBackground
    }
    let log = EventLog(session)
    let deliveries = Deliveries()
    try session.follow(deliveries.source)
    try session.add(own[0], name: "added.o")
    try session.start()
    let rounds = 300
    let thread = Thread {
      for round in 0..<rounds {
        let bytes = Data(files[round % Self.versions])
        try? bytes.write(to: URL(fileURLWithPath: path.string), options: .atomic)
        deliveries.send(path)
      }
    }
    thread.stackSize = 8 << 20
    thread.start()
    for round in 0..<rounds {
      try session.add(own[round % Self.versions], name: "added.o")
      if round % 3 == 0 { _ = session.waitUntilLinked() }
      session.update()
    }
    while !thread.isFinished { usleep(1000) }
    // A turn that was not taken by who had the news is taken by another thread.
    for _ in 0..<1000 where try !isNewest(session, rounds) {
      if !session.takeNew() { usleep(1000) }
    }
    #expect(try isNewest(session, rounds))
    #expect(log.refusals.isEmpty)
  }

  private func isNewest(_ session: Session, _ rounds: Int) throws -> Bool {
    let last = Int32((rounds - 1) % Self.versions)
    guard (try? session.address(of: "delivered")) != nil else { return false }
    return try session.call("added") == last && session.call("delivered") == last
  }

  @Test(
    "a host that waits for what it added links it itself, and hears a refusal on its own thread")
  func hostLinks() throws {
    let session = try Session(["unit.o": Self.source("value", 1)])
    let own = pthread_self()
    let isOwn = Mutex<[Bool]>([])
    session.onEvent { event in
      if case .refused = event {
        isOwn.withLock { $0.append(pthread_equal(pthread_self(), own) != 0) }
      }
    }
    try session.start()
    let rounds = 20
    for round in 2..<2 + rounds {
      try session.add(c: Self.source("value", round), name: "double.o")
      #expect(!session.waitUntilLinked())
    }
    // The linker's thread may come first, but not every time.
    let answers = isOwn.withLock { $0 }
    #expect(answers.count == rounds && answers.contains(true))
    #expect(try session.call("value") == 1)
  }

  @Test("a session may be ended where a refusal is heard, on the thread of the change source")
  func endsInHandler() throws {
    let session = try Session(["unit.o": Self.source("value", 1)])
    let deliveries = Deliveries()
    let hasEnded = Mutex(false)
    session.onEvent { [weak session] event in
      guard case .refused = event else { return }
      session?.endLinking()
      hasEnded.withLock { $0 = true }
    }
    try session.follow(deliveries.source)
    try session.start()
    let path = FilePath(Compiled.folder.path).appending("broken-\(getpid()).o")
    try Data("this is no object".utf8).write(to: URL(fileURLWithPath: path.string))
    defer { unlink(path.string) }
    let thread = Thread { deliveries.send(path) }
    thread.stackSize = 8 << 20
    thread.start()
    for _ in 0..<3000 where !hasEnded.withLock({ $0 }) { usleep(10_000) }
    #expect(hasEnded.withLock { $0 })
  }

  @Test("a session that has ended is not waited for")
  func endedIsIdle() throws {
    let session = try Session(["unit.o": Self.source("value", 1)])
    try session.start()
    session.endLinking()
    try session.add(c: Self.source("value", 2), name: "unit.o")
    let start = ContinuousClock.now
    #expect(!session.waitUntilLinked(seconds: 600))
    #expect(.now - start < .seconds(300), "it waited for what nobody will link")
  }
}
