// The outcome of a link that is looked at and not run: everything by which somebody who has the objects, and
// nothing of ours, can compute every relocation again (docs/check.md).
internal import CLoaderSupport
internal import LoaderEngine

/// Sections, symbols and relocations of a link.
public struct CheckResult: Sendable {
  /// How much is wanted.
  public enum Contents: Sendable {
    /// Where everything is.
    case places
    /// Also what it holds.
    case bytes
  }

  public struct Section: Sendable {
    public var name: String
    /// Its index in its object.
    public var index: Int
    /// The object it comes from.
    public var image: String
    /// Run-time address, and size in bytes; of thread-local data the offset from the thread pointer.
    public var address: UInt64
    public var size: UInt64
    /// `r`, `w`, `x`, `t` (thread-local).
    public var flags: String
    /// It has no bytes in its file (SHT_NOBITS): zeros.
    public var isNoBits: Bool
    /// With `Contents.bytes`, what it holds after relocation.
    public var bytes: [UInt8]?
    /// Where its parts lie, when it does not lie in one stretch.
    public var pieces: [Piece] = []
  }
  public struct Piece: Sendable {
    /// Offset in the section and size, in bytes.
    public var offset: UInt64
    public var size: UInt64
    public var address: UInt64
  }
  public struct Symbol: Sendable {
    public var name: String
    /// Its index in its object's symbol table; nil for a symbol of the linker's own.
    public var index: Int?
    /// The body of a function, the place of data, the thread-pointer offset of thread-local data.
    public var address: UInt64
    public var size: UInt64
    /// `function`, `data`, `constant`, `tls`, `absolute`.
    public var kind: String
    /// `local`, `global`, `weak`.
    public var binding: String
    /// The object; empty for a symbol of the linker's own.
    public var image: String
  }
  /// A symbol that code refers to by way of something the linker made.
  public struct Referred: Sendable {
    public var symbol: String
    /// The object and the index of a symbol that only that object knows.
    public var image: String?
    public var index: Int?
  }
  /// An entry of the GOT.
  public struct Entry: Sendable {
    public var referred: Referred
    public var address: UInt64
    /// `address`, `tls_offset` (one word), `tls_gd`, `tls_ld`, `tls_desc` (two).
    public var kind: String
    /// Its word, or the second of two; nil when that is an address in this process.
    public var value: UInt64?
  }
  /// A stub: where calls go that do not go to the body.
  public struct Stub: Sendable {
    public var referred: Referred
    public var address: UInt64
    /// The body it leads to; nil when that is the process's.
    public var target: UInt64?
  }
  /// An instruction that was rewritten (psABI AMD64, section B.2).
  public struct Rewrite: Sendable {
    public var image: String
    /// Index of the section.
    public var section: Int
    /// Of the relocation in its section.
    public var offset: UInt64
    /// `lea`, `call`, `jump`, `immediate`, `stub`.
    public var form: String
  }
  /// A symbol of the process.
  public struct Import: Sendable {
    public var symbol: String
    /// nil in a link at an address of choice where the bytes do not depend on it.
    public var address: UInt64?
  }

  public var sections: [Section] = []
  public var symbols: [Symbol] = []
  public var got: [Entry] = []
  public var stubs: [Stub] = []
  public var imports: [Import] = []
  public var relaxed: [Rewrite] = []
  /// Where the GOT begins: `GOT` in formulas.
  public var gotStart: UInt64
  /// Where the block of thread-local variables begins, from the thread pointer: what DTPOFF counts from.
  public var threadBlock: UInt64
  public var relocations = 0
  /// What was looked at in this process so far: sections, symbols, relocations, instructions.
  public var steps = 0
  public var undefined: [String] = []

  init(_ prepared: PreparedReload, _ contents: Contents) {
    let set = prepared.set
    relocations = set.relocationCount
    undefined = set.undefined.map(\.name)
    gotStart = set.space.got.start.value
    threadBlock = set.space.threadStorage.base &- (set.space.threadStorage.module?.offset ?? 0)
    for member in prepared.members {
      addSections(of: member.version.linked, set, contents)
      addSymbols(of: member.version.linked, set)
    }
    addOutside(set)
    let images = Dictionary(
      set.objects.map { ($0.unit, $0.object.name) }, uniquingKeysWith: { first, _ in first })
    addTables(set, images)
    steps = LinkSteps.count
    relaxed = set.relaxations.map { rewrite in
      Rewrite(
        image: images[rewrite.unit] ?? "", section: rewrite.section,
        offset: rewrite.offset, form: rewrite.change.rawValue)
    }
  }

