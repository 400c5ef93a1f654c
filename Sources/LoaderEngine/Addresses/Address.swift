// Numbers that must not be mixed up have types of their own. 64 bits whatever the target.

/// A run-time address in the process (or, for a foreign image, in its target). Arithmetic wraps.
public struct Address: Hashable, Comparable, Sendable, BitwiseCopyable {
  public var value: UInt64

  @inline(__always) public init(_ value: UInt64) { self.value = value }

  /// Where a pointer leads.
  @inline(__always) public init(_ pointer: UnsafeRawPointer) {
    value = UInt64(UInt(bitPattern: pointer))
  }

  @inline(__always) public static func < (left: Address, right: Address) -> Bool {
    left.value < right.value
  }
  @inline(__always) public static func &+ (left: Address, right: UInt64) -> Address {
    Address(left.value &+ right)
  }
  @inline(__always) public static func &- (left: Address, right: Address) -> UInt64 {
    left.value &- right.value
  }
  /// nil for address zero.
  public var pointer: UnsafeRawPointer? { UnsafeRawPointer(bitPattern: UInt(value)) }
}

extension Address: CustomStringConvertible {
  public var description: String { "0x" + String(value, radix: 16) }
}

/// A half-open range of addresses.
public struct AddressRange: Hashable, Sendable, BitwiseCopyable {
  public var start: Address
  /// Size in bytes.
  public var size: UInt64

  public init(start: Address, size: UInt64) {
    self.start = start
    self.size = size
  }

  public var end: Address { start &+ size }
  @inline(__always) public func contains(_ address: Address) -> Bool {
    address &- start < size
  }
}

@inline(__always)
package func aligned(_ value: UInt64, to alignment: UInt64) -> UInt64 {
  (value &+ alignment &- 1) & ~(alignment &- 1)
}
