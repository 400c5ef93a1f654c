// A session: a program whose units may change while it runs. One thread is the host; a second one reads
// and links what changed; `update()` is the place where the two meet.
internal import CLoaderSupport
internal import Glibc
public import LoaderEngine
public import Synchronization
public import SystemPackage

/// A running program made of units.
///
/// Create one, `add` units or give it a `ChangeSource`, `start()` it, ask for functions, and call
/// `update()` where new code may take effect. All methods but the ones marked otherwise belong to the
/// host's thread.
public final class Session: Sendable {
  /// How a session behaves.
  public struct Options: Sendable {
    /// An undefined function fails the reload instead of being reported when it is called.
    public var isStrict = false
    /// Link each unit when one of its functions is first called, where that is possible.
    public var isLazy = false
    /// Link although symbols are missing; for looking, not for running.
    public var allowUndefined = false
    /// Symbols that the host will ask for: archives are searched for them, too.
    public var wanted: [String] = []
    /// Leave out of the first link what nothing of these symbols leads to (ld: --gc-sections).
    public var deadStripRoots: [String]?
    /// What initialisers and `main` get as argv.
    public var arguments: [String] = ["hotlink"]
    /// The process is this program's alone (`hotlink run`): it is known by the program's name, and reports crashes only
    /// when the program has a Swift runtime.
    public var isWholeProcess = false
    /// Libraries to open in the process before the first link, as after `-l`.
    public var libraries: [String] = []
    /// Symbols from outside by address; they go before the process's own.
    public var defines: [(name: String, address: UInt64)] = []
    /// Calls and addresses bind to bodies instead of stubs. For looking, not for reloading.
    public var bindsDirectly = false
    /// Which loads of addresses from the GOT are rewritten.
    public var relaxation = Relaxation.functions
    /// Note what was rewritten, for `CheckResult.relaxed`.
    public var notesRelaxations = false
    /// Equal strings and constants lie in one place.
    public var mergesConstants = true
    /// Lay the link out at an address where nothing is mapped: for looking only.
    public var layout: ImaginaryLayout?

    /// Instructions that load an address from the GOT and could compute it (psABI AMD64, section B.2).
    public enum Relaxation: Sendable {
      /// All stay as they are.
      case none
      /// Those of functions, whose stubs never move.
      case functions
      /// All that reach: when nothing will be reloaded.
      case all
    }
    /// Use anonymous memory instead of a memfd for code.
    public var usesAnonymousMemory = false
    /// When debuggers are told of linked code.
    public var debugging = Debugging.lazy
    /// What profilers are told of linked code.
    public var profiling = Profiling.off
    /// What is done when the layout of kept data has changed.
    public var layouts = LayoutPolicies()
    /// What becomes of state where the rules leave a choice.
    public var states = StatePolicies()
    /// Note what happens to each symbol, for `explain`.
    public var keepsHistory = false
    /// Leave to the linker's thread what need not be done before the host goes on: recycling replaced code, and telling
    /// of the reload. Makes `update()` shorter, and events come a little later. Reloads of shared objects are excepted.
    public var finishesInBackground = false

    public init() {}
  }

  /// When debuggers are told of linked code (GDB's JIT interface).
  public enum Debugging: String, Sendable, CaseIterable {
    case off
    /// When one is attached: at each link, if it listens by a breakpoint on `__jit_debug_register_code`, and otherwise within
    /// 0.2 seconds.
    case lazy
    case on
  }

  /// What profilers are told of linked code.
  public enum Profiling: String, Sendable, CaseIterable {
    case off
    /// `/tmp/perf-PID.map`: names.
    case map
    /// `jit-PID.dump` in $JITDUMPDIR, or in the working directory: names, code, lines and times, for
    /// `perf inject --jit`.
    case jitdump
  }

  let core: SessionCore
  /// Whether `update()` has anything to do. The one word it reads.
  @usableFromInline let isReady: Atomic<Bool>

  public init(_ options: Options = Options()) throws(LinkError) {
    core = try SessionCore(options)
    isReady = Atomic(false)
    core.markReady = { [weak self] in self?.isReady.store(true, ordering: .releasing) }
  }

  deinit { core.close() }

  /// What happens in the session is told here: from the host's thread inside `update()`, except for
  /// refusals, which come as soon as they are known from the thread that reads and links: the session's own, the change
  /// source's, or the host's in ``waitUntilLinked(seconds:)``. With
  /// ``Options/finishesInBackground`` all but the first link is told from one of them.
  public func onEvent(_ handler: @escaping @Sendable (SessionEvent) -> Void) {
    core.state.withLock { $0.handler = handler }
  }

  /// What is done when linked code calls a function that no unit defines. It returns the address to
  /// call instead, or nil: then the process ends with a message. Runs on the calling thread.
  public func onUndefinedCall(_ handler: @escaping @Sendable (String) -> Address?) {
    core.state.withLock { $0.undefinedCall = handler }
  }

