// Finding a symbol in the dynamic symbol table of one image. A miss costs one word of the Bloom filter, a
// hit one bucket, one chain and one comparison of names. Every index is proven before it is used: a hash
// table is a claim like all others. GNU: “.gnu.hash”; gABI: “Hash Table”; rules: glibc's ld.so.
package import CLoaderSupport
internal import Glibc

/// What a lookup asks for besides the name.
package struct LookupRequest: BitwiseCopyable {
  package let name: SymbolName
  /// The version asked for; nil: the default one.
  package var version: SymbolVersion?
  /// For a call or a thread-local: an undefined symbol with a value does not count (psABI: the address
  /// of a function in an executable).
  package var isForCall = false
  /// dlsym(3)'s rule for unversioned names: the newest default version only.
  package var takesNewest = false

  @inline(__always)
  package init(_ name: SymbolName, version: SymbolVersion? = nil) {
    self.name = name
    self.version = version
  }
}

/// The symbol tables of one image, ready for lookups. Plain pointers: whoever holds the image keeps them.
package struct SymbolLookup: @unchecked Sendable, BitwiseCopyable {
  // What a miss reads stands first, in one cache line.
  private var bloom: UnsafeRawPointer
  private var bloomMask: UInt32 = 0
  private var bloomShift: UInt32 = 0
  private var isSysV = false
  private var bucketCount: UInt32 = 0
  package private(set) var symbols: UnsafeRawPointer
  /// One more than the highest index that lies inside the table's segment.
  package private(set) var symbolLimit: UInt32
  package let strings: StringArea
  private var buckets: UnsafeRawPointer
  /// 2^64 / bucketCount, for a remainder without a division.
  private var bucketReciprocal: UInt64 = 0
  private var chains: UnsafeRawPointer
  private var chainOffset: UInt32 = 0
  private var chainLimit: UInt32 = 0
  private var indices: UnsafeRawPointer?
  private var indexLimit: UInt32 = 0
  private var versions: UnsafeMutablePointer<SymbolVersion>?
  private var versionCount: UInt32 = 0

  private nonisolated(unsafe) static let everything: UnsafeRawPointer = {
    let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    word.initialize(to: UInt64.max)
    return UnsafeRawPointer(word)
  }()

  /// Opens the tables.
  ///
  /// - Parameter stable: gives a table's bytes at an address that relocation does not write.
  /// - Throws: `LinkError.malformed`.
  package init(
    _ entries: DynamicEntries, _ view: SegmentView, strings: StringArea, versions: VersionTable?,
    stable: (UInt64) -> (pointer: UnsafeRawPointer, count: UInt64)?, name: @autoclosure () -> String
  ) throws(LinkError) {
    func refuse(_ what: String, _ at: UInt64, _ detail: String) -> LinkError {
      LinkError(file: name(), .malformed(structure: what, offset: at, detail: detail))
    }
    self.strings = strings
    guard let table = stable(entries.symbols) else {
      throw refuse("DT_SYMTAB", entries.symbols, "lies outside the loaded segments")
    }
    symbols = table.pointer
    var room = table.count / 24
    // The string table follows it in every linker's layout: nothing beyond is a symbol.
    if entries.strings.address > entries.symbols {
      room = min(room, (entries.strings.address - entries.symbols) / 24)
    }
    symbolLimit = UInt32(min(room, 1 << 31))
    bloom = SymbolLookup.everything
    buckets = symbols
    chains = symbols
    if entries.versionIndices != 0 {
      guard let found = stable(entries.versionIndices) else {
        throw refuse("DT_VERSYM", entries.versionIndices, "lies outside the loaded segments")
      }
      indices = found.pointer
      indexLimit = UInt32(min(found.count / 2, 1 << 31))
      if let versions {
        self.versions = versions.records
        versionCount = UInt32(versions.count)
      }
    }
    if entries.gnuHash != 0 {
      guard let found = stable(entries.gnuHash), found.count >= 16 else {
        throw refuse("DT_GNU_HASH", entries.gnuHash, "lies outside the loaded segments")
      }
      let words = found.pointer.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
      let count = found.pointer.loadUnaligned(as: UInt32.self)
      let used = 16 + UInt64(words) * 8 + UInt64(count) * 4
      guard words > 0, words & (words - 1) == 0, used <= found.count else {
        throw refuse("DT_GNU_HASH", entries.gnuHash, "\(words) filter words, \(count) buckets")
      }
      bucketCount = count
      chainOffset = found.pointer.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
      bloomMask = words - 1
      bloomShift = found.pointer.loadUnaligned(fromByteOffset: 12, as: UInt32.self) & 31
      bloom = found.pointer + 16
      buckets = bloom + Int(words) * 8
      chains = buckets + Int(count) * 4
      chainLimit = UInt32(min((found.count - used) / 4, 1 << 31))
    } else if entries.sysvHash != 0 {
      guard let found = stable(entries.sysvHash), found.count >= 8 else {
        throw refuse("DT_HASH", entries.sysvHash, "lies outside the loaded segments")
      }
      let count = found.pointer.loadUnaligned(as: UInt32.self)
      let chainCount = found.pointer.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
      guard 8 + (UInt64(count) + UInt64(chainCount)) * 4 <= found.count else {
        throw refuse("DT_HASH", entries.sysvHash, "\(count) buckets, \(chainCount) chains")
      }
      isSysV = true
      // No filter: everything passes.
      bloom = SymbolLookup.everything
      bucketCount = count
      buckets = found.pointer + 8
      chains = buckets + Int(count) * 4
      chainLimit = chainCount
    }
    if bucketCount > 0 { bucketReciprocal = UInt64.max / UInt64(bucketCount) &+ 1 }
  }

  /// Whether two were made of the same tables: at the same places, of the same sizes.
  package func isSame(as other: SymbolLookup) -> Bool {
    symbols == other.symbols && symbolLimit == other.symbolLimit
      && strings.base == other.strings.base && strings.count == other.strings.count
      && bucketCount == other.bucketCount && bloomMask == other.bloomMask
      && chainOffset == other.chainOffset && chainLimit == other.chainLimit
      && indexLimit == other.indexLimit && versionCount == other.versionCount
  }

  /// A symbol by its index; nil beyond the table.
  @inline(__always)
  package func symbol(_ index: UInt32) -> Elf64_Sym? {
    guard index < symbolLimit else { return nil }
    return (symbols + Int(index) * 24).loadUnaligned(as: Elf64_Sym.self)
  }

  /// The same for an index that `find` gave, which has proven it.
  @inline(__always)
  func proven(_ index: UInt32) -> Elf64_Sym {
    (symbols + Int(index) * 24).loadUnaligned(as: Elf64_Sym.self)
  }

  /// The name of a symbol; nil when it leaves the string table.
  package func name(of symbol: Elf64_Sym) -> NameView? { strings.name(at: symbol.st_name) }

  /// The version that a reference through this symbol asks for; nil: none in particular.
  @inline(__always)
  package func version(of index: UInt32) -> SymbolVersion? {
    guard let indices, let versions, index < indexLimit else { return nil }
    let number = UInt32(
      (indices + Int(index) * 2).loadUnaligned(as: UInt16.self) & 0x7FFF)
    guard number < versionCount else { return nil }
    let version = versions[Int(number)]
    return version.hash == 0 ? nil : version
  }

  /// Whether a definition is not the default one of its name.
  package func isHidden(_ index: UInt32) -> Bool {
    guard let indices, index < indexLimit else { return false }
    return (indices + Int(index) * 2).loadUnaligned(as: UInt16.self) & 0x8000 != 0
  }

  /// The index of the definition a request means, or 0.
  @inline(__always)
  package func find(_ request: LookupRequest) -> UInt32 {
    withUnsafePointer(to: self) { SymbolLookup.find(request, in: $0) }
  }

  /// The same in place: a miss reads one word of the filter and what leads to it, nothing is copied.
  @inline(__always)
  static func find(_ request: LookupRequest, in lookup: UnsafePointer<SymbolLookup>) -> UInt32 {
    lookup.pointee.mayHold(request.name.hash) ? findInChain(request, lookup) : 0
  }

  /// Whether the filter lets a hash pass.
  @inline(__always)
  func mayHold(_ hash: UInt32) -> Bool {
    let word = (bloom + Int(hash >> 6 & bloomMask) &* 8).loadUnaligned(as: UInt64.self)
    return word &>> UInt64(hash) & word &>> UInt64(hash &>> bloomShift) & 1 != 0
  }

  /// The same tables for the plain case; nil without a GNU hash table, or with an odd one.
  func plain(bias: UInt64) -> PlainLookup? {
    let first = chainOffset
    guard !isSysV, bucketCount > 0, first > 0, first < symbolLimit else { return nil }
    let versionedCount = indexLimit < first ? 0 : indexLimit - first
    let skipped = Int(first)
    return PlainLookup(
      bloom: bloom, bloomMask: bloomMask, bloomShift: bloomShift, bucketCount: bucketCount,
      firstIndex: first, bucketReciprocal: bucketReciprocal, buckets: buckets, chains: chains,
      limit: min(chainLimit, symbolLimit - first), versionedCount: versionedCount,
      symbols: symbols + skipped * 24, strings: strings.base, stringBytes: strings.count,
      versions: indices.map { $0 + skipped * 2 }, bias: bias)
  }

  @inline(never)
  private static func findInChain(
    _ request: LookupRequest, _ lookup: UnsafePointer<SymbolLookup>
  ) -> UInt32 {
    if lookup.pointee.isSysV { return lookup.pointee.findBySysVHash(request) }
    let hash = request.name.hash
    let count = lookup.pointee.bucketCount
    guard count > 0 else { return 0 }
    // Lemire's remainder: exact for 32-bit numbers.
    let bucket = (lookup.pointee.bucketReciprocal &* UInt64(hash))
      .multipliedFullWidth(by: UInt64(count)).high
    var index = (lookup.pointee.buckets + Int(truncatingIfNeeded: bucket) &* 4)
      .loadUnaligned(as: UInt32.self)
    let offset = lookup.pointee.chainOffset
    guard index >= offset, index != 0 else { return 0 }
    let end = min(
      UInt64(lookup.pointee.symbolLimit), UInt64(offset) + UInt64(lookup.pointee.chainLimit))
    var candidates = Candidates()
    while index < end {
      let entry = (lookup.pointee.chains + Int(index &- offset) &* 4)
        .loadUnaligned(as: UInt32.self)
      if (entry ^ hash) >> 1 == 0, matches(index, request, &candidates, lookup) { return index }
      if entry & 1 != 0 { break }
      index &+= 1
    }
    return candidates.only
  }

  private func findBySysVHash(_ request: LookupRequest) -> UInt32 {
    guard bucketCount > 0 else { return 0 }
    var index = (buckets + Int(request.name.sysvHash % bucketCount) &* 4)
      .loadUnaligned(as: UInt32.self)
    var candidates = Candidates()
    // A chain has at most one step for each symbol: one that has more goes in a circle.
    var steps = chainLimit
    return withUnsafePointer(to: self) { lookup in
      while index != 0, index < symbolLimit, index < chainLimit, steps > 0 {
        if SymbolLookup.matches(index, request, &candidates, lookup) { return index }
        index = (chains + Int(index) &* 4).loadUnaligned(as: UInt32.self)
        steps -= 1
      }
      return candidates.only
    }
  }

  /// Versioned definitions met while no version was asked for: one alone will do.
  private struct Candidates {
    var count = 0
    var index: UInt32 = 0
    var only: UInt32 { count == 1 ? index : 0 }
  }

  @inline(__always)
  private static func matches(
    _ index: UInt32, _ request: LookupRequest, _ candidates: inout Candidates,
    _ lookup: UnsafePointer<SymbolLookup>
  ) -> Bool {
    let symbol = lookup.pointee.proven(index)
    let type = symbol.type
    if symbol.st_value == 0, symbol.st_shndx != 0xFFF1, type != UInt8(STT_TLS) { return false }
    if symbol.st_shndx == 0, request.isForCall || symbol.st_value == 0 || type == UInt8(STT_TLS) {
      return false
    }
    // NOTYPE, OBJECT, FUNC, COMMON, TLS, IFUNC are what can be referred to; a type has four bits.
    guard 0b100_0110_0111 as UInt32 &>> UInt32(type) & 1 != 0,
      symbol.binding != UInt8(STB_LOCAL),
      symbol.visibility != UInt8(STV_HIDDEN), symbol.visibility != UInt8(STV_INTERNAL),
      lookup.pointee.isNamed(symbol.st_name, request.name)
    else { return false }
    guard lookup.pointee.indices != nil else { return true }
    return lookup.pointee.isVersion(index, request, &candidates)
  }

  private func isVersion(
    _ index: UInt32, _ request: LookupRequest, _ candidates: inout Candidates
  ) -> Bool {
    guard let indices, index < indexLimit else { return true }
    let raw = (indices + Int(index) &* 2).loadUnaligned(as: UInt16.self)
    let number = UInt32(raw & 0x7FFF)
    let isHidden = raw & 0x8000 != 0
    if let wanted = request.version {
      let own = number < versionCount ? versions.map { $0[Int(number)] } : nil
      if let own, own.hash != 0, own.isSame(as: wanted) { return true }
      // An unversioned definition serves a reference that does not insist.
      return !wanted.isExact && (own?.hash ?? 0) == 0 && !isHidden
    }
    guard number >= (request.takesNewest ? 2 : 3) else { return true }
    if !isHidden {
      candidates.count += 1
      if candidates.count == 1 { candidates.index = index }
    }
    return false
  }

  @inline(__always)
  private func isNamed(_ offset: UInt32, _ name: SymbolName) -> Bool {
    guard UInt64(offset) &+ UInt64(name.count) < strings.count else { return false }
    let text = strings.base + Int(offset)
    return text.load(fromByteOffset: name.count, as: UInt8.self) == 0
      && SymbolName.isEqual(text, name.base, name.count)
  }

  /// How many hashes the GNU hash table holds at most; nil for a table of another kind.
  var hashCount: Int? {
    if isSysV { return nil }
    var count = 0
    forEachHash { _ in count += 1 }
    return count
  }

  /// Calls `body` with the hash, but for its lowest bit, of every symbol that the GNU hash table leads to,
  /// and perhaps of others.
  @inline(__always)
  func forEachHash(_ body: (UInt32) -> Void) { forEachChained { _, entry in body(entry) } }

  /// Calls `body` once with the index and the chain entry of every symbol between the first chain's start and
  /// the last one's end, however many buckets claim it.
  @inline(__always)
  private func forEachChained(_ body: (UInt32, UInt32) -> Void) {
    var last: UInt32 = 0
    var first = UInt32.max
    for bucket in 0..<bucketCount {
      let index = (buckets + Int(bucket) &* 4).loadUnaligned(as: UInt32.self)
      guard index >= chainOffset, index != 0 else { continue }
      first = min(first, index)
      last = max(last, index)
    }
    // Chains lie one behind the other: from the first one's start to the end of the last.
    var index = first
    while index < symbolLimit, index - chainOffset < chainLimit {
      let entry = (chains + Int(index - chainOffset) &* 4).loadUnaligned(as: UInt32.self)
      body(index, entry)
      if index >= last, entry & 1 != 0 { break }
      index += 1
    }
  }

  /// Calls `body` with the index of every symbol that the hash table leads to.
  package func forEachExported(_ body: (UInt32, Elf64_Sym) -> Void) {
    if isSysV {
      for index in 1..<max(min(chainLimit, symbolLimit), 1) { visit(index, body) }
      return
    }
    forEachChained { index, _ in visit(index, body) }
  }

  private func visit(_ index: UInt32, _ body: (UInt32, Elf64_Sym) -> Void) {
    guard let symbol = symbol(index), symbol.st_shndx != 0, symbol.binding != UInt8(STB_LOCAL)
    else { return }
    body(index, symbol)
  }
}
