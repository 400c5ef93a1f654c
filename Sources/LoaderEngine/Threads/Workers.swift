// Threads for work that falls into many parts which do not touch each other: objects that are read, copied and
// relocated. They are made for one piece of work and gone with it; a link of few objects makes none. Signals of the
// process are not delivered to them.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

package enum Workers {
  /// More bring little: the parts of a link between these pieces of work are done by one thread.
  private static let mostThreads = 8

  /// Processors that this process may use (Linux: sched_getaffinity(2)).
  private static let processors = Int(hl_processors())

  /// Calls `body` for ranges that together are `0..<count`, from several threads at once when there is more than one
  /// range. Returns when all are done.
  ///
  /// - Parameter chunk: how many parts are taken at a time.
  package static func share(_ count: Int, by chunk: Int, _ body: (Range<Int>) -> Void) {
    guard count > chunk else { return body(0..<count) }
    let threads = min(processors, mostThreads, (count + chunk - 1) / chunk)
    withoutActuallyEscaping(body) { body in
      let work = Work(count, chunk, body)
      let others = start(threads - 1, work)
      work.run()
      for thread in others { pthread_join(thread, nil) }
    }
  }

  /// A thread that cannot be made is not missed: the others do its parts.
  private static func start(_ count: Int, _ work: Work) -> [pthread_t] {
    guard count > 0 else { return [] }
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var threads: [pthread_t] = []
    for _ in 0..<count {
      var thread = pthread_t()
      // Joined before the work goes.
      let argument = Unmanaged.passUnretained(work).toOpaque()
      let failure = pthread_create(
        &thread, nil,
        { argument in
          if let argument { Unmanaged<Work>.fromOpaque(argument).takeUnretainedValue().run() }
          return nil
        }, argument)
      if failure == 0 { threads.append(thread) }
    }
    return threads
  }

  private final class Work: @unchecked Sendable {
    // Sound: the body is only called for parts that one thread took.
    private let next = Atomic<Int>(0)
    private let count: Int
    private let chunk: Int
    private let body: (Range<Int>) -> Void

    init(_ count: Int, _ chunk: Int, _ body: @escaping (Range<Int>) -> Void) {
      self.count = count
      self.chunk = chunk
      self.body = body
    }

    func run() {
      while true {
        let start = next.wrappingAdd(chunk, ordering: .relaxed).oldValue
        guard start < count else { return }
        body(start..<min(start + chunk, count))
      }
    }
  }
}
