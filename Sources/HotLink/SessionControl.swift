// What may be asked of a session while it runs, from a thread that is not the host's.
internal import CLoaderSupport
internal import LoaderEngine
internal import Synchronization

extension Session {
  /// What is known about a symbol, by its name or as a person writes it (`Game::score`). From any thread; waits while
  /// something is being linked.
  public func explain(_ name: String) -> Explanation { core.explain(name) }

  /// Links what was refused once more, as if its files had been saved again. From any thread.
  ///
  /// - Parameter reset: a unit that may be initialised anew, should that be what it takes.
  /// - Returns: the units that wait; none when nothing was refused.
  @discardableResult
  public func retry(reset: String? = nil) -> [String] { core.retry(reset: reset) }

  /// Units that were refused and wait for another change. From any thread.
  public var refusedUnits: [String] { core.refusedUnits }

  /// How many units are part of the program. From any thread; waits while something is being linked.
  public var unitCount: Int { core.linking.withLock { core.linked.allUnitNames.count } }

  /// Returns when all reloads that took effect are told. On the host's thread.
  package func tellPublished() { core.settlePublished() }

  /// Has a thread of the host's own left out when stacks are searched: it never runs linked code.
  package func noteOwnThread() { core.linked.retirement.noteOwnThread(hl_gettid()) }
}

extension SessionCore {
  func explain(_ name: String) -> Explanation {
    linking.withLock {
      settle()
      return linked.explain(name, history)
    }
  }

  var refusedUnits: [String] {
    state.withLock { state in state.held ? state.pending.names : [] }
  }

  func retry(reset: String?) -> [String] {
    // What is waited for may take effect meanwhile: then nothing is granted.
    let waiting = reset.map { name in linking.withLock { grant(name) } } ?? waitingUnits
    guard !waiting.isEmpty else { return [] }
    state.withLock { $0.held = false }
    wake()
    return waiting
  }

  /// By who holds `linking`.
  ///
  /// - Returns: the units that wait.
  private func grant(_ reset: String) -> [String] {
    let waiting = waitingUnits
    guard !waiting.isEmpty else { return [] }
    for name in linked.allUnitNames where StatePolicies.names(reset, name) {
      linked.grantedResets.insert(name)
    }
    return waiting
  }

  /// Units that were refused, those that are being tried again at this moment, too.
  private var waitingUnits: [String] {
    state.withLock { $0.held ? $0.pending.names : $0.refusedUnits.sorted() }
  }
}
