// The guard of FLOW 3: before anything is linked, types of kept variables and signatures of functions that others call
// are compared, old against new, from debug data. A difference is refused, or handled as the policy says.
// What needs a look at other units is only done when something has changed.
internal import CLoaderSupport
internal import LoaderEngine

/// Compares the units of one change.
struct LayoutGuard {
  let program: Program
  let inputs: ChangeSet
  let policies: LayoutPolicies
  var result = GuardedLayouts()
  var refused: [(change: LayoutChange, policy: LayoutPolicy, obstacle: LayoutObstacle?)] =
    []

  init(_ program: Program, _ inputs: ChangeSet) {
    self.program = program
    self.inputs = inputs
    var policies = program.options.layouts
    // `hotlink ctl reset`: what nothing more particular is said of.
    for unit in program.grantedResets where policies.policy(unit: unit, names: []) == .refuse {
      policies.named[unit] = .reset
    }
    self.policies = policies
  }

  typealias Pair = GuardedPair

  mutating func compare(_ unit: Unit, _ version: UnitVersion, _ object: ObjectFile) throws {
    if object.isSwift { return compareSwift(unit, version, object) }
    compare(unit, .object(version, object), version.layouts, UnitLayouts(.object(object)))
  }

  mutating func compare(_ unit: Unit, _ version: LibraryVersion, _ file: LibraryFile) {
    // Those of Swift are refused later, whatever has changed.
    if file.isSwift { return }
    compare(
      unit, .library(version, file), version.layouts, UnitLayouts(file.layoutSource))
  }

  private mutating func compare(
    _ unit: Unit, _ versions: Pair.Versions, _ old: UnitLayouts, _ new: UnitLayouts
  ) {
    result.layouts[unit.id] = new
    if new.isSame(as: old), new.sight == .sees { return }
    guard new.sight == .sees, old.sight == .sees else {
      let sight = new.sight == .sees ? old.sight : new.sight
      if sight != .nothingToSee { result.blind.append(program.blind(unit, sight)) }
      return
    }
    var pair = Pair(unit, versions, old, new)
    var comparison = LayoutComparison(old.table, new.table)
    compareVariables(&pair, &comparison)
    compareSplit(pair, &comparison)
    compareOthersVariables(pair, &comparison)
    compareSignatures(pair, &comparison)
    compareHeld(pair, &comparison)
    compareCalled(pair)
    if let identities = pair.identities { result.identities[unit.id] = identities }
  }

  /// - Throws: `LayoutRefusal` for everything that may not pass, at once.
  func finish() throws(LayoutRefusal) {
    guard let first = refused.first(where: { $0.policy != .restart }) ?? refused.first else {
      return
    }
    throw LayoutRefusal(
      unit: first.change.unit, changes: refused.map(\.change), policy: first.policy,
      obstacle: first.obstacle)
  }

  // MARK: variables

  private mutating func compareVariables(
    _ pair: inout Pair, _ comparison: inout LayoutComparison
  ) {
    var twins = NamedTwins(pair.old, pair.old.variables)
    for entity in pair.new.variables {
      let symbol = Int(entity.symbol)
      // What is equal needs no look at where it is.
      if pair.isGlobal(symbol), let twin = twins.next(pair.name(ofSymbol: symbol)),
        comparison.differences(twin.type, entity.type, growsAtEnd: true).isEmpty
      {
        continue
      }
      compareVariable(entity, &pair, &comparison)
    }
  }

  private mutating func compareVariable(
    _ entity: UnitLayouts.Entity, _ pair: inout Pair, _ comparison: inout LayoutComparison
  ) {
    let symbol = Int(entity.symbol)
    if let predecessor = pair.predecessor(of: symbol, program) {
      guard let before = predecessor.entity else { return }
      let differences = comparison.differences(before.type, entity.type, growsAtEnd: true)
      guard !differences.isEmpty else { return }
      decide(pair, entity, before, pair.old, predecessor.variable, differences)
    } else if pair.isGlobal(symbol), case .object = pair.versions,
      let (variable, layouts) = elsewhere(pair.name(ofSymbol: symbol), pair.unit),
      let before = layouts.variables.entity(of: variable.symbol)
    {
      var other = LayoutComparison(layouts.table, pair.new.table)
      let differences = other.differences(before.type, entity.type, growsAtEnd: true)
      guard !differences.isEmpty else { return }
      decide(pair, entity, before, layouts, variable, differences)
    } else if pair.isGlobal(symbol) {
      compareShared(pair, pair.name(ofSymbol: symbol), entity)
    }
  }

