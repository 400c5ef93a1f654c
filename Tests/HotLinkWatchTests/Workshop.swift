// A directory to make a mess in, and a watcher on it whose batches can be waited for.
import Glibc
import HotLink
import HotLinkWatch
import Synchronization
import SystemPackage
import Testing

/// A temporary directory, removed at the end.
final class Workshop: Sendable {
  let path: FilePath

  init() throws {
    var template = Array("/tmp/hotlink-watch-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = FilePath(platformString: template)
    try run("mkdir build && echo 'int f(void) { return 1; }' > f.c && gcc -c f.c -o ready.o")
  }

  deinit { _ = system("rm -rf '\(path)'") }

  var build: FilePath { path.appending("build") }

  func file(_ name: String) -> FilePath { build.appending(FilePath(name).components) }

  /// Runs shell commands inside the workshop.
  func run(_ commands: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let status = system("cd '\(path)' && { \(commands)\n} > log 2>&1")
    guard status != 0 else { return }
    _ = system("cat '\(path)/log' >&2")
    Issue.record("\(commands): status \(status)", sourceLocation: sourceLocation)
  }

  /// Starts watching and takes the first batch.
  func watch(
    _ roots: [FilePath]? = nil, extensions: Set<String> = ["o", "a"], settle: Duration = .zero
  ) throws -> Watcher {
    let watcher = try Watcher(
      .watching(roots ?? [build], extensions: extensions, settle: settle))
    watcher.first = try watcher.next().batch
    return watcher
  }
}

/// A file held open for writing.
struct Writer: ~Copyable {
  let file: FileDescriptor

  init(_ path: FilePath, truncating: Bool = true) throws {
    file = try FileDescriptor.open(
      path, .writeOnly, options: truncating ? [.create, .truncate] : [.create],
      permissions: .ownerReadWrite)
  }

  func write(_ text: String = "piece") throws { try file.writeAll(text.utf8) }

  /// - Returns: CLOCK_MONOTONIC nanoseconds just before the close.
  @discardableResult
  consuming func close() throws -> UInt64 {
    let moment = monotonic()
    try file.close()
    return moment
  }
}

/// A running source and what it has delivered.
final class Watcher: @unchecked Sendable {
  struct Received: Sendable {
    let batch: ChangeBatch
    let moment: UInt64
  }

  let source: ChangeSource
  var first = ChangeBatch()
  private let received = Mutex<[Received]>([])
  private let isStopped = Mutex(false)

  init(
    _ source: ChangeSource, whileDelivering: @escaping @Sendable (ChangeBatch) -> Void = { _ in }
  ) throws {
    self.source = source
    try source.start { [weak self] batch in
      let moment = monotonic()
      self?.received.withLock { $0.append(Received(batch: batch, moment: moment)) }
      whileDelivering(batch)
    }
  }

  deinit { stop() }

  func stop() {
    let wasStopped = isStopped.withLock { stopped in
      defer { stopped = true }
      return stopped
    }
    if !wasStopped { source.stop() }
  }

  /// The next batch; a time-out is a failure.
  func next(
    within span: Duration = .seconds(60), sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Received {
    try #require(poll(within: span), "no batch came", sourceLocation: sourceLocation)
  }

  /// What comes during `span`, nil if nothing does.
  func poll(within span: Duration) -> Received? {
    let end = ContinuousClock.now + span
    repeat {
      let batch = received.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      if let batch { return batch }
      usleep(200)
    } while ContinuousClock.now < end
    return nil
  }

  /// All batches put together, until it has been quiet for `span`.
  func rest(quietFor span: Duration = .milliseconds(400)) -> ChangeBatch {
    var sum = ChangeBatch()
    while let batch = poll(within: span)?.batch {
      sum.written += batch.written
      sum.removed += batch.removed
      sum.isComplete = sum.isComplete || batch.isComplete
    }
    return sum
  }
}

func monotonic() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func pause(_ milliseconds: UInt32) { usleep(milliseconds * 1000) }

/// One watcher at a time can run in a process, so all that start one are in this suite.
@Suite(.serialized) enum Watching {}
