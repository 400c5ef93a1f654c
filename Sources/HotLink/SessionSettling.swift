// What is left to do when a reload has taken effect: old code is recycled, memory given back, people told. The host need
// not wait for it: with `finishesInBackground` the linker's thread does it, before anything else.
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// A reload that took effect, on its way to those who are told of it.
  struct Published {
    let prepared: PreparedReload
    var report: ReloadReport
    /// Whether what it replaced is let go.
    let isSettled: Bool
  }

  /// Settles what took effect, and tells of it. By who holds `linking`.
  func settle() {
    guard var done = published else { return }
    published = nil
    if !done.isSettled { linked.settle(done.prepared, &done.report) }
    history?.note(done.report)
    let handler = state.withLock { $0.handler }
    handler?(.reloaded(done.report))
  }

  /// The same from a thread that does not hold it. Takes it only when there is something to settle: who asks for it at the
  /// host's safe point does not wait.
  func settlePublished() {
    guard awaitsSettling.load(ordering: .acquiring) else { return }
    linking.withLock { settle() }
  }

  /// How long the linker's thread sleeps when there is nothing to do, in milliseconds.
  func pause() -> Int {
    let isReady = state.withLock { $0.prepared != nil || $0.isTaken }
    return pace.next(isReady: isReady || awaitsSettling.load(ordering: .acquiring))
      ?? (linked.debugger.mode == .lazy ? 200 : 500)
  }
}

/// How often the linker's thread looks whether the host has taken what is ready. The host does not wake it: that would take
/// longer than the swap.
struct SettlingPace {
  private var looks = 0

  /// The next pause, in milliseconds: 1 for the time of a frame, up to 20 when the host stands still. Nil when nothing is ready.
  mutating func next(isReady: Bool) -> Int? {
    looks = isReady ? looks + 1 : 0
    return isReady ? min(max(looks / 16, 1), 20) : nil
  }
}
