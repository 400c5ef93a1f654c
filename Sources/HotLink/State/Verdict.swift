// What became of each variable, constant and initialiser in a reload. A reload does not only succeed:
// it says what it kept, what it changed, and what it could not.

/// The fate of one piece of state.
public struct Verdict: Hashable, Sendable {
  /// The unit it belongs to.
  public var unit: String
  /// The symbol, as in the object.
  public var symbol: String
  public var fate: Fate

  public init(unit: String, symbol: String, fate: Fate) {
    self.unit = unit
    self.symbol = symbol
    self.fate = fate
  }

  public enum Fate: Hashable, Sendable {
    /// Address and value stay.
    case kept
    /// Its initial value was edited, but the program has changed it: the program's value stays.
    /// Up to eight bytes of each.
    case keptOverEdit(value: [UInt8], source: [UInt8])
    /// Untouched by the program: it has the edited initial value now.
    case reinitialised
    /// Same address, old bytes kept, the new ones initialised. Sizes in bytes.
    case grown(from: UInt64, to: UInt64)
    case shrunk(from: UInt64, to: UInt64)
    /// New in this generation.
    case added
    /// No longer in the source; its memory stays for pointers that may exist.
    case removed
    /// A constant or a record of the language runtime, rewritten where it is.
    case rewritten
    /// A constant that did not fit its place; the old one stays readable.
    case moved
    /// An initialiser was edited; it is not run again over objects that live.
    case initialiserNotRun
    /// The initialiser of new variables was run.
    case initialised
    /// It was initialised anew, as asked for. `moved`: it did not fit its place.
    case reset(moved: Bool)
    /// Its type changed: its members were carried over by name. Sizes in bytes.
    case migrated(from: UInt64, to: UInt64, moved: Bool)
    /// Its type changed: a function of the program carried it over.
    case migratedByHook(function: String, moved: Bool)
    /// The program had changed it, and its edited initial value was taken nevertheless, as asked for.
    /// Up to eight bytes of each.
    case overwritten(value: [UInt8], source: [UInt8])
    /// It outgrew its place and moved with its value, as asked for; pointers to its old place stay behind.
    /// Sizes in bytes.
    case movedWithValue(from: UInt64, to: UInt64)
  }
}

/// Why a change was not carried out. The program goes on as it was.
public struct StateRefusal: Error, Hashable, Sendable {
  public var unit: String
  public var symbol: String
  public var reason: Reason

  public init(unit: String, symbol: String, reason: Reason) {
    self.unit = unit
    self.symbol = symbol
    self.reason = reason
  }

  public enum Reason: Hashable, Sendable {
    /// It grew beyond the room at its place, and pointers to it may exist.
    case noRoomToGrow(from: UInt64, to: UInt64, room: UInt64)
    /// A record whose shape live objects depend on changed its size.
    case shapeChanged(from: UInt64, to: UInt64)
    /// A record of a language's runtime is new, and those beside it, which live objects depend on,
    /// would have to move: they refer to each other by distance.
    case recordsWouldMove
    /// A new variable is initialised by a function that also initialises living ones.
    case needsReset(initialiser: String)
    /// Thread-local variables of one section moved.
    case threadLocalLayout
    /// A table that a runtime walks from `__start_` to `__stop_` changed its size.
    case tableResized(from: UInt64, to: UInt64)
    /// Mutable bytes of a stripped library that no symbol names: whose they are is not known.
    case unnamedState(bytes: UInt64)
    /// Code of a library that cannot be decoded from end to end: what it refers to is not known.
    case undecodableCode(at: UInt64)
    /// A shared object with records of the Swift runtime.
    case swiftLibrary
    /// A variable that several units define has another size in this one than its owner's copy: a unit's, or the process's
    /// (nil).
    case sharedInAnotherSize(from: UInt64, to: UInt64, owner: String?)
    /// Units that are not part of the change still refer to it.
    case stillReferenced(by: [String])
    /// A function became a variable or the other way round, and units that are not part of the change still refer to it.
    case turned(toFunction: Bool, referencedBy: [String])
  }
}
