// String literals and anonymous constants, once each and, unless they belong to one set, for ever: objects on the
// heap keep pointers to them, and nobody can say when the last one is gone. Interned by content, so that an edit
// adds only the bytes that are new.
internal import Glibc

/// Constants by content. Its owner serialises.
package final class ConstantPool: @unchecked Sendable {
  private struct Entry: BitwiseCopyable {
    var hash: UInt32
    var size: UInt32
    var address: UInt64
  }

  private let arena: Arena
  private var slots: [Int32]
  private var entries: [Entry] = []
  private var block: Allocation?
  private var blockUsed: UInt64 = 0
  private var blockSize: UInt64
  /// Of a pool that gives its memory back.
  private var allocations: [Allocation]?
  /// Bytes held.
  package private(set) var bytes: UInt64 = 0

  /// - Parameter isRemovable: the constants go with the pool.
  package init(_ arena: Arena, isRemovable: Bool = false) {
    self.arena = arena
    blockSize = isRemovable ? 256 : 16384
    allocations = isRemovable ? [] : nil
    slots = [Int32](repeating: -1, count: isRemovable ? 16 : 4096)
  }

  deinit { allocations?.forEach { arena.release($0) } }

  /// The address of constant memory that holds exactly these bytes, at a multiple of `alignment`.
  package func intern(_ source: UnsafeRawPointer, _ size: Int, alignment: UInt64)
    throws(LinkError) -> Address
  {
    let hash = ConstantPool.hash(source, size)
    var probe = Int(hash) & (slots.count - 1)
    while slots[probe] >= 0 {
      let entry = entries[Int(slots[probe])]
      if entry.hash == hash, Int(entry.size) == size, entry.address & (alignment - 1) == 0,
        memcmp(arena.place(Address(entry.address), .constants), source, size) == 0
      {
        return Address(entry.address)
      }
      probe = (probe + 1) & (slots.count - 1)
    }
    let address = try store(source, size, alignment)
    slots[probe] = Int32(entries.count)
    entries.append(Entry(hash: hash, size: UInt32(size), address: address.value))
    if entries.count * 2 > slots.count { grow() }
    return address
  }

  private func store(_ source: UnsafeRawPointer, _ size: Int, _ alignment: UInt64)
    throws(LinkError) -> Address
  {
    bytes += UInt64(size)
    if size >= 4096 {
      let own = try arena.allocate(.constants, UInt64(size), alignment: alignment)
      allocations?.append(own)
      memcpy(arena.place(own.range.start, .constants), source, size)
      return own.range.start
    }
    var start = block.map { aligned($0.range.start.value + blockUsed, to: alignment) } ?? 0
    if block.map({ start + UInt64(size) > $0.range.end.value }) ?? true {
      blockSize = max(blockSize, aligned(UInt64(size), to: 64))
      let fresh = try arena.allocate(.constants, blockSize, alignment: max(alignment, 64))
      blockSize = min(blockSize * 2, 16384)
      allocations?.append(fresh)
      block = fresh
      start = fresh.range.start.value
    }
    if let block { blockUsed = start + UInt64(size) - block.range.start.value }
    memcpy(arena.place(Address(start), .constants), source, size)
    return Address(start)
  }

  private func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    for (index, entry) in entries.enumerated() {
      var probe = Int(entry.hash) & (slots.count - 1)
      while slots[probe] >= 0 { probe = (probe + 1) & (slots.count - 1) }
      slots[probe] = Int32(index)
    }
  }

  package static func hash(_ source: UnsafeRawPointer, _ size: Int) -> UInt32 {
    var state = 0x9E37_79B9_7F4A_7C15 ^ UInt64(size)
    var at = source
    var left = size
    while left >= 8 {
      let product = (state ^ at.loadUnaligned(as: UInt64.self))
        .multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
      state = product.high ^ product.low
      at += 8
      left -= 8
    }
    for index in 0..<left {
      state =
        (state ^ UInt64(at.load(fromByteOffset: index, as: UInt8.self)))
        &* 0x100_0000_01B3
    }
    return UInt32(truncatingIfNeeded: state ^ (state >> 32))
  }
}
