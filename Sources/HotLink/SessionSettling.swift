// What is left to do when a reload has taken effect: old code is recycled, memory given back, people told. The host need
// not wait for it: with `finishesInBackground` the linker's thread does it, before anything else.
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// A reload that took effect, on its way to those who are told of it.
  struct Published {
    let prepared: PreparedReload
    /// What it was, if what it replaced is let go.
    let settled: ReloadReport?
  }

  /// Settles what took effect, and tells of it. By who holds `linking`.
  func settle() {
    guard let done = published.take() else { return }
    var report = done.settled ?? linked.settle(done.prepared, isWaitedFor: false)
    report.pauseMicroseconds = done.prepared.report.pauseMicroseconds
    history?.note(report)
    let handler = state.withLock { $0.handler }
    handler?(.reloaded(report))
  }

  /// The same from a thread that does not hold it. Takes it only when there is something to settle: who asks for it at the
  /// host's safe point does not wait.
  func settlePublished() {
    guard awaitsSettling.load(ordering: .acquiring) else { return }
    linking.withLock { settle() }
  }

  /// The linker's thread has nothing to do. It is woken by what is new, and looks by itself after what the host is to take.
  func rest() {
    let pause = pace.next(isReady: finishesInBackground && awaitsHost)
    // Before the wait, so that nothing stands between a change and its link; and not while the host is about to take
    // something, which would find the lock held.
    if pause.map({ $0 == SettlingPace.longest }) ?? true { lookForDebugger() }
    work.wait(milliseconds: pause ?? (linked.debugger.mode == .lazy ? 200 : 500))
  }

  /// Something is ready, or has taken effect and is to be settled.
  var awaitsHost: Bool {
    // In this order: what is not taken any more awaits settling.
    state.withLock { $0.prepared != nil || $0.isInFirstCall || $0.isTaken }
      || awaitsSettling.load(ordering: .acquiring)
  }
}

/// How often the linker's thread looks whether the host has taken what is ready. The host does not wake it: that would take
/// longer than the swap.
struct SettlingPace {
  private var looks = 0
  /// Milliseconds, when the host stands still.
  static let longest = 20

  /// The next pause in milliseconds: 1 for the time of a frame, then longer. Nil when nothing is ready.
  mutating func next(isReady: Bool) -> Int? {
    looks = isReady ? looks + 1 : 0
    return isReady ? min(max(looks / 16, 1), SettlingPace.longest) : nil
  }
}
