// What a session tells about itself: facts, from which the runner makes lines and JSON.
public import LoaderEngine

/// Something that happened in a session.
public enum SessionEvent: Sendable {
  case started(StartReport)
  case reloaded(ReloadReport)
  case refused(Refusal)
  /// A unit runs, but a debugger sees only the names of its functions.
  case debugDataOmitted(LinkError)
  /// Files were saved with the contents they had: nothing is to be done.
  case unchanged(UnchangedFiles)
}

/// Files that were written, and hold what they held before.
public struct UnchangedFiles: Sendable {
  /// Paths as found.
  public var files: [String]
  /// An earlier change of one of them was refused, and waits for another one.
  public var isRefused = false
}

/// The first link of a session.
public struct StartReport: Sendable {
  /// Names of all units, in link order.
  public var units: [String] = []
  public var relocations = 0
  public var functions = 0
  /// Called but defined nowhere; reported again if one is called.
  public var undefinedFunctions: [String] = []
  /// Policies for state by names that mean nothing so far.
  public var unmetPolicies: [UnmetPolicy] = []
  public var readMicroseconds = 0.0
  public var linkMicroseconds = 0.0
}

/// One reload that took effect.
public struct ReloadReport: Sendable {
  public var generation = 0
  /// Units whose contents changed, appeared or went.
  public var units: [String] = []
  /// Units that were linked again, those that only refer to something that moved included.
  public var relinked: [String] = []
  /// Relocations applied.
  public var relocations = 0
  public var changed: [String] = []
  public var added: [String] = []
  public var removed: [String] = []
  public var verdicts: [Verdict] = []
  /// Functions whose addresses could not be redirected to their stubs.
  public var immovable: [String] = []
  /// Types behind pointers that changed and were let pass, as asked for.
  public var layoutWarnings: [LayoutChange] = []
  /// Units whose types could not be compared: they were compiled without debug data.
  public var blindUnits: [BlindUnit] = []
  /// Units whose own change is still refused: they run on in their old version.
  public var heldBack: [String] = []
  /// Functions of earlier generations that are on a stack.
  public var running: [OldFrame] = []
  /// Inline functions that changed in a unit but not in the one that supplies them to all.
  public var shadowed: [ShadowedFunction] = []
  public var undefinedFunctions: [String] = []
  /// Old code that could not be recycled yet, and constants that are kept for ever.
  public var pins: [Pin] = []
  public var pinnedBytes: UInt64 = 0
  /// Types and conformances newly registered with the Swift runtime.
  public var swiftRegistrations = 0
  public var readMicroseconds = 0.0
  public var linkMicroseconds = 0.0
  public var guardMicroseconds = 0.0
  public var swapMicroseconds = 0.0
  /// How long `update()` took until the host could go on: the swap, initialisers, hooks, and what is not left to the
  /// linker's thread. The handler of events is not part of it.
  public var pauseMicroseconds = 0.0
  /// Hooks of the program that were called, in order.
  public var hooks: [String] = []
  /// In hooks: the program's own time.
  public var hookMicroseconds = 0.0
  /// `CLOCK_MONOTONIC` nanoseconds when the change was noticed, 0 when nobody noticed it.
  public var noticedAt: UInt64 = 0
  public var publishedAt: UInt64 = 0

  /// Whether the program can tell the difference: a function or a value changed.
  public var hasEffect: Bool {
    !changed.isEmpty || !added.isEmpty || !removed.isEmpty
      || verdicts.contains { $0.fate != .kept }
  }

  /// How many verdicts have a given shape.
  public func count(_ matches: (Verdict.Fate) -> Bool) -> Int {
    verdicts.reduce(0) { $0 + (matches($1.fate) ? 1 : 0) }
  }
}

/// A unit that the layout guard knows nothing about: only sizes and symbols were compared.
public struct BlindUnit: Hashable, Sendable {
  public enum Reason: Hashable, Sendable {
    case noDebugData
    /// It is in another file (`-gsplit-dwarf`).
    case splitDebugData
    case unreadableDebugData
  }
  public var unit: String
  public var reason: Reason
  /// It has not been told of this unit before.
  public var isNews: Bool
}

/// A function of an earlier generation that a thread has not left.
public struct OldFrame: Hashable, Sendable {
  public var unit: String
  /// The symbol; empty when no function begins before the address.
  public var function: String
  /// The generation that brought it.
  public var generation: Int
  /// Linux: gettid(2).
  public var thread: Int32
}

/// An inline function of which several units have a copy. One unit's copy is everybody's; it was not rebuilt.
public struct ShadowedFunction: Hashable, Sendable {
  public var symbol: String
  /// Whose copy changed, and is not used.
  public var unit: String
  /// Whose copy runs.
  public var owner: String
}

/// Memory of an earlier generation that must stay.
public struct Pin: Hashable, Sendable {
  public enum Reason: Hashable, Sendable {
    /// A return address on a stack lies in it.
    case onStack
    /// Coroutines or async functions suspended in it may be resumed.
    case suspendedFrames
    /// Threads that did not answer may run in it.
    case unknownThreads
    /// The program switches stacks of its own (ucontext, fibres).
    case fibres
    /// Literals and constants: pointers to them may be anywhere.
    case constants
  }
  public var unit: String
  public var bytes: UInt64
  public var reason: Reason
  /// With suspended frames: the functions that may be resumed.
  public var functions: [String] = []
  /// How many of the bytes are constants that only that code uses.
  var tiedBytes: UInt64 = 0
}

/// A change that was not carried out; the program goes on as it was.
public struct Refusal: Error, Sendable {
  public enum Reason: Sendable {
    case link(LinkError)
    case state(StateRefusal)
    case layout(LayoutRefusal)
  }
  /// The unit at fault, or the first of those that changed.
  public var unit: String
  public var reason: Reason

  public init(unit: String, reason: Reason) {
    self.unit = unit
    self.reason = reason
  }

  /// Whether the policy for what changed is to start the program anew.
  public var needsRestart: Bool {
    if case .layout(let refusal) = reason { return refusal.policy == .restart }
    return false
  }
}
