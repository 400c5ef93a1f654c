// Where references are looked up: images in order, the first definition wins, weak or not (ld.so since
// glibc 2.2). A scope is immutable; images share the ones they have in common. Asking one allocates nothing,
// takes no lock and counts no reference: DESIGN section 3, “Symbol lookup”.
package import CLoaderSupport

/// A definition that a lookup found.
package struct FoundSymbol {
  package let provider: SymbolProvider
  package let index: UInt32
  package let symbol: Elf64_Sym

  package var address: UInt64 { provider.address(of: symbol) }
}

/// An ordered list of images to look symbols up in.
package final class Scope: @unchecked Sendable {
  package let providers: [SymbolProvider]
  /// The same without references, for who keeps the scope alive meanwhile.
  package let table: ScopeTable
  private let filter: NameFilter?

  package static let empty = Scope([])

  /// - Parameter filter: of the names that the first providers have.
  package init(_ providers: [SymbolProvider], filter: NameFilter? = nil) {
    self.providers = providers
    self.filter = filter
    let members = UnsafeMutablePointer<ScopeTable.Member>.allocate(capacity: providers.count + 1)
    for (index, provider) in providers.enumerated() {
      (members + index).initialize(
        to: ScopeTable.Member(
          lookup: provider.lookup, bias: provider.bias, isHost: provider.isHost))
    }
    let plain = UnsafeMutablePointer<PlainLookup>.allocate(capacity: providers.count + 1)
    // Up to the first that is not plain.
    var plainCount = 0
    for provider in providers {
      guard let lookup = provider.lookup.plain(bias: provider.bias) else { break }
      (plain + plainCount).initialize(to: lookup)
      plainCount += 1
    }
    table = ScopeTable(
      plain: plain, plainEnd: UnsafePointer(plain + plainCount), plainCount: plainCount,
      members: members, count: providers.count,
      filter: filter?.words,
      filterShift: filter?.shift ?? 0,
      filteredCount: filter?.providerCount ?? 0)
  }

  deinit {
    table.plain.deallocate()
    table.members.deallocate()
  }

  package func holds(_ provider: SymbolProvider) -> Bool { providers.contains { $0 === provider } }

  /// The first definition that a request means.
  ///
  /// - Parameters:
  ///   - start: the first provider to ask.
  ///   - skipped: one that is not asked (COPY relocations).
  @inline(__always)
  package func find(
    _ request: LookupRequest, from start: Int = 0, except skipped: SymbolProvider? = nil
  ) -> FoundSymbol? {
    var start = start
    while let hit = table.find(request, from: start) {
      if skipped == nil || providers[hit.position] !== skipped {
        return FoundSymbol(
          provider: providers[hit.position], index: hit.index, symbol: table.symbol(hit))
      }
      start = hit.position + 1
    }
    return nil
  }
}

