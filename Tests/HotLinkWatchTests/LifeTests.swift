// Starting, stopping, limits and overload.
import Glibc
import HotLink
import Synchronization
import SystemPackage
import Testing

@testable import HotLinkWatch

extension Watching {
  @Suite struct Life {
    let shop: Workshop

    init() throws { shop = try Workshop() }

    @Test func `One watcher runs at a time, and another after it`() throws {
      for _ in 0..<3 {
        let watcher = try shop.watch()
        #expect(throws: WatchError(.alreadyWatching)) {
          try ChangeSource.watching([shop.build]).start { _ in }
        }
        #expect(throws: WatchError(.alreadyWatching)) { try watcher.source.start { _ in } }
        watcher.stop()
        let again = try shop.watch()
        try shop.run("touch build/x.o")
        #expect(try again.next().batch.written == [shop.file("x.o")])
        again.stop()
      }
    }

    @Test func `stop is prompt, and nothing of one watcher reaches the next`() throws {
      let gate = Gate()
      let watcher = try Watcher(.watching([shop.build])) { _ in gate.pass() }
      _ = try watcher.next()
      gate.shut()
      try shop.run("touch build/first.o")
      _ = try watcher.next()
      // The watcher stands in `deliver`: these stay in the kernel's and the library's buffers.
      try shop.run("for i in $(seq 500); do : > build/$i.o; done")
      gate.open()
      let begin = monotonic()
      watcher.stop()
      #expect(monotonic() - begin < 500_000_000)
      try shop.run("rm build/*.o")
      let next = try shop.watch()
      #expect(next.first.written.isEmpty)
      #expect(next.poll(within: .milliseconds(300)) == nil)
    }

    @Test func `stop can be called out of deliver`() throws {
      let source = ChangeSource.watching([shop.build])
      let counter = Counter()
      try source.start { _ in
        counter.value.add(1, ordering: .relaxed)
        source.stop()
      }
      pause(50)
      try shop.run("touch build/x.o")
      pause(50)
      #expect(counter.value.load(ordering: .relaxed) == 1)
      _ = try shop.watch()
    }

