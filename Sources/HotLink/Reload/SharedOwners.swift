// Who owns what several units define: COMDAT groups of inline functions, templates, inline variables. One of them
// supplies it, or the process, and the others' copies are dropped, which is only right while they are alike.
internal import CLoaderSupport
internal import LoaderEngine

extension ChangeSet {
  /// Who owns each COMDAT group that an object of this set has.
  ///
  /// - Parameter known: who owned them in the last generation.
  func comdatOwners(_ known: [SymbolID: UInt32], _ space: LinkSpace) -> [SymbolID: UInt32] {
    var owners: [SymbolID: UInt32] = [:]
    var candidates: [SymbolID: [UInt32]] = [:]
    // Variables that the process has in another size than one of the objects.
    var own: Set<SymbolID> = []
    for (unit, object) in linked {
      for group in object.groups where group.isComdat {
        let id = space.names.intern(object.signature(of: group))
        candidates[id, default: []].append(unit.id)
        if let owner = known[id] {
          if owner == LinkOptions.hostUnit { owners[id] = owner }
        } else if let size = space.sizeInHost(group, of: object) {
          owners[id] = LinkOptions.hostUnit
          if size != object.symbols[group.signature].st_size { own.insert(id) }
        }
      }
    }
    for (id, units) in candidates where owners[id] == nil || own.contains(id) {
      if let owner = known[id], !has(owner) || units.contains(owner) {
        owners[id] = owner
      } else {
        owners[id] = units[0]
      }
    }
    return owners
  }

  func discardedSections(
    _ object: ObjectFile, _ unit: UInt32, _ owners: [SymbolID: UInt32], _ space: LinkSpace
  ) -> Set<Int> {
    var discarded: Set<Int> = []
    for group in object.groups where group.isComdat {
      if owners[space.names.intern(object.signature(of: group))] != unit {
        discarded.formUnion(group.members)
      }
    }
    return discarded
  }

  /// An edit that gives a variable another size than its owner's: code of this unit would reach beyond it. Debug data tells
  /// more (`LayoutGuard`); this holds without it.
  ///
  /// - Parameter table: the last generation.
  /// - Throws: `StateRefusal` for the first one.
  func refuseResized(
    _ owners: [SymbolID: UInt32], _ program: Program, _ table: SymbolTable
  ) throws(StateRefusal) {
    guard table.count > 0 else { return }
    let space = program.space
    var sizes: [SymbolID: UInt64] = [:]
    var copies: [(id: SymbolID, unit: Unit, object: ObjectFile, group: SectionGroup)] = []
    for (unit, object) in linked {
      for group in object.groups where object.variable(of: group) != nil {
        let id = space.names.intern(object.signature(of: group))
        if owners[id] == unit.id {
          sizes[id] = object.symbols[group.signature].st_size
        } else if unit.version?.object !== object {
          copies.append((id, unit, object, group))
        }
      }
    }
    for (id, unit, object, group) in copies {
      guard let owner = owners[id] else { continue }
      let isHost = owner == LinkOptions.hostUnit
      let name = space.names[id]
      let own = object.symbols[group.signature].st_size
      let known = isHost ? space.host.find(id, name)?.size : sizes[id] ?? table[id]?.size
      guard let known, known != own, unit.version?.object.sizeOfShared(name) != own else {
        continue
      }
      throw StateRefusal(
        unit: unit.name, symbol: name.string,
        reason: .sharedInAnotherSize(
          from: known, to: own, owner: isHost ? nil : program.name(ofUnit: owner)))
    }
  }
}

extension ObjectFile {
  /// Bytes of a variable or constant that one of its COMDAT groups is for.
  fileprivate func sizeOfShared(_ name: NameView) -> UInt64? {
    groups.first { variable(of: $0) != nil && signature(of: $0) == name }.map {
      symbols[$0.signature].st_size
    }
  }
}
