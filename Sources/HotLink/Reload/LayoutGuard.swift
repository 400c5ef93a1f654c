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
    policies = program.options.layouts
  }

  /// What two versions of a unit say.
  struct Pair {
    var unit: Unit
    var version: UnitVersion
    var object: ObjectFile
    var old: UnitLayouts
    var new: UnitLayouts
  }

  mutating func compare(_ unit: Unit, _ version: UnitVersion, _ object: ObjectFile) throws {
    if object.isSwift { return compareSwift(unit, version, object) }
    let layouts = UnitLayouts(object)
    result.layouts[unit.id] = layouts
    if layouts.isSame(as: version.layouts), layouts.sight == .sees { return }
    guard layouts.sight == .sees, version.layouts.sight == .sees else {
      let sight = layouts.sight == .sees ? version.layouts.sight : layouts.sight
      if sight != .nothingToSee { result.blind.append(program.blind(unit, sight)) }
      return
    }
    let pair = Pair(
      unit: unit, version: version, object: object, old: version.layouts, new: layouts)
    var comparison = LayoutComparison(pair.old.table, pair.new.table)
    compareVariables(pair, &comparison)
    compareSplit(pair, &comparison)
    compareOthersVariables(pair, &comparison)
    compareSignatures(pair, &comparison)
    compareHeld(pair, &comparison)
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

  private mutating func compareVariables(_ pair: Pair, _ comparison: inout LayoutComparison) {
    let ordinals = LocalOrdinals(pair.object)
    let identities = program.identities(for: pair.object, of: pair.unit)
    for (symbol, entity) in pair.new.variables.sorted(by: { $0.key < $1.key }) {
      let name = pair.object.name(ofSymbol: symbol)
      let key = VariableKey(
        name: identities[symbol] ?? name.string,
        ordinal: symbol < pair.object.firstGlobal ? ordinals[symbol] : 0,
        isThreadLocal: pair.object.symbols[symbol].isThreadLocal)
      if let variable = pair.version.variables[key] {
        guard let before = pair.old.variables[variable.symbol] else { continue }
        let differences = comparison.differences(before.type, entity.type, growsAtEnd: true)
        guard !differences.isEmpty else { continue }
        decide(pair, symbol, before, pair.old, variable, differences)
      } else if symbol >= pair.object.firstGlobal,
        let (variable, layouts) = elsewhere(name, pair.unit),
        let before = layouts.variables[variable.symbol]
      {
        var other = LayoutComparison(layouts.table, pair.new.table)
        let differences = other.differences(before.type, entity.type, growsAtEnd: true)
        guard !differences.isEmpty else { continue }
        decide(pair, symbol, before, layouts, variable, differences)
      } else if symbol >= pair.object.firstGlobal {
        compareShared(pair, symbol, name.string, entity)
      }
    }
  }

  /// A variable of several units (inline, of a template), which one outside the change supplies.
  private mutating func compareShared(
    _ pair: Pair, _ symbol: Int, _ name: String, _ entity: UnitLayouts.Entity
  ) {
    guard let id = program.space.names.find(name), let known = program.generation.table[id],
      Int(known.unit) < program.units.count
    else { return }
    let owner = program.units[Int(known.unit)]
    guard !inputs.contains(owner), let version = owner.version, version.layouts.sight == .sees,
      let before = version.layouts.variables.first(where: {
        version.object.name(ofSymbol: $0.key).string == name
      })?.value
    else { return }
    var comparison = LayoutComparison(version.layouts.table, pair.new.table)
    let differences = comparison.differences(before.type, entity.type, growsAtEnd: true)
    refuseForeign(pair, name, version.layouts, before, entity, differences, owner.name)
  }

  /// Changed as this unit sees it; its owner was not rebuilt.
  private mutating func refuseForeign(
    _ pair: Pair, _ symbol: String, _ old: UnitLayouts, _ before: UnitLayouts.Entity,
    _ entity: UnitLayouts.Entity, _ differences: [LayoutDifference], _ owner: String
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
      refused.append((change, policy, .definedElsewhere(unit: owner)))
    }
  }

  /// Variables that are several in at least one version: their parts have no names that last.
  private mutating func compareSplit(_ pair: Pair, _ comparison: inout LayoutComparison) {
    func named(_ layouts: UnitLayouts, _ name: String) -> UnitLayouts.Entity? {
      layouts.split[name] ?? layouts.variables.values.first { layouts.name(of: $0) == name }
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
    _ pair: Pair, _ symbol: Int, _ before: UnitLayouts.Entity, _ old: UnitLayouts,
    _ variable: Variable, _ differences: [LayoutDifference]
  ) {
    let entity = pair.new.variables[symbol] ?? before
    let symbolName = pair.object.name(ofSymbol: symbol).string
    let plain = pair.new.name(of: entity)
    let change = LayoutChange(
      subject: .variable, unit: pair.unit.name, name: plain, symbol: symbolName,
      oldType: old.table.name(of: before.type), newType: pair.new.table.name(of: entity.type),
      differences: differences)
    let names = [symbolName, plain, entity.name?.string ?? plain]
    let policy = policies.policy(unit: pair.unit.name, names: names)
    let isThreadLocal = pair.object.symbols[symbol].isThreadLocal
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
    if isThreadLocal {
      refused.append((change, policy, .threadLocal))
      return
    }
    if symbol >= pair.object.firstGlobal {
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
            room: (variable.size, pair.object.symbols[symbol].st_size)))
      } catch {
        guard hook != nil else {
          refused.append((change, policy, error.reason))
          return
        }
        action = .migrate(nil)
      }
    }
    var decisions = result.decisions[pair.unit.id] ?? LayoutDecisions()
    decisions.bySymbol[symbol] = LayoutDecision(
      symbol: symbol, name: symbolName, action: action, hook: hook, old: variable)
    if policy == .reset, hook == nil { resetGuard(of: symbolName, pair, &decisions) }
    result.decisions[pair.unit.id] = decisions
  }

  /// A function's static variable is initialised again when its guard says that it is not.
  private func resetGuard(
    of name: String, _ pair: Pair, _ decisions: inout LayoutDecisions
  ) {
    guard name.hasPrefix("_ZZ") else { return }
    let guardName = "_ZGV" + name.dropFirst(2)
    let key = VariableKey(name: guardName, ordinal: 0, isThreadLocal: false)
    guard let variable = pair.version.variables[key] else { return }
    for index in 1..<max(pair.object.symbols.count, 1)
    where pair.object.place(ofSymbol: index) != .undefined
      && pair.object.name(ofSymbol: index).string == guardName
    {
      decisions.bySymbol[index] = LayoutDecision(
        symbol: index, name: guardName, action: .reset, hook: nil, old: variable)
    }
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
    guard let id = program.space.names.find(name), let known = program.generation.table[id] else {
      return false
    }
    // Of a unit that is part of the change, what counts is what it has now.
    return known.kind == .function && !inputs.linked.contains { $0.unit.id == known.unit }
  }

  /// Variables of units that are not part of the change, as this unit sees them.
  private mutating func compareOthersVariables(
    _ pair: Pair, _ comparison: inout LayoutComparison
  ) {
    for (name, entity) in pair.new.elsewhere.sorted(by: { $0.key < $1.key }) {
      guard let before = pair.old.elsewhere[name],
        let id = program.space.names.find(name), let known = program.generation.table[id],
        !inputs.linked.contains(where: { $0.unit.id == known.unit })
      else { continue }
      let differences = comparison.differences(before.type, entity.type, growsAtEnd: true)
      refuseForeign(
        pair, name, pair.old, before, entity, differences, program.name(ofUnit: known.unit))
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
