// What a turn does with what waits: it is linked together with what was ready and not taken. What is refused waits for the
// next change, and what runs goes on.
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// Links everything that waits.
  ///
  /// - Parameter readTime: microseconds that reading it took.
  /// - Returns: whether the host has something to take.
  func link(_ readTime: Double) -> Bool {
    linking.lock()
    defer { linking.unlock() }
    settle()
    let taken = takeChanges()
    do {
      let (prepared, heldBack) = try prepare(taken)
      prepared.report.readMicroseconds = readTime
      prepared.report.noticedAt = taken.noticedAt
      keep(heldBack)
      makeReady(prepared)
      return true
    } catch {
      // Kept: the next change may be what was missing. What was ready without the new ones still is.
      let again = taken.ready.flatMap { prepare(again: $0) }
      let new = Set(taken.new)
      keep(again == nil ? taken.all : taken.all.filter { new.contains($0.name) })
      if let again {
        again.report.heldBack = taken.new
        makeReady(again)
      } else {
        forgetHooks()
      }
      let handler = state.withLock { $0.handler }
      handler?(.refused(error))
      return again != nil
    }
  }

  /// Changes that were linked before, and not taken by the host.
  struct ReadyChanges {
    let changes: [UnitChange]
    let readMicroseconds: Double
    let noticedAt: UInt64
    let heldBack: [String]

    fileprivate init(_ prepared: PreparedReload) {
      changes = prepared.changes
      readMicroseconds = prepared.report.readMicroseconds
      noticedAt = prepared.report.noticedAt
      heldBack = prepared.report.heldBack
    }
  }

  /// What is linked together: everything that waits, and what was ready but not taken.
  private struct TakenChanges {
    let ready: ReadyChanges?
    /// Names of what was not ready before.
    let new: [String]
    let all: [UnitChange]
    /// Units whose change was refused before.
    let refused: Set<String>
    let noticedAt: UInt64
  }

  /// Nothing comes between the one and the other.
  private func takeChanges() -> TakenChanges {
    let (prepared, offered, taken) = state.withLock { state in
      let prepared = state.prepared
      let new = state.pending.names
      for change in prepared?.changes ?? [] { state.pending.keep(change) }
      defer {
        state.prepared = nil
        state.offered = []
        state.noticedAt = 0
      }
      return (
        prepared, state.offered,
        TakenChanges(
          ready: prepared.map(ReadyChanges.init), new: new, all: state.pending.take(),
          refused: state.refusedUnits, noticedAt: state.noticedAt)
      )
    }
    // It is let go here, not under the lock: a library may have something to do at its end.
    withExtendedLifetime(prepared) {}
    offer(offered)
    return taken
  }

  /// Gives what was ready back, to be linked again at once.
  func takeReady() -> ReadyChanges? {
    let prepared = state.withLock { state in
      defer { state.prepared = nil }
      return state.prepared
    }
    return prepared.map(ReadyChanges.init)
  }

  /// Links alone what was ready before.
  ///
  /// - Returns: nil when it cannot be linked any more.
  private func prepare(again ready: ReadyChanges) -> PreparedReload? {
    guard let prepared = try? linked.prepare(ready.changes) else { return nil }
    prepared.changes = ready.changes
    prepared.report.readMicroseconds = ready.readMicroseconds
    prepared.report.noticedAt = ready.noticedAt
    prepared.report.heldBack = ready.heldBack
    return prepared
  }

  /// The same for who has begun a first call.
  func makeReady(again ready: ReadyChanges) -> Bool {
    guard let prepared = prepare(again: ready) else { return false }
    makeReady(prepared)
    return true
  }

  /// Has the host take it at its next safe point.
  private func makeReady(_ prepared: PreparedReload) {
    state.withLock { state in
      if !state.refusedUnits.isEmpty {
        // Of some a newer version is refused.
        for change in prepared.changes where !state.pending.contains(change.name) {
          state.refusedUnits.remove(change.name)
        }
      }
      state.prepared = prepared
    }
  }

  /// Prepares all changes; where the layout guard refuses, those without the ones refused before, which
  /// are held back: their units run on in their old version, or in the one that was ready, and other edits take effect.
  private func prepare(_ taken: TakenChanges) throws(Refusal) -> (
    PreparedReload, heldBack: [UnitChange]
  ) {
    do {
      let prepared = try linked.prepare(taken.all)
      prepared.changes = taken.all
      return (prepared, [])
    } catch {
      func isRefused(_ change: UnitChange) -> Bool { taken.refused.contains(change.name) }
      let heldBack = taken.all.filter(isRefused)
      var fresh = taken.all.filter { !isRefused($0) }
      guard case .layout = error.reason, !fresh.isEmpty, !heldBack.isEmpty else { throw error }
      fresh += taken.ready?.changes.filter(isRefused) ?? []
      guard let prepared = try? linked.prepare(fresh) else { throw error }
      prepared.changes = fresh
      prepared.report.heldBack = heldBack.map(\.name)
      return (prepared, heldBack)
    }
  }

  /// Refused changes wait for the next one, which may have come while they were being refused.
  func keep(_ changes: [UnitChange]) {
    guard !changes.isEmpty else { return }
    state.withLock { state in
      state.held = state.held || state.pending.isEmpty
      for change in changes where !state.pending.contains(change.name) {
        state.pending.note(change)
        state.refusedUnits.insert(change.name)
      }
    }
  }

  func requeue(_ changes: [UnitChange]) {
    state.withLock { state in
      state.held = false
      // Whoever waits for the session goes on waiting.
      state.isBusy = state.isStarted || state.isBusy
      for change in changes { state.pending.keep(change) }
    }
  }
}
