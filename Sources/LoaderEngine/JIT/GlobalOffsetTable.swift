// One table of addresses for all linked code: an entry per symbol, shared by everyone who refers to it
// through the GOT. When data moves, its entry moves every such reference.
internal import CLoaderSupport

/// The GOT of a link space. Its owner serialises.
package final class GlobalOffsetTable: @unchecked Sendable {
  package enum Use: UInt8, Hashable, Sendable {
    /// The symbol's address.
    case address
    /// Its offset from the thread pointer.
    case threadOffset
    /// A (module, offset) pair for `__tls_get_addr`.
    case moduleOffset
    /// A (resolver, argument) pair for a TLS descriptor.
    case descriptor
  }

  private struct Key: Hashable {
    var symbol: SymbolID
    var use: Use
  }

  private let arena: Arena
  private let words: UnsafeMutablePointer<UInt64>
  // Words 0 and 1 are `emptyDynamic`, zero for ever.
  private var next = 2
  private var addressEntries: [UInt32] = []
  private var otherEntries: [Key: UInt32] = [:]

  package init(_ arena: Arena) {
    self.arena = arena
    words = arena.place(arena.got.start, .data).assumingMemoryBound(to: UInt64.self)
    if !arena.isImaginary { _ = hl_populate(UnsafeMutableRawPointer(words), 64 << 10, 1) }
  }

  /// Where the table begins (psABI: `GOT`).
  package var start: Address { arena.got.start }

  /// A dynamic section that holds nothing but DT_NULL: `_DYNAMIC`.
  package var emptyDynamic: Address { arena.got.start }

  /// The entry of a symbol and whether it is new; a new one holds zero and nobody refers to it yet.
  package func entry(_ symbol: SymbolID, _ use: Use) throws(LinkError) -> (Address, isNew: Bool) {
    if use == .address {
      let index = Int(symbol.index)
      if index >= addressEntries.count {
        addressEntries.append(
          contentsOf: repeatElement(
            0, count: max(index + 1, addressEntries.count * 2) - addressEntries.count))
      }
      if addressEntries[index] != 0 { return (address(addressEntries[index]), false) }
      let made = try take(1)
      addressEntries[index] = made
      return (address(made), true)
    }
    let key = Key(symbol: symbol, use: use)
    if let known = otherEntries[key] { return (address(known), false) }
    let made = try take(use == .threadOffset ? 1 : 2)
    otherEntries[key] = made
    return (address(made), true)
  }

  package func existingEntry(_ symbol: SymbolID) -> Address? {
    let index = Int(symbol.index)
    guard index < addressEntries.count, addressEntries[index] != 0 else { return nil }
    return address(addressEntries[index])
  }

  /// All entries, in the order of their addresses.
  package var all: [(symbol: SymbolID, use: Use, entry: Address)] {
    var entries = addressEntries.indices.filter { addressEntries[$0] != 0 }.map {
      (symbol: SymbolID(UInt32($0)), use: Use.address, entry: address(addressEntries[$0]))
    }
    entries += otherEntries.map { ($0.key.symbol, $0.key.use, address($0.value)) }
    return entries.sorted { $0.entry < $1.entry }
  }

  /// Writes word `word` of an entry.
  package func set(_ entry: Address, word: Int = 0, _ value: UInt64) {
    words[Int((entry &- start) / 8) + word] = value
  }

  package func value(_ entry: Address, word: Int = 0) -> UInt64 {
    words[Int((entry &- start) / 8) + word]
  }

  private func address(_ index: UInt32) -> Address { start &+ UInt64(index) * 8 }

  private func take(_ count: Int) throws(LinkError) -> UInt32 {
    guard (next + count) * 8 <= Int(arena.got.size) else {
      throw LinkError(file: "", .noSpace(what: "GOT entries", requested: UInt64(count * 8)))
    }
    defer { next += count }
    return UInt32(next)
  }
}
