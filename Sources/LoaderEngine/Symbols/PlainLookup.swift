// The plain case of a symbol lookup, laid out for speed: a GNU hash table, no version asked for, an ordinary
// definition. What it cannot decide goes to `SymbolLookup`, whose rules are ld.so's; every index is proven here
// as there. Measured by J3; the filters' words are the only memory a miss touches besides this.
internal import CLoaderSupport

/// What plain tables know of a name.
enum PlainAnswer: BitwiseCopyable {
  case address(UInt64)
  /// Nobody defines it.
  case none
  /// Only `SymbolLookup.find` can tell.
  case undecided
}

/// The symbol tables of one image, for names without versions. Borrows them.
struct PlainLookup: @unchecked Sendable, BitwiseCopyable {
  let bloom: UnsafeRawPointer
  let bloomMask: UInt32
  let bloomShift: UInt32
  let bucketCount: UInt32
  /// Index of the first symbol that is hashed. Tables below begin with it.
  let firstIndex: UInt32
  let bucketReciprocal: UInt64
  let buckets: UnsafeRawPointer
  let chains: UnsafeRawPointer
  /// How many entries both the chains and the symbol table have.
  let limit: UInt32
  /// How many of them have a version.
  let versionedCount: UInt32
  let symbols: UnsafeRawPointer
  let strings: UnsafeRawPointer
  let stringBytes: UInt64
  let versions: UnsafeRawPointer?
  let bias: UInt64

  /// Whether the filter lets a hash pass.
  @inline(__always)
  static func mayHold(_ hash: UInt32, in table: UnsafePointer<PlainLookup>) -> Bool {
    let word = (table.pointee.bloom + Int(hash &>> 6 & table.pointee.bloomMask) &* 8)
      .loadUnaligned(as: UInt64.self)
    let bits = 1 &<< UInt64(hash) | 1 &<< UInt64(hash &>> table.pointee.bloomShift)
    return ~word & bits == 0
  }

  /// Where a name is defined. There is a GNU hash table, whose filter lets it pass.
  @inline(__always)
  static func answer<Name: PlainName>(
    to name: Name, in table: UnsafePointer<PlainLookup>
  ) -> PlainAnswer {
    let hash = name.hash
    // Lemire's remainder: exact for 32-bit numbers.
    let bucket = (table.pointee.bucketReciprocal &* UInt64(hash))
      .multipliedFullWidth(by: UInt64(table.pointee.bucketCount)).high
    let index = (table.pointee.buckets + Int(truncatingIfNeeded: bucket) &* 4)
      .loadUnaligned(as: UInt32.self)
    // An empty bucket's 0 becomes a number beyond every limit: `firstIndex` is not 0.
    var number = index &- table.pointee.firstIndex
    while number < table.pointee.limit {
      let entry = (table.pointee.chains + Int(number) &* 4).loadUnaligned(as: UInt32.self)
      if entry ^ hash <= 1 {
        let symbol = table.pointee.symbols + Int(number) &* 24
        let offset = UInt64(symbol.loadUnaligned(as: UInt32.self))
        // A hash of 31 bits that two names share is rare enough to be asked about elsewhere: nothing need be kept over
        // the comparison.
        guard offset &+ name.reach <= table.pointee.stringBytes,
          name.isAt(table.pointee.strings + Int(truncatingIfNeeded: offset))
        else { return .undecided }
        return value(symbol, number, table)
      }
      if entry & 1 != 0 { break }
      number &+= 1
    }
    return .none
  }

  @inline(__always)
  private static func value(
    _ symbol: UnsafeRawPointer, _ number: UInt32, _ table: UnsafePointer<PlainLookup>
  ) -> PlainAnswer {
    // NOTYPE, OBJECT or FUNC, global or weak, with default visibility, in a section.
    let facts = (symbol + 4).loadUnaligned(as: UInt32.self)
    let ordinary: UInt64 = 0b111 << 0x20 | 0b111 << 0x10
    guard facts & 0x3C0 == 0, ordinary &>> UInt64(facts) & 1 != 0, facts &>> 16 &- 1 < 0xFEFF else {
      return .undecided
    }
    if let versions = table.pointee.versions {
      // The image's own version, or none.
      guard number < table.pointee.versionedCount,
        (versions + Int(number) &* 2).loadUnaligned(as: UInt16.self) < 2
      else { return .undecided }
    }
    let value = (symbol + 8).loadUnaligned(as: UInt64.self)
    return value == 0 ? .undecided : .address(table.pointee.bias &+ value)
  }
}
