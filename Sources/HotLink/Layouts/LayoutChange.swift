// What the layout guard found, as facts: from which the runner makes text and JSON.

/// A type as it lies in memory.
public struct TypeLayout: Hashable, Sendable {
  /// A member, a base class, or a slot of a table of virtual functions.
  public struct Row: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
      case member, base, virtualBase
      case tablePointer
      /// Its `offset` is the slot.
      case virtualFunction
      /// Its `offset` is its value.
      case enumerator
    }
    public var kind: Kind
    /// Bytes from the start.
    public var offset: Int64
    /// Of a bit field: its first bit in that byte, and how many bits it has.
    public var bits: Bits?
    /// Bytes.
    public var size: UInt64
    public var type: String
    public var name: String
  }

  /// A bit field in its byte.
  public struct Bits: Hashable, Sendable {
    public var first: Int
    public var count: Int
  }

  public var name: String
  /// Bytes.
  public var size: UInt64
  /// In the order of the source; none for a type without parts.
  public var rows: [Row]
}

/// One difference between the old and the new form of a type.
public struct LayoutDifference: Hashable, Sendable {
  public enum What: Hashable, Sendable {
    case added, removed
    /// A member, base class or virtual function has another place, in bits or slots; or an enumerator another value.
    case moved(from: Int64, to: Int64)
    /// Names of the types.
    case retyped(from: String, to: String)
    /// Bits of a bit field; 0: it is none.
    case bitsChanged(from: UInt64, to: UInt64)
    /// Bytes.
    case resized(from: UInt64, to: UInt64)
    case elements(from: Int64, to: Int64)
  }

  public enum Part: Hashable, Sendable {
    case member, base, virtualFunction, enumerator, type, parameter, result
  }

  /// From the variable: `players[].stats.hp`, `->next`.
  public var path: String
  public var part: Part
  /// Of the part.
  public var name: String
  public var what: What
  /// The type that has the part, before and after.
  public var old: TypeLayout
  public var new: TypeLayout
  /// Only objects that are pointed to have it.
  public var isBehindPointer: Bool
}

/// A variable, function or stored closure whose type changed.
public struct LayoutChange: Hashable, Sendable {
  public enum Subject: Hashable, Sendable {
    case variable
    /// What `std::function` objects hold.
    case closure
    /// A function, called from units that are not part of the change.
    case function(callers: [String])
    /// A type behind a pointer, which another unit keeps.
    case heap(keeper: String, unit: String)
    /// A type of what is passed to a function of another unit, which has its old form.
    case passed(to: String, unit: String)
    /// A Swift type.
    case swiftType
  }

  public var subject: Subject
  /// The unit that changed.
  public var unit: String
  /// As in the source: `game::player`.
  public var name: String
  public var symbol: String
  /// Its types, or its signatures.
  public var oldType: String
  public var newType: String
  /// All differences, in the order of the source; the first one is the most telling.
  public var differences: [LayoutDifference]

  /// Whether all of it lies behind pointers.
  public var isBehindPointer: Bool {
    if case .heap = subject { return true }
    return differences.allSatisfy(\.isBehindPointer)
  }
}

/// Why the policy that was asked for cannot be followed.
public enum LayoutObstacle: Hashable, Sendable {
  /// A class with virtual functions, references or constructors of its own: only its code can copy it.
  case notPlain(type: String)
  /// Objects that are pointed to cannot be found.
  case behindPointer
  /// The optimiser has split it into several variables.
  case splitByCompiler
  /// A thread-local variable: each thread has its own.
  case threadLocal
  /// A member whose type changed to one that has no conversion.
  case noConversion(member: String, from: String, to: String)
  /// It is no variable.
  case noVariable
  /// Units that are not part of the change have its old layout.
  case usedByOthers(units: [String])
  /// The unit that has it is not part of the change.
  case definedElsewhere(unit: String)
  /// A library of the process has it, whose code has the old layout.
  case definedByProcess
}

/// Why a change was not carried out: kept data or callers expect another layout.
public struct LayoutRefusal: Error, Hashable, Sendable {
  public var unit: String
  public var changes: [LayoutChange]
  /// What was asked for by flags.
  public var policy: LayoutPolicy
  public var obstacle: LayoutObstacle?
}

/// What to do when the layout of something kept has changed.
public enum LayoutPolicy: String, Hashable, Sendable, CaseIterable {
  /// Refuse; the program goes on as it was.
  case refuse
  /// Initialise the variable anew.
  case reset
  /// Carry members over by name.
  case migrate
  /// End the session, so that the program is started anew.
  case restart
}

/// Policies for all variables, for those of some units, and for some variables.
public struct LayoutPolicies: Hashable, Sendable {
  public var all = LayoutPolicy.refuse
  /// By unit, as in reports, or its file's name; or by variable: its symbol, or its name in the source.
  public var named: [String: LayoutPolicy] = [:]
  /// A type that only pointers lead to changed: accept it with a warning.
  public var toleratesHeap = false

  public init() {}

  /// The most particular one: of the variable, of the unit, of all.
  public func policy(unit: String, names: [String]) -> LayoutPolicy {
    for name in names { if let found = named[name] { return found } }
    if let found = named[unit] { return found }
    let file = unit.split(separator: "/").last.map(String.init) ?? unit
    return named[file] ?? all
  }
}
