// The code of objects that live and die together, with what only that code uses: unwind tables,
// exception tables, jump tables. Dropping the last reference gives the space back; whoever holds one
// says that a thread may still be inside.

/// Recyclable code and its tables.
package final class TextGroup: @unchecked Sendable {
  package let text: Allocation?
  package let tied: Allocation?
  private let arena: Arena
  private var unwind: UnwindRegistration?
  /// Text of the first link stays: unwind registrations must not nest, and later ones would lie in it.
  package var isPermanent = false

  /// How many units are made of it now, as their owner counts.
  package var users = 0

  init(_ arena: Arena, text: Allocation?, tied: Allocation?) {
    self.arena = arena
    self.text = text
    self.tied = tied
  }

  /// - Parameter isLarge: the unwinder is to get ready for it now.
  func register(unwindTable: Address, isLarge: Bool) {
    unwind = UnwindRegistration(unwindTable, warmedBy: isLarge ? text?.range.start : nil)
  }

  deinit {
    unwind = nil
    if isPermanent { return }
    if let text { arena.release(text) }
    if let tied { arena.release(tied) }
  }

  /// Bytes of code and tables.
  package var size: UInt64 { (text?.range.size ?? 0) + (tied?.range.size ?? 0) }
}
