// The two ends of a reload's facts: what a link that worked is made into, and what became of its variables
// when it took effect.
internal import LoaderEngine

extension Program {
  func finish(
    _ inputs: ChangeSet, _ plans: [StatePlan], _ set: LinkedSet, _ registers: Bool,
    _ planning: Double, _ elapsed: Double
  ) throws -> PreparedReload {
    var report = ReloadReport()
    report.generation = generation.number + 1
    report.units = inputs.changedNames
    report.relinked = inputs.linked.map(\.unit.name)
    report.relocations = set.relocationCount
    report.undefinedFunctions = set.deferredCalls.map { space.names[$0].string }
    var members: [PreparedReload.Member] = []
    let objects = Array(set.objects.prefix(inputs.linked.count))
    let debug = debugger.prepare(objects, set.table)
    for (index, (unit, object)) in inputs.linked.enumerated() {
      let linked = set.objects[index]
      let plan = plans[index]
      report.immovable += linked.immovable
      let initialisers = try InitialiserPlan(
        object, unit: unit.name, old: unit.version?.object,
        newVariables: plan.newVariables.union(plan.decisions.reset))
      let isSame = unit.version?.object === object
      members.append(
        PreparedReload.Member(
          unit: unit,
          version: UnitVersion(
            linked: linked, group: set.groups[set.groupOfObject[index]], images: plan.images,
            rooms: plan.rooms,
            presence: debug.presences.isEmpty ? nil : debug.presences[index]),
          plan: plan, initialisers: initialisers.toRun, isNew: unit.version == nil))
      members[index].version.captureImages(set.space.arena)
      if generation.number > 0, !isSame {
        let functions = members[index].version.functions
          .compared(to: unit.version?.functions ?? FunctionContents.none)
          .supplied(by: linked)
        report.verdicts += initialisers.remarks(functions.changed, object, unit.name)
        report.changed += functions.changed
        report.added += functions.added
        report.removed += functions.removed
      }
    }
    for id in set.options.keptCommons.keys.sorted() where set.definition(of: id)?.isCommon == true {
      let unit = set.definition(of: id).map { name(ofUnit: $0.unit) } ?? ""
      report.verdicts.append(
        Verdict(unit: unit, symbol: space.names[id].string, fate: .kept))
    }
    for unit in inputs.removedUnits {
      report.removed +=
        unit.version?.functions.fingerprints.keys.sorted() ?? []
    }
    report.shadowed = shadowed(members, set)
    let prepared = PreparedReload(
      set: set, members: members, removedUnits: inputs.removedUnits, report: report)
    prepared.debug = debug
    prepared.profile = profiler?.prepare(objects, set.table) ?? []
    prepared.clearedSlots = inputs.slotsToClear(set, generation.table, space)
    if registers, let runtime = set.objects.last {
      prepared.runtimeInitialisers = InitialiserPlan.entries(of: runtime.object).compactMap {
        runtime.address(ofSymbol: $0.symbol)
      }
      prepared.report.swiftRegistrations = 1
    }
    prepared.noteStartCode()
    prepared.report.guardMicroseconds = planning
    prepared.report.linkMicroseconds = elapsed - planning
    return prepared
  }

  /// What becomes of the variables of objects, at the safe point.
  func carryObjects(_ prepared: PreparedReload) -> [Verdict] {
    var verdicts: [Verdict] = []
    for member in prepared.members {
      for carry in member.plan.carries {
        if let fate = carry.perform(in: space.arena) {
          verdicts.append(
            Verdict(unit: member.unit.name, symbol: carry.symbol, fate: fate))
        }
      }
      for move in member.plan.moves {
        if let verdict = move.perform(
          member.version.linked, space.arena, unit: member.unit.name)
        {
          verdicts.append(verdict)
        }
      }
      verdicts += member.plan.remarks(member.unit.name)
    }
    return verdicts
  }
}
