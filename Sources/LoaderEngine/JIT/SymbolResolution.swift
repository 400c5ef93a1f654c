// Third step of a link: every symbol of every object becomes a target, once, so that relocations look
// nothing up.
internal import CLoaderSupport

extension LinkedSet {
  func resolve() throws(LinkError) {
    targets.reserveCapacity(objects.count)
    var start = 0
    for linked in objects {
      targets.append(allTargets.part(start, linked.object.symbols.count))
      start += linked.object.symbols.count
    }
    resolveBeside()
    for (linked, table) in zip(objects, targets) {
      let object = linked.object
      LinkSteps.add(object.symbols.count)
      defer { linked.resolvedInOrder = [] }
      for index in linked.resolvedInOrder {
        guard index >= object.firstGlobal else {
          table[index] = try localIndirect(linked, index)
          continue
        }
        let isLoaded = table[index].flags.contains(.loaded)
        let target = try globalTarget(linked, index)
        if isLoaded { try makeEntry(of: target) }
        table[index] = target
      }
    }
  }

  /// What writes nothing but the object's own targets: its local symbols, which of its symbols' addresses are loaded from the
  /// GOT, and what has been defined. Objects side by side.
  private func resolveBeside() {
    let marksLoads =
      options.relaxation != .all && !(options.observer?.seesRelocations ?? false)
    Workers.share(objects.count, by: 32) { part in
      for number in part {
        let linked = objects[number]
        let table = targets[number]
        if marksLoads { markLoads(linked, table) }
        for index in 0..<linked.object.firstGlobal { table[index] = localTarget(linked, index) }
        for index in linked.object.firstGlobal..<linked.object.symbols.count {
          guard let definition = draft[linked.globalID(index)], definition.unit != .max,
            !isNoted(linked, index, definition)
          else {
            linked.resolvedInOrder.append(index)
            continue
          }
          let target = definedTarget(linked, index, definition)
          if table[index].flags.contains(.loaded), needsEntry(target) {
            linked.resolvedInOrder.append(index)
          } else {
            table[index] = target
          }
        }
      }
    }
  }

