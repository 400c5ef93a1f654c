// Which functions an edit changed: by content, with the holes of relocations masked and what they refer
// to compared by meaning, so that a literal's new text counts and a variable's new offset does not.
internal import CLoaderSupport
internal import Glibc
internal import LoaderEngine

/// The functions of an object by name and content.
struct FunctionContents {
  private(set) var fingerprints: [String: UInt64] = [:]

  private init() {}
  /// An object without functions.
  static let none = FunctionContents()

  init(_ object: ObjectFile) {
    let symbols = SymbolsBySection(object)
    let roles = SectionRole.all(of: object)
    let ordinals = LocalOrdinals(object)
    var meanings = ReferenceMeanings(object, symbols, roles)
    var relocationLists: [Int: [Int]] = [:]
    for list in object.relocationSections {
      relocationLists[Int(object.sections[list].info), default: []].append(list)
    }
    for section in roles.indices where roles[section] == .text {
      guard let bytes = object.contents(ofSection: section) else { continue }
      var copy = bytes.array
      var notes: [(offset: UInt64, note: UInt64)] = []
      for list in relocationLists[section] ?? [] {
        let relocations = object.relocations(inSection: list)
        notes.reserveCapacity(notes.count + relocations.count)
        for index in 0..<relocations.count {
          let relocation = relocations[index]
          let type = Int(relocation.type)
          let width = type < FunctionContents.widths.count ? Int(FunctionContents.widths[type]) : 0
          let at = Int(clamping: relocation.r_offset)
          guard at <= copy.count - width, relocation.symbol < object.symbols.count else { continue }
          for byte in at..<(at + width) { copy[byte] = 0 }
          let bias = OperandField.bias(bytes, relocation.r_offset, relocation.type)
          notes.append((relocation.r_offset, meanings.note(relocation, bias: bias)))
        }
      }
      notes.sort { $0.offset < $1.offset }
      let functions = symbols[section].filter { object.symbols[$0].isFunction }
      fingerprints.reserveCapacity(fingerprints.count + functions.count)
      BareTargets.mask(&copy, object, functions)
      let masked = Bytes(FileContents(copy))
      for function in functions {
        let symbol = object.symbols[function]
        var hash = FunctionContents.start
        let extent = object.extent(ofSymbol: function)
        let body = masked.slice(extent.lowerBound, extent.upperBound - extent.lowerBound)
        FunctionContents.mix(&hash, body?.hash ?? 0)
        var low = notes.partition(from: symbol.st_value)
        while low < notes.count, notes[low].offset < extent.upperBound {
          FunctionContents.mix(&hash, notes[low].offset - symbol.st_value)
          FunctionContents.mix(&hash, notes[low].note)
          low += 1
        }
        let name = object.name(ofSymbol: function).string
        let ordinal = function < object.firstGlobal ? ordinals[function] : 0
        fingerprints[ordinal == 0 ? name : "\(name)#\(ordinal)"] = hash
      }
    }
  }

  /// Bytes of the field of each relocation type.
  private static let widths = (0..<X86_64.typeCount).map {
    UInt8(X86_64.row(UInt32($0))?.field.width ?? 0)
  }

  static let start: UInt64 = 0xCBF2_9CE4_8422_2325
  static func mix(_ hash: inout UInt64, _ value: UInt64) {
    hash = (hash ^ value) &* 0x100_0000_01B3
    hash ^= hash >> 29
  }

  static func mix(_ hash: inout UInt64, _ name: NameView) {
    for index in 0..<name.count { mix(&hash, UInt64(name[index])) }
  }

  /// Names that are in `self` but not in `other`, with another content in both, and the reverse.
  func compared(to old: FunctionContents) -> FunctionChanges {
    var changed: [String] = []
    var added: [String] = []
    for (name, hash) in fingerprints {
      switch old.fingerprints[name] {
      case nil: added.append(name)
      case hash?: break
      default: changed.append(name)
      }
    }
    let removed = old.fingerprints.keys.filter { fingerprints[$0] == nil }
    return FunctionChanges(
      changed: changed.sorted(), added: added.sorted(), removed: removed.sorted())
  }
}

/// Names of functions, sorted.
struct FunctionChanges {
  var changed: [String]
  var added: [String]
  var removed: [String]
}

extension [(offset: UInt64, note: UInt64)] {
  fileprivate func partition(from offset: UInt64) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if self[middle].offset < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// What a relocation refers to, as a number that is the same in two versions if the meaning is.
private struct ReferenceMeanings {
  private let object: ObjectFile
  private let roles: [SectionRole]
  private let symbols: SymbolsBySection
  // Made once a section, and once a symbol (0: not asked for yet).
  private var maps: [Int: DataMap] = [:]
  private var names: [UInt64]
  /// gcc numbers the variables of functions: another number is no other variable.
  private let areNumbered: Bool

  init(_ object: ObjectFile, _ symbols: SymbolsBySection, _ roles: [SectionRole]) {
    self.object = object
    self.symbols = symbols
    self.roles = roles
    names = [UInt64](repeating: 0, count: object.symbols.count)
    areNumbered = LocalStatics.areNumbered(in: object)
  }

