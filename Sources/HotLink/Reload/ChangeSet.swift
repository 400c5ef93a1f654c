// The units that one reload links: those that changed, and those that must follow because something
// they refer to moved or went away.
internal import CLoaderSupport
internal import LoaderEngine

struct ChangeSet {
  private(set) var linked: [(unit: Unit, object: ObjectFile)] = []
  /// Shared objects that replace another build of themselves.
  private(set) var libraries: [(unit: Unit, file: LibraryFile)] = []
  private(set) var removedUnits: [Unit] = []
  let changedNames: [String]
  private var ids: Set<UInt32> = []
  /// Units of this set that were known but not linked, with the content they had then.
  private(set) var wasWaiting: [(unit: Unit, object: ObjectFile)] = []
  /// Whether anything of an older generation is replaced.
  var replaces: Bool { !removedUnits.isEmpty || linked.contains { $0.unit.version != nil } }

  init(_ program: Program, _ changes: [UnitChange]) {
    changedNames = changes.map(\.name)
    program.expectUnits(changes.count)
    for change in changes {
      if let object = change.object {
        add(program.makeUnit(change.name), object)
      } else if case .library(let file)? = change.content {
        guard let unit = program.unit(named: change.name) else { continue }
        libraries.append((unit, file))
        ids.insert(unit.id)
      } else if let unit = program.unit(named: change.name),
        change.content == nil,
        unit.version != nil || unit.library != nil || program.isWaiting(unit)
      {
        removedUnits.append(unit)
        ids.insert(unit.id)
      }
    }
  }

  var objects: [ObjectFile] { linked.map(\.object) }
  func contains(_ unit: Unit) -> Bool { ids.contains(unit.id) }

  func has(_ unit: UInt32) -> Bool { ids.contains(unit) }

  /// Whether a unit of this set gets a new content.
  func changes(_ unit: UInt32) -> Bool {
    ids.contains(unit) && !removedUnits.contains { $0.id == unit }
  }

  mutating func add(_ unit: Unit, _ object: ObjectFile) {
    guard ids.insert(unit.id).inserted else { return }
    linked.append((unit, object))
  }

  /// Brings the units into the order of the files that they came in.
  mutating func sort(by position: (Unit) -> Int) {
    let positions = linked.map { position($0.unit) }
    // As they came, mostly.
    guard zip(positions, positions.dropFirst()).contains(where: >) else { return }
    let order = linked.indices.sorted { (positions[$0], $0) < (positions[$1], $1) }
    linked = order.map { linked[$0] }
  }

  /// Links units that waited: because they changed, or because their data is needed.
  mutating func noteWaiting(_ units: [(unit: Unit, object: ObjectFile)]) { wasWaiting += units }

  /// Takes out the units that satisfy a condition.
  mutating func setAside(where canWait: (ObjectFile) -> Bool) -> [(unit: Unit, object: ObjectFile)]
  {
    var aside: [(unit: Unit, object: ObjectFile)] = []
    var staying: [(unit: Unit, object: ObjectFile)] = []
    for entry in linked {
      if canWait(entry.object) { aside.append(entry) } else { staying.append(entry) }
    }
    linked = staying
    for (unit, _) in aside { ids.remove(unit.id) }
    return aside
  }

  /// The old table without the symbols of units that are linked anew or gone.
  func tableWithoutChangedUnits(_ table: SymbolTable, _ space: LinkSpace) -> SymbolTable {
    let draft = SymbolTable.Draft(from: table)
    for unit in linked.map(\.unit) + removedUnits {
      guard let version = unit.version else { continue }
      for id in version.linked.globals.array where draft[id]?.unit == unit.id { draft.remove(id) }
    }
    for (unit, object) in wasWaiting {
      for index in object.firstGlobal..<object.symbols.count {
        let id = space.id(of: object, index)
        if draft[id]?.unit == unit.id { draft.remove(id) }
      }
    }
    return draft.table
  }

  /// Global data that another unit of the change had: it may have moved to another file.
  func variableElsewhere(_ name: NameView, _ asking: Unit) -> Variable? {
    let key = VariableKey(name: name.string, ordinal: 0, isThreadLocal: false)
    for unit in linked.map(\.unit) + removedUnits where unit !== asking {
      guard let variable = unit.version?.variables[key], let version = unit.version,
        variable.symbol >= version.object.firstGlobal
      else { continue }
      return variable
    }
    return nil
  }

