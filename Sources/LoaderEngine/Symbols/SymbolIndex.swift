// From an address to the symbol it belongs to. Made when somebody first asks, for one image: its exported symbols
// by address. Linux: dladdr(3).
internal import CLoaderSupport

/// The symbols of an image by address.
package struct SymbolIndex: Sendable {
  private let addresses: [UInt64]
  private let indices: [UInt32]
  /// For each, the furthest end of those up to it: how far back a search must go.
  private let ends: [UInt64]

  init(_ lookup: SymbolLookup) {
    var found: [(address: UInt64, size: UInt64, index: UInt32)] = []
    lookup.forEachExported { index, symbol in
      guard symbol.st_shndx != 0xFFF1, symbol.type != UInt8(STT_TLS) else { return }
      found.append((symbol.st_value, symbol.st_size, index))
    }
    // Of several at one address the largest is asked first.
    found.sort { ($0.address, $0.size, $1.index) < ($1.address, $1.size, $0.index) }
    addresses = found.map(\.address)
    indices = found.map(\.index)
    var end: UInt64 = 0
    ends = found.map {
      let (sum, isOver) = $0.address.addingReportingOverflow($0.size)
      end = max(end, isOver ? .max : sum)
      return end
    }
  }

  /// The index of the nearest symbol at or below a virtual address that holds it.
  ///
  /// - Parameter emptyHoldsRest: one without a size holds what no other one does, up to the next; not its
  ///   first byte only.
  func find(_ wanted: UInt64, in lookup: SymbolLookup, emptyHoldsRest: Bool = true) -> UInt32? {
    var low = 0
    var high = addresses.count
    while low < high {
      let middle = (low + high) / 2
      if addresses[middle] <= wanted { low = middle + 1 } else { high = middle }
    }
    var empty: UInt32?
    // The last one at or before the address, then those that may enclose it.
    for position in stride(from: low - 1, through: 0, by: -1) {
      guard ends[position] > wanted || addresses[position] == wanted || position == low - 1,
        let symbol = lookup.symbol(indices[position])
      else { break }
      if wanted - symbol.st_value < max(symbol.st_size, 1) { return indices[position] }
      if position == low - 1, symbol.st_size == 0, emptyHoldsRest { empty = indices[position] }
    }
    return empty
  }
}
