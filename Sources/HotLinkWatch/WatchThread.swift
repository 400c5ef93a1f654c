// The thread a watcher runs on, and the way to end it: a pipe in the watcher's poll set, so that
// `stop` neither waits for a time-out nor needs a signal. A pthread, because libinotifytools blocks
// and a blocked thread of Swift's pool is missing elsewhere.
import Glibc
import HotLink
import Synchronization
import SystemPackage

/// At most one running thread, started and stopped from anywhere.
final class WatchThread: Sendable {
  private struct Running {
    let thread: pthread_t
    /// Closing it ends the loop.
    let stopSignal: FileDescriptor
    let process = getpid()
  }

  /// Carries a loop from the starting thread to its own.
  private final class Passage {
    let loop: WatchLoop
    let stopSignal: FileDescriptor

    init(_ loop: WatchLoop, _ stopSignal: FileDescriptor) {
      self.loop = loop
      self.stopSignal = stopSignal
    }

    deinit { try? stopSignal.close() }
  }

  private let running = Mutex<Running?>(nil)

  /// - Parameter makeLoop: called on this thread, with the descriptor that ends the loop.
  /// - Throws: what `makeLoop` throws, `alreadyWatching`, or `system`.
  func start(_ makeLoop: (FileDescriptor) throws(WatchError) -> WatchLoop) throws(WatchError) {
    try running.withLock { running throws(WatchError) in
      guard running == nil else { throw WatchError(.alreadyWatching) }
      let (readEnd, writeEnd) = try Self.pipe()
      do throws(WatchError) {
        let thread = try Self.run(makeLoop, stopSignal: readEnd)
        running = Running(thread: thread, stopSignal: writeEnd)
      } catch {
        try? writeEnd.close()
        throw error
      }
    }
  }

  /// Returns when the thread has ended and all it owned is released. Called on the thread itself
  /// (out of `deliver`) it cannot wait: the loop then ends when `deliver` returns.
  func stop() {
    guard
      let ending = running.withLock({ running in
        defer { running = nil }
        return running
      })
    else { return }
    // A forked child has the record of the thread, but not the thread.
    guard ending.process == getpid() else { return }
    try? ending.stopSignal.close()  // the other end becomes readable: POLLHUP
    if pthread_equal(ending.thread, pthread_self()) != 0 {
      pthread_detach(ending.thread)
    } else {
      pthread_join(ending.thread, nil)
    }
  }

  private static func run(
    _ makeLoop: (FileDescriptor) throws(WatchError) -> WatchLoop, stopSignal: FileDescriptor
  ) throws(WatchError) -> pthread_t {
    let loop: WatchLoop
    do throws(WatchError) {
      loop = try makeLoop(stopSignal)
    } catch {
      try? stopSignal.close()
      throw error
    }
    let passage = Unmanaged.passRetained(Passage(loop, stopSignal))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { context in
        // SOUND: passRetained above, taken exactly once, here.
        guard let context else { return nil }
        WatchThread.nameThisThread()
        let passage = Unmanaged<Passage>.fromOpaque(context).takeRetainedValue()
        withExtendedLifetime(passage) { passage.loop.run() }
        return nil
      }, passage.toOpaque())
    guard failure == 0 else {
      passage.release()
      throw WatchError(.system, errno: Errno(rawValue: failure))
    }
    return thread
  }

  /// What `top -H` and debuggers show. Linux: /proc/thread-self/comm, at most 15 bytes.
  private static func nameThisThread() {
    guard let file = try? FileDescriptor.open("/proc/thread-self/comm", .writeOnly) else { return }
    _ = try? file.writeAll("hotlink-watch".utf8)
    try? file.close()
  }

  private static func pipe() throws(WatchError) -> (FileDescriptor, FileDescriptor) {
    do {
      let ends = try FileDescriptor.pipe()
      _ = fcntl(ends.readEnd.rawValue, F_SETFD, FD_CLOEXEC)
      _ = fcntl(ends.writeEnd.rawValue, F_SETFD, FD_CLOEXEC)
      return (ends.readEnd, ends.writeEnd)
    } catch {
      throw WatchError(.system, errno: error as? Errno)
    }
  }
}
