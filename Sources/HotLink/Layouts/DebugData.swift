// The debug sections of one object as one linked file has them: those of one name after each other
// (type units have sections of their own), relocated, unpacked. A reference to code or data becomes a
// `DebugPlace`, because an object has no addresses yet. Those of a shared object are taken as they are. DWARF 5, section 7.
internal import CLoaderSupport
internal import Glibc
internal import LoaderEngine

/// Where an address in debug data leads: a place in a section of an object, or an address of a shared object.
struct DebugPlace: Hashable {
  let word: UInt64

  /// - Parameters:
  ///   - section: index of the section; -1: a COMMON symbol.
  ///   - offset: offset in the section, or the symbol's index.
  init(section: Int, offset: UInt64) {
    word = UInt64(section == -1 ? 0xFF_FFFF : section + 1) << 40 | (offset & 0xFF_FFFF_FFFF)
  }

  /// - Parameter address: of a shared object; of a thread-local variable its offset in the template.
  init(address: UInt64, isThreadLocal: Bool) {
    word = isThreadLocal ? address | 1 << 63 : address & ~(1 << 63)
  }

  private init(objectWord word: UInt64) { self.word = word }

  /// From a word of debug data; nil when that leads nowhere.
  init?(_ word: UInt64, isLinked: Bool, isThreadLocal: Bool) {
    if isLinked {
      // Linkers write 0 or -1 where code was left out.
      guard isThreadLocal || word != 0, word < .max - 1 else { return nil }
      self.init(address: word, isThreadLocal: isThreadLocal)
    } else {
      guard word >> 40 != 0 else { return nil }
      self.init(objectWord: word)
    }
  }
}

/// A name that may be missing, in the room that a table of very many types can spare.
struct DebugName: @unchecked Sendable {
  // Sound: nothing is written through it.
  private var base: UnsafeRawPointer?
  private var count: UInt32 = 0

  init(_ view: NameView?) {
    base = view?.base
    count = UInt32(clamping: view?.count ?? 0)
  }

  var view: NameView? { base.map { NameView(base: $0, count: Int(count)) } }

  @inline(__always)
  static func == (left: DebugName, right: DebugName) -> Bool {
    guard left.count == right.count else { return false }
    guard let a = left.base, let b = right.base else {
      return (left.base == nil) == (right.base == nil)
    }
    return memcmp(a, b, Int(left.count)) == 0
  }
}

/// The debug sections of an object. Its reader proves every offset.
final class DebugData {
  enum Kind: Int, CaseIterable {
    case info, types, abbreviations, strings, lineStrings, stringOffsets, addresses

    /// By the name of a section, without `.debug_` or `.zdebug_`.
    init?(_ name: NameView) {
      switch name {
      case _ where name == "info": self = .info
      case _ where name == "types": self = .types
      case _ where name == "abbrev": self = .abbreviations
      case _ where name == "str": self = .strings
      case _ where name == "line_str": self = .lineStrings
      case _ where name == "str_offsets": self = .stringOffsets
      case _ where name == "addr": self = .addresses
      default: return nil
      }
    }
  }

  /// One kind of section: all of an object's.
  struct Area {
    var base: UnsafeRawPointer
    var count: Int
  }

  /// A section in its area.
  private struct Part {
    var section: Int
    var start: Int
    var bytes: Bytes
  }

  /// Addresses are those of a linked file.
  let isLinked: Bool
  private(set) var info = Area(base: DebugData.nothing, count: 0)
  /// Type units of DWARF 4 begin here in `info`.
  private(set) var typesStart = 0
  private(set) var abbreviations = Area(base: DebugData.nothing, count: 0)
  private(set) var strings = Area(base: DebugData.nothing, count: 0)
  private(set) var lineStrings = Area(base: DebugData.nothing, count: 0)
  private(set) var stringOffsets = Area(base: DebugData.nothing, count: 0)
  private(set) var addresses = Area(base: DebugData.nothing, count: 0)
  /// What names lie in: they outlive this, unless `holdsNames`.
  private(set) var owners: [Bytes] = []
  /// Strings of several sections were put together here.
  private(set) var holdsNames = false
  private var infoParts: [Part] = []
  /// As the object has it.
  private var infoStart = DebugData.nothing
  private var copies: [UnsafeMutableRawPointer] = []

  /// Instead of the meaning of an undefined symbol.
  private static let absent = UInt64.max
  private static var nothing: UnsafeRawPointer { NameView("").base }

