// The result of one link in the making and, once sealed, everything its publication needs.
internal import CLoaderSupport

/// Objects linked together. Space is given back when it is dropped before `commit`.
package final class LinkedSet: @unchecked Sendable {
  package let space: LinkSpace
  package let objects: [LinkedObject]
  package let options: LinkOptions
  let inputs: [LinkInput]
  let draft: SymbolTable.Draft
  /// Where literals go.
  let constants: ConstantPool
  /// What the set is called by those who register handlers for its end (Itanium C++ ABI: `__dso_handle`).
  package internal(set) var handle: Address
  let unitIndex: [UInt32: Int]

  /// Text groups, and for each object the one it belongs to.
  package internal(set) var groups: [TextGroup] = []
  package internal(set) var groupOfObject: [Int] = []
  /// What publication writes into the slot table.
  @exclusivity(unchecked) package internal(set) var slotChanges: [SlotTable.Change] = []
  /// Slots of IFUNC symbols and their resolvers (psABI: R_X86_64_IRELATIVE): called when everything
  /// else is in place.
  package internal(set) var indirectFunctions: [(slot: SlotIndex, resolver: Address)] = []
  /// GOT entries of symbols that moved.
  package internal(set) var gotChanges: [(entry: Address, value: UInt64)] = []
  private var changedEntries: Set<Address> = []
  /// Functions that are called and defined nowhere: their slots lead to the lazy resolver.
  package internal(set) var deferredCalls: [SymbolID] = []
  /// With `allowUndefined`, what was missing.
  package internal(set) var undefined: [LinkError.UndefinedSymbol] = []
  /// Storage of `__start_`/`__stop_` ranges, by section name.
  package internal(set) var encapsulated: [String: AddressRange] = [:]
  /// Initial bytes of thread-local sections, by offset from the thread pointer.
  package internal(set) var threadImages: [(offset: UInt64, bytes: UnsafeMutableRawBufferPointer)] =
    []

  /// COMDAT groups that objects of this set own, by signature.
  package internal(set) var comdatOwners: [SymbolID: UInt32] = [:]
  /// Of groups that no other set can refer to.
  var privateOwners: [SymbolID: UInt32] = [:]

  /// Of the group that is being laid out: offsets of pieces that die with it.
  var tiedPieces: [PieceKey: UInt64] = [:]
  var tiedAddresses: [PieceKey: UInt64] = [:]
  var deferred: Set<SymbolID> = []
  var allocations: [Allocation] = []
  var threadAllocations: [(offset: UInt64, size: UInt64)] = []
  /// By object and symbol. Each is a part of `allTargets`.
  var targets: [Column<Target>] = []
  let allTargets: Column<Target>
  /// The largest alignment that a COMMON symbol asks for, over all objects.
  var commonAlignments: [SymbolID: UInt64] = [:]
  var duplicates: [LinkError.Duplicate] = []
  /// Variables of the process that are to be copied here.
  var freshCopies: [HostCopies.Copy] = []
  var discardedReferences: [LinkError.Discarded] = []
  /// Where the parts of the set begin and end, for symbols that linkers make.
  package internal(set) var bounds = ImageBounds()
  /// `_init` and `_fini`, made of the fragments of objects, by group.
  package internal(set) var startCode: [Int: Address] = [:]
  package internal(set) var endCode: [Int: Address] = [:]
  var missing: [SymbolID: (sites: [LinkError.Site], count: Int)] = [:]
  var unwindRanges: [AddressRange] = []
  var hasCommitted = false
  /// Makes the cells of the set's functions, up to `defineAddresses`.
  var slotsAhead: Errand?
  /// Symbols whose calls go through a stub because they are out of reach.
  var farCalls: Set<SymbolID> = []
  /// With `notesRelaxations`, the instructions that were rewritten.
  package internal(set) var relaxations: [Relaxed] = []

  /// An instruction that was rewritten.
  package struct Relaxed: Sendable {
    package var unit: UInt32
    package var section: Int
    /// Of the relocation, in its section.
    package var offset: UInt64
    package var change: X86_64.Rewrite
  }

  init(
    _ inputs: [LinkInput], _ table: SymbolTable, _ space: LinkSpace, _ options: LinkOptions
  ) {
    self.inputs = inputs
    self.space = space
    self.options = options
    objects = inputs.map(LinkedObject.init)
    draft = SymbolTable.Draft(from: table)
    allTargets = Column(
      repeating: .nothing, count: inputs.reduce(0) { $0 + $1.object.symbols.count })
    constants =
      options.isRemovable ? ConstantPool(space.arena, isRemovable: true) : space.constants
    handle = space.got.start
    unitIndex = Dictionary(
      inputs.enumerated().map { ($1.unit, $0) }, uniquingKeysWith: { first, _ in first })
  }

  deinit {
    allTargets.deallocate()
    for image in threadImages { image.bytes.deallocate() }
    if hasCommitted && !options.isRemovable { return }
    // A link that was thrown away leaves no thread behind.
    space.arena.waitUntilReady()
    for allocation in allocations { space.arena.release(allocation) }
    for piece in threadAllocations { space.threadStorage.release(piece.offset, piece.size) }
  }

  /// Has an entry of the GOT changed at publication, once.
  func changeEntry(_ entry: Address, _ value: UInt64) {
    if changedEntries.insert(entry).inserted { gotChanges.append((entry, value)) }
  }

  /// Last step of a link: code becomes executable.
  func seal() throws(LinkError) {
    for group in groups {
      if let text = group.text { try space.arena.seal(text) }
    }
  }

  /// Tables above this size are brought into the order of their code; small ones the unwinder sorts in no time.
  static let sortedTable: UInt64 = 16 << 10

  /// The unwind tables that a publication registers.
  package var unwindTables: [AddressRange] { unwindRanges.filter { $0.size > 8 } }

  /// Keeps what was allocated, gives threads their initial bytes, and hands out the symbol table of
  /// the new generation. Called once, at publication.
  package func commit() throws(LinkError) -> SymbolTable {
    if !threadImages.isEmpty {
      try space.threadStorage.initialise(
        threadImages.map {
          StaticTLS.Piece(
            offset: $0.offset, size: UInt64($0.bytes.count), bytes: UnsafeRawBufferPointer($0.bytes)
          )
        })
    }
    hasCommitted = true
    space.copies.take(freshCopies)
    if space.bounds == nil, !options.isRemovable { space.bounds = bounds }
    for group in groups { group.isPermanent = options.isPermanent }
    for (index, group) in groups.enumerated() where unwindRanges[index].size > 8 {
      group.register(
        unwindTable: unwindRanges[index].start,
        isLarge: unwindRanges[index].size > LinkedSet.sortedTable)
    }
    return draft.table
  }

  /// The symbols of the new generation, once it is linked.
  package var table: SymbolTable { draft.table }

  /// What the new generation has for a symbol.
  package func definition(of id: SymbolID) -> Definition? { draft[id] }

  /// Symbols that this set defines and `old` did not.
  package func newlyDefined(since old: SymbolTable) -> Set<SymbolID> {
    var fresh: Set<SymbolID> = []
    for linked in objects {
      for id in linked.globals where draft[id]?.unit == linked.unit && old[id] == nil {
        fresh.insert(id)
      }
    }
    return fresh
  }

  /// Bytes held, by kind; thread-local ones in every thread's static block.
  package var memoryUse: (text: UInt64, constants: UInt64, data: UInt64, threadLocal: UInt64) {
    var sizes = [UInt64](repeating: 0, count: Arena.Kind.allCases.count)
    for allocation in allocations { sizes[allocation.kind.rawValue] += allocation.range.size }
    return (
      groups.reduce(sizes[0]) { $0 + ($1.text?.range.size ?? 0) },
      groups.reduce(sizes[1] + (options.isRemovable ? constants.bytes : 0)) {
        $0 + ($1.tied?.range.size ?? 0)
      },
      sizes[2], threadAllocations.reduce(0) { $0 + $1.size }
    )
  }

  /// Relocations applied.
  package var relocationCount: Int { objects.reduce(0) { $0 + $1.relocationCount } }
}

