// Everything that can be wrong with input, as facts and a place. Text for people is made from it in
// the runner; nothing here formats a sentence that a program would have to parse.

/// Why a load or a link was refused. Nothing has changed when one is thrown.
public struct LinkError: Error, Hashable, Sendable {
  /// The file or unit the reason lies in; empty when it concerns the whole set.
  public var file: String
  public var reason: Reason

  public init(file: String, _ reason: Reason) {
    self.file = file
    self.reason = reason
  }

  public enum Reason: Hashable, Sendable {
    /// The first bytes are not `\x7fELF` (nor an archive's).
    case notELF(found: [UInt8])
    /// A claim of the file that does not hold: the structure, its byte offset in the file, the claim.
    case malformed(structure: String, offset: UInt64, detail: String)
    /// Well formed, but for another machine, class or byte order.
    case otherMachine(found: String, expected: String)
    /// Well formed and understood, but nothing this linker can link; says what it is.
    case unsupported(what: String, help: String)
    /// All symbols that are referred to and defined nowhere.
    case undefined([UndefinedSymbol])
    /// Strong symbols that are defined more than once, and whatever else is wrong with the symbols of
    /// the set: all of it.
    case conflicts(SymbolConflicts)
    /// A value that does not fit its field.
    case overflow(Site, symbol: String, value: Int64)
    /// A 32-bit reference to something of the host that lies further than ±2 GiB.
    case outOfReach(Site, symbol: String, address: UInt64, value: Int64)
    /// A reference of a changed unit that can mean either of two variables.
    case ambiguous(Site, section: Int, candidates: [String])
    /// An image needs a library that was found nowhere; what was tried, in order.
    case missingLibrary(name: String, searched: [String])
    /// A library was found that lacks a version somebody needs (LSB, “Symbol Versioning”).
    case missingVersion(version: String, library: String)
    /// Address space or thread-local space set aside for loaded code is used up.
    case noSpace(what: String, requested: UInt64)
    /// A running thread that could not be given its thread-local variables: its id and name.
    case unreachableThread(id: Int32, name: String)
    case system(SystemError)
  }

  /// Where a relocation stands.
  public struct Site: Hashable, Sendable {
    public var file: String
    public var section: String
    /// Offset into the section in bytes.
    public var offset: UInt64
    /// The relocation's psABI name, for example `R_X86_64_PLT32`.
    public var relocation: String

    public init(file: String, section: String, offset: UInt64, relocation: String) {
      self.file = file
      self.section = section
      self.offset = offset
      self.relocation = relocation
    }
  }

  public struct UndefinedSymbol: Hashable, Sendable {
    public var name: String
    /// Up to three places that refer to it.
    public var sites: [Site]
    /// How many places refer to it.
    public var references: Int
    /// The nearest spelling that is defined, and where.
    public var suggestion: Suggestion?

    public init(name: String, sites: [Site], references: Int, suggestion: Suggestion? = nil) {
      self.name = name
      self.sites = sites
      self.references = references
      self.suggestion = suggestion
    }
  }

  public struct Suggestion: Hashable, Sendable {
    public var name: String
    public var definedIn: String

    public init(name: String, definedIn: String) {
      self.name = name
      self.definedIn = definedIn
    }
  }

  /// What is wrong with the symbols of a set, apart from those that are only missing.
  public struct SymbolConflicts: Hashable, Sendable {
    public var duplicates: [Duplicate] = []
    public var discarded: [Discarded] = []
    public var undefined: [UndefinedSymbol] = []

    public init() {}
  }

  /// Where a symbol is defined.
  public struct Place: Hashable, Sendable {
    public var file: String
    /// nil where the object is not at hand any more, or the symbol has none: absolute, COMMON.
    public var section: String?
    /// Offset into the section in bytes.
    public var offset: UInt64

    public init(file: String, section: String? = nil, offset: UInt64 = 0) {
      self.file = file
      self.section = section
      self.offset = offset
    }
  }

  /// A strong symbol that is defined twice.
  public struct Duplicate: Hashable, Sendable {
    public var symbol: String
    public var first: Place
    public var second: Place

    public init(symbol: String, first: Place, second: Place) {
      self.symbol = symbol
      self.first = first
      self.second = second
    }
  }

  /// A reference into a group that was dropped because another object has the same one (gABI:
  /// GRP_COMDAT).
  public struct Discarded: Hashable, Sendable {
    public var site: Site
    /// The symbol, or the section when it has no name.
    public var symbol: String
    public var section: String

    public init(site: Site, symbol: String, section: String) {
      self.site = site
      self.symbol = symbol
      self.section = section
    }
  }
}