  /// A variable of several units (inline, of a template), which one outside the change supplies, or the process.
  private mutating func compareShared(
    _ pair: Pair, _ name: NameView, _ entity: UnitLayouts.Entity
  ) {
    guard let id = program.space.names.find(name.string) else { return }
    if program.comdatOwners[id] == LinkOptions.hostUnit {
      guard let before = pair.old.variables.first(where: { pair.old.symbolName(of: $0) == name })
      else { return }
      var comparison = LayoutComparison(pair.old.table, pair.new.table)
      let differences = comparison.differences(before.type, entity.type)
      return refuseForeign(
        pair, name.string, pair.old, before, entity, differences, .definedByProcess)
    }
    guard let known = program.generation.table[id], Int(known.unit) < program.units.count
    else { return }
    let owner = program.units[Int(known.unit)]
    guard !inputs.contains(owner), let layouts = owner.layouts, layouts.sight == .sees,
      let before = layouts.variables.first(where: { layouts.symbolName(of: $0) == name })
    else { return }
    var comparison = LayoutComparison(layouts.table, pair.new.table)
    let differences = comparison.differences(before.type, entity.type, growsAtEnd: true)
    refuseForeign(
      pair, name.string, layouts, before, entity, differences, .definedElsewhere(unit: owner.name))
  }

  /// Changed as this unit sees it; its owner was not rebuilt.
  private mutating func refuseForeign(
    _ pair: Pair, _ symbol: String, _ old: UnitLayouts, _ before: UnitLayouts.Entity,
    _ entity: UnitLayouts.Entity, _ differences: [LayoutDifference], _ owner: LayoutObstacle
  ) {
    guard !differences.isEmpty else { return }
    let change = LayoutChange(
      subject: .variable, unit: pair.unit.name, name: pair.new.name(of: entity), symbol: symbol,
      oldType: old.table.name(of: before.type), newType: pair.new.table.name(of: entity.type),
      differences: differences)
    if policies.toleratesHeap, change.isBehindPointer {
      result.warnings.append(change)
    } else {
      let policy = policies.policy(unit: pair.unit.name, names: [symbol, change.name])
      refused.append((change, policy, owner))
    }
  }

  /// Variables that are several in at least one version: their parts have no names that last.
  private mutating func compareSplit(_ pair: Pair, _ comparison: inout LayoutComparison) {
    func named(_ layouts: UnitLayouts, _ name: String) -> UnitLayouts.Entity? {
      layouts.split[name] ?? layouts.variables.first { layouts.name(of: $0) == name }
    }
    for name in Set(pair.old.split.keys).union(pair.new.split.keys).sorted() {
      guard let before = named(pair.old, name), let after = named(pair.new, name) else { continue }
      let differences = comparison.differences(before.type, after.type)
      guard !differences.isEmpty else { continue }
      let change = LayoutChange(
        subject: .variable, unit: pair.unit.name, name: name, symbol: name,
        oldType: pair.old.table.name(of: before.type), newType: pair.new.table.name(of: after.type),
        differences: differences)
      let policy = policies.policy(unit: pair.unit.name, names: [name])
      if policies.toleratesHeap, change.isBehindPointer {
        result.warnings.append(change)
      } else {
        let wantsMore = policy == .reset || policy == .migrate
        refused.append((change, policy, wantsMore ? .splitByCompiler : nil))
      }
    }
  }

  /// A variable that another unit of the change had.
  private func elsewhere(_ name: NameView, _ asking: Unit) -> (Variable, UnitLayouts)? {
    let key = VariableKey(name: name.string, ordinal: 0, isThreadLocal: false)
    for unit in inputs.linked.map(\.unit) + inputs.removedUnits where unit !== asking {
      guard let version = unit.version, let variable = version.variables[key],
        variable.symbol >= version.object.firstGlobal, version.layouts.sight == .sees
      else { continue }
      return (variable, version.layouts)
    }
    return nil
  }

