// The lock that is held while code is linked or published. Code that starts meanwhile may come back on the same
// thread. Linux: pthread_mutexattr_settype(3), PTHREAD_MUTEX_RECURSIVE.
internal import Glibc
internal import Synchronization

/// A recursive lock that can be tried: code that is being published may call a function that is bound
/// on the way.
package final class ProcessLock: @unchecked Sendable {
  // The thread that holds it; 0: none.
  private let owner = Atomic<UInt>(0)
  private var depth = 0
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  package init() { prepare() }

  private func prepare() {
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
    pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  package func lock() {
    pthread_mutex_lock(mutex)
    noteOwner()
  }

  package func tryLock() -> Bool {
    guard pthread_mutex_trylock(mutex) == 0 else { return false }
    noteOwner()
    return true
  }

  package func unlock() {
    depth -= 1
    if depth == 0 { owner.store(0, ordering: .relaxed) }
    pthread_mutex_unlock(mutex)
  }

  /// Whether this thread holds it.
  package var isHeldHere: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// In a child of fork, whose only thread holds it as often as in the parent; others that held it are not there. As ld.so
  /// does it with its own.
  package func renewAfterFork() {
    let held = isHeldHere ? depth : 0
    prepare()
    depth = 0
    owner.store(0, ordering: .relaxed)
    for _ in 0..<held { lock() }
  }

  private func noteOwner() {
    depth += 1
    owner.store(UInt(pthread_self()), ordering: .relaxed)
  }

  /// Runs something while the lock is held.
  package func withLock<Result, Failure: Error>(_ body: () throws(Failure) -> Result)
    throws(Failure) -> Result
  {
    lock()
    defer { unlock() }
    return try body()
  }
}