    @Test func `A forked child says stop without waiting for a thread it lacks`() async throws {
      await #expect(processExitsWith: .success) {
        let shop = try Workshop()
        let watcher = try shop.watch()
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        let child = fork()
        if child == 0 {
          alarm(10)
          watcher.source.stop()
          _exit(7)
        }
        var status: CInt = 0
        #expect(waitpid(child, &status, 0) == child && status == 7 << 8)
        try shop.run("touch build/x.o")
        #expect(try watcher.next().batch.written == [shop.file("x.o")])
      }
    }

    @Test func `A stopped watcher leaves no descriptor, and its thread is gone`() throws {
      _ = try shop.watch()
      let before = try openDescriptors()
      for _ in 0..<5 { try shop.watch().stop() }
      #expect(try openDescriptors() == before)
      #expect(watchThread() == nil)
    }

    @Test func `While nothing happens the thread sleeps`() throws {
      let watcher = try shop.watch()
      pause(50)
      let thread = try #require(watchThread())
      let before = try switches(thread)
      try shop.run("sleep 0.5; touch unwatched.o")
      // The workshop's log and this file are made in the directory that holds the root's name.
      #expect(try switches(thread) <= before + 4)
      withExtendedLifetime(watcher) {}
    }

    @Test func `A missing root is an error that names it`() throws {
      let root = shop.path.appending("nowhere")
      let error = #expect(throws: WatchError.self) {
        try ChangeSource.watching([shop.build, root]).start { _ in }
      }
      #expect(error?.reason == .rootMissing && error?.path == root)
      #expect(error?.description == "cannot watch '\(root)': there is no such file or directory")
      _ = try shop.watch()
    }

    @Test func `Lost events are made good by a complete batch`() throws {
      let limit = try #require(Int(text(of: "/proc/sys/fs/inotify/max_queued_events")))
      try #require(limit <= 200_000)
      try shop.run("touch build/before.o")
      let gate = Gate()
      let watcher = try Watcher(.watching([shop.build])) { _ in gate.pass() }
      _ = try watcher.next()
      gate.shut()
      try shop.run("touch build/hold.o")
      _ = try watcher.next()
      let even = try Writer(shop.file("0.o"))
      let odd = try Writer(shop.file("1.o"))
      for _ in 0...(limit / 2) {  // in turns, because equal events in a row count as one
        try even.write()
        try odd.write()
      }
      try even.close()
      try odd.close()
      try shop.run("cd build; mkdir -p late/deep; touch late/x.o; rm before.o")
      gate.open()
      let batch = try watcher.next().batch
      #expect(batch.isComplete)
      #expect(batch.written == ["0.o", "1.o", "hold.o", "late/x.o"].map(shop.file))
      #expect(batch.removed == [shop.file("before.o")])
      try shop.run("touch build/late/deep/y.o")
      #expect(try watcher.next().batch.written == [shop.file("late/deep/y.o")])
    }

    @Test func `A descriptor beyond select's reach is an error`() async throws {
      await #expect(processExitsWith: .success) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(4096, limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        while dup(0) < 1100 {}
        let error = #expect(throws: WatchError.self) {
          try ChangeSource.watching(["/tmp"]).start { _ in }
        }
        guard case .descriptorTooHigh(let number) = error?.reason else { exit(2) }
        #expect(number > 1024 && "\(error!)".contains("before the program opens"))
        for number in 1000..<1200 { close(CInt(number)) }
        let watcher = try Workshop().watch()
        withExtendedLifetime(watcher) {}
      }
    }

    @Test func `Another user of libinotifytools is left alone`() async throws {
      await #expect(processExitsWith: .success) {
        typealias Call = @convention(c) () -> CInt
        let initialize = try #require(dlsym(nil, "inotifytools_initialize"))
        let error = try #require(dlsym(nil, "inotifytools_get_num_watches"))
        #expect(unsafeBitCast(initialize, to: Call.self)() == 1)
        #expect(throws: WatchError(.libraryInUse)) {
          try ChangeSource.watching(["/tmp"]).start { _ in }
        }
        #expect(unsafeBitCast(error, to: Call.self)() == 0)
      }
    }

    /// Runs the next test once more, in a user namespace where ten directories can be watched.
    @Test(.enabled(if: system("unshare -Ur true 2> /dev/null") == 0))
    func `A reached limit of watches is an error, and later a trouble`() throws {
      try shop.run(
        """
        export HOTLINK_FEW_WATCHES=1
        unshare -Ur sh -c 'echo 10 > /proc/sys/user/max_inotify_watches; exec "$@"' - \
          "$(readlink /proc/\(getpid())/exe)" --testing-library swift-testing \
          --filter tenDirectories
        """)
    }

    @Test(.enabled(if: getenv("HOTLINK_FEW_WATCHES") != nil))
    func tenDirectories() throws {
      try shop.run("for i in 1 2 3 4 5 6 7; do mkdir build/$i; done")
      let box = TroubleBox()
      let watcher = try Watcher(.watching([shop.build], onTrouble: { box.add($0) }))
      try shop.run("for i in 8 9 10 11; do mkdir build/$i; touch build/$i/x.o; done")
      #expect(watcher.rest().written.contains(shop.file("8/x.o")))
      #expect(box.reasons == [.watchLimit])
      watcher.stop()
      let error = #expect(throws: WatchError.self) {
        try ChangeSource.watching([shop.build]).start { _ in }
      }
      #expect(error?.reason == .watchLimit)
      #expect(error?.description.contains("fs.inotify.max_user_watches") ?? false)
    }
  }
}

/// Holds back the watcher's thread inside `deliver`.
private final class Gate: Sendable {
  private let isShut = Mutex(false)

  func shut() { isShut.withLock { $0 = true } }
  func open() { isShut.withLock { $0 = false } }
  func pass() { while isShut.withLock({ $0 }) { pause(1) } }
}

private final class Counter: Sendable { let value = Atomic(0) }

private final class TroubleBox: Sendable {
  private let errors = Mutex<[WatchError]>([])

  func add(_ error: WatchError) { errors.withLock { $0.append(error) } }
  var reasons: Set<WatchError.Reason> { Set(errors.withLock { $0.map(\.reason) }) }
}

private func text(of path: FilePath) throws -> String {
  let file = try FileDescriptor.open(path, .readOnly)
  defer { try? file.close() }
  var bytes = [UInt8](repeating: 0, count: 4096)
  let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
  let text = String(decoding: bytes[..<count], as: UTF8.self)
  return text.split(separator: "\n").count == 1 ? String(text.dropLast()) : text
}

private func openDescriptors() throws -> Int {
  var count = 0
  try DirectoryListing.forEachEntry(of: "/proc/self/fd") { _, _ in count += 1 }
  return count
}

/// The directory of the watching thread in /proc.
private func watchThread() -> FilePath? {
  var found: FilePath?
  try? DirectoryListing.forEachEntry(of: "/proc/self/task") { name, _ in
    let task = FilePath("/proc/self/task").appending(name)
    if (try? text(of: task.appending("comm"))) == "hotlink-watch" { found = task }
  }
  return found
}

private func switches(_ thread: FilePath) throws -> Int {
  let status = try text(of: thread.appending("status")).split(separator: "\n")
  let line = try #require(status.first { $0.hasPrefix("voluntary_ctxt_switches") })
  return try #require(Int(line.split(separator: "\t").last ?? ""))
}