  private func markLoads(_ linked: LinkedObject, _ table: Column<Target>) {
    let rows = RowTable.shared
    for section in linked.object.relocationSections {
      guard linked.roles[Int(linked.object.sections[section].info)] != .ignored else { continue }
      let relocations = linked.object.relocations(inSection: section)
      LinkSteps.add(relocations.count)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        let type = Int(relocation.type)
        guard type < X86_64.typeCount, rows.formulas.proven(type) == .gotEntryRelative,
          relocation.symbol < table.count
        else { continue }
        table[relocation.symbol].flags.insert(.loaded)
      }
    }
  }

  /// Makes the GOT entry of a variable here, in the order of symbols, so that whoever loads it needs none. Loads of
  /// functions mostly become something else (`FixUp.relax`), and a variable of the process may yet be copied.
  private func makeEntry(of target: Target) throws(LinkError) {
    guard needsEntry(target) else { return }
    let (entry, isNew) = try space.got.entry(target.id, .address)
    if isNew { space.got.set(entry, target.reference) }
  }

  private func needsEntry(_ target: Target) -> Bool {
    target.id != .none
      && target.flags.isDisjoint(with: [
        .function, .host, .part, .threadLocal, .section, .missing, .discarded, .null, .inModule,
      ])
  }

  /// A local function that is chosen when the program starts: its callers go through a slot.
  private func localIndirect(_ linked: LinkedObject, _ index: Int) throws(LinkError) -> Target {
    var target = Target(body: 0, reference: 0, id: .none, flags: .own)
    guard let address = linked.address(ofSymbol: index) else { return target }
    let slot = try space.slots.slot(
      of: space.localID(
        unit: linked.unit, name: linked.object.name(ofSymbol: index).string,
        ordinal: linked.ordinal(ofLocal: index)))
    indirectFunctions.append((slot, Address(address)))
    target.body = space.slots.stub(slot).value
    target.reference = target.body
    return target
  }

  private func localTarget(_ linked: LinkedObject, _ index: Int) -> Target {
    var target = Target(body: 0, reference: 0, id: .none, flags: .own)
    let symbol = linked.object.symbols[index]
    if symbol.type == UInt8(STT_SECTION) {
      target.flags.insert(.section)
      // Where neither code is looked for nor pieces are told apart.
      if case .section(let aim) = linked.object.place(ofSymbol: index),
        linked.pieces.isWhole(aim), options.bindsDirectly || linked.roles[aim] != .text
      {
        target.flags.insert(.wholeSection)
      }
    }
    let kind = linked.kind(ofSymbol: index)
    guard kind != .none, let address = linked.address(ofSymbol: index) else {
      if index != 0 { target.flags.insert(.discarded) }
      if case .section(let section) = linked.object.place(ofSymbol: index),
        linked.discarded.contains(section)
      {
        target.flags.insert(.elsewhere)
      }
      return target
    }
    target.body = address
    target.reference = address
    if symbol.type == UInt8(STT_GNU_IFUNC) {
      linked.resolvedInOrder.append(index)
      return target
    }
    switch kind {
    case .function where symbol.type != UInt8(STT_SECTION) && symbol.isFunction:
      target.flags.insert(.function)
    case .part: target.flags.insert(.part)
    case .threadLocal:
      target.flags.insert(.threadLocal)
      if ThreadModules.isInModule(address) { target.flags.insert(.inModule) }
    default: break
    }
    return target
  }

  /// The target of a symbol that the program defines.
  private func definedTarget(_ linked: LinkedObject, _ index: Int, _ definition: Definition)
    -> Target
  {
    var target = Target(
      body: definition.address, reference: definition.address, id: linked.globalID(index), flags: []
    )
    switch definition.kind {
    case .function where options.bindsDirectly && definition.slot == 0:
      target.flags.formUnion([.function, .own])
    case .function:
      target.flags.insert(.function)
      target.reference = space.slots.stub(SlotIndex(definition.slot)).value
      if definition.unit != linked.unit || isIndirect(linked, index) {
        target.body = target.reference
      } else if linked.kind(ofSymbol: index) != .none {
        target.flags.insert(.own)
      }
      // It may be a table: whoever takes its address gets it, calls go to the stub.
      if definition.isUntyped, definition.address != 0 { target.reference = definition.address }
    case .threadLocal:
      target.flags.insert(.threadLocal)
      if ThreadModules.isInModule(definition.address) { target.flags.insert(.inModule) }
    case .data, .constant, .part, .absolute, .none: break
    }
    return target
  }

  /// Whether a symbol is a function of its object that is chosen when the program starts.
  private func isIndirect(_ linked: LinkedObject, _ index: Int) -> Bool {
    linked.object.symbols[index].type == UInt8(STT_GNU_IFUNC)
      && linked.kind(ofSymbol: index) != .none
  }

  /// Whether there is something to note when a symbol is resolved.
  private func isNoted(_ linked: LinkedObject, _ index: Int, _ definition: Definition) -> Bool {
    guard definition.unit == linked.unit else { return false }
    if definition.kind == .function, definition.isUntyped || isIndirect(linked, index) {
      return true
    }
    return space.got.existingEntry(linked.globalID(index)) != nil
  }

  private func note(
    _ linked: LinkedObject, _ index: Int, _ definition: Definition, _ target: Target
  ) {
    if definition.kind == .function, definition.slot != 0 {
      if isIndirect(linked, index) {
        indirectFunctions.append((SlotIndex(definition.slot), Address(definition.address)))
      }
      if definition.isUntyped, definition.address != 0 { linked.codeEscapes = true }
    }
    if let entry = space.got.existingEntry(target.id), space.got.value(entry) != target.reference {
      changeEntry(entry, target.reference)
    }
  }

  private func globalTarget(_ linked: LinkedObject, _ index: Int) throws(LinkError) -> Target {
    let id = linked.globalID(index)
    var target = Target(body: 0, reference: 0, id: id, flags: [])
    // A range of this set, not the one of an earlier link that goes by the same name.
    let known = draft[id]
    if let known, known.unit == .max, let own = try builtIn(space.names[id]) {
      target.body = own
      target.reference = own
      return target
    }
    if let definition = known {
      let target = definedTarget(linked, index, definition)
      if isNoted(linked, index, definition) { note(linked, index, definition, target) }
      return target
    }
    let name = space.names[id]
    if name == "_TLS_MODULE_BASE_" { return moduleBase(linked, target) }
    if let built = try builtIn(name) {
      target.body = built
      target.reference = built
      return target
    }
    let isThreadLocal = linked.object.symbols[index].isThreadLocal
    // What must be defined inside the set is not looked for outside (gABI: STV_HIDDEN).
    if linked.object.symbols[index].isHidden {
      let isWeak = linked.object.symbols[index].isWeakBinding
      target.flags.insert(isWeak ? .null : .missing)
      return target
    }
    if isThreadLocal, let found = space.host.findThreadLocal(id, name) {
      target.flags.insert([.host, .threadLocal])
      target.body = found.threadOffset ?? 0
      target.reference = target.body
      if found.threadOffset == nil { target.flags.insert(.dynamicThreadLocal) }
      return target
    }
    if !isThreadLocal, let found = space.host.find(id, name) {
      target.flags.insert(.host)
      let address = Interposition.replacement(of: found.address.value)
      target.body = address
      target.reference = address
      if found.isFunction {
        target.flags.insert(.function)
        if !space.arena.window.reaches(Address(address)) {
          // Too far for a call: by way of a slot that always leads there.
          let slot = try space.slots.slot(of: id)
          slotChanges.append(SlotTable.Change(slot, address))
          target.body = space.slots.stub(slot).value
        }
      }
      return target
    }
    let symbol = linked.object.symbols[index]
    target.flags.insert(symbol.binding == UInt8(STB_WEAK) ? .null : .missing)
    return target
  }

  /// Whether linkers make a symbol of this name where nobody defines it.
  static func isMadeByLinker(_ name: NameView) -> Bool {
    name == "__dso_handle" || name == "_GLOBAL_OFFSET_TABLE_" || name == "_DYNAMIC"
      || name == "__executable_start" || ImageBounds.names(name)
      || name.hasPrefix("__start_") || name.hasPrefix("__stop_")
  }

  /// Where the thread-local variables of an object are counted from (psABI: local dynamic by descriptor).
  private func moduleBase(_ linked: LinkedObject, _ target: Target) -> Target {
    var target = target
    target.flags.insert(.threadLocal)
    target.body = space.threadStorage.base &- (space.threadStorage.module?.offset ?? 0)
    for section in linked.roles.indices where linked.roles[section].isThreadLocal {
      let address = linked.addresses[section]
      guard ThreadModules.isInModule(address) else { continue }
      target.flags.insert(.inModule)
      target.body = address & ~0xFFFF_FFFF
    }
    target.reference = target.body
    // One name, but a place for each module: each has an entry of its own.
    target.id = space.names.intern("\u{1}base\u{1}\(target.body >> 32)")
    return target
  }

  /// Symbols that linkers make.
  private func builtIn(_ name: NameView) throws(LinkError) -> UInt64? {
    if name == "__dso_handle" { return handle.value }
    if name == "_GLOBAL_OFFSET_TABLE_" { return space.got.start.value }
    if name == "_DYNAMIC" { return space.got.emptyDynamic.value }
    // Functions have their addresses in the stubs, which lie before the text.
    if name == "__executable_start" { return space.arena.stubs.start.value }
    if let address = (space.bounds ?? bounds).address(of: name) {
      return address.value == 0 ? nil : address.value
    }
    if name.hasPrefix("__start_") || name.hasPrefix("__stop_") {
      let isStart = name.hasPrefix("__start_")
      let range = encapsulated[name.dropFirst(isStart ? 8 : 7).string]
      return range.map { isStart ? $0.start.value : $0.end.value }
    }
    return nil
  }

  /// The slot of a function that only its object knows by name.
  func localSlot(_ linked: LinkedObject, _ symbol: Int) throws(LinkError) -> SlotIndex {
    if let known = linked.localSlots[symbol] { return known }
    let id = space.localID(
      unit: linked.unit,
      name: linked.identities[symbol] ?? linked.object.name(ofSymbol: symbol).string,
      ordinal: linked.ordinal(ofLocal: symbol))
    let slot = try space.slots.slot(of: id)
    linked.localSlots[symbol] = slot
    if let body = linked.address(ofSymbol: symbol) {
      slotChanges.append(SlotTable.Change(slot, body))
    }
    return slot
  }

  /// Notes a place that refers to a symbol nobody defines.
  func noteMissing(_ id: SymbolID, _ site: @autoclosure () -> LinkError.Site) {
    var entry = missing[id] ?? (sites: [], count: 0)
    if entry.sites.count < 3 { entry.sites.append(site()) }
    entry.count += 1
    missing[id] = entry
  }

  /// All missing symbols as one error, each with its referrers and the nearest spelling.
  func missingSymbols() -> [LinkError.UndefinedSymbol] {
    // A spelling is looked for among all symbols: of very many missing ones, for the first.
    let sorted = missing.sorted { space.names[$0.key].string < space.names[$1.key].string }
    return sorted.enumerated().map { position, item in
      let name = space.names[item.key].string
      return LinkError.UndefinedSymbol(
        name: name, sites: item.value.sites, references: item.value.count,
        suggestion: position < 100 ? nearest(to: name) : nil)
    }
  }

  private func nearest(to name: String) -> LinkError.Suggestion? {
    let wanted = Array(name.utf8)
    var best: (distance: Int, id: SymbolID, unit: UInt32)?
    let limit = max(1, min(3, wanted.count / 4))
    draft.table.forEach { id, definition in
      let candidate = space.names[id]
      guard abs(candidate.count - wanted.count) <= limit, best?.distance != 1 else { return }
      let distance = Spelling.distance(
        wanted, UnsafeRawBufferPointer(start: candidate.base, count: candidate.count),
        limit: min(limit, (best?.distance ?? limit + 1) - 1))
      if let distance, distance > 0 { best = (distance, id, definition.unit) }
    }
    return best.map {
      LinkError.Suggestion(name: space.names[$0.id].string, definedIn: self.name(ofUnit: $0.unit))
    }
  }
}
