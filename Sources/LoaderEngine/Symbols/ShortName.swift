// A name of at most fifteen bytes, as a Swift `String` holds it: in two registers. Nothing is stored to be read
// back, which is what most of the time of a lookup by `String` went into (J3.hit); hash and comparison are a few
// vector instructions, short_name.h.
internal import CLoaderSupport

/// What a plain lookup asks of a name.
protocol PlainName: BitwiseCopyable {
  var hash: UInt32 { get }
  /// How many bytes `isAt` reads at most.
  var reach: UInt64 { get }
  /// Whether it stands at a place in a string table, and ends there.
  func isAt(_ text: UnsafeRawPointer) -> Bool
}

/// The bytes of a short string and their GNU hash.
struct ShortName: PlainName {
  /// Bytes 0 to 7, the first lowest; zero behind the last.
  private let low: UInt64
  /// Bytes 8 to 14.
  private let high: UInt64
  /// In bytes.
  let count: UInt64
  let hash: UInt32

  /// - Returns: nil for a string that lies in memory.
  @inline(__always)
  init?(_ string: String) {
    // Sound: a string is two words of no other content on 64-bit systems (Swift ABI, “String”); what the bits
    // mean is proven by `LookupTests.short`.
    let (low, last) = unsafeBitCast(string, to: (UInt64, UInt64).self)
    guard last & 1 << 61 != 0 else { return nil }
    count = last &>> 56 & 15
    high = last & 0x00FF_FFFF_FFFF_FFFF
    self.low = low
    hash = hl_short_name_hash(low, high, count)
  }

  var reach: UInt64 { 16 }

  @inline(__always)
  func isAt(_ text: UnsafeRawPointer) -> Bool { hl_short_name_is_at(text, low, high, count) }
}

extension SymbolName: PlainName {
  /// With the NUL.
  var reach: UInt64 { UInt64(truncatingIfNeeded: count) &+ 1 }

  @inline(__always)
  func isAt(_ text: UnsafeRawPointer) -> Bool {
    SymbolName.isEqual(text, base, count) && (text + count).load(as: UInt8.self) == 0
  }
}