  func keptCommons(_ table: SymbolTable, _ space: LinkSpace) throws -> [SymbolID: UInt64] {
    var kept: [SymbolID: UInt64] = [:]
    guard table.count > 0 else { return kept }
    for (unit, object) in linked {
      for index in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: index) == .common {
        let id = space.id(of: object, index)
        guard let old = table[id], old.kind == .data, old.address != 0 else { continue }
        let size = object.symbols[index].st_size
        guard size <= old.size || (old.isCommon && size <= DataRoom.capacity(old.size)) else {
          throw StateRefusal(
            unit: unit.name, symbol: object.name(ofSymbol: index).string,
            reason: .noRoomToGrow(
              from: old.size, to: size,
              room: old.isCommon ? DataRoom.capacity(old.size) : old.size))
        }
        kept[id] = old.address
      }
    }
    return kept
  }

  /// Adds units that bind to data which moved, or that hold another copy of what went away.
  ///
  /// - Returns: whether there are any, so that the link must be done again with them.
  /// - Throws: `StateRefusal` for data that went away and is still referred to.
  mutating func addDependents(
    of set: LinkedSet, _ old: SymbolTable, _ units: [Unit], _ libraries: [LibraryLink],
    _ space: LinkSpace
  ) throws -> Bool {
    var moved: Set<SymbolID> = []
    var turned: Set<SymbolID> = []
    var gone: Set<SymbolID> = []
    for unit in linked.map(\.unit) + removedUnits + libraries.map(\.unit) {
      let defined =
        unit.version.map { $0.linked.globals.array } ?? unit.library?.exports.map(\.id) ?? []
      for id in defined {
        guard let before = old[id], before.unit == unit.id else { continue }
        guard let now = set.definition(of: id) else {
          gone.insert(id)
          continue
        }
        if now.turns(before) { turned.insert(id) }
        if now.kind != before.kind || (before.kind != .function && now.address != before.address) {
          moved.insert(id)
        }
      }
    }
    var fresh = set.newlyDefined(since: old)
    fresh.formUnion(libraries.flatMap(\.exports).map(\.id).filter { old[$0] == nil })
    guard !moved.isEmpty || !gone.isEmpty || !fresh.isEmpty else { return false }
    var added = false
    for unit in units where !ids.contains(unit.id) {
      guard let version = unit.version else { continue }
      let object = version.object
      for (offset, id) in version.linked.globals.array.enumerated() {
        let index = object.firstGlobal + offset
        let isReference = object.place(ofSymbol: index) == .undefined
        if isReference, turned.contains(id), let before = old[id] {
          throw StateRefusal(turned: before, space.names[id].string, by: unit.name)
        }
        let follows =
          (isReference && moved.contains(id)) || (!isReference && gone.contains(id))
          || (isReference && gone.contains(id) && object.symbols[index].isWeakBinding)
          || (isReference && fresh.contains(id)
            && (space.host.knows(id) || object.symbols[index].isWeakBinding))
        if follows {
          add(unit, object)
          added = true
          break
        }
        if isReference, gone.contains(id), let before = old[id], before.kind != .function {
          throw StateRefusal(
            unit: unit.name, symbol: space.names[id].string,
            reason: .stillReferenced(by: [unit.name]))
        }
      }
    }
    return added
  }

  /// Slots of functions that nobody defines any more: they lead to the lazy resolver.
  func slotsToClear(_ set: LinkedSet, _ old: SymbolTable, _ space: LinkSpace) -> [SlotTable.Change]
  {
    var changes: [SlotTable.Change] = []
    for unit in linked.map(\.unit) + removedUnits {
      guard let version = unit.version else { continue }
      for id in version.linked.globals.array {
        guard let before = old[id], before.unit == unit.id, before.kind == .function,
          set.definition(of: id) == nil, let slot = space.slots.existingSlot(of: id)
        else { continue }
        changes.append(SlotTable.Change(slot, 0))
      }
      changes += localSlotChanges(version, set)
    }
    return changes
  }

  /// Local functions whose address somebody has: to the new body of that name, or left to the old one,
  /// which then must stay.
  private func localSlotChanges(_ old: UnitVersion, _ set: LinkedSet) -> [SlotTable.Change] {
    guard !old.linked.localSlots.isEmpty else { return [] }
    guard let new = set.objects.first(where: { $0.unit == old.linked.unit }) else {
      old.linked.codeEscapes = true
      return []
    }
    var bodies: [VariableKey: Int] = [:]
    for index in 1..<max(new.object.firstGlobal, 1) where new.object.symbols[index].isFunction {
      bodies[VariableIndex.key(new, index)] = index
    }
    return old.linked.localSlots.compactMap { symbol, slot in
      guard let index = bodies[VariableIndex.key(old.linked, symbol)],
        let body = new.address(ofSymbol: index)
      else {
        old.linked.codeEscapes = true
        return nil
      }
      new.localSlots[index] = slot
      return SlotTable.Change(slot, body)
    }
  }
}