/// What a symbol of an object means to a relocation.
struct Target: BitwiseCopyable {
  /// The code or data itself.
  var body: UInt64
  /// What others refer to: a function's stub, otherwise the same as `body`.
  var reference: UInt64
  var id: SymbolID
  var flags: Flags

  static let nothing = Target(body: 0, reference: 0, id: .none, flags: [])

  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt16
    static let function = Flags(rawValue: 1)
    /// Defined in the object that refers to it.
    static let own = Flags(rawValue: 2)
    static let missing = Flags(rawValue: 4)
    static let threadLocal = Flags(rawValue: 8)
    static let host = Flags(rawValue: 16)
    static let section = Flags(rawValue: 32)
    static let part = Flags(rawValue: 64)
    /// An undefined weak symbol: zero.
    static let null = Flags(rawValue: 128)
    /// Not placed: a discarded group, debug data.
    static let discarded = Flags(rawValue: 256)
    /// A thread-local variable without one offset for all threads.
    static let dynamicThreadLocal = Flags(rawValue: 512)
    /// Its address is loaded from the GOT by its object.
    static let loaded = Flags(rawValue: 1024)
    /// In a group that another object supplies.
    static let elsewhere = Flags(rawValue: 4096)
    /// In a thread-local module of linked objects.
    static let inModule = Flags(rawValue: 8192)
    /// A section that others refer to by offset, without a thought for what stands there.
    static let wholeSection = Flags(rawValue: 16384)
  }
}
