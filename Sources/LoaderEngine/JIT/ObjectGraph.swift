// First step of a link: what every section is, who owns each COMDAT group, who defines each symbol.
internal import CLoaderSupport
internal import Synchronization

extension LinkedSet {
  /// gABI, “Symbol Table”: strong beats weak, weak beats COMMON's absence, the first weak one wins.
  func buildGraph() throws(LinkError) {
    for (name, address) in options.defines {
      draft.define(
        space.names.intern(name),
        Definition(
          address: address, size: 0, unit: LinkOptions.definesUnit, kind: .absolute,
          isWeak: false))
    }
    numberGlobals()
    hideNames()
    space.versions.settle(objects)
    for (index, linked) in objects.enumerated() {
      classify(linked, inputs[index].placements)
      chooseGroups(linked)
      dropFollowers(linked)
      define(linked)
    }
  }

  private func classify(_ linked: LinkedObject, _ placements: [Int: SectionPlacement]) {
    for (section, placement) in placements {
      if case .omitted = placement { linked.roles[section] = .ignored }
    }
  }

  /// Names whose numbers the processor looks for at once.
  private static let namesAhead = 8

  /// Names are measured and hashed object by object, side by side, with what their sections are; numbers are given in order.
  private func numberGlobals() {
    var starts: [Int] = []
    var count = 0
    for linked in objects {
      starts.append(count)
      count += linked.globals.count
    }
    LinkSteps.add(count)
    let names = Column(repeating: HashedName(), count: count)
    defer { names.deallocate() }
    let functions = Atomic(0)
    let definitions = Atomic(0)
    Workers.share(objects.count, by: 32) { part in
      var found = (functions: 0, definitions: 0)
      for index in part {
        let object = objects[index].object
        objects[index].classify()
        let first = starts[index] - object.firstGlobal
        for symbol in object.firstGlobal..<object.symbols.count {
          names[first + symbol] = HashedName(object.name(ofSymbol: symbol))
          guard object.symbols[symbol].definesAlone else { continue }
          found.definitions += 1
          if object.symbols[symbol].isFunction { found.functions += 1 }
        }
      }
      functions.wrappingAdd(found.functions, ordering: .relaxed)
      definitions.wrappingAdd(found.definitions, ordering: .relaxed)
    }
    // Later links mostly have names and slots.
    guard options.isPermanent else { return giveNumbers(names, starts) }
    let slots = functions.load(ordering: .relaxed)
    space.names.reserve(definitions.load(ordering: .relaxed))
    if objects.count > LinkedSet.groupingLimit, !options.bindsDirectly {
      // Where there is no room, whoever wants one says so.
      slotsAhead = Errand { [space] in try? space.slots.reserve(slots) }
    }
    giveNumbers(names, starts)
  }

  private func giveNumbers(_ names: Column<HashedName>, _ starts: [Int]) {
    for (index, linked) in objects.enumerated() {
      for symbol in linked.globals.indices {
        let place = starts[index] + symbol
        let name = names[place]
        if place + LinkedSet.namesAhead < names.count {
          space.names.prefetch(names[place + LinkedSet.namesAhead])
        }
        linked.globals[symbol] =
          name.isVersioned
          ? space.id(of: linked.object, symbol + linked.object.firstGlobal)
          : space.names.intern(name)
      }
    }
  }

  private func chooseGroups(_ linked: LinkedObject) {
    let hidden = hiddenSections(of: linked.object)
    for group in linked.object.groups where group.isComdat {
      let signature = space.names.intern(linked.object.signature(of: group))
      let isPrivate = !hidden.isEmpty && group.members.contains(where: hidden.contains)
      let owner =
        isPrivate
        ? privateOwners[signature]
        : options.comdatOwner(signature) ?? comdatOwners[signature]
          ?? (space.hostSupplies(group, of: linked.object) ? LinkOptions.hostUnit : nil)
      if let owner, owner != linked.unit {
        for member in group.members {
          linked.roles[member] = .ignored
          linked.discarded.insert(member)
        }
        if owner == LinkOptions.hostUnit { comdatOwners[signature] = owner }
      } else if isPrivate {
        privateOwners[signature] = linked.unit
      } else {
        comdatOwners[signature] = linked.unit
      }
    }
  }

  /// SHF_LINK_ORDER: what describes a dropped section goes with it.
  private func dropFollowers(_ linked: LinkedObject) {
    guard !linked.discarded.isEmpty else { return }
    for section in linked.roles.indices where linked.roles[section] != .ignored {
      guard let leader = linked.object.sections[section].leader,
        linked.discarded.contains(leader)
      else { continue }
      linked.roles[section] = .ignored
      linked.discarded.insert(section)
    }
  }

  private func define(_ linked: LinkedObject) {
    let object = linked.object
    for index in object.firstGlobal..<object.symbols.count {
      let kind = linked.kind(ofSymbol: index)
      guard kind != .none else { continue }
      let symbol = object.symbols[index]
      let isWeak = symbol.binding == UInt8(STB_WEAK) || symbol.binding == UInt8(STB_GNU_UNIQUE)
      let isCommon = object.place(ofSymbol: index) == .common
      let id = linked.globalID(index)
      var own = Definition(
        address: kind == .absolute ? symbol.st_value : 0, size: symbol.st_size, unit: linked.unit,
        kind: kind, isWeak: isWeak, isCommon: isCommon)
      own.isHidden = symbol.isHidden
      if isCommon {
        commonAlignments[id] = max(commonAlignments[id] ?? 1, symbol.st_value)
      }
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
      // The same number twice is no contradiction (ld and lld agree).
      if kind == .absolute, other.kind == .absolute, own.address == other.address { continue }
      duplicates.append(
        LinkError.Duplicate(
          symbol: space.meaning(of: id).name, first: place(of: id, inUnit: other.unit),
          second: linked.place(ofSymbol: index)))
    }
  }

  /// Where a unit defines a symbol.
  private func place(of id: SymbolID, inUnit unit: UInt32) -> LinkError.Place {
    guard let index = unitIndex[unit],
      let symbol = objects[index].globals.indices.first(where: {
        objects[index].globals[$0] == id
          && objects[index].kind(ofSymbol: $0 + objects[index].object.firstGlobal) != .none
      })
    else { return LinkError.Place(file: name(ofUnit: unit)) }
    return objects[index].place(ofSymbol: symbol + objects[index].object.firstGlobal)
  }

  func name(ofUnit unit: UInt32) -> String {
    if unit == LinkOptions.definesUnit { return "--define" }
    return unitIndex[unit].map { objects[$0].object.name } ?? options.unitName(unit)
  }
}

extension LinkedObject {
  /// Where a symbol is defined, for messages.
  package func place(ofSymbol index: Int) -> LinkError.Place { object.definitionPlace(index) }
}

extension ObjectFile {
  /// Where a symbol is defined, for messages.
  package func definitionPlace(_ index: Int) -> LinkError.Place {
    guard case .section(let section) = place(ofSymbol: index) else {
      return LinkError.Place(file: name)
    }
    return LinkError.Place(
      file: name, section: name(ofSection: section).string, offset: symbols[index].st_value)
  }
}

extension Elf64_Sym {
  /// Whether it defines what no other object may define.
  fileprivate var definesAlone: Bool { binding == UInt8(STB_GLOBAL) && st_shndx != 0 }
}
