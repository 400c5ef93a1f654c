// Threads that outlive a single call, for tests of what a thread has and when it loses it.
import CLoaderSupport
import Dispatch
import Glibc

/// A thread that runs what it is given, until it is told to end.
final class Worker: @unchecked Sendable {
  private let wake = DispatchSemaphore(value: 0)
  private let done = DispatchSemaphore(value: 0)
  private var work: (() -> Void)?
  private var thread = pthread_t()
  private(set) var task: Int32 = 0

  /// - Parameter blocksSignals: all that can be blocked, as libdispatch's workers do.
  init(blocksSignals: Bool = false) {
    var mask = sigset_t()
    var before = sigset_t()
    if blocksSignals { sigfillset(&mask) } else { sigemptyset(&mask) }
    // A new thread inherits its creator's mask; tests run on libdispatch's workers, which block all.
    pthread_sigmask(SIG_SETMASK, &mask, &before)
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Worker>.fromOpaque(context).takeRetainedValue().loop()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    run { self.task = hl_gettid() }
  }

  private func loop() {
    while true {
      wake.wait()
      guard let work else { break }
      work()
      done.signal()
    }
  }

  /// Runs something there and waits for it.
  func run(_ body: @escaping () -> Void) {
    work = body
    wake.signal()
    done.wait()
    work = nil
  }

  /// Ends the thread and waits until its destructors ran.
  func end() {
    work = nil
    wake.signal()
    pthread_join(thread, nil)
  }
}

extension Worker {
  /// Work that runs on a worker while its starter goes on.
  final class Running: @unchecked Sendable {
    fileprivate let finished = DispatchSemaphore(value: 0)
    func wait() { finished.wait() }
  }

  static func alongside(_ worker: Worker, _ body: @escaping @Sendable () -> Void) -> Running {
    let running = Running()
    worker.start {
      body()
      running.finished.signal()
    }
    return running
  }

  private func start(_ body: @escaping @Sendable () -> Void) {
    work = body
    wake.signal()
  }
}
