// FLOW 3: a changed object becomes the next generation of a running program.
//
//     prepare   on the linker's thread: link beside what runs, decide about every variable; nothing
//               shared is written, and a refusal leaves no trace
//     publish   at the host's safe point: carry data, store the table pointer once, start what is new
//     retire    recycle what nobody can be inside of
internal import LoaderEngine

/// The units of a session and what is linked of them. Its owner serialises.
final class Program: @unchecked Sendable {
  let space: LinkSpace
  let options: Options
  let tag: UInt32
  let backing: Arena.BackingChoice
  private(set) var units: [Unit] = []
  private var unitByName: [String: Unit] = [:]
  private(set) var generation: Generation
  private(set) var comdatOwners: [SymbolID: UInt32] = [:]
  var archives = ArchiveMembers()
  var endCode: [Address] = []
  var lazyUnits = LazyUnits()
  /// Units of which it has been told that the layout guard is blind.
  var knownBlind: Set<UInt32> = []
  let retirement = Retirement()
  private var heldGroups = HeldGroups()
  let debugger: DebuggerView
  let profiler: ProfilerView?
  private var fixedConstantBytes: UInt64 = 0
  let arguments: ArgumentVector
  let libraryNames = LibraryNames()
  let libraryContext: LinkContext
  var removedLibraries: [LibraryVersion] = []
  var hasFinished = false
  var hasExecutableStacks = false
  /// Units that may be initialised anew by the next reload, as somebody has said.
  var grantedResets: Set<String> = []
  /// A shared object was a unit once.
  var hasHadLibraries = false

  init(tag: UInt32, backing: Arena.BackingChoice, options: Options) throws(LinkError) {
    if let layout = options.layout {
      space = try LinkSpace(imaginary: layout)
    } else {
      space = try LinkSpace(backing, tag: tag, isLow: options.isLow)
      space.sharesVariables = !options.isWholeProcess
    }
    self.options = options
    self.tag = tag
    self.backing = backing
    debugger = DebuggerView(options.debugging.mode, space)
    profiler = try options.profiling.view(of: space)
    arguments = ArgumentVector(options.arguments)
    let names = libraryNames
    var context = LinkContext.Options()
    context.isProvided = { names.contains($0) }
    context.arguments = options.arguments
    libraryContext = LinkContext(context)
    generation = Generation(number: 0, table: .empty, space: space)
  }

  func unit(named name: String) -> Unit? { unitByName[name] }
  func name(ofUnit id: UInt32) -> String { id < units.count ? units[Int(id)].name : "the linker" }

  // MARK: prepare

  /// Links the next generation. The program runs on meanwhile.
  ///
  /// - Throws: `Refusal`; nothing has changed then.
  func prepare(_ changes: [UnitChange]) throws(Refusal) -> PreparedReload {
    let first = changes.first?.name ?? ""
    do {
      let prepared = try link(changes)
      prepared.getReady()
      return prepared
    } catch let error as LinkError {
      throw Refusal(unit: error.file.isEmpty ? first : error.file, reason: .link(error))
    } catch let error as StateRefusal {
      throw Refusal(unit: error.unit, reason: .state(error))
    } catch let error as LayoutRefusal {
      throw Refusal(unit: error.unit, reason: .layout(error))
    } catch {
      throw Refusal(
        unit: first,
        reason: .link(LinkError(file: first, .unsupported(what: "\(error)", help: "report this"))))
    }
  }

