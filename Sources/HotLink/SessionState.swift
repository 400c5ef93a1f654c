// What a session knows under its lock: what waits to be linked, what is linked and waits for the host.
internal import LoaderEngine

extension SessionCore {
  struct State {
    var handler: (@Sendable (SessionEvent) -> Void)?
    var undefinedCall: (@Sendable (String) -> Address?)?
    var generation: Generation
    /// Read and not yet linked.
    var pending = PendingUnits()
    /// Files that were read, archives among them, and that the program does not know of yet.
    var offered: [UnitFile] = []
    var batches: [ChangeBatch] = []
    var prepared: PreparedReload?
    /// What was ready may be linked once more.
    var isInFirstCall = false
    /// The host has taken it, and it has not taken effect yet.
    var isTaken = false
    var isStarted = false
    var hasThread = false
    var isBusy = false
    var isClosed = false
    var firstBatch: ChangeBatch?
    var noticedAt: UInt64 = 0
    /// A refused change waits for the next one.
    var held = false
    var hooks = HookState.idle
    /// Units whose change was refused and has not been replaced since.
    var refusedUnits: Set<String> = []
    /// The host is to look again whether replaced code is still in use.
    var shouldCollect = false
  }

  enum Outcome { case published, nothing, busy }
}

extension SessionCore.State {
  /// Nil when there is nothing to wait for; otherwise whether another thread is at it, in a first call.
  var waitedFor: Bool? {
    guard !isClosed, isStarted else { return nil }
    if isInFirstCall { return true }
    return isBusy || !batches.isEmpty ? false : nil
  }

  /// Whether a change of a unit is still to take effect.
  func waits(_ name: String) -> Bool { pending.contains(name) || refusedUnits.contains(name) }

  /// What the host is about to have take effect.
  mutating func take() -> PreparedReload? {
    defer { prepared = nil }
    isTaken = prepared != nil
    return prepared
  }
}
