// One object on its way into memory, and what remains of it while it lives: which section went where,
// what its symbols are called, and what has to happen when it starts and ends.
internal import CLoaderSupport

/// What the linker is given for one object.
package struct LinkInput {
  package var object: ObjectFile
  /// Number of the unit in its session.
  package var unit: UInt32
  /// Decisions already made, by section index.
  package var placements: [Int: SectionPlacement]
  /// Names under which local functions are known, where that is not their own, by symbol index.
  package var identities: [Int: String] = [:]

  package init(object: ObjectFile, unit: UInt32, placements: [Int: SectionPlacement] = [:]) {
    self.object = object
    self.unit = unit
    self.placements = placements
  }
}

/// An object that has been placed.
package final class LinkedObject: @unchecked Sendable {
  package let object: ObjectFile
  package let unit: UInt32
  package let identities: [Int: String]
  package let roles: Column<SectionRole>
  /// Run-time address of each section that lies in one stretch, 0 otherwise.
  package let addresses: Column<UInt64>
  /// Where the linker writes each such section; nil when it does not.
  package let places: Column<UnsafeMutableRawPointer?>
  package let pieces: PieceTables
  /// Sections of groups that another object supplies, and what belongs to them.
  package internal(set) var discarded: Set<Int> = []
  /// Numbers of the symbols from `firstGlobal` on.
  package let globals: Column<SymbolID>
  /// Slots that local functions were given, by symbol index.
  package var localSlots: [Int: SlotIndex] = [:]
  /// Sections that are placed, in the order in which they are.
  private(set) var placementOrder: [Int] = []
  /// The `.eh_frame` that was measured last, and its size.
  @exclusivity(unchecked) private var unwindExtent = (section: -1, size: UInt64(0))
  /// While the object is linked: symbols that are resolved in the order of all objects.
  @exclusivity(unchecked) var resolvedInOrder: [Int] = []
  /// Storage of COMMON symbols that this object won, by symbol index.
  package internal(set) var commons: [Int: UInt64] = [:]
  /// Relocations applied.
  @exclusivity(unchecked) package internal(set) var relocationCount = 0
  /// A code address that is not a function's may have left this object: its text must stay.
  package var codeEscapes = false
  /// Symbols by name that could not be redirected to a stub, for the report.
  package internal(set) var immovable: [String] = []

  private var ordinals: LocalOrdinals?
  init(_ input: LinkInput) {
    object = input.object
    unit = input.unit
    identities = input.identities
    let count = input.object.sections.count
    roles = Column(repeating: .ignored, count: count)
    addresses = Column(repeating: 0, count: count)
    places = Column(repeating: nil, count: count)
    pieces = PieceTables(sections: count)
    globals = Column(
      repeating: .none, count: input.object.symbols.count - input.object.firstGlobal)
  }

  deinit {
    roles.deallocate()
    addresses.deallocate()
    places.deallocate()
    pieces.deallocate()
    globals.deallocate()
  }

  /// Says what each section is, and in which order they are placed: those with SHF_LINK_ORDER as what they describe.
  func classify() {
    SectionRole.note(object, in: roles)
    placementOrder = roles.indices.filter { roles[$0] != .ignored }
    for section in placementOrder where roles[section] == .unwind { _ = unwindSize(section) }
    guard object.hasFollowers else { return }
    placementOrder.sort {
      (object.sections[$0].leader ?? $0, $0) < (object.sections[$1].leader ?? $1, $1)
    }
  }

  /// Size of an `.eh_frame` without the zero word that would end the table. By one thread at a time.
  func unwindSize(_ section: Int) -> UInt64 {
    if unwindExtent.section == section { return unwindExtent.size }
    guard let bytes = object.contents(ofSection: section) else { return 0 }
    var at: UInt64 = 0
    while let length = bytes.load(UInt32.self, at: at), length != 0 {
      guard length != 0xFFFF_FFFF, at + 4 + UInt64(length) <= UInt64(bytes.count) else { break }
      at += 4 + UInt64(length)
    }
    unwindExtent = (section, at)
    return at
  }

  /// Run-time address of a byte of a section; nil when the section was not placed.
  package func address(section: Int, offset: UInt64) -> UInt64? {
    if let table = pieces[section] { return table.address(of: offset) }
    return roles[section] == .ignored ? nil : addresses[section] &+ offset
  }

  /// Run-time address of a defined symbol.
  package func address(ofSymbol index: Int) -> UInt64? {
    let symbol = object.symbols[index]
    switch object.place(ofSymbol: index) {
    case .undefined: return nil
    case .absolute: return symbol.st_value
    case .common: return commons[index]
    case .section(let section): return address(section: section, offset: symbol.st_value)
    }
  }

  /// Which of the object's local symbols of one name this is: 0 for the first.
  package func ordinal(ofLocal index: Int) -> Int {
    let known = ordinals ?? LocalOrdinals(object)
    ordinals = known
    return known[index]
  }

  /// The section header of a defined symbol.
  package func section(ofSymbol index: Int) -> Section? {
    guard case .section(let section) = object.place(ofSymbol: index) else { return nil }
    return object.sections[section]
  }

  /// From the first to the last byte of code.
  package var textRange: AddressRange {
    var low = UInt64.max
    var high: UInt64 = 0
    for section in roles.indices where roles[section] == .text && addresses[section] != 0 {
      low = min(low, addresses[section])
      high = max(high, addresses[section] + object.sections[section].size)
    }
    return AddressRange(start: Address(low), size: high > low ? high - low : 0)
  }

  package func globalID(_ index: Int) -> SymbolID { globals[index - object.firstGlobal] }

  /// What a symbol is to the rest of the program.
  package func kind(ofSymbol index: Int) -> Definition.Kind {
    let symbol = object.symbols[index]
    switch object.place(ofSymbol: index) {
    case .undefined: return .none
    case .absolute: return .absolute
    case .common: return .data
    case .section(let section):
      switch roles[section] {
      case .ignored: return .none
      case .text where symbol.type == UInt8(STT_OBJECT): return .constant  // a table beside code
      case .text:
        let isLocal = index < object.firstGlobal
        return isLocal && FunctionNames.isPart(object.name(ofSymbol: index)) ? .part : .function
      case .threadData, .threadBSS: return .threadLocal
      case .data, .bss: return .data
      case .encapsulated: return object.sections[section].isWritable ? .data : .constant
      default: return symbol.type == UInt8(STT_TLS) ? .threadLocal : .constant
      }
    }
  }
}

