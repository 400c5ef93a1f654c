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

  /// What is asked for most relocations: without the checks of a property.
  private struct Entries {
    // Words 0 and 1 are `emptyDynamic`, zero for ever.
    var next = 2
    var addresses: [UInt32] = []
    var others: [Key: UInt32] = [:]
  }
  private let entries: UnsafeMutablePointer<Entries>

  package init(_ arena: Arena) {
    self.arena = arena
    start = arena.got.start
    entries = .allocate(capacity: 1)
    entries.initialize(to: Entries())
    words = arena.place(arena.got.start, .data).assumingMemoryBound(to: UInt64.self)
    if !arena.isImaginary { _ = hl_populate(UnsafeMutableRawPointer(words), 64 << 10, 1) }
  }

  deinit {
    entries.deinitialize(count: 1)
    entries.deallocate()
  }

  /// Where the table begins (psABI: `GOT`).
  package let start: Address

  /// A dynamic section that holds nothing but DT_NULL: `_DYNAMIC`.
  package var emptyDynamic: Address { arena.got.start }

  /// The entry of a symbol and whether it is new; a new one holds zero and nobody refers to it yet.
  package func entry(_ symbol: SymbolID, _ use: Use) throws(LinkError) -> (Address, isNew: Bool) {
    if use == .address {
      let index = Int(symbol.index)
      let count = entries.pointee.addresses.count
      if index >= count {
        entries.pointee.addresses.append(
          contentsOf: repeatElement(0, count: max(index + 1, count * 2) - count))
      }
      let known = entries.pointee.addresses[index]
      if known != 0 { return (address(known), false) }
      let made = try take(1)
      entries.pointee.addresses[index] = made
      return (address(made), true)
    }
    let key = Key(symbol: symbol, use: use)
    if let known = entries.pointee.others[key] { return (address(known), false) }
    let made = try take(use == .threadOffset ? 1 : 2)
    entries.pointee.others[key] = made
    return (address(made), true)
  }

  package func existingEntry(_ symbol: SymbolID) -> Address? {
    let index = Int(symbol.index)
    guard index < entries.pointee.addresses.count, entries.pointee.addresses[index] != 0 else {
      return nil
    }
    return address(entries.pointee.addresses[index])
  }

  /// All entries, in the order of their addresses.
  package var all: [(symbol: SymbolID, use: Use, entry: Address)] {
    let addresses = entries.pointee.addresses
    var all = addresses.indices.filter { addresses[$0] != 0 }.map {
      (symbol: SymbolID(UInt32($0)), use: Use.address, entry: address(addresses[$0]))
    }
    all += entries.pointee.others.map { ($0.key.symbol, $0.key.use, address($0.value)) }
    return all.sorted { $0.entry < $1.entry }
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
    let next = entries.pointee.next
    guard (next + count) * 8 <= Int(arena.got.size) else {
      throw LinkError(file: "", .noSpace(what: "GOT entries", requested: UInt64(count * 8)))
    }
    entries.pointee.next = next + count
    return UInt32(next)
  }
}
