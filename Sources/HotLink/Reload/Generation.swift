// A generation is one linked snapshot of all units. Its symbol table is an object of its own and never
// changes; the next generation has another.
public import LoaderEngine
internal import Synchronization

/// One linked snapshot of a program.
public final class Generation: Sendable {
  /// 1 for the first.
  public let number: Int
  private let current: Mutex<SymbolTable>
  /// Its symbols. Units that are linked when they are first called add to them; nothing changes.
  package var table: SymbolTable { current.withLock { $0 } }
  private let space: LinkSpace
  private let retired = Atomic<Bool>(false)

  init(number: Int, table: SymbolTable, space: LinkSpace) {
    self.number = number
    current = Mutex(table)
    self.space = space
  }

  /// Whether code of this generation may have been recycled: its bodies are then no longer told.
  public var isRetired: Bool { retired.load(ordering: .acquiring) }
  func extend(_ table: SymbolTable) { current.withLock { $0 = table } }
  func retire() { retired.store(true, ordering: .releasing) }

  /// How many symbols are defined.
  public var symbolCount: Int { table.count }

  /// A symbol of this generation.
  ///
  /// - Returns: nil when no unit of this generation defines it, or the generation is retired.
  public func symbol(_ name: String) -> GenerationSymbol? {
    guard !isRetired, let id = space.names.find(name), let found = table[id] else { return nil }
    var identity = Address(found.address)
    if found.kind == .function, found.slot != 0 {
      identity = space.slots.stub(SlotIndex(found.slot))
    }
    return GenerationSymbol(
      name: name, identity: identity, body: Address(found.address), size: found.size,
      isFunction: found.kind == .function || found.kind == .part)
  }
}

/// A symbol as one generation has it.
public struct GenerationSymbol: Hashable, Sendable {
  public var name: String
  /// The address the program knows: for a function its stub, the same in all generations.
  public var identity: Address
  /// Where this generation's code or data is.
  public var body: Address
  /// Size in bytes.
  public var size: UInt64
  public var isFunction: Bool
}
