// Threads for work that falls into many parts which do not touch each other: objects that are read, copied and
// relocated. They are made for one piece of work and gone with it; a link of few objects makes none.
internal import CLoaderSupport
internal import Synchronization

package enum Workers {
  /// More bring little: the parts of a link between these pieces of work are done by one thread.
  private static let mostThreads = 8

  /// Processors that this process may use (Linux: sched_getaffinity(2)).
  static let processors = Int(hl_processors())

  /// Calls `body` for ranges that together are `0..<count`, from several threads at once when there is more than one
  /// range. Returns when all are done.
  ///
  /// - Parameter chunk: how many parts are taken at a time.
  package static func share(_ count: Int, by chunk: Int, _ body: (Range<Int>) -> Void) {
    guard count > chunk else { return body(0..<count) }
    let threads = min(processors, mostThreads, (count + chunk - 1) / chunk)
    withoutActuallyEscaping(body) { body in
      let work = Work(count, chunk, body)
      // One that cannot be made is not missed: the others do its parts.
      let others = (1..<threads).compactMap { _ in WorkThread { work.run() } }
      work.run()
      for thread in others { thread.join() }
    }
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