  /// Adds or replaces a unit from bytes. Takes effect at `start()`, or at the next `update()`.
  ///
  /// - Throws: `LinkError` when the bytes are no object that can be linked.
  public func add(_ bytes: [UInt8], name: String, isWhole: Bool = false) throws(LinkError) {
    try add(contents: FileContents(bytes), path: FilePath(name), isWhole: isWhole)
  }

  /// Adds or replaces the unit (or archive) in a file.
  ///
  /// - Parameter isWhole: all members of an archive become units, needed or not.
  public func add(_ path: FilePath, isWhole: Bool = false) throws(LinkError) {
    try add(contents: FileContents(reading: path), path: path, isWhole: isWhole)
  }

  /// Adds or replaces many units from bytes, which are proven side by side. Their order is that of the list.
  ///
  /// - Throws: `LinkError` of the first that cannot be linked; nothing is added then.
  public func add(_ units: [(name: String, bytes: [UInt8])]) throws(LinkError) {
    try enqueue(core.prove(units))
  }

  /// Adds or replaces the units (or archives) in many files, which are read side by side. Their order is that of the list.
  ///
  /// - Throws: `LinkError` of the first file that cannot be read or linked; nothing is added then.
  public func add(_ paths: [FilePath]) throws(LinkError) {
    try enqueue(core.readFiles(paths))
  }

  private func enqueue(_ results: [Result<UnitFile?, LinkError>]) throws(LinkError) {
    var files: [UnitFile] = []
    files.reserveCapacity(results.count)
    for result in results {
      if let file = try result.get() { files.append(file) }
    }
    core.enqueue(files)
  }

  private func add(contents: FileContents, path: FilePath, isWhole: Bool = false)
    throws(LinkError)
  {
    var file = try UnitReader.parse(Bytes(contents), path: path)
    file.isWhole = isWhole
    core.enqueue([file])
  }

  /// Removes a unit at the next `update()`.
  public func remove(_ name: String) { core.enqueueRemoval(name) }

  /// Follows a source of changes: its first, complete batch is what `start()` links.
  public func follow(_ source: ChangeSource) throws { try core.follow(source) }

  /// Links what was added and runs its initialisers.
  ///
  /// - Throws: `Refusal`.
  @discardableResult
  public func start() throws(Refusal) -> StartReport { try core.start() }

  /// A function by name, as a C function pointer type. The pointer stays valid, and equal, over all
  /// generations; it calls the newest body.
  ///
  /// - Throws: `LinkError.undefined` when no unit defines it.
  public func function<Function>(_ name: String, as type: Function.Type = Function.self)
    throws(LinkError) -> Function
  {
    let address = try address(of: name)
    precondition(MemoryLayout<Function>.size == 8, "not a C function pointer type")
    // Sound: the caller names a @convention(c) type, which is one pointer.
    return unsafeBitCast(address.value, to: Function.self)
  }

  /// The address the program knows a symbol by: a function's stub, or its data.
  public func address(of name: String) throws(LinkError) -> Address {
    // Whoever asks for a function is about to call it.
    try core.linkWaiting(named: name)
    guard let found = generation.symbol(name) else {
      throw LinkError(
        file: "",
        .undefined([LinkError.UndefinedSymbol(name: name, sites: [], references: 1)]))
    }
    return found.identity
  }

  /// The current generation. From any thread.
  public var generation: Generation { core.state.withLock { $0.generation } }

  /// The safe point: a generation that is ready takes effect here, as a whole. One atomic load when
  /// nothing is.
  ///
  /// - Returns: whether a new generation took effect.
  @inlinable
  @discardableResult
  public func update() -> Bool {
    guard isReady.load(ordering: .acquiring) else { return false }
    return publishPending()
  }

  @usableFromInline
  func publishPending() -> Bool {
    isReady.store(false, ordering: .relaxed)
    // Linked code that called this stands above; below are our frames only.
    hl_scan_from_caller()
    defer { hl_scan_from_top() }
    switch core.publish() {
    case .published: return true
    case .nothing: return false
    case .busy:
      isReady.store(true, ordering: .releasing)
      return false
    }
  }

  /// Ends the linker's thread, so that a process about to exit has none that its debugger could lose.
  /// Nothing that is added afterwards is linked; what runs goes on.
  public func endLinking() { core.endLinking() }

  /// Returns when everything added so far is linked or refused. What nobody has begun with is linked on this thread, so that
  /// a host waits for no other one. For tests, for programs that compile at run time, and for hosts without a loop.
  ///
  /// - Parameter seconds: how long it waits for another thread; a link on this one takes as long as it takes.
  /// - Returns: whether a generation is ready for `update()`.
  public func waitUntilLinked(seconds: Double = 30) -> Bool { core.waitUntilIdle(seconds) }

  /// Links what was added without running any of it.
  ///
  /// - Parameter contents: how much of the result is wanted.
  /// - Throws: `Refusal` when the link would be refused.
  public func check(_ contents: CheckResult.Contents = .places) throws(Refusal) -> CheckResult {
    try core.check(contents)
  }

  /// The linked bytes of a symbol after `check()`; nil when no unit defines it.
  public func linkedBytes(of name: String) -> [UInt8]? { core.linkedBytes(of: name) }
}
