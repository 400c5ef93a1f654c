// Where a link is laid out that nobody runs (`hotlink check --base`): at any 64-bit address, with as much of
// everything as its input can need, so that it begins at the address and has no holes of megabytes.

/// The first address of an arena and the sizes of its parts, in bytes.
package struct ArenaLayout: Sendable {
  package var base: Address
  package var text: UInt64 = 0
  package var constants: UInt64 = 0
  package var data: UInt64 = 0
  package var got: UInt64 = 4096
  /// Tables behind the stubs.
  package var slotBanks: UInt64 = 0
  package var stubs: UInt64 = 0

  package init(base: Address) { self.base = base }
}
