// What the caller of a link decides: who owns groups, what may be missing, what stays where it is.

/// How a link is to be done.
package struct LinkOptions: Sendable {
  /// Undefined functions that are only called are left to the lazy resolver.
  package var deferUndefinedCalls = true
  /// Report undefined symbols in the result instead of refusing (`check --allow-undefined`).
  package var allowUndefined = false
  /// The text of this set is never recycled (the first link of a session).
  package var isPermanent = false
  /// Unit numbers that own COMDAT groups already, by signature.
  package var comdatOwner: @Sendable (SymbolID) -> UInt32? = { _ in nil }

  /// Names that everything which stays must be reached from; nil: all stays.
  package var deadStripRoots: [String]?
  /// Calls and addresses bind to bodies; stubs only where a body is out of reach, or for an IFUNC.
  package var bindsDirectly = false
  /// Which loads of an address from the GOT become computations of it.
  package var relaxation = Relaxation.functions
  /// Note what was relaxed, for a report.
  package var notesRelaxations = false
  /// Strings and constants that are equal lie in one place (SHF_MERGE).
  package var mergesConstants = true
  /// Symbols from outside by address: `--define`. They go before the process's own.
  package var defines: [(name: String, address: UInt64)] = []
  /// The unit that such symbols belong to.
  package static let definesUnit = UInt32.max - 2

  /// psABI AMD64, section B.2.
  package enum Relaxation: Sendable {
    case none
    /// Of functions: their stubs never move. Data may move in a reload, and its GOT entry with it.
    case functions
    /// Nothing moves.
    case all
  }

  /// Storage that COMMON symbols already have.
  package var keptCommons: [SymbolID: UInt64] = [:]
  /// What a unit is called in messages.
  package var unitName: @Sendable (UInt32) -> String = { "unit \($0)" }

  package init() {}
}
