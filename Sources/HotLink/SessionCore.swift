// The inside of a session: what is waiting to be linked, what is linked and waits for the host, and the
// thread between.
internal import CLoaderSupport
internal import Glibc
internal import LoaderEngine
internal import Synchronization
internal import SystemPackage

package final class SessionCore: LazyResolver, @unchecked Sendable {
  let state: Mutex<State>
  /// Held while the program is linked or published.
  let linking = ProcessLock()
  var linked: Program
  var markReady: @Sendable () -> Void = {}
  let work = Signal()
  private let idle = Signal()
  private var thread: BackgroundThread?
  private var source: ChangeSource?
  let files: FileTable
  let libraries: [String]
  let history: SymbolHistory?
  let finishesInBackground: Bool
  /// Belongs to the linker's thread.
  var pace = SettlingPace()
  /// What has taken effect and is still to be settled and told. Belongs to who holds `linking`.
  var published: Published? {
    didSet { awaitsSettling.store(published != nil, ordering: .releasing) }
  }
  /// The same for those who do not hold it.
  let awaitsSettling = Atomic(false)

  init(_ options: Session.Options) throws(LinkError) {
    let tag = LazyCalls.takeTag()
    linked = try Program(
      tag: tag, backing: options.backing, options: Program.Options(options))
    files = FileTable()
    libraries = options.libraries
    history = options.keepsHistory ? SymbolHistory() : nil
    finishesInBackground = options.finishesInBackground
    state = Mutex(State(generation: linked.generation))
    LazyCalls.register(self, tag: tag)
    tellOmissions()
  }

  // MARK: what is new

  func enqueue(_ file: UnitFile) {
    state.withLock { state in
      note(files.update(file), into: &state)
    }
    linked.archives.offer(file)
    wake()
  }

  func enqueueRemoval(_ name: String) {
    let changes = files.remove(FilePath(name))
    guard !changes.isEmpty else { return }
    state.withLock { note(changes, into: &$0) }
    wake()
  }

  func note(_ changes: [UnitChange], into state: inout State) {
    for change in changes {
      if state.pending[change.name] == nil { state.order.append(change.name) }
      state.pending[change.name] = change.content.map { .content($0) } ?? .removal
      state.held = false
      state.refusedUnits.remove(change.name)
    }
  }

  func follow(_ source: ChangeSource) throws {
    self.source = source
    try source.start { [weak self] batch in
      guard let self else { return }
      self.linked.retirement.noteOwnThread(hl_gettid())
      self.state.withLock { state in
        if !state.isStarted && state.firstBatch == nil {
          state.firstBatch = batch
        } else {
          state.batches.append(batch)
        }
      }
      self.work.notify()
      self.idle.notify()
    }
  }

  // MARK: start

  func start() throws(Refusal) -> StartReport {
    var report = StartReport()
    let reading = Stopwatch()
    do {
      for library in libraries { try linked.space.host.open(library: library) }
    } catch { throw Refusal(unit: error.file, reason: .link(error)) }
    if source != nil {
      let deadline = Stopwatch.now() + 10_000_000_000
      while state.withLock({ $0.firstBatch == nil }), Stopwatch.now() < deadline {
        idle.wait(milliseconds: 100)
      }
      if let batch = state.withLock({ $0.firstBatch }) {
        for refusal in read(batch) { throw refusal }
      }
    }
    report.readMicroseconds = reading.microseconds
    linking.lock()
    defer { linking.unlock() }
    let changes = takePending()
    let prepared = try prepareFirst(changes)
    do {
      var reload = try linked.publish(prepared)
      linked.settle(prepared, &reload)
      report.linkMicroseconds = reload.linkMicroseconds
    } catch { throw Refusal(unit: error.file, reason: .link(error)) }
    report.units = linked.allUnitNames
    report.relocations = prepared.report.relocations
    report.functions = linked.space.slots.count
    report.undefinedFunctions = prepared.report.undefinedFunctions
    state.withLock {
      $0.generation = linked.generation
      $0.isStarted = true
    }
    let handler = state.withLock { $0.handler }
    handler?(.started(report))
    if source != nil { startThread() }
    return report
  }

  func check(_ contents: CheckResult.Contents) throws(Refusal) -> CheckResult {
    linking.lock()
    defer { linking.unlock() }
    do {
      for library in libraries { try linked.space.host.open(library: library) }
    } catch { throw Refusal(unit: error.file, reason: .link(error)) }
    let prepared = try prepareFirst(takePending())
    state.withLock { $0.prepared = prepared }
    return CheckResult(prepared, contents)
  }

  func linkedBytes(of name: String) -> [UInt8]? {
    guard let prepared = state.withLock({ $0.prepared }) else { return nil }
    for member in prepared.members {
      let linked = member.version.linked
      for index in 1..<max(linked.object.symbols.count, 1)
      where linked.object.name(ofSymbol: index).string == name {
        guard let address = linked.address(ofSymbol: index), linked.kind(ofSymbol: index) != .none,
          let place = linked.section(ofSymbol: index),
          !place.isThreadLocal
        else { continue }
        return self.linked.space.arena.bytes(
          at: Address(address), count: linked.object.extent(ofSymbol: index).count)
      }
    }
    return nil
  }

  private func takePending() -> [UnitChange] {
    state.withLock { state in
      let changes = state.order.map { name -> UnitChange in
        if case .content(let content)? = state.pending[name] {
          return UnitChange(name: name, content: content)
        }
        return UnitChange(name: name, content: nil)
      }
      state.pending = [:]
      state.order = []
      return changes
    }
  }

  // MARK: the linker's thread

  /// One round: read what changed, link everything that waits. False when the session is closed.
  private func linkOnce() -> Bool {
    settlePublished()
    let batches = state.withLock { state -> [ChangeBatch]? in
      if state.isClosed { return nil }
      defer { state.batches = [] }
      state.isBusy = !state.batches.isEmpty || !state.pending.isEmpty
      return state.batches
    }
    guard let batches else { return false }
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
    if shouldLink { link(readTime) } else { state.withLock { $0.noticedAt = 0 } }
    let isIdle = state.withLock { state -> Bool in
      state.isBusy = !state.batches.isEmpty || (!state.pending.isEmpty && !state.held)
      return !state.isBusy
    }
    if isIdle {
      idle.notify()
      rest()
    }
    return true
  }

  private func link(_ readTime: Double) {
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
      markReady()
    } catch {
      // Kept: the next change may be what was missing.
      keep(changes)
      let handler = state.withLock { $0.handler }
      handler?(.refused(error))
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

  /// Refused changes wait for the next one.
  private func keep(_ changes: [UnitChange]) {
    guard !changes.isEmpty else { return }
    state.withLock { state in
      for change in changes where state.pending[change.name] == nil {
        state.order.append(change.name)
        state.pending[change.name] = change.content.map { .content($0) } ?? .removal
        state.refusedUnits.insert(change.name)
      }
      state.held = true
    }
  }

  func requeue(_ prepared: PreparedReload) {
    state.withLock { state in
      for change in prepared.changes where state.pending[change.name] == nil {
        state.order.append(change.name)
        state.pending[change.name] = change.content.map { .content($0) } ?? .removal
      }
    }
  }

  // MARK: the host's thread

  @inline(never)  // Its caller's frame must be small: `hl_scan_from_caller`.
  func publish() -> Outcome {
    guard linking.tryLock() else { return .busy }
    defer { linking.unlock() }
    let clock = Stopwatch()
    guard callBeforeHooks() else { return .nothing }
    let prepared = state.withLock { $0.take() }
    guard let prepared else {
      collectForDebugger()
      return .nothing
    }
    defer { state.withLock { $0.isTaken = false } }
    settle()
    let waits = finishesInBackground && prepared.libraries.isEmpty
    do {
      var report = try linked.publish(prepared)
      state.withLock { state in
        state.hooks = .idle
        state.generation = linked.generation
      }
      if waits { linked.retirement.lookAtOwnStack() } else { linked.settle(prepared, &report) }
      report.pauseMicroseconds = clock.microseconds
      published = Published(prepared: prepared, report: report, isSettled: !waits)
      // Nobody is woken at the host's safe point: the linker's thread looks after what it made ready.
      if !waits { settle() }
      return .published
    } catch {
      let handler = state.withLock { state in
        state.hooks = .idle
        return state.handler
      }
      handler?(.refused(Refusal(unit: error.file, reason: .link(error))))
      return .nothing
    }
  }

  // MARK: waiting and ending

  func wake() {
    let isStarted = state.withLock { state in
      state.isBusy = state.isStarted || state.isBusy
      return state.isStarted
    }
    if isStarted { startThread() }
    work.notify()
  }

  /// A program that nothing changes has no thread but its own: it ends with its last one.
  private func startThread() {
    let isFirst = state.withLock { state in
      defer { state.hasThread = true }
      return !state.hasThread
    }
    guard isFirst else { return }
    thread = BackgroundThread { [weak self] in
      self?.linked.retirement.noteOwnThread(hl_gettid())
      while let self, self.linkOnce() {}
    }
  }

  func waitUntilIdle(_ seconds: Double) -> Bool {
    let deadline = Stopwatch.now() + UInt64(seconds * 1e9)
    while state.withLock({ $0.isStarted && ($0.isBusy || !$0.batches.isEmpty) }),
      Stopwatch.now() < deadline
    {
      idle.wait(milliseconds: 5)
    }
    return state.withLock { $0.prepared != nil }
  }

  func close() {
    endLinking()
    linked.finish()
  }

  /// Ends the linker's thread. From then on nothing is linked.
  func endLinking() {
    state.withLock { $0.isClosed = true }
    source?.stop()
    work.notify()
    thread?.join()
    thread = nil
    settlePublished()
  }
}
