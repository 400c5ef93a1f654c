// A name together with its hash: computed once, compared many times. The GNU hash function is the one that
// every `.gnu.hash` table on this system is keyed by; the SysV one serves images without such a table.

/// A symbol's name with its GNU hash: for names that are asked for again and again.
///
/// Borrows the bytes, which must outlive it; what is made of a literal may be kept for ever.
public struct SymbolName: @unchecked Sendable, BitwiseCopyable {
  package let base: UnsafeRawPointer
  /// Length in bytes, without a final NUL.
  package let count: Int
  package let hash: UInt32

  @inline(__always)
  package init(base: UnsafeRawPointer, count: Int, hash: UInt32) {
    self.base = base
    self.count = count
    self.hash = hash
  }

  @inline(__always)
  package init(_ name: NameView) {
    self.init(base: name.base, count: name.count, hash: SymbolName.gnuHash(name.base, name.count))
  }

  /// Measures and hashes a literal.
  public init(_ literal: StaticString) { self.init(NameView(literal)) }

  /// A name that ends in NUL; measures and hashes it in one pass.
  @inline(__always)
  package init(terminated base: UnsafeRawPointer, limit: Int) {
    var hash: UInt32 = 5381
    var count = 0
    while count < limit {
      let byte = base.load(fromByteOffset: count, as: UInt8.self)
      if byte == 0 { break }
      hash = hash &* 33 &+ UInt32(byte)
      count += 1
    }
    self.init(base: base, count: count, hash: hash)
  }

  package var view: NameView { NameView(base: base, count: count) }

  @inline(__always)
  package static func gnuHash(_ base: UnsafeRawPointer, _ count: Int) -> UInt32 {
    var hash: UInt32 = 5381
    for index in 0..<count {
      hash = hash &* 33 &+ UInt32(base.load(fromByteOffset: index, as: UInt8.self))
    }
    return hash
  }

  /// gABI, “Hash Table”.
  package var sysvHash: UInt32 {
    var hash: UInt32 = 0
    for index in 0..<count {
      hash = (hash << 4) &+ UInt32(base.load(fromByteOffset: index, as: UInt8.self))
      let high = hash & 0xF000_0000
      hash ^= high >> 24
      hash &= ~high
    }
    return hash
  }
}
