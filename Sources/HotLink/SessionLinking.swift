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
    takeOffered()
    let (ready, new, changes) = takeChanges()
    let noticedAt = state.withLock { state in
      defer { state.noticedAt = 0 }
      return state.noticedAt
    }
    do {
      let (prepared, heldBack) = try prepare(changes, ready)
      prepared.report.readMicroseconds = readTime
      prepared.report.noticedAt = noticedAt
      keep(heldBack)
      makeReady(prepared)
      return true
    } catch {
      // Kept: the next change may be what was missing. What was ready without the new ones still is.
      let isReady = ready.map { makeReady(again: $0, without: new) } ?? false
      keep(isReady ? changes.filter { new.contains($0.name) } : changes)
      let handler = state.withLock { $0.handler }
      handler?(.refused(error))
      return isReady
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

  /// Everything that waits, and what was ready but not taken, which is linked again together with what is new. Nothing comes
  /// between the one and the other.
  private func takeChanges() -> (ready: ReadyChanges?, new: [String], changes: [UnitChange]) {
    let (prepared, new, changes) = state.withLock { state in
      let prepared = state.prepared
      state.prepared = nil
      let new = state.pending.names
      for change in prepared?.changes ?? [] { state.pending.keep(change) }
      return (prepared, new, state.pending.take())
    }
    // It is let go here, not under the lock: a library may have something to do at its end.
    return (prepared.map(ReadyChanges.init), new, changes)
  }

  /// Gives what was ready back, to be linked again at once.
  func takeReady() -> ReadyChanges? {
    let prepared = state.withLock { state in
      defer {
        state.isMadeAgain = state.prepared != nil
        state.prepared = nil
      }
      return state.prepared
    }
    return prepared.map(ReadyChanges.init)
  }

  /// Links alone what was ready before.
  ///
  /// - Parameter new: what came later, and is held back.
  /// - Returns: false when it cannot be linked any more.
  func makeReady(again ready: ReadyChanges, without new: [String] = []) -> Bool {
    guard let prepared = try? linked.prepare(ready.changes) else { return false }
    prepared.changes = ready.changes
    prepared.report.readMicroseconds = ready.readMicroseconds
    prepared.report.noticedAt = ready.noticedAt
    prepared.report.heldBack = new.isEmpty ? ready.heldBack : new
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
      state.isMadeAgain = false
    }
  }

  /// Prepares all changes; where the layout guard refuses, those without the ones refused before, which
  /// are held back: their units run on in their old version, or in the one that was ready, and other edits take effect.
  private func prepare(_ changes: [UnitChange], _ ready: ReadyChanges?) throws(Refusal) -> (
    PreparedReload, heldBack: [UnitChange]
  ) {
    do {
      let prepared = try linked.prepare(changes)
      prepared.changes = changes
      return (prepared, [])
    } catch {
      let refused = state.withLock { $0.refusedUnits }
      var fresh = changes.filter { !refused.contains($0.name) }
      guard case .layout = error.reason, !fresh.isEmpty, fresh.count < changes.count else {
        throw error
      }
      fresh += ready?.changes.filter { refused.contains($0.name) } ?? []
      guard let prepared = try? linked.prepare(fresh) else { throw error }
      let heldBack = changes.filter { refused.contains($0.name) }
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
      state.isMadeAgain = false
      for change in changes { state.pending.keep(change) }
    }
  }
}
