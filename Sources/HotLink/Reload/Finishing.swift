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
    var comparisons: [Comparison] = []
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
      if generation.number > 0, !isSame {
        comparisons.append(
          Comparison(
            unit: unit, version: members[index].version, old: unit.version,
            initialisers: initialisers))
      }
    }
    let (versions, arena) = (members.map(\.version), set.space.arena)
    Workers.share(versions.count, by: 64) { part in
      for version in versions[part] { version.captureImages(arena) }
    }
    for id in set.options.keptCommons.keys.sorted() where set.definition(of: id)?.isCommon == true {
      let unit = set.definition(of: id).map { name(ofUnit: $0.unit) } ?? ""
      report.verdicts.append(
        Verdict(unit: unit, symbol: space.names[id].string, fate: .kept))
    }
    let prepared = PreparedReload(
      set: set, members: members, removedUnits: inputs.removedUnits, report: report)
    prepared.comparisons = comparisons
    prepared.removedVersions = inputs.removedUnits.compactMap(\.version)
    prepared.debug = debug
    prepared.profile = profiler?.prepare(objects, set.table) ?? []
    prepared.clearedSlots = inputs.slotsToClear(set, generation.table, space)
    if registers, let runtime = set.objects.last {
      prepared.runtimeInitialisers = InitialiserPlan.entries(of: runtime.object).compactMap {
        runtime.address(ofSymbol: $0.symbol)
      }
      prepared.report.swiftRegistrations = 1
    }
    prepared.decideAhead()
    prepared.noteStartCode()
    prepared.grants = grantedResets
    prepared.report.guardMicroseconds = planning
    prepared.report.linkMicroseconds = elapsed - planning
    return prepared
  }

  /// Says in a report which functions changed. What takes effect does not depend on it, so that it may come later.
  func compare(_ prepared: PreparedReload, _ report: inout ReloadReport) {
    guard !prepared.comparisons.isEmpty || !prepared.removedVersions.isEmpty else { return }
    var sum = FunctionChanges(changed: [], added: [], removed: [])
    var remarks: [Verdict] = []
    for comparison in prepared.comparisons {
      let version = comparison.version
      let functions = version.functions
        .compared(to: comparison.old?.functions ?? FunctionContents.none)
        .supplied(by: version.linked)
      remarks += comparison.initialisers.remarks(
        functions.changed, version.object, comparison.unit.name)
      sum.changed += functions.changed
      sum.added += functions.added
      sum.removed += functions.removed
    }
    for version in prepared.removedVersions {
      sum.removed += version.functions.fingerprints.keys.sorted()
    }
    report.verdicts = remarks + report.verdicts
    report.changed = sum.changed + report.changed
    report.added = sum.added + report.added
    report.removed = sum.removed + report.removed
    report.shadowed = shadowed(prepared.comparisons, prepared.set)
    prepared.comparisons = []
    prepared.removedVersions = []
  }

  /// What becomes of the variables of objects, at the safe point.
  func carryObjects(_ prepared: PreparedReload) {
    for member in prepared.members {
      member.plan.holdTiedParts(space.arena)
      for carry in member.plan.carries {
        if let fate = carry.perform(in: space.arena) {
          prepared.report.verdicts.append(
            Verdict(unit: member.unit.name, symbol: carry.symbol, fate: fate))
        }
      }
      for move in member.plan.moves {
        if let verdict = move.perform(
          member.version.linked, space.arena, unit: member.unit.name)
        {
          prepared.report.verdicts.append(verdict)
        }
      }
    }
  }
}
