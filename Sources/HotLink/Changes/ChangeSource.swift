// Where a session hears of changed files. HotLink itself watches nothing: it is handed a value with
// two functions, so that a host which links only HotLink carries no watcher (and none of the GPL-2
// code that ours uses). HotLinkWatch supplies one from inotify; a test or a build server, another.
public import SystemPackage

/// Files that changed together and are, as far as the source can tell, completely written.
public struct ChangeBatch: Sendable {
  /// Files whose contents may be new, each once, in the order of their last write.
  public var written: [FilePath]
  /// Files that are gone, and were still gone when the batch was made.
  public var removed: [FilePath]
  /// `written` lists every file there is: what a session knows beyond it has been removed.
  public var isComplete: Bool
  /// `CLOCK_MONOTONIC` nanoseconds at the earliest event of the batch, 0 when there was none.
  public var noticedAt: UInt64

  public init(
    written: [FilePath] = [], removed: [FilePath] = [], isComplete: Bool = false,
    noticedAt: UInt64 = 0
  ) {
    self.written = written
    self.removed = removed
    self.isComplete = isComplete
    self.noticedAt = noticedAt
  }
}

/// Something that tells a session which files changed.
public struct ChangeSource: Sendable {
  /// Begins to deliver. The first batch is complete (everything there is now). `deliver` is called
  /// from the source's own thread, one call at a time, and returns quickly unless the source lends its thread.
  public var start: @Sendable (_ deliver: @escaping @Sendable (ChangeBatch) -> Void) throws -> Void
  /// Ends it; no `deliver` call begins after this returns. Called at most once, after `start`.
  public var stop: @Sendable () -> Void

  /// A batch of a few files may be read and linked, and what comes of it told, in `deliver`: no other thread is woken then
  /// before the new code is ready. The thread needs the stack that a process's first thread has, and what
  /// changes meanwhile must not be missed. `stop` waits for it.
  public var lendsThread: Bool

  public init(
    lendsThread: Bool = false,
    start: @escaping @Sendable (@escaping @Sendable (ChangeBatch) -> Void) throws -> Void,
    stop: @escaping @Sendable () -> Void
  ) {
    self.lendsThread = lendsThread
    self.start = start
    self.stop = stop
  }
}