/// The tables of a scope's providers side by side, so that a miss touches nothing else of them.
package struct ScopeTable: @unchecked Sendable, BitwiseCopyable {
  package struct Member: BitwiseCopyable {
    package let lookup: SymbolLookup
    package let bias: UInt64
    package let isHost: Bool
  }

  /// Where a definition stands: of which provider, and its index there.
  package struct Hit: BitwiseCopyable {
    package let position: Int
    package let index: UInt32
  }

  fileprivate let plain: UnsafeMutablePointer<PlainLookup>
  fileprivate let plainEnd: UnsafePointer<PlainLookup>
  fileprivate let plainCount: Int
  fileprivate let members: UnsafeMutablePointer<Member>
  fileprivate let count: Int
  fileprivate let filter: UnsafeMutablePointer<UInt64>?
  fileprivate let filterShift: UInt64
  fileprivate let filteredCount: Int

  /// The first definition that a request means.
  @inline(__always)
  package func find(_ request: LookupRequest, from start: Int = 0) -> Hit? {
    var position = start
    if let filter, !NameFilter.mayHold(request.name.hash, filter, filterShift) {
      position = max(position, filteredCount)
    }
    while position < count {
      let index = SymbolLookup.find(request, in: lookup(position))
      if index != 0 { return Hit(position: position, index: index) }
      position &+= 1
    }
    return nil
  }

  @inline(__always)
  private func lookup(_ position: Int) -> UnsafePointer<SymbolLookup> {
    // The first field of a member.
    UnsafeRawPointer(members + position).assumingMemoryBound(to: SymbolLookup.self)
  }

  /// Where a symbol is that is looked up without a version, when there is nothing special about it.
  ///
  /// - Parameter position: becomes the number of the provider that has it.
  /// - Returns: `undecided` when `find` must be asked; 0 when nobody defines it.
  @inline(__always)
  package func address(_ name: SymbolName, _ position: inout Int) -> UInt64 {
    position = 0
    if let filter, !NameFilter.mayHold(name.hash, filter, filterShift) { position = filteredCount }
    while position < plainCount {
      if PlainLookup.mayHold(name.hash, in: plain + position) {
        switch PlainLookup.answer(to: name, in: plain + position) {
        case .address(let address): return address
        case .undecided: return ScopeTable.undecided
        case .none: break
        }
      }
      position &+= 1
    }
    return position < count ? ScopeTable.undecided : 0
  }

  package static let undecided = UInt64.max

  /// What the plain tables know of a name, for a caller who has no use for the provider. A table whose filter
  /// does not let the name pass is left without a call.
  @inline(__always)
  func answer<Name: PlainName>(to name: Name) -> PlainAnswer {
    let hash = name.hash
    let end = plainEnd
    var table = UnsafePointer(plain)
    while table < end {
      if PlainLookup.mayHold(hash, in: table) {
        let answer = PlainLookup.answer(to: name, in: table)
        switch answer {
        case .none: break
        case .address, .undecided: return answer
        }
      }
      table += 1
    }
    return .none
  }

  /// Whether the plain tables are all there are.
  @inline(__always)
  var isPlain: Bool { plainCount == count }

  @inline(__always)
  package func member(_ position: Int) -> UnsafePointer<Member> {
    UnsafePointer(members + position)
  }

  /// The definition itself. `SymbolLookup.find` has proven the index.
  @inline(__always)
  package func symbol(_ hit: Hit) -> Elf64_Sym { members[hit.position].lookup.proven(hit.index) }
}

/// All names that a few images define, by their hashes: one question instead of one for each of twenty
/// libraries. A Bloom filter with two bits of one word a name; some 3 in 100 foreign names pass.
package final class NameFilter: @unchecked Sendable {
  // Sound: written in init only.
  fileprivate let words: UnsafeMutablePointer<UInt64>
  fileprivate let shift: UInt64
  package let providerCount: Int

  /// - Parameter providers: images that are never unloaded, because their tables are read here.
  /// - Returns: nil when one of them has no GNU hash table.
  package init?(_ providers: some Collection<SymbolProvider>) {
    var total = 0
    for provider in providers {
      guard let count = provider.lookup.hashCount else { return nil }
      total += count
    }
    // 16 bits a name, rounded up to a power of two.
    var bits: UInt64 = 6
    while 1 << bits < total / 4 { bits += 1 }
    shift = 64 - bits
    providerCount = providers.count
    words = .allocate(capacity: 1 << Int(bits))
    words.initialize(repeating: 0, count: 1 << Int(bits))
    for provider in providers {
      provider.lookup.forEachHash { [words, shift] hash in
        let (index, mask) = NameFilter.place(hash, shift)
        words[index] |= mask
      }
    }
  }

  deinit { words.deallocate() }

  /// The lowest bit of a hash does not count: chains end with it.
  @inline(__always)
  private static func place(_ hash: UInt32, _ shift: UInt64) -> (index: Int, mask: UInt64) {
    let mixed = UInt64(hash >> 1) &* 0x9E37_79B9_7F4A_7C15
    return (
      Int(truncatingIfNeeded: mixed &>> shift),
      1 &<< (mixed >> 20) | 1 &<< (mixed >> 26)
    )
  }

  @inline(__always)
  fileprivate static func mayHold(
    _ hash: UInt32, _ words: UnsafeMutablePointer<UInt64>, _ shift: UInt64
  ) -> Bool {
    let (index, mask) = place(hash, shift)
    return words[index] & mask == mask
  }
}
