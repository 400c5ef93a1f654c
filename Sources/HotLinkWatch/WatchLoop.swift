// The watcher's life: wait → read events → look where events do not tell → deliver when due. It waits
// for a change or for a time that some rule of `PendingChanges` named, so it costs nothing while
// nobody builds.
import Glibc
import HotLink
import SystemPackage

/// All that the watching thread owns.
final class WatchLoop {
  /// Events handled before the clock and the stop signal are looked at again.
  private static let eventsAtOnce = 4096
  private static let pollInterval: Duration = .milliseconds(100)

  private let tree: WatchedTree
  private let stopSignal: FileDescriptor
  private let deliver: @Sendable (ChangeBatch) -> Void
  private let onTrouble: @Sendable (WatchError) -> Void
  private var pending: PendingChanges
  private var known: Set<FilePath>
  private var first: ChangeBatch
  private var troubles: Set<WatchError> = []
  private var isSurveyDue = false

  /// Watches the roots; from here on no change is missed.
  ///
  /// - Parameter stopSignal: readable when the loop is to end.
  /// - Throws: `rootMissing`, `watchLimit`, or what opening throws.
  init(
    roots: [FilePath], extensions: Set<String>, settle: Duration, stopSignal: FileDescriptor,
    deliver: @escaping @Sendable (ChangeBatch) -> Void,
    onTrouble: @escaping @Sendable (WatchError) -> Void
  ) throws(WatchError) {
    let tools = try InotifyTools()
    tree = WatchedTree(roots, filter: NameFilter(extensions), tools: tools)
    pending = PendingChanges(settle: settle)
    self.stopSignal = stopSignal
    self.deliver = deliver
    self.onTrouble = onTrouble
    let survey = tree.survey()
    known = Set(survey.files)
    first = ChangeBatch(written: survey.files, isComplete: true)
    if let root = tree.missingRoots.first {
      throw .watching(root, failedWith: .noSuchFileOrDirectory)
    }
    if let limit = tree.troubles.first(where: { $0.reason == .watchLimit }) { throw limit }
  }

  /// Runs until the stop signal.
  func run() {
    deliver(first)
    first = ChangeBatch()
    var hasMore = false
    while true {
      tellTroubles()
      guard wait(isPolling: hasMore) else { return }
      let now = Moment.now
      hasMore = readEvents(at: now)
      if isSurveyDue || (tree.mustPoll && tree.hasReturned) { survey(at: now) }
      pending.settleQuietFiles(at: now) { FileFacts($0)?.size }
      // Events that have come already belong to this batch, unless they never end.
      if pending.isDue(at: now), !hasMore || pending.isOverdue(at: now) { deliverBatch(at: now) }
    }
  }

  /// - Returns: false when the loop is to end.
  private func wait(isPolling: Bool) -> Bool {
    var descriptors = [
      pollfd(fd: stopSignal.rawValue, events: Int16(POLLIN), revents: 0),
      pollfd(fd: tree.tools.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    let now = Moment.now
    var wake = isPolling ? now : pending.nextWake
    if tree.mustPoll { wake = min(wake ?? now + Self.pollInterval, now + Self.pollInterval) }
    poll(&descriptors, nfds_t(descriptors.count), wake?.timeout(from: now) ?? -1)
    return descriptors[0].revents == 0
  }

  // MARK: Events

  /// - Returns: true if there may be more.
  private func readEvents(at now: Moment) -> Bool {
    for _ in 0..<Self.eventsAtOnce {
      guard let event = tree.tools.next() else { return false }
      if event.has(IN_Q_OVERFLOW) {
        // Whatever was lost, the next batch says all there is.
        pending.wantComplete(at: now)
        isSurveyDue = true
        continue
      }
      if event.has(IN_UNMOUNT) { isSurveyDue = true }
      switch tree.subject(of: event) {
      case .file(let path): fileChanged(path, event, at: now)
      case .directory(let path): directoryChanged(path, event, at: now)
      case .root: isSurveyDue = true
      case .nothing: break
      }
    }
    return true
  }

  private func fileChanged(_ path: FilePath, _ event: InotifyTools.Event, at now: Moment) {
    if event.has(IN_CLOSE_WRITE | IN_MOVED_TO) {
      pending.closed(path, at: now)
    } else if event.has(IN_MODIFY) {
      pending.opened(path, at: now)
    } else if event.has(IN_CREATE) {
      let facts = FileFacts(path)
      if facts?.isLink ?? false {
        pending.closed(path, at: now)
      } else {
        pending.opened(path, at: now, size: facts?.size)
      }
    } else if event.has(IN_DELETE | IN_MOVED_FROM) {
      gone(path, at: now, grace: event.has(IN_DELETE) ? PendingChanges.removalGrace : .zero)
    }
  }

  private func directoryChanged(_ path: FilePath, _ event: InotifyTools.Event, at now: Moment) {
    let (files, isGone) = tree.refresh(path, wasEmptied: event.has(IN_DELETE | IN_CREATE))
    if isGone {
      for file in known where file.starts(with: path) { gone(file, at: now) }
      for file in pending.names(under: path) { gone(file, at: now) }
    }
    for file in files { found(file, at: now) }
  }

  private func gone(_ path: FilePath, at now: Moment, grace: Duration = .zero) {
    if known.contains(path) {
      pending.vanished(path, at: now, grace: grace)
    } else {
      pending.forget(path)
    }
  }

  /// A file nobody told us of: it was there before its directory was watched. When it changed just
  /// now, its writer may still be at work.
  private func found(_ path: FilePath, at now: Moment) {
    guard let facts = FileFacts(path) else { return }
    if facts.isLink || facts.age >= PendingChanges.quietSpan {
      pending.closed(path, at: now)
    } else {
      pending.opened(path, at: now - facts.age, size: facts.size, mayBeClosed: true)
    }
  }

  private func survey(at now: Moment) {
    isSurveyDue = false
    let survey = tree.survey()
    if survey.hasNewRoot { pending.wantComplete(at: now) }
    let present = Set(survey.files)
    for path in known where !present.contains(path) { gone(path, at: now) }
    for path in survey.files where !known.contains(path) && !pending.hasHeard(of: path) {
      found(path, at: now)
    }
  }

  // MARK: Delivery

  private func deliverBatch(at now: Moment) {
    var batch = ChangeBatch(
      isComplete: pending.isComplete, noticedAt: pending.noticedAt?.nanoseconds ?? 0)
    let (written, removed) = pending.take(at: now)
    if batch.isComplete {
      batch.written = tree.survey().files
      batch.removed = known.subtracting(batch.written).sorted { $0.precedes($1) }
      known = Set(batch.written)
    } else {
      // GATE: what the events said is compared with what there is.
      batch.written = written.filter { FileFacts($0) != nil }
      let isWritten = Set(batch.written)
      batch.removed = (removed + written).filter {
        known.contains($0) && !isWritten.contains($0) && FileFacts($0) == nil
      }
      known.formUnion(batch.written)
      known.subtract(batch.removed)
    }
    guard batch.isComplete || !batch.written.isEmpty || !batch.removed.isEmpty else { return }
    deliver(batch)
  }

  private func tellTroubles() {
    for trouble in tree.troubles where troubles.insert(trouble).inserted { onTrouble(trouble) }
    tree.troubles = []
  }
}
