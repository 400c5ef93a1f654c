// Units that wait to be called: set aside before the first link, pulled in when their data is needed,
// linked into the current generation at their first call.
internal import LoaderEngine

extension Program {
  /// Before the first link: units that can wait are known by their symbols only.
  func setAside(
    _ inputs: inout ChangeSet, _ waiting: inout LazyUnits, _ table: inout SymbolTable
  ) throws(LinkError) {
    let draft = SymbolTable.Draft(from: table)
    for (unit, object) in inputs.setAside(where: LazyUnits.canWait) {
      try waiting.add(unit, object, to: draft, space, name: name(ofUnit:))
    }
    table = draft.table
  }

  /// Units of the change that waited, and units whose data the change refers to.
  func pullWaiting(into inputs: inout ChangeSet, _ waiting: inout LazyUnits) {
    guard !waiting.isEmpty else { return }
    for unit in inputs.linked.map(\.unit) + inputs.removedUnits {
      guard let known = waiting.waiting[unit.id] else { continue }
      waiting.remove(unit.id)
      inputs.noteWaiting([known])
    }
    let pulled = waiting.pull(for: inputs.objects, space)
    inputs.noteWaiting(pulled)
    for (unit, object) in pulled { inputs.add(unit, object) }
  }

  /// All units that wait: a library may refer to data of any of them.
  func pullEverything(into inputs: inout ChangeSet, _ waiting: inout LazyUnits) {
    let pulled = waiting.waiting.values.sorted { $0.unit.id < $1.unit.id }
    for (unit, object) in pulled {
      waiting.remove(unit.id)
      inputs.noteWaiting([(unit, object)])
      inputs.add(unit, object)
    }
  }

  func isWaiting(_ unit: Unit) -> Bool { lazyUnits.waiting[unit.id] != nil }
  var allUnitNames: [String] {
    units.filter { $0.version != nil || $0.library != nil || isWaiting($0) }.map(\.name)
  }

  /// Links the waiting unit that defines a function, now, in the current generation.
  ///
  /// - Returns: whether there was one.
  func linkWaiting(for symbol: SymbolID) throws(Refusal) -> Bool {
    guard let definition = generation.table[symbol],
      let found = lazyUnits.waiting[definition.unit]
    else { return false }
    let prepared = try prepare([UnitChange(name: found.unit.name, object: found.object)])
    do {
      let table = try prepared.set.commit()
      debugger.publish(prepared.debug)
      profiler?.publish(prepared.profile)
      // Entries that a generation which is ready, or was refused, has made for what it moved.
      for change in prepared.set.gotChanges { space.got.set(change.entry, change.value) }
      space.slots.publish(prepared.set.slotChanges)
      generation.extend(table)
      takeOver(prepared)
    } catch { throw Refusal(unit: found.unit.name, reason: .link(error)) }
    return true
  }
}
