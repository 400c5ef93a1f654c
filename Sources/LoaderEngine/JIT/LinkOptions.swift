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
  /// Storage that COMMON symbols already have.
  package var keptCommons: [SymbolID: UInt64] = [:]
  /// What a unit is called in messages.
  package var unitName: @Sendable (UInt32) -> String = { "unit \($0)" }

  package init() {}
}
