// Units that are not linked until one of their functions is called: their functions have stubs that lead
// to the lazy resolver, and their data is linked the moment somebody refers to it. Ten thousand objects
// start in time proportional to what is used.
internal import CLoaderSupport
internal import LoaderEngine

/// Known, not linked.
struct LazyUnits {
  private(set) var waiting: [UInt32: (unit: Unit, object: ObjectFile)] = [:]
  private var dataOwner: [SymbolID: UInt32] = [:]

  var isEmpty: Bool { waiting.isEmpty }

  /// Whether nothing of an object has to happen before one of its functions is called: no initialisers,
  /// no records for a runtime, nothing that several objects share.
  static func canWait(_ object: ObjectFile) -> Bool {
    guard object.groups.isEmpty else { return false }
    for (section, role) in SectionRole.all(of: object).enumerated() {
      if role == .text, SectionRole.isFragment(object, section) { return false }
      if role.isInitialiserTable || role.isThreadLocal || role == .encapsulated { return false }
    }
    for index in object.firstGlobal..<object.symbols.count {
      switch object.place(ofSymbol: index) {
      case .undefined: continue
      case .common: return false
      case .absolute, .section:
        if object.symbols[index].binding != UInt8(STB_GLOBAL) { return false }
        if object.symbols[index].type == UInt8(STT_GNU_IFUNC) { return false }
      }
    }
    return true
  }

  /// Notes a unit and defines what it has in `draft`: functions by their stubs, data without a place.
  ///
  /// - Throws: `LinkError.duplicate`.
  mutating func add(
    _ unit: Unit, _ object: ObjectFile, to draft: borrowing SymbolTable.Draft, _ space: LinkSpace,
    name: (UInt32) -> String
  ) throws(LinkError) {
    for index in object.firstGlobal..<object.symbols.count {
      guard object.place(ofSymbol: index) != .undefined else { continue }
      let id = space.id(of: object, index)
      if let other = draft[id], !other.isWeak {
        var conflicts = LinkError.SymbolConflicts()
        conflicts.duplicates = [
          LinkError.Duplicate(
            symbol: space.names[id].string, first: place(of: id, other.unit, name, space),
            second: object.definitionPlace(index))
        ]
        throw LinkError(file: object.name, .conflicts(conflicts))
      }
      let isFunction = LazyUnits.isFunction(object, index)
      var slot = SlotIndex.none
      if isFunction {
        slot = try space.slots.slot(of: id)
      } else {
        dataOwner[id] = unit.id
      }
      var definition = Definition(
        address: 0, size: object.symbols[index].st_size, unit: unit.id,
        kind: isFunction ? .function : .data, isWeak: false)
      definition.slot = slot.value
      draft.define(id, definition)
    }
    waiting[unit.id] = (unit, object)
  }

  private func place(
    of id: SymbolID, _ unit: UInt32, _ name: (UInt32) -> String, _ space: LinkSpace
  ) -> LinkError.Place {
    guard let object = waiting[unit]?.object,
      let index = (object.firstGlobal..<object.symbols.count).first(where: {
        object.place(ofSymbol: $0) != .undefined && space.id(of: object, $0) == id
      })
    else { return LinkError.Place(file: name(unit)) }
    return object.definitionPlace(index)
  }

  private static func isFunction(_ object: ObjectFile, _ index: Int) -> Bool {
    guard case .section(let section) = object.place(ofSymbol: index) else { return false }
    return object.sections[section].isExecutable
  }

  /// Takes out the units whose data the given objects refer to, and those that these refer to in turn.
  mutating func pull(for objects: [ObjectFile], _ space: LinkSpace) -> [(
    unit: Unit, object: ObjectFile
  )] {
    guard !dataOwner.isEmpty else { return [] }
    var pulled: [(unit: Unit, object: ObjectFile)] = []
    var queue = objects
    while let object = queue.popLast() {
      for index in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: index) == .undefined {
        let id = space.id(of: object, index)
        guard let owner = dataOwner[id], let found = waiting[owner] else { continue }
        remove(owner)
        pulled.append(found)
        queue.append(found.object)
      }
    }
    return pulled
  }

  mutating func remove(_ unit: UInt32) {
    waiting[unit] = nil
  }
}
