// A name together with its hash: computed once, compared many times. The GNU hash function is the one that
// every `.gnu.hash` table on this system is keyed by; the SysV one serves images without such a table.
internal import Glibc

/// A symbol's name with its GNU hash: for names that are asked for again and again.
///
/// Borrows the bytes, which must outlive it; what is made of a literal may be kept for ever.
public struct SymbolName: @unchecked Sendable, BitwiseCopyable {
  package let base: UnsafeRawPointer
  /// Length in bytes, without a final NUL.
  public let count: Int
  /// What GNU hash tables are keyed by.
  public let hash: UInt32

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

  /// Measures and hashes a C string, which it borrows.
  public init(cString text: UnsafePointer<CChar>) {
    self.init(NameView(base: UnsafeRawPointer(text), count: strlen(text)))
  }

  /// A C string whose length in bytes and whose hash are known, from another `SymbolName` of the same text.
  public init(cString text: UnsafePointer<CChar>, count: Int, hash: UInt32) {
    self.init(base: UnsafeRawPointer(text), count: count, hash: hash)
  }

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

  /// `h = h * 33 + c` for every byte, eight at a time: bytes are joined to pairs, pairs to fours, fours to
  /// eights inside one word, whose lanes are wide enough for what is in them. 13 bytes: 12 ns one by one, 5 ns
  /// so (J3.hit).
  @inline(__always)
  package static func gnuHash(_ base: UnsafeRawPointer, _ count: Int) -> UInt32 {
    var hash: UInt32 = 5381
    var at = 0
    while at &+ 8 <= count {
      let word = (base + at).loadUnaligned(as: UInt64.self)
      hash = hash &* power(8) &+ joined(word)
      at &+= 8
    }
    let rest = count &- at
    // Zeroes in front add nothing.
    return hash &* power(rest) &+ joined(tail(base + at, rest) &<< UInt64(64 &- rest &* 8))
  }

  /// Fewer than eight bytes, the first being the lowest. Not by one wide load that overlaps what was read: the
  /// bytes of a short `String` have just been stored, and a load from two stores waits for both.
  @inline(__always)
  private static func tail(_ base: UnsafeRawPointer, _ count: Int) -> UInt64 {
    var word: UInt64 = 0
    var at = 0
    if count & 4 != 0 {
      word = UInt64(base.loadUnaligned(as: UInt32.self))
      at = 4
    }
    if count & 2 != 0 {
      word |= UInt64((base + at).loadUnaligned(as: UInt16.self)) &<< UInt64(at &* 8)
      at &+= 2
    }
    if count & 1 != 0 { word |= UInt64((base + at).load(as: UInt8.self)) &<< UInt64(at &* 8) }
    return word
  }

  /// What eight bytes add, the first being the lowest.
  @inline(__always)
  static func joined(_ word: UInt64) -> UInt32 {
    let pairs =
      (word & 0x00FF_00FF_00FF_00FF) &* 33 &+ (word >> 8 & 0x00FF_00FF_00FF_00FF)
    let fours =
      (pairs & 0x0000_FFFF_0000_FFFF) &* 1089 &+ (pairs >> 16 & 0x0000_FFFF_0000_FFFF)
    return UInt32(truncatingIfNeeded: fours) &* 1_185_921
      &+ UInt32(truncatingIfNeeded: fours >> 32)
  }

  /// 33 to the power of 0 … 8, modulo 2^32. A table to the compiler.
  @inline(__always)
  static func power(_ exponent: Int) -> UInt32 {
    switch exponent {
    case 0: 1
    case 1: 33
    case 2: 1089
    case 3: 35_937
    case 4: 1_185_921
    case 5: 39_135_393
    case 6: 1_291_467_969
    case 7: 3_963_737_313
    default: 1_954_312_449
    }
  }

  /// Whether `count` bytes are the same, both readable. The last eight, or four, may have been compared
  /// before: two comparisons for a name of 8 to 16 bytes.
  @inline(__always)
  package static func isEqual(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int)
    -> Bool
  {
    // Of 8 to 16 bytes, as most names are.
    if UInt(bitPattern: count &- 8) <= 8 {
      let last = count &- 8
      return isSame(left, right, as: UInt64.self)
        && isSame(left + last, right + last, as: UInt64.self)
    }
    if count > 16 {
      var at = 0
      let last = count &- 8
      while at < last {
        if !isSame(left + at, right + at, as: UInt64.self) { return false }
        at &+= 8
      }
      return isSame(left + last, right + last, as: UInt64.self)
    }
    if count >= 4 {
      let last = count &- 4
      return isSame(left, right, as: UInt32.self)
        && isSame(left + last, right + last, as: UInt32.self)
    }
    if count & 2 != 0, !isSame(left, right, as: UInt16.self) { return false }
    let last = count & 2
    return count & 1 == 0 || isSame(left + last, right + last, as: UInt8.self)
  }

  @inline(__always)
  private static func isSame<Word: FixedWidthInteger & BitwiseCopyable>(
    _ left: UnsafeRawPointer, _ right: UnsafeRawPointer, as word: Word.Type
  ) -> Bool {
    left.loadUnaligned(as: word) == right.loadUnaligned(as: word)
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
