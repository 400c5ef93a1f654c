// From an address to the symbol it belongs to. Made when somebody first asks, for one image: its exported symbols
// by address. Linux: dladdr(3).
internal import CLoaderSupport

/// The symbols of an image by address.
package struct SymbolIndex: Sendable {
  private let addresses: [UInt64]
  private let indices: [UInt32]

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
  }

  /// The index of the nearest symbol at or below a virtual address that holds it; one without a size holds
  /// everything up to the next.
  func find(_ wanted: UInt64, in lookup: SymbolLookup) -> UInt32? {
    var low = 0
    var high = addresses.count
    while low < high {
      let middle = (low + high) / 2
      if addresses[middle] <= wanted { low = middle + 1 } else { high = middle }
    }
    // A few back: an enclosing symbol may begin before one that is over.
    for position in stride(from: low - 1, through: max(low - 16, 0), by: -1) {
      guard let symbol = lookup.symbol(indices[position]) else { continue }
      if symbol.st_size == 0 && position == low - 1 || wanted - symbol.st_value < symbol.st_size {
        return indices[position]
      }
    }
    return nil
  }
}
