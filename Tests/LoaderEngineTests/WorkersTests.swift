// Work that is shared among threads: each part once, all done on return. What is linked with it: `SideBySideTests`.
import CLoaderSupport
import Glibc
import LoaderEngine
import Synchronization
import Testing

@Suite("Work in parts")
struct WorkersTests {
  @Test(
    "Each part is done once, and all are done on return",
    arguments: [(0, 1), (1, 1), (1, 16), (16, 16), (17, 16), (1000, 1), (1000, 7), (10_000, 16)])
  func once(_ count: Int, _ chunk: Int) {
    let done = Mutex([Int](repeating: 0, count: count))
    Workers.share(count, by: chunk) { part in
      done.withLock { for index in part { $0[index] += 1 } }
    }
    #expect(done.withLock { $0.allSatisfy { $0 == 1 } })
  }

  @Test("No more than one range, no other thread")
  func alone() {
    let own = pthread_self()
    for count in [0, 1, 16] {
      Workers.share(count, by: 16) { _ in #expect(pthread_equal(pthread_self(), own) != 0) }
    }
  }

  @Test("An errand is done once, at the latest when it is waited for or dropped")
  func errand() {
    let done = Atomic(0)
    let errand = Errand { done.wrappingAdd(1, ordering: .relaxed) }
    errand.wait()
    #expect(done.load(ordering: .relaxed) == 1)
    errand.wait()
    #expect(done.load(ordering: .relaxed) == 1)
    var dropped: Errand? = Errand {
      usleep(20_000)
      done.wrappingAdd(1, ordering: .relaxed)
    }
    #expect(dropped != nil)
    dropped = nil
    #expect(done.load(ordering: .relaxed) == 2)
    // One after the other.
    let first = Errand {
      usleep(20_000)
      done.wrappingAdd(1, ordering: .relaxed)
    }
    let second = Errand {
      first.wait()
      if done.load(ordering: .relaxed) == 3 { done.wrappingAdd(1, ordering: .relaxed) }
    }
    second.wait()
    #expect(done.load(ordering: .relaxed) == 4)
  }

  @Test("Signals of the process go to its own threads")
  func signals() {
    let own = pthread_self()
    let blocked = Mutex((seen: 0, free: 0))
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &before)
    Workers.share(64, by: 1) { _ in
      guard pthread_equal(pthread_self(), own) == 0 else { return usleep(100).ignored }
      var mask = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &mask)
      let isBlocked = sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGINT) == 1
      blocked.withLock {
        $0.seen += 1
        if !isBlocked { $0.free += 1 }
      }
    }
    #expect(blocked.withLock { $0.free } == 0)
    var mask = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &mask)
    for signal in 1..<SIGSYS {
      #expect(sigismember(&mask, signal) == sigismember(&before, signal))
    }
  }
}

extension Int32 {
  fileprivate var ignored: Void { () }
}
