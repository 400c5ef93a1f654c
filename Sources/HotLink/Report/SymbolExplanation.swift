// All that a session knows about one symbol.
public import LoaderEngine

/// A symbol of the running program.
public struct SymbolExplanation: Sendable {
  public enum Kind: String, Sendable {
    case function, variable, constant
    case threadLocal = "thread-local variable"
    /// In no unit any more.
    case gone
  }
  /// Who refers to it.
  public struct User: Hashable, Sendable {
    public var unit: String
    /// The function or variable that does; empty when no symbol begins before the place.
    public var symbol: String
  }

  public var symbol: String
  public var kind: Kind
  public var unit = ""
  /// The source file, as the compiler noted it; empty when it did not.
  public var source = ""
  /// Where it is: the body of a function; of a thread-local variable, its offset.
  public var address: Address?
  /// Bytes.
  public var size: UInt64 = 0
  /// The address that the program knows a function by, and the number of its slot.
  public var stub: Address?
  public var slot: UInt32?
  /// The generation that its body or place came with.
  public var generation = 0
  /// Its unit is linked when it is first called.
  public var isWaiting = false
  /// Known in its unit only.
  public var isLocal = false
  public var policy: StatePolicy?
  public var users: [User] = []
  public var history: [SymbolEvent] = []

  public init(symbol: String, kind: Kind) {
    self.symbol = symbol
    self.kind = kind
  }
}

/// What a session says when it is asked about a name.
public enum Explanation: Sendable {
  /// Those that the name may mean, at most eight.
  case known([SymbolExplanation])
  /// The names that are nearest.
  case unknown(nearest: [String])
}
