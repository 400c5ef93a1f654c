// A session and the debuggers that come and go: the linker's thread looks for one now and then, and while
// one is there, code that was replaced is taken out of its sight as soon as nobody is inside.
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// Nanoseconds between two looks, at least: each asks the kernel.
  private static let betweenLooks: UInt64 = 100_000_000

  /// Five times a second when nothing else happens, on the linker's thread.
  func lookForDebugger() {
    let mode = linked.debugger.mode
    let now = Stopwatch.now()
    guard mode != .off, now >= nextLook else { return }
    nextLook = now + SessionCore.betweenLooks
    let isThere = mode == .on || Debugger.isAttached
    // One that has gone is noticed once.
    guard isThere || linked.debugger.isActive, linking.tryLock() else { return }
    // With the lock held, an update of the host would have to wait for the next frame.
    defer { linking.unlock() }
    linked.debugger.look()
    // A word on a stack that only looks like an address is overwritten soon.
    guard linked.debugger.isActive, linked.retirement.mayGoSoon else { return }
    state.withLock { $0.shouldCollect = true }
    markReady()
  }

  /// On the host's thread, at its safe point.
  func collectForDebugger() {
    let shouldCollect = state.withLock { state in
      defer { state.shouldCollect = false }
      return state.shouldCollect
    }
    if shouldCollect { linked.collect() }
  }

  func tellOmissions() {
    linked.debugger.onOmission = { [weak self] error in
      self?.state.withLock { $0.handler }?(.debugDataOmitted(error))
    }
  }
}