  private mutating func addSections(
    of linked: LinkedObject, _ set: LinkedSet, _ contents: Contents
  ) {
    let object = linked.object
    for index in object.sections.indices where linked.roles[index] != .ignored {
      let section = object.sections[index]
      guard let address = linked.address(section: index, offset: 0) else { continue }
      sections.append(
        Section(
          name: object.name(ofSection: index).string, index: index, image: object.name,
          address: address, size: set.placedSize(linked, index),
          flags: "r" + (section.isWritable ? "w" : "") + (section.isExecutable ? "x" : "")
            + (section.isThreadLocal ? "t" : ""),
          isNoBits: section.isNoBits,
          bytes: contents == .bytes ? set.bytes(linked, index) : nil,
          pieces: (linked.pieces[index]?.pieces ?? []).map {
            Piece(offset: $0.offset, size: $0.size, address: $0.address)
          }))
    }
  }

  private mutating func addSymbols(of linked: LinkedObject, _ set: LinkedSet) {
    let object = linked.object
    for index in 1..<max(object.symbols.count, 1) {
      let symbol = object.symbols[index]
      guard symbol.st_name != 0, symbol.type != UInt8(STT_FILE),
        let address = linked.address(ofSymbol: index),
        let kind = CheckResult.kind(linked.kind(ofSymbol: index))
      else { continue }
      if index >= object.firstGlobal,
        let winner = set.definition(of: linked.globalID(index)), winner.unit != linked.unit
      {
        continue
      }
      symbols.append(
        Symbol(
          name: object.name(ofSymbol: index).string, index: index, address: address,
          size: symbol.st_size, kind: kind,
          binding: index < object.firstGlobal
            ? "local" : symbol.isWeakBinding || symbol.binding == 10 ? "weak" : "global",
          image: object.name))
    }
  }

  private mutating func addOutside(_ set: LinkedSet) {
    let isElsewhere = set.space.arena.isImaginary
    for symbol in set.outsideSymbols() {
      if symbol.isHost {
        imports.append(
          Import(
            symbol: symbol.name,
            address: isElsewhere && !symbol.isDirect ? nil : symbol.address))
      } else {
        symbols.append(
          Symbol(
            name: symbol.name, index: nil, address: symbol.address, size: 0, kind: "constant",
            binding: "global", image: ""))
      }
    }
  }

  private mutating func addTables(_ set: LinkedSet, _ images: [UInt32: String]) {
    let space = set.space
    let hosts = Set(imports.map(\.symbol))
    for (id, use, entry) in space.got.all {
      let (name, unit, ordinal) = space.meaning(of: id)
      let isHost = unit == nil && hosts.contains(name)
      let isPair = use == .moduleOffset || use == .descriptor
      got.append(
        Entry(
          referred: Referred(
            symbol: name, image: unit.flatMap { images[$0] },
            index: unit == nil ? nil : ordinal),
          address: entry.value,
          kind: use == .moduleOffset && id == space.moduleID ? "tls_ld" : CheckResult.kind(use),
          value: isHost ? nil : space.got.value(entry, word: isPair ? 1 : 0)))
    }
    var bodies = Dictionary(
      set.slotChanges.map { ($0.slot, $0.body) }, uniquingKeysWith: { $1 })
    for (slot, resolver) in set.indirectFunctions { bodies[slot] = resolver.value }
    var locals: [SlotIndex: (image: String, index: Int)] = [:]
    for linked in set.objects {
      for (symbol, slot) in linked.localSlots { locals[slot] = (linked.object.name, symbol) }
    }
    for number in space.slots.all {
      let slot = SlotIndex(number)
      let (name, unit, _) = space.meaning(of: space.slots.symbol(of: slot))
      stubs.append(
        Stub(
          referred: Referred(
            symbol: name,
            image: locals[slot]?.image ?? unit.flatMap { images[$0] },
            index: locals[slot]?.index),
          address: space.slots.stub(slot).value,
          target: unit == nil && hosts.contains(name) ? nil : bodies[slot]))
    }
  }

  private static func kind(_ use: GlobalOffsetTable.Use) -> String {
    switch use {
    case .address: "address"
    case .threadOffset: "tls_offset"
    case .moduleOffset: "tls_gd"
    case .descriptor: "tls_desc"
    }
  }

  private static func kind(_ kind: Definition.Kind) -> String? {
    switch kind {
    case .none: nil
    case .function, .part: "function"
    case .data: "data"
    case .constant: "constant"
    case .threadLocal: "tls"
    case .absolute: "absolute"
    }
  }
}
