// Work that need not be done at once, done by another thread meanwhile: memory that is made ready while names are
// looked up. Where there is one processor, or no thread can be made, it is done when somebody waits for it.

/// A piece of work beside what its owner does. Dropped, it is waited for.
package final class Errand {
  private let body: () -> Void
  private var thread: WorkThread?
  private var isDone = false

  /// - Parameter body: touches nothing that its owner does before `wait`.
  package init(_ body: @escaping () -> Void) {
    self.body = body
    thread = Workers.processors > 1 ? WorkThread(body) : nil
  }

  deinit { wait() }

  /// Returns when the work is done.
  package func wait() {
    guard !isDone else { return }
    isDone = true
    if let thread { thread.join() } else { body() }
  }
}
