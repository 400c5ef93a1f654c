// One linked content of a unit, with what the next version of it will be compared to: where its
// variables are, and what their first bytes were.
internal import CLoaderSupport
internal import LoaderEngine

/// A unit as it was linked once.
final class UnitVersion: @unchecked Sendable {
  let linked: LinkedObject
  let group: TextGroup
  let images: InitialImages
  /// Sections' storage beyond their size, in bytes from their start, by section index.
  let rooms: [Int: UInt64]
  /// Tells debuggers and profilers that its code is there.
  let presence: DebuggerView.Presence?
  /// The generation that it came with.
  var generation = 1
  /// From the first to the last byte of its code. Asked for when it is about to be replaced.
  private(set) lazy var textRange = linked.textRange
  private(set) lazy var symbols = SymbolsBySection(linked.object)
  private(set) lazy var variables = VariableIndex(self)
  /// Made once, compared twice: as the new version and as the old one. On the linker's thread.
  private(set) lazy var functions = FunctionContents(linked.object)
  /// What debug data says of its types. Read by the guard when it was new, or at the first change of its unit.
  lazy var layouts = UnitLayouts(.object(linked.object))

  init(
    linked: LinkedObject, group: TextGroup, images: InitialImages, rooms: [Int: UInt64],
    presence: DebuggerView.Presence?
  ) {
    self.linked = linked
    self.presence = presence
    self.group = group
    self.images = images
    self.rooms = rooms
  }

  var object: ObjectFile { linked.object }

  /// The name under which a local function is known over generations.
  func identity(ofLocal symbol: Int) -> String {
    linked.identities[symbol] ?? object.name(ofSymbol: symbol).string
  }
}

/// The relocated first bytes of a version's writable sections.
final class InitialImages: @unchecked Sendable {
  private var buffers: [Int: UnsafeMutableRawBufferPointer] = [:]

  /// Room of pieces with memory of their own, by address, in bytes.
  var rooms: [UInt64: UInt64] = [:]

  deinit {
    for buffer in buffers.values { buffer.deallocate() }
  }

  /// Zeroed memory for a section's image.
  func make(_ section: Int, size: UInt64) -> UnsafeMutableRawPointer? {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(Int(size), 8), alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    buffers[section]?.deallocate()
    buffers[section] = buffer
    return buffer.baseAddress
  }

  /// The image of a section; nil when it is all zero.
  subscript(section: Int) -> UnsafeMutableRawPointer? { buffers[section]?.baseAddress }
}

/// By what a variable or constant is recognised in the next version of its unit.
struct VariableKey: Hashable {
  var name: String
  /// Which of several local symbols of that name.
  var ordinal: Int
  var isThreadLocal: Bool
}

/// Where a version's variables and constants are.
struct Variable {
  var symbol: Int
  var section: Int
  /// Offset in its section, bytes.
  var offset: UInt64
  var size: UInt64
  var address: UInt64
  /// Bytes it may grow to without touching another.
  var room: UInt64
}

/// The named data of a version. Most of the next version's variables are found by walking along (`VariableTwins`); names are
/// only made a table of when one is not. On the linker's thread.
final class VariableIndex {
  private let linked: LinkedObject
  private(set) var list: [Variable] = []
  /// Places in the list, by symbol.
  private var places: [Int32]
  private lazy var table = Dictionary(
    list.map { (VariableIndex.key(linked, $0.symbol), $0) }, uniquingKeysWith: { _, last in last })

