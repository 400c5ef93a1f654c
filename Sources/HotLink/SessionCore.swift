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
  let idle = Signal()
  /// The thread that reads or links (`takeTurn`), as pthreads name it; 0: none.
  let turn = Atomic<UInt>(0)
  var thread: BackgroundThread?
  private var source: ChangeSource?
  let files: FileTable
  /// Held while files and what changed with them are noted, so that both have one order.
  private let noting = Mutex<Void>(())
  let libraries: [String]
  let history: SymbolHistory?
  let finishesInBackground: Bool
  // Belong to the linker's thread:
  var pace = SettlingPace()
  var nextLook: UInt64 = 0
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

  func enqueue(_ files: [UnitFile]) {
    note(files)
    wake()
  }

  func enqueueRemoval(_ name: String) {
    guard noteRemoval([FilePath(name)]) else { return }
    wake()
  }

  /// - Returns: whether any of them was known.
  @discardableResult
  func noteRemoval(_ paths: [FilePath]) -> Bool {
    noting.withLock { _ in
      let changes = paths.flatMap { files.remove($0) }
      state.withLock { note(changes, into: &$0) }
      return !changes.isEmpty
    }
  }

  func note(_ read: [UnitFile]) {
    // What came last is to be noted last; the state is locked for the little that it is changed.
    noting.withLock { _ in
      let changes = files.update(read)
      state.withLock { state in
        note(changes, into: &state)
        state.offered += read
      }
    }
  }

  func note(_ changes: [UnitChange], into state: inout State) {
    state.pending.expect(changes.count)
    for change in changes {
      state.pending.note(change)
      state.held = false
      if !state.refusedUnits.isEmpty { state.refusedUnits.remove(change.name) }
    }
  }

  func follow(_ source: ChangeSource) throws {
    self.source = source
    let lendsThread = source.lendsThread
    try source.start { [weak self] batch in self?.deliver(batch, mayLink: lendsThread) }
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
      try linked.publish(prepared)
      _ = linked.settle(prepared)
      report.linkMicroseconds = prepared.report.linkMicroseconds
    } catch { throw Refusal(unit: error.file, reason: .link(error)) }
    report.units = linked.allUnitNames
    report.relocations = prepared.report.relocations
    report.functions = linked.space.slots.count
    report.undefinedFunctions = prepared.report.undefinedFunctions
    report.unmetPolicies = linked.unmetPolicies()
    let handler = state.withLock {
      $0.generation = linked.generation
      return $0.handler
    }
    handler?(.started(report))
    let isMore = state.withLock {
      $0.isStarted = true
      return !$0.batches.isEmpty || !$0.pending.isEmpty
    }
    if source != nil { startThread() }
    if isMore { wake() }
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

  /// What waits to be linked; by who holds `linking`.
  func takePending() -> [UnitChange] {
    let (offered, changes) = state.withLock { state in
      defer { state.offered = [] }
      return (state.offered, state.pending.take())
    }
    offer(offered)
    return changes
  }

  /// Has the program know of the files that were read; by who holds `linking`.
  func takeOffered() {
    let offered = state.withLock { state in
      defer { state.offered = [] }
      return state.offered
    }
    offer(offered)
  }

  func offer(_ files: [UnitFile]) {
    if !files.isEmpty { linked.archives.offer(files) }
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
      try linked.publish(prepared)
      let granted = linked.grantedResets
      linked.grantedResets = state.withLock { state in
        state.hooks = .idle
        state.generation = linked.generation
        return granted.isEmpty
          ? [] : granted.filter { state.waits($0) && !prepared.hasUsed(grant: $0) }
      }
      let report = waits ? nil : linked.settle(prepared)
      if waits { linked.retirement.lookAtOwnStack() }
      prepared.report.pauseMicroseconds = clock.microseconds
      published = Published(prepared: prepared, settled: report)
      // Nobody is woken at the host's safe point: the linker's thread looks after what it made ready.
      if !waits { settle() }
      return .published
    } catch {
      keep(prepared.changes)
      let handler = state.withLock { state in
        state.hooks = .idle
        return state.handler
      }
      handler?(.refused(Refusal(unit: error.file, reason: .link(error))))
      return .nothing
    }
  }

  // MARK: the end

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
    endTurns()
    settlePublished()
  }
}
