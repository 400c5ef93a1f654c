// First step of a link: what every section is, who owns each COMDAT group, who defines each symbol.
internal import CLoaderSupport

extension LinkedSet {
  /// gABI, “Symbol Table”: strong beats weak, weak beats COMMON's absence, the first weak one wins.
  func buildGraph() throws(LinkError) {
    for (index, linked) in objects.enumerated() {
      classify(linked, inputs[index].placements)
      numberGlobals(linked)
      chooseGroups(linked)
      try define(linked)
    }
  }

  private func classify(_ linked: LinkedObject, _ placements: [Int: SectionPlacement]) {
    linked.roles = SectionRole.all(of: linked.object)
    for (section, placement) in placements {
      if case .omitted = placement { linked.roles[section] = .ignored }
    }
  }

  private func numberGlobals(_ linked: LinkedObject) {
    let object = linked.object
    linked.globals.reserveCapacity(object.symbols.count - object.firstGlobal)
    for index in object.firstGlobal..<object.symbols.count {
      linked.globals.append(space.names.intern(object.name(ofSymbol: index)))
    }
  }

  private func chooseGroups(_ linked: LinkedObject) {
    for group in linked.object.groups where group.isComdat {
      let signature = space.names.intern(linked.object.signature(of: group))
      let owner = options.comdatOwner(signature) ?? comdatOwners[signature]
      if let owner, owner != linked.unit {
        for member in group.members { linked.roles[member] = .ignored }
      } else {
        comdatOwners[signature] = linked.unit
      }
    }
  }

  private func define(_ linked: LinkedObject) throws(LinkError) {
    let object = linked.object
    for index in object.firstGlobal..<object.symbols.count {
      let kind = linked.kind(ofSymbol: index)
      guard kind != .none else { continue }
      let symbol = object.symbols[index]
      let isWeak = symbol.binding == UInt8(STB_WEAK) || symbol.binding == UInt8(STB_GNU_UNIQUE)
      let isCommon = object.place(ofSymbol: index) == .common
      let id = linked.globalID(index)
      var own = Definition(
        address: 0, size: symbol.st_size, unit: linked.unit, kind: kind, isWeak: isWeak,
        isCommon: isCommon)
      own.isUntyped = kind == .function && symbol.type == UInt8(STT_NOTYPE)
      guard let other = draft[id] else {
        draft.define(id, own)
        continue
      }
      if other.unit == linked.unit { continue }
      if other.isCommon && isCommon {
        own.size = max(own.size, other.size)
        if own.size > other.size, unitIndex[other.unit] != nil { draft.define(id, own) }
        continue
      }
      if isWeak || (isCommon && !other.isWeak) { continue }
      if other.isWeak || other.isCommon {
        draft.define(id, own)
        continue
      }
      throw LinkError(
        file: object.name,
        .duplicate(
          symbol: object.name(ofSymbol: index).string, first: name(ofUnit: other.unit),
          second: object.name))
    }
  }

  func name(ofUnit unit: UInt32) -> String {
    unitIndex[unit].map { objects[$0].object.name } ?? options.unitName(unit)
  }
}
