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
    // What was ready but not taken is linked again together with what is new.
    let waiting = state.withLock { state in
      defer { state.prepared = nil }
      return state.prepared
    }
    if let waiting { requeue(waiting) }
    let changes = takePending()
    do {
      let refused = state.withLock { $0.refusedUnits }
      let (prepared, heldBack) = try prepare(changes, refused)
      prepared.report.readMicroseconds = readTime
      keep(heldBack)
      prepared.report.noticedAt = state.withLock { state in
        defer { state.noticedAt = 0 }
        return state.noticedAt
      }
      state.withLock { $0.prepared = prepared }
      return true
    } catch {
      // Kept: the next change may be what was missing.
      keep(changes)
      let handler = state.withLock { $0.handler }
      handler?(.refused(error))
      return false
    }
  }

  /// Prepares all changes; where the layout guard refuses, those without the ones refused before, which
  /// are held back: their units run on in their old version, and other edits take effect.
  private func prepare(
    _ changes: [UnitChange], _ refused: Set<String>
  ) throws(Refusal) -> (PreparedReload, heldBack: [UnitChange]) {
    do {
      let prepared = try linked.prepare(changes)
      prepared.changes = changes
      return (prepared, [])
    } catch {
      let fresh = changes.filter { !refused.contains($0.name) }
      guard case .layout = error.reason, !fresh.isEmpty, fresh.count < changes.count,
        let prepared = try? linked.prepare(fresh)
      else { throw error }
      let heldBack = changes.filter { refused.contains($0.name) }
      prepared.changes = fresh
      prepared.report.heldBack = heldBack.map(\.name)
      return (prepared, heldBack)
    }
  }

  /// Refused changes wait for the next one, which may have come while they were being refused.
  private func keep(_ changes: [UnitChange]) {
    guard !changes.isEmpty else { return }
    state.withLock { state in
      state.held = state.pending.isEmpty
      for change in changes where !state.pending.contains(change.name) {
        state.pending.note(change)
        state.refusedUnits.insert(change.name)
      }
    }
  }

  func requeue(_ prepared: PreparedReload) {
    state.withLock { state in
      for change in prepared.changes { state.pending.keep(change) }
    }
  }
}