  private func link(_ changes: [UnitChange]) throws -> PreparedReload {
    let clock = Stopwatch()
    var inputs = ChangeSet(self, changes)
    let guarded = try guardLayouts(inputs)
    var base = generation.table
    var waiting = lazyUnits
    var libraries = try mapLibraries(changes, guarded)
    if generation.number == 0, options.isLazy, libraries.isEmpty {
      try setAside(&inputs, &waiting, &base)
    }
    if !libraries.isEmpty { pullEverything(into: &inputs, &waiting) }
    for object in inputs.objects {
      for library in SwiftRuntime.autolinkedLibraries(object) {
        try? space.host.open(library: library)
      }
    }
    var unkept: [UInt32: Set<Int>] = [:]
    var resets: Set<UInt32> = []
    while true {
      pullMembers(into: &inputs)
      try pullCompilerRuntime(into: &inputs, base)
      pullWaiting(into: &inputs, &waiting)
      if generation.number == 0 { inputs.sort { self.position(of: $0) } }
      let table = try self.table(
        inputs.tableWithoutChangedUnits(base, space), with: libraries,
        without: inputs.removedUnits)
      let owners = inputs.comdatOwners(comdatOwners, space)
      try inputs.refuseResized(owners, self, generation.table)
      var planning = 0.0
      var plans: [StatePlan] = []
      var linkInputs: [LinkInput] = []
      let isReload = inputs.replaces
      for (unit, object) in inputs.linked {
        let start = Stopwatch()
        let identities = guarded.identities[unit.id] ?? identities(for: object, of: unit)
        let plan = try StatePlan(
          object, unit: unit.name, old: unit.version,
          discarded: inputs.discardedSections(object, unit.id, owners, space),
          unkept: unkept[unit.id] ?? [], isReload: isReload,
          decisions: guarded.decisions[unit.id] ?? LayoutDecisions(),
          policies: policies(for: unit, resets), identities: identities,
          isReadOnly: { [arena = space.arena] in arena.isReadOnly(Address($0)) },
          elsewhere: { inputs.variableElsewhere($0, unit) })
        planning += start.microseconds
        plans.append(plan)
        var input = LinkInput(object: object, unit: unit.id, placements: plan.placements)
        input.identities = identities
        linkInputs.append(input)
      }
      let registers = zip(linkInputs, plans).contains { input, _ in
        input.object.isSwift
          && input.object.sections.indices.contains {
            SwiftRuntime.isRecordList(input.object.name(ofSection: $0))
              && input.placements[$0] == nil
          }
      }
      if registers {
        linkInputs.append(
          LinkInput(object: try SwiftRuntime.registrationObject(), unit: SwiftRuntime.unit))
      }
      let link = try linkOptions(inputs, owners, libraries: !libraries.isEmpty)
      let set: LinkedSet
      do {
        set = try ObjectLinker.link(
          linkInputs, against: table, in: space, options: link)
      } catch {
        // A reference that could mean either of two constants: keep this section in one piece.
        guard case .ambiguous(_, let section, _) = error.reason,
          let index = inputs.linked.firstIndex(where: { $0.object.name == error.file }),
          SectionRole.all(of: inputs.linked[index].object)[section] == .constant,
          !IdentityNames.areIn(inputs.linked[index].object, section),
          unkept[inputs.linked[index].unit.id, default: []].insert(section).inserted
        else { throw error }
        continue
      }
      // Units outside the change that must see what moved or went.
      if generation.number > 0,
        try inputs.addDependents(of: set, generation.table, units, libraries, space)
      {
        continue
      }
      let followers = try followers(of: set.table, libraries, inputs.removedUnits)
      guard followers.isEmpty else {
        libraries += followers
        continue
      }
      let prepared: PreparedReload
      do {
        prepared = try finish(
          inputs, plans, set, registers, planning + guarded.microseconds, clock.microseconds)
      } catch let refusal as StateRefusal {
        guard let unit = unitToReset(for: refusal), resets.insert(unit.id).inserted else {
          throw refusal
        }
        continue
      }
      note(guarded, in: prepared)
      prepared.waiting = waiting
      try bindLibraries(libraries, prepared)
      guard generation.number > 0 else { return prepared }
      prepared.hooks = ReloadHooks(of: prepared, in: self)
      if !options.comparesLate || prepared.hooks.areAny || !libraries.isEmpty {
        compare(prepared, &prepared.report)
        // They are told how much changed.
        if prepared.hooks.areAny { prepared.hooks = ReloadHooks(of: prepared, in: self) }
      }
      return prepared
    }
  }

  private func linkOptions(
    _ inputs: ChangeSet, _ owners: [SymbolID: UInt32], libraries: Bool
  ) throws -> LinkOptions {
    var link = LinkOptions()
    link.deferUndefinedCalls = !options.isStrict
    link.allowUndefined = options.allowUndefined
    options.bind(&link, libraries: libraries)
    link.isPermanent = generation.number == 0
    if generation.number == 0 { link.deadStripRoots = options.deadStripRoots }
    link.comdatOwner = { owners[$0] }
    link.keptCommons = try inputs.keptCommons(generation.table, space)
    link.unitName = { [weak self] in self?.name(ofUnit: $0) ?? "the linker" }
    return link
  }

  /// Has room for so many units that are not known yet.
  func expectUnits(_ count: Int) {
    guard units.isEmpty else { return }
    units.reserveCapacity(count)
    unitByName.reserveCapacity(count)
  }

  func makeUnit(_ name: String) -> Unit {
    let fresh = Unit(id: UInt32(units.count), name: name)
    if let known = unitByName.updateValue(fresh, forKey: name) {
      unitByName[name] = known
      return known
    }
    units.append(fresh)
    return fresh
  }

  // MARK: publish

