// What the caller of a link of objects decides.

/// How objects are linked.
public struct ObjectOptions: Sendable {
  /// Refuse functions that nobody defines. Otherwise they are looked for when they are first called: a
  /// later link may define them.
  public var isStrict = false
  /// Images whose symbols the objects see, after those of the process and of promoted ones. They stay
  /// loaded as long as the objects.
  public var images: [Image] = []
  /// Asked for each name that neither the context nor the process has.
  public var resolver: (@Sendable (String) -> HostSymbol?)?
  /// Sees places and relocations, and may decide otherwise.
  public var observer: ObjectObserver?

  public init() {}
}

/// Something of the host that objects refer to by a name. It must stay where it is.
public struct HostSymbol: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// Called by way of a stub, so that it may lie anywhere.
    case function
    /// Must lie within 2 GiB of linked code unless objects are compiled with `-fPIC`.
    case data
    /// A number, not an address (ELF: SHN_ABS).
    case absolute
  }
  public var address: Address
  public var kind: Kind

  public init(_ address: Address, _ kind: Kind) {
    self.address = address
    self.kind = kind
  }

  /// A C function of the host.
  ///
  /// - Parameter function: a `@convention(c)` function.
  public init<Function>(function: Function) {
    self.init(LinkedCode.address(of: function), .function)
  }
}

/// What a context does about a call of a function that nobody has defined yet.
public enum UndefinedCall: Sendable {
  /// This function is called, now and later.
  case address(Address)
  /// These objects are linked first, and define it: compiled on first call.
  case objects([ObjectSource])
}
