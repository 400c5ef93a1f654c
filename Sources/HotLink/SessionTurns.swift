// Who reads and links what changed. One thread at a time has the turn: whoever knows of something new first and would have
// to wait for another otherwise. That is the linker's thread, which has nothing else to do; the watcher's, when it has
// noticed a few files; and the host's in `waitUntilLinked`. To wake a thread takes as long as a small link
// (docs/decisions/0041).
internal import CLoaderSupport
internal import Glibc
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// How a turn ended.
  enum Turn {
    /// There is nothing left to do.
    case idle
    /// Something came meanwhile.
    case busy
    case closed
  }

  /// Files of one batch, at most, that the watcher's thread links itself: it notices nothing meanwhile.
  private static let fewFiles = 4

  /// Microseconds, when the host looks at once.
  private static let swapTime: UInt32 = 300

  /// What a change source calls, on its own thread.
  ///
  /// - Parameter mayLink: that thread may be used for it.
  func deliver(_ batch: ChangeBatch, mayLink: Bool) {
    linked.retirement.noteOwnThread(hl_gettid())
    let isStarted = state.withLock { state in
      if !state.isStarted && state.firstBatch == nil {
        state.firstBatch = batch
      } else {
        state.batches.append(batch)
      }
      return state.isStarted
    }
    let isSmall =
      !batch.isComplete && batch.written.count + batch.removed.count <= SessionCore.fewFiles
    if mayLink, isStarted, isSmall, lendAHand(whileHostTakes: SessionCore.swapTime) { return }
    work.notify()
    idle.notify()
  }

  func wake() {
    let isStarted = state.withLock { state in
      state.isBusy = state.isStarted || state.isBusy
      return state.isStarted
    }
    if isStarted { startThread() }
    work.notify()
  }

  /// A program that nothing changes has no thread but its own: it ends with its last one.
  func startThread() {
    let isFirst = state.withLock { state in
      defer { state.hasThread = true }
      return !state.hasThread
    }
    guard isFirst else { return }
    thread = BackgroundThread { [weak self] in
      self?.linked.retirement.noteOwnThread(hl_gettid())
      while let self {
        switch self.takeTurn() {
        case .idle?: self.rest()
        case .busy?: break
        case .closed?: return
        case nil:
          // It may be this session's end that has the turn.
          if self.isClosed { return }
          // Whoever is at it says when there is more.
          self.work.wait(milliseconds: SettlingPace.longest)
        }
      }
    }
  }

  /// A turn on another thread than the linker's, which goes on with what is left.
  ///
  /// - Parameter pause: microseconds for which the linker's thread is left asleep, since the host is about to take what is
  ///   ready, on the other of two processors.
  /// - Returns: false when another thread is at it, and will see what is new; and when this one is publishing, whose code
  ///   has called back.
  func lendAHand(whileHostTakes pause: UInt32 = 0) -> Bool {
    guard !linking.isHeldHere, let turn = takeTurn() else { return false }
    if turn == .idle, finishesInBackground, pause > 0 { usleep(pause) }
    let isLeft = state.withLock { $0.isBusy || !$0.batches.isEmpty }
    if isLeft || (finishesInBackground && awaitsHost) { work.notify() }
    return true
  }

  /// Reads and links what is new.
  ///
  /// - Returns: nil when another thread is at it.
  private func takeTurn() -> Turn? {
    guard hasTakenTurn() else { return nil }
    defer { turn.store(0, ordering: .releasing) }
    return linkOnce()
  }

  private func hasTakenTurn() -> Bool {
    turn.compareExchange(
      expected: 0, desired: UInt(pthread_self()), ordering: .acquiringAndReleasing
    ).exchanged
  }

  var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Returns when no other thread reads or links. The session is closed: none begins.
  func endTurns() {
    guard turn.load(ordering: .relaxed) != UInt(pthread_self()) else { return }
    while !hasTakenTurn() { idle.wait(milliseconds: 1) }
    turn.store(0, ordering: .releasing)
  }

  private func linkOnce() -> Turn {
    settlePublished()
    let batches = state.withLock { state -> [ChangeBatch]? in
      if state.isClosed { return nil }
      defer { state.batches = [] }
      state.isBusy = !state.batches.isEmpty || !state.pending.isEmpty
      return state.batches
    }
    guard let batches else { return .closed }
    let reading = Stopwatch()
    var refusals: [Refusal] = []
    for batch in batches {
      state.withLock {
        if $0.noticedAt == 0 { $0.noticedAt = batch.noticedAt }
      }
      refusals += read(batch)
    }
    let handler = state.withLock { $0.handler }
    for refusal in refusals { handler?(.refused(refusal)) }
    let readTime = reading.microseconds
    // What was refused waits for a change: a file that was saved as it was is none.
    let shouldLink = state.withLock { !$0.held && !$0.pending.isEmpty }
    var isReady = false
    if shouldLink {
      isReady = link(readTime)
    } else {
      let isOffered = state.withLock { state in
        state.noticedAt = 0
        return !state.offered.isEmpty
      }
      // An archive of which nothing is linked anew.
      if isOffered, linking.tryLock() {
        takeOffered()
        linking.unlock()
      }
    }
    // Nearly last, so that the host finds no lock taken; not inside one, because the session may end with it.
    if isReady { markReady() }
    let isIdle = state.withLock { state -> Bool in
      state.isBusy = !state.batches.isEmpty || (!state.pending.isEmpty && !state.held)
      return !state.isBusy
    }
    guard isIdle else { return .busy }
    idle.notify()
    return .idle
  }

  /// Waits for all that was added to be linked, or does it.
  ///
  /// - Returns: whether something is ready for the host.
  func waitUntilIdle(_ seconds: Double) -> Bool {
    let deadline = Stopwatch.now() + UInt64(seconds * 1e9)
    while let isElsewhere = state.withLock({ $0.waitedFor }), Stopwatch.now() < deadline {
      if isElsewhere || !lendAHand() { idle.wait(milliseconds: 5) }
    }
    return state.withLock { $0.prepared != nil }
  }
}
