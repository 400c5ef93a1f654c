// What a symbol stands for in one generation.

/// Where a symbol of a link space is, and what it is.
package struct Definition: Hashable, Sendable, BitwiseCopyable {
  package enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// Absent.
    case none
    /// Code: `address` is the body of this generation; references go to its stub.
    case function
    /// Part of a function or a callee with a convention of its own: referred to by its body.
    case part
    /// Writable, kept over generations.
    case data
    /// Read-only, keeps its address.
    case constant
    /// Thread-local: `address` is the offset from the thread pointer, modulo 2^64.
    case threadLocal
    case absolute
  }

  package var address: UInt64
  /// Size in bytes.
  package var size: UInt64
  /// The unit that defines it.
  package var unit: UInt32
  /// Number of its slot, for a function; 0 for what has none.
  package var slot: UInt32 = 0
  package var kind: Kind
  package var isWeak: Bool
  package var isCommon: Bool
  /// Code or not: a label of an assembler that was given no type (gABI: STT_NOTYPE).
  package var isUntyped = false
  /// STV_HIDDEN or STV_INTERNAL: for the set that it was linked with.
  package var isHidden = false

  package init(
    address: UInt64, size: UInt64, unit: UInt32, kind: Kind, isWeak: Bool, isCommon: Bool = false
  ) {
    self.address = address
    self.size = size
    self.unit = unit
    self.kind = kind
    self.isWeak = isWeak
    self.isCommon = isCommon
  }

  package static let absent = Definition(
    address: 0, size: 0, unit: .max, kind: .none, isWeak: false)
}