  /// - Parameter bias: how far the addend lies before the offset it means.
  mutating func note(_ relocation: Relocation, bias: Int64) -> UInt64 {
    var hash = FunctionContents.start
    FunctionContents.mix(&hash, UInt64(relocation.type))
    let symbol = object.symbols[relocation.symbol]
    guard case .section(let section) = object.place(ofSymbol: relocation.symbol) else {
      return named(relocation, hash)
    }
    switch roles[section] {
    case .mergedStrings, .mergedConstants:
      return content(section, symbol.st_value, relocation, hash)
    case .constant where symbol.type == UInt8(STT_SECTION):
      let offset = UInt64(bitPattern: relocation.r_addend &+ bias)
      if let owner = owner(section, offset) { return named(owner, offset, hash) }
      return content(section, offset, relocation, hash)
    case _ where symbol.type == UInt8(STT_SECTION):
      let offset = UInt64(bitPattern: relocation.r_addend &+ bias)
      if let owner = owner(section, offset) { return named(owner, offset, hash) }
      FunctionContents.mix(&hash, UInt64(bitPattern: relocation.r_addend))
      return hash
    default:
      return named(relocation, hash)
    }
  }

  private mutating func owner(_ section: Int, _ offset: UInt64) -> Int? {
    if maps[section] == nil {
      maps[section] = DataMap(object, section: section, symbols: symbols[section])
    }
    guard let map = maps[section] else { return nil }
    return map.index(of: offset).flatMap { map.atoms[$0].symbol }
  }

  private mutating func named(_ relocation: Relocation, _ start: UInt64) -> UInt64 {
    var hash = start
    mixName(&hash, relocation.symbol)
    FunctionContents.mix(&hash, UInt64(bitPattern: relocation.r_addend))
    return hash
  }

  private mutating func named(_ symbol: Int, _ offset: UInt64, _ start: UInt64) -> UInt64 {
    var hash = start
    mixName(&hash, symbol)
    FunctionContents.mix(&hash, offset - object.symbols[symbol].st_value)
    return hash
  }

  private mutating func mixName(_ hash: inout UInt64, _ symbol: Int) {
    if names[symbol] == 0 { names[symbol] = nameHash(symbol) | 1 }
    FunctionContents.mix(&hash, names[symbol])
  }

  private func nameHash(_ symbol: Int) -> UInt64 {
    var hash = FunctionContents.start
    let view = object.name(ofSymbol: symbol)
    // A closure's position is not its meaning, nor the number of a function's variable.
    guard PositionalName.mayBe(view) || (areNumbered && symbol < object.firstGlobal) else {
      FunctionContents.mix(&hash, view)
      return hash
    }
    let name = view.string
    var meaning = PositionalName(name).map { $0.family + $0.rest } ?? name
    if areNumbered, symbol < object.firstGlobal, let part = VariableParts.part(name) {
      meaning = part.whole
    }
    for byte in meaning.utf8 { FunctionContents.mix(&hash, UInt64(byte)) }
    return hash
  }

  /// A literal by its bytes: up to the NUL, or the record; at most 256.
  private func content(
    _ section: Int, _ offset: UInt64, _ relocation: Relocation, _ start: UInt64
  ) -> UInt64 {
    var hash = start
    guard let bytes = object.contents(ofSection: section), offset < UInt64(bytes.count) else {
      return hash
    }
    let isString = roles[section] != .mergedConstants
    let most = isString ? 256 : object.sections[section].entrySize
    let width = roles[section] == .mergedStrings ? object.sections[section].entrySize : 1
    var zeroes: UInt64 = 0
    for index in 0..<min(most, UInt64(bytes.count) - offset) {
      guard let byte = bytes.load(UInt8.self, at: offset + index) else { break }
      FunctionContents.mix(&hash, UInt64(byte))
      zeroes = byte == 0 ? zeroes + 1 : 0
      // A character that is zero ends it, not one with a zero in it.
      if isString, (index + 1) % width == 0, zeroes >= width { break }
    }
    return hash
  }
}

/// Displacements between functions of one section, which shift when a neighbour grows.
private enum BareTargets {
  /// Replaces the displacement of each direct call or jump out of its function by the name it goes to.
  static func mask(_ code: inout [UInt8], _ object: ObjectFile, _ functions: [Int]) {
    guard functions.count > 1 else { return }
    // Symbols by where they begin, made when something leaves its function.
    lazy var byStart = [Int: Int](
      functions.map { (Int(object.symbols[$0].st_value), $0) }, uniquingKeysWith: { $1 })
    for function in functions {
      let extent = object.extent(ofSymbol: function)
      let (start, end) = (Int(extent.lowerBound), Int(extent.upperBound))
      var at = start
      while let hit = BareBranches.next(in: code.span, from: at, low: start, end: end) {
        at = hit.opcode + 1
        guard hit.target < start || hit.target >= end, let callee = byStart[hit.target] else {
          continue
        }
        var hash = FunctionContents.start
        FunctionContents.mix(&hash, object.name(ofSymbol: callee))
        for byte in 0..<4 {
          code[hit.field + byte] = UInt8(truncatingIfNeeded: hash >> (byte * 8))
        }
        at = hit.field + 4
      }
    }
  }
}
