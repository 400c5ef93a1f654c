// A name of at most fifteen bytes, as a Swift `String` holds it: in two registers. Nothing is stored to be read
// back, which is what most of the time of a lookup by `String` went into (J3.hit: 27 ns by bytes, 13 ns so).
internal import Glibc

/// What a plain lookup asks of a name.
protocol PlainName: BitwiseCopyable {
  var hash: UInt32 { get }
  /// Whether it stands at a place in a string table, and ends there.
  ///
  /// - Parameter room: bytes that can be read from there on.
  func isAt(_ text: UnsafeRawPointer, room: UInt64) -> Bool
  /// The name as bytes in memory.
  func spelled<Result>(_ body: (SymbolName) -> Result) -> Result
}

/// The bytes of a short string and their GNU hash.
struct ShortName: PlainName {
  /// Bytes 0 to 7, the first lowest; zero behind the last.
  let low: UInt64
  /// Bytes 8 to 14.
  let high: UInt64
  let count: Int
  let hash: UInt32

  /// - Returns: nil for a string that lies in memory.
  @inline(__always)
  init?(_ string: String) {
    // Sound: a string is two words of no other content on 64-bit systems (Swift ABI, “String”); what the bits
    // mean is proven by `LookupTests.short`.
    let (low, last) = unsafeBitCast(string, to: (UInt64, UInt64).self)
    guard last & 1 << 61 != 0 else { return nil }
    let count = Int(truncatingIfNeeded: last &>> 56 & 15)
    let high = last & 0x00FF_FFFF_FFFF_FFFF
    self.low = low
    self.high = high
    self.count = count
    // The bytes are moved to the end of eight, or sixteen: zeroes in front add nothing.
    let shift = UInt64(truncatingIfNeeded: 0 &- count &* 8)
    if count <= 8 {
      hash = ShortName.seed(count) &+ SymbolName.joined(low &<< shift)
    } else {
      hash =
        ShortName.seed(count) &+ SymbolName.joined(low &<< shift) &* 1_954_312_449
        &+ SymbolName.joined(high &<< shift | low &>> (0 &- shift))
    }
  }

  /// 5381 times 33 to the power of 0 … 15, modulo 2^32. A table to the compiler.
  @inline(__always)
  private static func seed(_ count: Int) -> UInt32 {
    switch count {
    case 0: 5_381
    case 1: 177_573
    case 2: 5_859_909
    case 3: 193_376_997
    case 4: 2_086_473_605
    case 5: 134_152_229
    case 6: 132_056_261
    case 7: 62_889_317
    case 8: 2_075_347_461
    case 9: 4_061_956_773
    case 10: 900_587_333
    case 11: 3_949_578_213
    case 12: 1_487_062_149
    case 13: 1_828_410_661
    case 14: 208_009_669
    default: 2_569_351_781
    }
  }

  func spelled<Result>(_ body: (SymbolName) -> Result) -> Result {
    withUnsafeBytes(of: (low.littleEndian, high.littleEndian)) { bytes in
      // Two words have a first byte.
      body(SymbolName(base: bytes.baseAddress.unsafelyUnwrapped, count: count, hash: hash))
    }
  }

  @inline(__always)
  func isAt(_ text: UnsafeRawPointer, room: UInt64) -> Bool {
    guard room >= 16 else { return isAtEnd(text, room) }
    // With the NUL behind it; what follows is shifted out.
    let first = text.loadUnaligned(as: UInt64.self) ^ low
    if count < 8 { return first &<< UInt64(truncatingIfNeeded: 56 &- count &* 8) == 0 }
    let second = (text + 8).loadUnaligned(as: UInt64.self) ^ high
    return first == 0 && second &<< UInt64(truncatingIfNeeded: 120 &- count &* 8) == 0
  }

  /// The same where a string table ends.
  @inline(never)
  private func isAtEnd(_ text: UnsafeRawPointer, _ room: UInt64) -> Bool {
    guard UInt64(truncatingIfNeeded: count) < room else { return false }
    for index in 0...count {
      let word = index < 8 ? low : high
      let shift = UInt64(truncatingIfNeeded: (index & 7) &* 8)
      let byte = UInt8(truncatingIfNeeded: word &>> shift)
      if text.load(fromByteOffset: index, as: UInt8.self) != byte { return false }
    }
    return true
  }
}

extension SymbolName: PlainName {
  func spelled<Result>(_ body: (SymbolName) -> Result) -> Result { body(self) }

  @inline(__always)
  func isAt(_ text: UnsafeRawPointer, room: UInt64) -> Bool {
    UInt64(truncatingIfNeeded: count) < room && SymbolName.isEqual(text, base, count)
      && (text + count).load(as: UInt8.self) == 0
  }
}
