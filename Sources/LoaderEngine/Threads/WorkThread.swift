// A thread for one piece of work. Signals of the process are not delivered to it.
internal import Glibc

/// A thread that has been started and is to be joined, once.
struct WorkThread {
  private let handle: pthread_t

  /// - Returns: nil when no thread can be made: whoever wanted it does the work.
  init?(_ body: @escaping () -> Void) {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let work = Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    guard failure == 0 else {
      work.release()
      return nil
    }
    handle = thread
  }

  func join() { pthread_join(handle, nil) }

  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }
}