  /// nil when there is no debug data about types.
  ///
  /// - Throws: `LinkError` for a section that cannot be unpacked.
  init?(_ source: LayoutSource) throws(LinkError) {
    var parts = [[Part]](repeating: [], count: Kind.allCases.count)
    for section in 0..<source.sectionCount where !source.isAllocated(section) {
      let name = source.name(ofSection: section)
      let isPlain = name.hasPrefix(".debug_")
      guard isPlain || name.hasPrefix(".zdebug_"),
        let kind = Kind(name.dropFirst(isPlain ? 7 : 8)),
        let bytes = try source.unpackedContents(ofSection: section)
      else { continue }
      parts[kind.rawValue].append(Part(section: section, start: 0, bytes: bytes))
    }
    guard !parts[Kind.info.rawValue].isEmpty else { return nil }
    // Both kinds of units in one area: references between them are offsets or signatures.
    typesStart = parts[Kind.info.rawValue].reduce(0) { $0 + $1.bytes.count }
    parts[Kind.info.rawValue] += parts[Kind.types.rawValue]
    parts[Kind.types.rawValue] = []
    var bases = [Int](repeating: -1, count: source.sectionCount)
    for kind in parts.indices {
      var end = 0
      for index in parts[kind].indices {
        parts[kind][index].start = end
        bases[parts[kind][index].section] = end
        end += parts[kind][index].bytes.count
      }
    }
    var lists: [Int: [Int]] = [:]
    if case .object(let object) = source {
      for list in object.relocationSections {
        let target = Int(object.sections[list].info)
        if bases[target] >= 0 { lists[target, default: []].append(list) }
      }
    }
    isLinked = source.isLinked
    var targets: [UInt64] = []
    for kind in Kind.allCases {
      let own = parts[kind.rawValue]
      guard let first = own.first else { continue }
      owners += own.map(\.bytes)
      let isFinal = own.count == 1 && lists[first.section] == nil
      var area = Area(base: first.bytes.base, count: first.bytes.count)
      if !isFinal {
        area.count = own.reduce(0) { $0 + $1.bytes.count }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: area.count + 8, alignment: 8)
        copies.append(copy)
        holdsNames = holdsNames || kind == .strings || kind == .lineStrings
        for part in own {
          (copy + part.start).copyMemory(from: part.bytes.base, byteCount: part.bytes.count)
          guard case .object(let object) = source, let own = lists[part.section] else { continue }
          if targets.isEmpty { targets = DebugData.targets(object, bases) }
          for list in own {
            DebugData.relocate(copy + part.start, part.bytes.count, object, list, targets)
          }
        }
        area.base = UnsafeRawPointer(copy)
      }
      switch kind {
      case .info:
        info = area
        infoParts = own
        infoStart = first.bytes.base
      case .types: break
      case .abbreviations: abbreviations = area
      case .strings: strings = area
      case .lineStrings: lineStrings = area
      case .stringOffsets: stringOffsets = area
      case .addresses: addresses = area
      }
    }
  }

  deinit { for copy in copies { copy.deallocate() } }

  /// What a reference to each symbol means, without its addend.
  private static func targets(_ object: ObjectFile, _ bases: [Int]) -> [UInt64] {
    (0..<object.symbols.count).map { index in
      let symbol = object.symbols[index]
      switch object.place(ofSymbol: index) {
      case .section(let section):
        if bases[section] >= 0 { return UInt64(bases[section]) &+ symbol.st_value }
        return DebugPlace(section: section, offset: symbol.st_value).word
      case .common: return DebugPlace(section: -1, offset: UInt64(index)).word
      case .undefined, .absolute: return absent
      }
    }
  }

  private static func relocate(
    _ place: UnsafeMutableRawPointer, _ size: Int, _ object: ObjectFile, _ list: Int,
    _ targets: [UInt64]
  ) {
    let relocations = object.relocations(inSection: list)
    for index in 0..<relocations.count {
      let relocation = relocations[index]
      var width: UInt64
      switch relocation.type {
      case 1, 17: width = 8  // R_X86_64_64, R_X86_64_DTPOFF64
      case 10, 11, 21: width = 4  // R_X86_64_32, R_X86_64_32S, R_X86_64_DTPOFF32
      default: continue
      }
      // gcc relocates the lower half of DW_OP_const8u.
      if relocation.type == 21, relocation.r_offset > 0, relocation.r_offset < UInt64(size),
        place.load(fromByteOffset: Int(relocation.r_offset) - 1, as: UInt8.self) == 0x0E
      {
        width = 8
      }
      guard relocation.symbol < targets.count, relocation.r_offset <= UInt64(size),
        width <= UInt64(size) - relocation.r_offset
      else { continue }
      let target = targets[relocation.symbol]
      let value =
        target == absent && relocation.symbol != 0
        ? 0 : (target == absent ? 0 : target) &+ UInt64(bitPattern: relocation.r_addend)
      let to = place + Int(relocation.r_offset)
      if width == 8 {
        to.storeBytes(of: value, as: UInt64.self)
      } else {
        to.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
      }
    }
  }

  /// The text at an offset of `info`, where it stays when this is gone.
  func text(inInfo offset: Int) -> NameView? {
    if infoParts.count == 1 { return DebugData.text(infoStart, info.count, offset) }
    guard let part = infoParts.last(where: { $0.start <= offset }) else { return nil }
    return DebugData.text(part.bytes.base, part.bytes.count, offset - part.start)
  }

  /// A string at an offset of `.debug_str` or `.debug_line_str`. Those of several sections, or of packed
  /// ones, live as long as their owner.
  func text(_ area: Area, _ offset: UInt64) -> NameView? {
    DebugData.text(area.base, area.count, Int(clamping: offset))
  }

  /// Whether a text stands anywhere.
  func mentions(_ text: StaticString) -> Bool {
    [strings, info].contains { NameView(base: $0.base, count: $0.count).contains(text) }
  }

  private static func text(_ base: UnsafeRawPointer, _ count: Int, _ offset: Int) -> NameView? {
    guard offset >= 0, offset < count else { return nil }
    let start = (base + offset).assumingMemoryBound(to: CChar.self)
    let length = strnlen(start, count - offset)
    return length < count - offset ? NameView(base: base + offset, count: length) : nil
  }
}