  /// Makes a prepared generation the current one. At the safe point of the host's thread. `settle` is to follow.
  ///
  /// - Throws: `LinkError` when threads' initial bytes cannot be set; nothing has changed then.
  func publish(_ prepared: PreparedReload) throws(LinkError) {
    let clock = Stopwatch()
    let table = try prepared.set.commit()
    // GATE: no way back.
    endRemoved(prepared)
    endReset(prepared)
    let gone = prepared.removedUnits.compactMap(\.version)
    carryObjects(prepared)
    if !prepared.libraries.isEmpty {
      prepared.report.verdicts += carryLibraries(prepared.libraries)
    }
    for replacement in prepared.replacements {
      if let verdict = replacement.perform(in: space.arena) {
        prepared.report.verdicts.append(verdict)
      }
    }
    for changes in [prepared.set.gotChanges, prepared.gotChanges] {
      for change in changes { space.got.set(change.entry, change.value) }
    }
    // A debugger's breakpoints are set before the first call.
    debugger.publish(prepared.debug)
    profiler?.publish(prepared.profile)
    prepared.slotChanges = space.slots.publish(prepared.slotChanges)
    for (slot, resolver) in prepared.set.indirectFunctions {
      space.slots.bind(slot, to: LinkedCode.resolve(resolver).value)
    }
    // GATE: the new generation is the program.
    let old = generation
    prepared.replaced = old
    generation = Generation(number: old.number + 1, table: table, space: space)
    takeOver(prepared)
    releaseData(of: gone)
    prepared.report.swapMicroseconds = clock.microseconds
    prepared.report.publishedAt = Stopwatch.now()
    callMigrations(prepared)
    startLibraries(prepared.libraries)
    start(prepared)
    prepared.hooks.callAfter(&prepared.report)
    old.retire()
  }

  /// Lets go of what a generation that has taken effect replaced, as far as nobody is inside, and says what stays. On
  /// the host's thread at its safe point, or on any after `retirement.lookAtOwnStack()` there.
  ///
  /// - Parameter isWaitedFor: the host's thread stands still meanwhile.
  ///
  /// - Returns: what it was, whole.
  func settle(_ prepared: PreparedReload, isWaitedFor: Bool = true) -> ReloadReport {
    var report = prepared.report
    compare(prepared, &report)
    for blind in report.blindUnits where blind.isNews { note(blind) }
    report.verdicts += prepared.decided
    // What the next edit of these units asks for first.
    if !isWaitedFor {
      for member in prepared.members where !member.isNew { _ = member.version.variables }
    }
    prepared.replaced = nil
    prepared.members = []
    prepared.libraries = []
    prepared.debug = .empty
    report.pins = retire() + libraryPins()
    report.running = retirement.running
    debugger.settle()
    report.pinnedBytes = report.pins.reduce(0) { $0 + $1.bytes }
    return report
  }

  func takeOver(_ prepared: PreparedReload) {
    lazyUnits = prepared.waiting
    takeOverLibraries(prepared)
    for (id, owner) in prepared.set.comdatOwners { comdatOwners[id] = owner }
    for unit in prepared.removedUnits {
      if let version = unit.version { supersede(unit, version) }
      unit.version = nil
    }
    for member in prepared.members {
      if let version = member.unit.version { supersede(member.unit, version) }
      member.version.generation = generation.number
      member.unit.version = member.version
      heldGroups.hold(member.version.group)
    }
  }

  private func supersede(_ unit: Unit, _ version: UnitVersion) {
    heldGroups.drop(version.group)
    retirement.add(
      Retirement.Entry(
        unit: unit.name, group: version.group, text: version.textRange,
        escapes: version.linked.codeEscapes, presence: version.presence,
        generation: version.generation, code: version.linked))
  }

  func addresses(of entries: [InitialiserPlan.Entry], _ version: UnitVersion)
    -> [(priority: Int, address: UInt64)]
  {
    entries.compactMap { entry in
      version.linked.address(ofSymbol: entry.symbol).map { (entry.priority, $0) }
    }
  }

  func call(_ address: UInt64) {
    LinkedCode.initialise(Address(address), arguments)
  }

  /// Recycles what nobody is inside of any more. At the safe point of the host's thread.
  func collect() {
    _ = retire()
    debugger.settle()
  }

  private func retire() -> [Pin] {
    if generation.number == 1 { fixedConstantBytes = space.arena.used(.constants) }
    retirement.usesFibres = Program.fibreFunctions.contains { space.names.find($0) != nil }
    var pins = retirement.collect(stubs: space.arena.stubs)
    // What is not tied to code that can go: literals and constants, for ever.
    let held = space.arena.used(.constants)
    let recyclable = pins.reduce(heldGroups.tiedBytes) { $0 + $1.tiedBytes }
    if held > fixedConstantBytes + recyclable {
      pins.append(
        Pin(unit: "", bytes: held - fixedConstantBytes - recyclable, reason: .constants))
    }
    return pins
  }
}