/// Tells local symbols of one name apart: 0 for the first in the object, 1 for the second.
package struct LocalOrdinals: Sendable {
  private var table: [Int: Int] = [:]

  private init() {}
  package static let none = LocalOrdinals()

  package init(_ object: ObjectFile) {
    let count = max(object.firstGlobal, 1)
    // By hash: the first symbol of a name, and how many there were.
    var slots = [(first: Int32, seen: Int32)](repeating: (0, 0), count: count.tableSize)
    for local in 1..<count where object.symbols[local].st_name != 0 {
      let name = object.name(ofSymbol: local)
      var at = Int(SymbolNames.hash(name)) & (slots.count - 1)
      while slots[at].seen > 0, !(object.name(ofSymbol: Int(slots[at].first)) == name) {
        at = (at + 1) & (slots.count - 1)
      }
      if slots[at].seen == 0 {
        slots[at].first = Int32(truncatingIfNeeded: local)
      } else {
        table[local] = Int(slots[at].seen)
      }
      slots[at].seen += 1
    }
  }

  package subscript(index: Int) -> Int { table.isEmpty ? 0 : table[index] ?? 0 }
}

extension Int {
  /// Slots of an open-addressed table for so many: a power of two, at least half of it free.
  fileprivate var tableSize: Int {
    var size = 8
    while size < self * 2 { size *= 2 }
    return size
  }
}

/// Names by which compilers tell parts of functions from functions.
package enum FunctionNames {
  /// Whether the code of this local symbol belongs to one body: outlined parts, clones with a
  /// convention of their own, coroutine resume functions. They bind to the body of their generation.
  package static func isPart(_ name: NameView) -> Bool {
    if name.hasPrefix("$s") || name.hasPrefix("$e") {
      return isSwiftContinuation(name) || name.contains(".resume.")
    }
    guard name.contains(".") else { return false }
    for suffix in [".resume", ".destroy", ".cleanup", ".actor", ".cold"] as [StaticString]
    where name.hasSuffix(suffix) { return true }
    for mark in [".cold.", ".part.", ".isra.", ".constprop.", ".resume.", ".llvm."]
      as [StaticString] where name.contains(mark)
    { return true }
    return false
  }

  /// Whether frames of a suspended computation on the heap hold its address (coroutines, async
  /// functions). The continuation of a Swift accessor (`.resume.0`) is held by its caller's frame, where
  /// a scan of the stack finds it.
  package static func suspends(_ name: NameView) -> Bool {
    if name.hasPrefix("$s") { return isSwiftContinuation(name) }
    for suffix in [".resume", ".destroy", ".cleanup", ".actor"] as [StaticString]
    where name.hasSuffix(suffix) { return true }
    return false
  }

  /// `…TQ0_`, `…TY12_`: await and suspend resume functions of a Swift async function.
  private static func isSwiftContinuation(_ name: NameView) -> Bool {
    let text = UnsafeRawBufferPointer(start: name.base, count: name.count)
    guard name.count > 4, text[name.count - 1] == 0x5F else { return false }
    var at = name.count - 2
    while at > 2, text[at] >= 0x30, text[at] <= 0x39 { at -= 1 }
    return at > 2 && text[at - 1] == 0x54 && (text[at] == 0x51 || text[at] == 0x59)
  }
}