  init(_ version: UnitVersion) {
    let linked = version.linked
    self.linked = linked
    let object = linked.object
    places = [Int32](repeating: -1, count: object.symbols.count)
    for section in linked.roles.indices {
      let role = linked.roles[section]
      guard role.holdsData else { continue }
      let map = DataMap(object, section: section, symbols: version.symbols[section])
      for (position, atom) in map.atoms.enumerated() {
        guard let symbol = atom.symbol,
          let address = linked.address(section: section, offset: atom.offset)
        else { continue }
        let room = VariableIndex.room(version, section, map, position)
        add(
          Variable(
            symbol: symbol, section: section, offset: atom.offset, size: atom.size,
            address: address, room: room))
        for name in atom.aliases {
          let value = object.symbols[name].st_value
          let inside = value - atom.offset
          add(
            Variable(
              symbol: name, section: section, offset: value,
              size: min(object.symbols[name].st_size, atom.size - inside),
              address: address &+ inside, room: room - min(room, inside)))
        }
      }
    }
    // COMMON symbols have storage of their own.
    for (symbol, address) in linked.commons {
      let size = object.symbols[symbol].st_size
      add(
        Variable(
          symbol: symbol, section: -1, offset: 0, size: size, address: address,
          room: DataRoom.capacity(size)))
    }
  }

  private func add(_ variable: Variable) {
    places[variable.symbol] = Int32(truncatingIfNeeded: list.count)
    list.append(variable)
  }

  subscript(key: VariableKey) -> Variable? { table[key] }
  var all: [VariableKey: Variable] { table }

  /// The variable of a symbol.
  subscript(symbol symbol: Int) -> Variable? {
    places[symbol] < 0 ? nil : list[Int(places[symbol])]
  }

  static func key(_ linked: LinkedObject, _ symbol: Int) -> VariableKey {
    let object = linked.object
    return VariableKey(
      name: linked.identities[symbol] ?? object.name(ofSymbol: symbol).string,
      ordinal: symbol < object.firstGlobal ? linked.ordinal(ofLocal: symbol) : 0,
      isThreadLocal: object.symbols[symbol].isThreadLocal)
  }

  private static func isZero(_ linked: LinkedObject, _ section: Int) -> Bool {
    linked.roles[section] == .bss || linked.roles[section] == .threadBSS
  }

  private static func room(
    _ version: UnitVersion, _ section: Int, _ map: DataMap, _ position: Int
  ) -> UInt64 {
    let atom = map.atoms[position]
    let linked = version.linked
    // Bytes behind it that no symbol names may be a literal; in .bss they are padding.
    if let pieces = linked.pieces[section] {
      return version.pieceRoom(section, pieces.find(atom.offset)) ?? atom.size
    }
    if position + 1 < map.atoms.count {
      let next = map.atoms[(position + 1)...].first { $0.symbol != nil || !isZero(linked, section) }
      if let next { return next.symbol == nil ? atom.size : next.offset - atom.offset }
    }
    let size = linked.object.sections[section].size
    let own = linked.roles[section].isState ? DataRoom.capacity(size) : size
    let end = version.rooms[section] ?? own
    return end - atom.offset
  }
}

extension UnitVersion {
  /// Notes the first bytes of variables that were given new memory. After relocation, before any code
  /// of the unit has run.
  func captureImages(_ arena: Arena) {
    for section in object.sections.indices {
      let role = linked.roles[section]
      for piece in linked.pieces[section]?.pieces ?? [] where role.isState {
        if images.rooms[piece.address] == nil {
          images.rooms[piece.address] = DataRoom.capacity(piece.size)
        }
      }
      guard role == .data || (role == .encapsulated && object.sections[section].isWritable) else {
        continue
      }
      let size = object.sections[section].size
      if let table = linked.pieces[section] {
        guard let image = images[section] else { continue }
        for piece in table.pieces {
          let inImage = image + Int(piece.offset)
          if let place = piece.place, place != inImage {
            inImage.copyMemory(from: place, byteCount: Int(piece.size))
          }
        }
      } else if images[section] == nil, let place = linked.places[section] {
        images.make(section, size: size)?.copyMemory(from: place, byteCount: Int(size))
      }
    }
  }

  /// The room of a piece that was given memory of its own.
  func pieceRoom(_ section: Int, _ piece: Piece?) -> UInt64? {
    guard let piece else { return nil }
    return images.rooms[piece.address] ?? piece.size
  }
}

extension SectionRole {
  /// Whether symbols in it are variables or constants with an identity.
  var holdsData: Bool {
    switch self {
    case .data, .bss, .constant, .encapsulated, .threadData, .threadBSS: true
    default: false
    }
  }
}