  private mutating func decide(
    _ pair: Pair, _ entity: UnitLayouts.Entity, _ before: UnitLayouts.Entity,
    _ old: UnitLayouts, _ variable: Variable, _ differences: [LayoutDifference]
  ) {
    let symbol = Int(entity.symbol)
    let symbolName = pair.name(ofSymbol: symbol).string
    let plain = pair.new.name(of: entity)
    let change = LayoutChange(
      subject: .variable, unit: pair.unit.name, name: plain, symbol: symbolName,
      oldType: old.table.name(of: before.type), newType: pair.new.table.name(of: entity.type),
      differences: differences)
    let names = [symbolName, plain, entity.name?.string ?? plain]
    let policy = policies.policy(unit: pair.unit.name, names: names)
    let hook = MigrationHooks.candidates(names).first { defines($0) }
    let tolerates = policies.toleratesHeap && change.isBehindPointer
    if hook == nil, tolerates, policy != .reset {
      result.warnings.append(change)
      return
    }
    guard hook != nil || policy == .reset || policy == .migrate else {
      refused.append((change, policy, nil))
      return
    }
    if pair.isThreadLocal(symbol) {
      refused.append((change, policy, .threadLocal))
      return
    }
    if pair.isGlobal(symbol) {
      let users = program.users(of: symbolName, outside: inputs)
      guard users.isEmpty else {
        refused.append((change, policy, .usedByOthers(units: users.map(\.name))))
        return
      }
    }
    var action = LayoutDecision.Action.reset
    if policy != .reset || hook != nil {
      let plan = FieldMigrationPlan(
        old: old.table, new: pair.new.table, toleratesHeap: hook != nil || policies.toleratesHeap)
      do {
        action = .migrate(
          try plan.migration(
            before.type, entity.type,
            room: (variable.size, pair.size(ofSymbol: symbol))))
      } catch {
        guard hook != nil else {
          refused.append((change, policy, error.reason))
          return
        }
        action = .migrate(nil)
      }
    }
    var decisions = result.decisions[pair.unit.id] ?? LayoutDecisions()
    pair.note(
      LayoutDecision(symbol: symbol, name: symbolName, action: action, hook: hook, old: variable),
      in: &decisions)
    if policy == .reset, hook == nil { resetGuard(of: symbolName, pair, &decisions) }
    result.decisions[pair.unit.id] = decisions
  }

  /// A function's static variable is initialised again when its guard says that it is not.
  private func resetGuard(
    of name: String, _ pair: Pair, _ decisions: inout LayoutDecisions
  ) {
    guard name.hasPrefix("_ZZ") else { return }
    let guardName = "_ZGV" + name.dropFirst(2)
    guard let symbol = pair.new.source.definedSymbol(named: guardName),
      let variable = pair.variable(named: guardName, symbol)
    else { return }
    pair.note(
      LayoutDecision(symbol: symbol, name: guardName, action: .reset, hook: nil, old: variable),
      in: &decisions)
  }

  /// Whether the new code has a function.
  private func defines(_ name: String) -> Bool {
    for object in inputs.objects {
      for index in object.firstGlobal..<object.symbols.count
      where object.symbols[index].isFunction && object.place(ofSymbol: index) != .undefined
        && object.name(ofSymbol: index).string == name
      {
        return true
      }
    }
    if inputs.libraries.contains(where: { $0.file.functions.contains { $0.name == name } }) {
      return true
    }
    guard let id = program.space.names.find(name), let known = program.generation.table[id] else {
      return false
    }
    // Of a unit that is part of the change, what counts is what it has now.
    return known.kind == .function && !inputs.changes(known.unit)
  }

  /// Variables of units that are not part of the change, as this unit sees them.
  private mutating func compareOthersVariables(
    _ pair: Pair, _ comparison: inout LayoutComparison
  ) {
    for (name, entity) in pair.new.elsewhere.sorted(by: { $0.key < $1.key }) {
      guard let before = pair.old.elsewhere[name],
        let id = program.space.names.find(name), let known = program.generation.table[id],
        !inputs.changes(known.unit)
      else { continue }
      let differences = comparison.differences(before.type, entity.type, growsAtEnd: true)
      refuseForeign(
        pair, name, pair.old, before, entity, differences,
        .definedElsewhere(unit: program.name(ofUnit: known.unit)))
    }
  }

  // MARK: Swift

  private mutating func compareSwift(_ unit: Unit, _ version: UnitVersion, _ object: ObjectFile) {
    for change in SwiftShapes.changes(unit.name, version.object, object) {
      let policy = policies.policy(unit: unit.name, names: [change.name, change.symbol])
      refused.append(
        (change, policy, policy == .migrate || policy == .reset ? .noVariable : nil))
    }
  }
}
