// A generation that is linked and waits for the safe point. Nothing of the program knows of it; dropping
// it gives everything back.
internal import LoaderEngine

/// A version of a unit and the one before it.
struct Comparison {
  var unit: Unit
  var version: UnitVersion
  var old: UnitVersion?
  var initialisers: InitialiserPlan
}

/// The next generation, ready to be published.
final class PreparedReload: @unchecked Sendable {
  final class Member {
    let unit: Unit
    let version: UnitVersion
    let plan: StatePlan
    /// Of a unit that was there before, those of its initialisers that run again.
    let initialisers: [InitialiserPlan.Entry]
    let isNew: Bool

    init(
      unit: Unit, version: UnitVersion, plan: StatePlan, initialisers: [InitialiserPlan.Entry],
      isNew: Bool
    ) {
      self.unit = unit
      self.version = version
      self.plan = plan
      self.initialisers = initialisers
      self.isNew = isNew
    }
  }

  let set: LinkedSet
  /// Variables that get another layout.
  var replacements: [Replacement] = []
  /// What the guard knows of its units.
  var layouts: [UInt32: UnitLayouts] = [:]
  /// Versions of which is still to be said what changed.
  var comparisons: [Comparison] = []
  /// The same of units that are gone.
  var removedVersions: [UnitVersion] = []
  /// What becomes of variables that nothing needs to be done for. Told when the reload is settled.
  private(set) var decided: [Verdict] = []
  /// Emptied when it has taken effect: plans hold the versions they replace.
  var members: [Member]
  /// The generation before, from the moment it took effect until it is settled.
  var replaced: Generation?
  /// Shared objects, mapped and bound.
  var libraries: [LibraryLink] = []
  /// GOT entries of symbols that moved with them.
  var gotChanges: [(entry: Address, value: UInt64)] = []
  /// Units that are gone.
  let removedUnits: [Unit]
  var report: ReloadReport
  /// What it was made of, to be linked again when it is not taken.
  var changes: [UnitChange] = []
  /// Units that it might initialise anew, because somebody allowed it.
  var grants: Set<String> = []
  /// Units that are still not linked with it.
  var waiting = LazyUnits()
  /// All that the slot table is told: what moved, what is gone. Afterwards what it needs no more, to be let go when there is
  /// time.
  var slotChanges: [SlotTable.Change] = []
  /// Some of its code wants to run on stacks.
  private(set) var asksForExecutableStack = false
  /// Slots of functions that no unit defines any more.
  var clearedSlots: [SlotTable.Change] = []
  /// What a debugger is shown of it.
  var debug = DebuggerView.Draft.empty
  /// What a profiler is told of it.
  var profile: [UInt8] = []
  /// Constructors of the Swift runtime's registration object, run first.
  var runtimeInitialisers: [UInt64] = []
  /// Functions of the program that are called before and after it takes effect.
  var hooks = ReloadHooks()
  /// `_init` and `_fini` of new units.
  var startCode: [Address] = []
  var endCode: [Address] = []

  init(
    set: LinkedSet, members: [Member], removedUnits: [Unit], report: ReloadReport
  ) {
    self.set = set
    self.members = members
    self.removedUnits = removedUnits
    self.report = report
  }

  /// Whether a reset that was allowed is over with it: what comes of that unit next has to be allowed again.
  func hasUsed(grant name: String) -> Bool {
    grants.contains(name) && changes.contains { $0.name == name }
  }

  /// Puts together what the host's safe point asks for, so that it need not be there.
  func getReady() {
    slotChanges = set.slotChanges
    if !clearedSlots.isEmpty { slotChanges += clearedSlots }
    for link in libraries { slotChanges += link.slotChanges }
    asksForExecutableStack = members.contains { $0.version.object.asksForExecutableStack }
    for member in members { _ = member.unit.version?.textRange }
    for unit in removedUnits { _ = unit.version?.textRange }
  }

  /// Sets aside the variables whose fate is known before the safe point, which are nearly all.
  func decideAhead() {
    for index in members.indices {
      let unit = members[index].unit.name
      for carry in members[index].plan.takeKept() {
        decided.append(Verdict(unit: unit, symbol: carry.symbol, fate: .kept))
      }
      decided += members[index].plan.remarks(unit)
    }
  }

  /// Notes `_init` and `_fini` of groups whose units are all new: those of others have run.
  func noteStartCode() {
    var isOld: Set<Int> = []
    for (index, member) in members.enumerated() where !member.isNew {
      isOld.insert(set.groupOfObject[index])
    }
    for group in set.groups.indices where !isOld.contains(group) {
      if let address = set.startCode[group] { startCode.append(address) }
      if let address = set.endCode[group] { endCode.append(address) }
    }
  }
}
