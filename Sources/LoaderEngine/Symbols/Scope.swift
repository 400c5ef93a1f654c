// Where references are looked up: images in order, the first definition wins, weak or not (ld.so since
// glibc 2.2). A scope is immutable; images share the ones they have in common.
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
  // The providers' tables side by side, so that a miss touches nothing else of them.
  private let lookups: UnsafeMutablePointer<SymbolLookup>

  package static let empty = Scope([])

  package init(_ providers: [SymbolProvider]) {
    self.providers = providers
    lookups = .allocate(capacity: max(providers.count, 1))
    for (index, provider) in providers.enumerated() {
      (lookups + index).initialize(to: provider.lookup)
    }
  }

  deinit { lookups.deallocate() }

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
    var position = start
    while position < providers.count {
      let index = lookups[position].find(request)
      if index != 0, skipped == nil || providers[position] !== skipped,
        let symbol = lookups[position].symbol(index)
      {
        return FoundSymbol(provider: providers[position], index: index, symbol: symbol)
      }
      position += 1
    }
    return nil
  }
}
