// What has changed since the last batch, and when it may be delivered. A set of object files is only
// consistent when nobody writes any of them, and no event says “nobody writes”: so creation and
// modification hold the batch back until the close, within limits, because some closes never come.
// It knows neither clock nor file system; both are passed in, so that every rule can be tested.
import SystemPackage

/// The next batch in the making.
struct PendingChanges {
  /// A file without events for so long, and of stable size, counts as written though it was not closed.
  static let quietSpan: Duration = .milliseconds(200)
  /// When a quiet file's size is first looked at, to be compared at the end of `quietSpan`.
  static let sizeSpan: Duration = .milliseconds(100)
  /// Assemblers and linkers unlink their output before they create it anew: so long a deletion waits.
  static let removalGrace: Duration = .milliseconds(100)
  /// So long do writers hold back what is complete.
  static let longestHold: Duration = .seconds(5)

  private struct Writing {
    var lastEvent: Moment
    var size: (bytes: Int64, seenAt: Moment)?
    /// Its close may have been missed, so that none need come.
    var mayBeClosed: Bool
    /// It is empty and open: an output that is still to come (`as` and `ld` open theirs early and fill
    /// it seconds later [m]). Only a close makes it a file.
    var isReserved = false
    /// False once it has used up its time: it is then delivered when it closes, and nobody waits.
    var holds = true

    var nextCheck: Moment? {
      guard !isReserved else { return nil }
      guard let size else { return lastEvent + sizeSpan }
      return max(lastEvent + quietSpan, size.seenAt + sizeSpan)
    }
  }

  /// Added to the last event before a batch is due.
  let settle: Duration
  /// The next batch shall list everything there is.
  private(set) var isComplete = false
  /// The earliest close, rename or deletion since the last batch.
  private(set) var noticedAt: Moment?

  private var written: [FilePath: Int] = [:]  // with the order of last writes
  private var writing: [FilePath: Writing] = [:]
  private var removed: [FilePath: Moment] = [:]  // with the time from which they count
  private var writeCount = 0
  private var heldSince: Moment?
  private var lastEvent = Moment(nanoseconds: 0)

  init(settle: Duration) {
    self.settle = settle
  }

  // MARK: Events

  /// A file was created or modified; its close is still to come.
  ///
  /// - Parameters:
  ///   - size: if known, in bytes.
  ///   - mayBeClosed: it was found by looking, so its close may have been before.
  mutating func opened(
    _ path: FilePath, at moment: Moment, size: Int64? = nil, mayBeClosed: Bool = false
  ) {
    written[path] = nil
    removed[path] = nil
    let holds = writing[path]?.holds ?? true
    writing[path] = Writing(
      lastEvent: moment, size: size.map { ($0, moment) }, mayBeClosed: mayBeClosed, holds: holds)
    lastEvent = max(lastEvent, moment)
  }

  /// A file was closed after writing, or appeared under its name with its contents in place.
  mutating func closed(_ path: FilePath, at moment: Moment) {
    writing[path] = nil
    removed[path] = nil
    writeCount += 1
    written[path] = writeCount
    note(moment)
  }

  /// A file that had been delivered is gone.
  ///
  /// - Parameter grace: how long it may take to come back without having been away.
  mutating func vanished(_ path: FilePath, at moment: Moment, grace: Duration = .zero) {
    writing[path] = nil
    written[path] = nil
    removed[path] = moment + grace
    note(moment)
  }

  /// A file that nobody had heard of is gone again.
  mutating func forget(_ path: FilePath) {
    writing[path] = nil
    written[path] = nil
    guard written.isEmpty, writing.isEmpty, removed.isEmpty, !isComplete else { return }
    noticedAt = nil
    heldSince = nil
  }

  /// Asks for a complete batch, because events may have been lost.
  mutating func wantComplete(at moment: Moment) {
    isComplete = true
    heldSince = heldSince ?? moment
    for path in writing.keys {
      writing[path]?.mayBeClosed = true
      writing[path]?.isReserved = false
    }
  }

  func hasHeard(of path: FilePath) -> Bool { written[path] != nil || writing[path] != nil }

  /// Pending names at or below a directory that is no longer where it was.
  func names(under directory: FilePath) -> [FilePath] {
    (Array(written.keys) + Array(writing.keys)).filter { $0.starts(with: directory) }
  }

  private mutating func note(_ moment: Moment) {
    noticedAt = noticedAt ?? moment
    heldSince = heldSince ?? moment
    lastEvent = max(lastEvent, moment)
  }

  // MARK: Time

  /// Takes files that have been quiet for long enough as written.
  ///
  /// - Parameter size: the size of a file in bytes, nil when it is none any more.
  mutating func settleQuietFiles(at now: Moment, size: (FilePath) -> Int64?) {
    for (path, state) in writing {
      guard let check = state.nextCheck, check <= now else { continue }
      guard let bytes = size(path) else {
        forget(path)
        continue
      }
      if state.size?.bytes == bytes, bytes == 0, !state.mayBeClosed {
        writing[path]?.isReserved = true
      } else if state.size?.bytes == bytes {
        closed(path, at: state.lastEvent)
      } else {
        // The first look, or it grew without an event: the span begins again where it did grow.
        writing[path]?.size = (bytes, now)
        if state.size != nil { writing[path]?.lastEvent = now }
      }
    }
  }

  /// When something is to be done next, nil while there is nothing to wait for.
  var nextWake: Moment? {
    let check = writing.values.compactMap(\.nextCheck).min()
    guard let due = dueTime else { return check }
    return min(due, check ?? due)
  }

  func isDue(at now: Moment) -> Bool { dueTime.map { $0 <= now } ?? false }

  /// It has been held back for as long as is allowed.
  func isOverdue(at now: Moment) -> Bool { holdLimit.map { $0 <= now } ?? false }

  private var holdLimit: Moment? { heldSince.map { $0 + Self.longestHold + settle } }

  private var dueTime: Moment? {
    guard isComplete || !written.isEmpty || !removed.isEmpty else { return nil }
    guard let heldSince, let limit = holdLimit else { return nil }
    if writing.values.contains(where: \.holds) { return limit }
    let settled = settle == .zero ? heldSince : lastEvent + settle
    return min(limit, removed.values.reduce(settled, max))
  }

  /// Empties this for the next batch; files that are being written stay.
  ///
  /// - Returns: paths in the order of their last write, and paths that were deleted.
  mutating func take(at now: Moment) -> (written: [FilePath], removed: [FilePath]) {
    let files = written.sorted { $0.value < $1.value }.map(\.key)
    let gone = removed.filter { $0.value <= now }.keys.sorted { $0.precedes($1) }
    written = [:]
    for path in gone { removed[path] = nil }
    for path in writing.keys { writing[path]?.holds = false }
    isComplete = false
    noticedAt = removed.isEmpty ? nil : now
    heldSince = noticedAt
    return (files, gone)
  }
}
