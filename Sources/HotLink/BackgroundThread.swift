// A thread and the two things it waits with. pthreads, not Dispatch: a pool's threads would be
// indistinguishable from threads that run linked code.
internal import CLoaderSupport
internal import Glibc

/// A thread of our own.
final class BackgroundThread: @unchecked Sendable {
  private var handle = pthread_t()

  init(_ body: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
        hl_name_thread("hotlink-linker")
        box.body()
        return nil
      }, box)
  }

  func join() {
    if pthread_equal(handle, pthread_self()) == 0 {
      pthread_join(handle, nil)
    } else {
      pthread_detach(handle)
    }
  }

  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

/// A condition that remembers one notification.
final class Signal: @unchecked Sendable {
  // Sound: the three are only used through pthreads, at one address for their whole life.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let isSet = UnsafeMutablePointer<Bool>.allocate(capacity: 1)

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
    isSet.initialize(to: false)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
    isSet.deallocate()
  }

  func notify() {
    pthread_mutex_lock(mutex)
    isSet.pointee = true
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Returns at a notification since the last wait, or after the time.
  func wait(milliseconds: Int) {
    var deadline = timespec()
    clock_gettime(CLOCK_REALTIME, &deadline)
    let total = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
    deadline.tv_sec += milliseconds / 1000 + total / 1_000_000_000
    deadline.tv_nsec = total % 1_000_000_000
    pthread_mutex_lock(mutex)
    while !isSet.pointee {
      if pthread_cond_timedwait(condition, mutex, &deadline) != 0 { break }
    }
    isSet.pointee = false
    pthread_mutex_unlock(mutex)
  }
}
