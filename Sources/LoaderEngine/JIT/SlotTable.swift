// The identity of functions: a stub whose address never changes, and a table that says where it leads
// now. The table has two banks; a publication writes the differences to the idle one and then stores
// the bank pointer once, so that all functions move, or none.
internal import CLoaderSupport
internal import Synchronization

/// The number of a function's place in the table.
package struct SlotIndex: Hashable, Sendable, BitwiseCopyable {
  package var value: UInt32
  @inline(__always) package init(_ value: UInt32) { self.value = value }
  package static let none = SlotIndex(0)
}

/// Stubs and the table behind them. Its owner serialises everything but calls through the stubs.
package final class SlotTable: @unchecked Sendable {
  package struct Change: BitwiseCopyable, Sendable {
    package var slot: SlotIndex
    /// Where the slot leads; zero: to the lazy resolver.
    package var body: UInt64
    package init(_ slot: SlotIndex, _ body: UInt64) {
      self.slot = slot
      self.body = body
    }
  }

  // Cells that are written at a time: few for a small program.
  private static let firstChunk: UInt32 = 1024
  private static let largestChunk: UInt32 = 8192
  /// Bits of a token that are the slot.
  package static let tagShift: UInt32 = 20
  private let tag: UInt32
  private let arena: Arena
  private let stubs: AddressRange
  private let capacity: UInt32
  private let pointerWord: UnsafeMutablePointer<UInt>
  private let banks: [UnsafeMutablePointer<UInt64>]
  private var current = 0
  private var written: UInt32 = 0  // cells that exist
  private var journal: [Change] = []

  /// What is asked for every function of a link: without the checks of a property.
  private struct Numbers {
    var next: UInt32 = 1  // slot 0 is the way to the lazy resolver
    var slotOfSymbol: [SlotIndex] = []
    var symbolOfSlot: [SymbolID] = [.none]
  }
  private let numbers: UnsafeMutablePointer<Numbers>

  /// - Parameter tag: told to the lazy resolver with each slot, so that it knows whose it is.
  package init(_ arena: Arena, tag: UInt32) throws(LinkError) {
    self.arena = arena
    self.tag = tag
    stubs = arena.stubs
    numbers = .allocate(capacity: 1)
    numbers.initialize(to: Numbers())
    let bankBytes = (arena.slotBanks.size - 4096) / 2 & ~0xFFF
    capacity =
      min(
        UInt32(arena.stubs.size / X86_64.cellSize), UInt32(bankBytes / 8))
      & ~(SlotTable.largestChunk - 1)
    let base = arena.place(arena.slotBanks.start, .data)
    pointerWord = base.assumingMemoryBound(to: UInt.self)
    banks = [0, 1].map {
      (base + 4096 + $0 * Int(bankBytes)).assumingMemoryBound(to: UInt64.self)
    }
    pointerWord[0] = UInt(bitPattern: banks[0])
    pointerWord[1] = UInt(bitPattern: hl_lazy_entry_address())
    try extend()
  }

  deinit {
    numbers.deinitialize(count: 1)
    numbers.deallocate()
  }

  /// Cells that are set aside for so many slots: whole chunks.
  static func cells(for slots: UInt64) -> UInt64 {
    (slots + UInt64(largestChunk)) / UInt64(largestChunk) * UInt64(largestChunk)
  }

  /// How many slots there are.
  package var count: Int { Int(numbers.pointee.next) - 1 }

  /// The slot of a symbol; a new one leads to the lazy resolver.
  ///
  /// - Throws: `LinkError.noSpace`.
  package func slot(of symbol: SymbolID) throws(LinkError) -> SlotIndex {
    let index = Int(symbol.index)
    let known = numbers.pointee.slotOfSymbol.count
    if index < known {
      let slot = numbers.pointee.slotOfSymbol[index]
      if slot != .none { return slot }
    } else {
      numbers.pointee.slotOfSymbol.append(
        contentsOf: repeatElement(.none, count: max(index + 1, known * 2) - known))
    }
    if numbers.pointee.next == written { try extend() }
    let slot = SlotIndex(numbers.pointee.next)
    numbers.pointee.next += 1
    numbers.pointee.slotOfSymbol[index] = slot
    numbers.pointee.symbolOfSlot.append(symbol)
    return slot
  }

  /// Makes the cells of so many new slots.
  package func reserve(_ count: Int) throws(LinkError) {
    while UInt64(written) < UInt64(numbers.pointee.next) + UInt64(count) { try extend() }
  }

  /// The slot a symbol already has.
  package func existingSlot(of symbol: SymbolID) -> SlotIndex? {
    let index = Int(symbol.index)
    guard index < numbers.pointee.slotOfSymbol.count,
      numbers.pointee.slotOfSymbol[index] != .none
    else { return nil }
    return numbers.pointee.slotOfSymbol[index]
  }

  /// All slots.
  package var all: Range<UInt32> { 1..<numbers.pointee.next }

  package func symbol(of slot: SlotIndex) -> SymbolID {
    numbers.pointee.symbolOfSlot[Int(slot.value)]
  }

  /// The address a function has for everyone who takes it.
  @inline(__always)
  package func stub(_ slot: SlotIndex) -> Address {
    stubs.start &+ UInt64(slot.value) &* X86_64.cellSize
  }

  /// The slot whose stub stands at `address`.
  package func slot(at address: Address) -> SlotIndex? {
    let offset = address &- arena.stubs.start
    guard offset < UInt64(numbers.pointee.next) * X86_64.cellSize, offset % X86_64.cellSize == 0,
      offset > 0
    else { return nil }
    return SlotIndex(UInt32(offset / X86_64.cellSize))
  }

  /// Calls `body` with every slot from `first` on, and its symbol.
  package func forEachStub(from first: UInt32 = 1, _ body: (SlotIndex, SymbolID) -> Void) {
    for slot in first..<max(numbers.pointee.next, first) {
      body(SlotIndex(slot), numbers.pointee.symbolOfSlot[Int(slot)])
    }
  }

  /// Where a slot leads in the current bank; nil while it leads to the lazy resolver.
  package func body(_ slot: SlotIndex) -> Address? {
    let address = Address(banks[current][Int(slot.value)])
    return arena.stubs.contains(address) ? nil : address
  }

  /// Moves all slots named at once. Cost follows the number of changes.
  ///
  /// - Returns: what the publication before this one changed, of no use any more.
  @discardableResult
  package func publish(_ changes: [Change]) -> [Change] {
    defer { journal = changes }
    let idle = 1 - current
    write(journal, to: idle)
    write(changes, to: idle)
    // Release: a thread that sees the new bank sees the code and data written before.
    storeRelease(UInt(bitPattern: banks[idle]))
    current = idle
    return journal
  }

  /// Binds one slot now, in the current generation: a lazy resolution.
  package func bind(_ slot: SlotIndex, to body: UInt64) {
    let change = Change(slot, body)
    write([change], to: current)
    journal.append(change)
  }

  private func write(_ changes: [Change], to bank: Int) {
    let table = banks[bank]
    for change in changes {
      table[Int(change.slot.value)] =
        change.body != 0 ? change.body : (stub(change.slot) &+ X86_64.thunkOffset).value
    }
  }

  private func storeRelease(_ value: UInt) {
    // x86-64 orders stores; the atomic keeps the compiler from moving them.
    UnsafeMutableRawPointer(pointerWord).assumingMemoryBound(to: Atomic<UInt>.self).pointee
      .store(value, ordering: .releasing)
  }

  /// Writes the next chunk of cells, each leading to the lazy resolver.
  private func extend() throws(LinkError) {
    guard written < capacity else {
      throw LinkError(file: "", .noSpace(what: "stubs", requested: UInt64(capacity) + 1))
    }
    let first = written
    let count = min(max(first, SlotTable.firstChunk), SlotTable.largestChunk, capacity - first)
    let range = AddressRange(
      start: arena.stubs.start &+ UInt64(first) &* X86_64.cellSize,
      size: UInt64(count) * X86_64.cellSize)
    try arena.backing.populate(range, isText: true)
    let table = arena.slotBanks.start
    if first == 0 {
      X86_64.writeIndirectJump(
        at: arena.place(range.start, .text), address: range.start, entry: table &+ 8)
    }
    for slot in max(first, 1)..<(first + count) {
      let cell = stub(SlotIndex(slot))
      X86_64.writeCell(
        slot, token: slot | tag << SlotTable.tagShift, at: arena.place(cell, .text), cell: cell,
        table: table,
        resolver: arena.stubs.start)
      let thunk = (cell &+ X86_64.thunkOffset).value
      banks[0][Int(slot)] = thunk
      banks[1][Int(slot)] = thunk
    }
    if arena.backing.sealsFreshText { try arena.backing.seal(range) }
    written = first + count
  }
}
