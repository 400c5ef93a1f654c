// What the layout guard lets pass, and what that means for the reload: versions get its knowledge, variables their new
// layout, hooks are called.
internal import CLoaderSupport
internal import LoaderEngine

/// What the guard decided about a set of changes that it lets pass.
struct GuardedLayouts {
  var decisions: [UInt32: LayoutDecisions] = [:]
  var layouts: [UInt32: UnitLayouts] = [:]
  /// Names of older versions under which local symbols are known, where they were asked for.
  var identities: [UInt32: [Int: String]] = [:]
  var warnings: [LayoutChange] = []
  var blind: [BlindUnit] = []
  var microseconds = 0.0
}

extension Program {
  /// - Throws: `LayoutRefusal`, `LinkError`.
  func guardLayouts(_ inputs: ChangeSet) throws -> GuardedLayouts {
    let clock = Stopwatch()
    var guarding = LayoutGuard(self, inputs)
    for (unit, object) in inputs.linked {
      guard let version = unit.version, version.object !== object else { continue }
      try guarding.compare(unit, version, object)
    }
    for (unit, file) in inputs.libraries {
      guard let version = unit.library, version.file !== file else { continue }
      guarding.compare(unit, version, file)
    }
    try guarding.finish()
    guarding.result.microseconds = clock.microseconds
    return guarding.result
  }

  /// Hands the guard's knowledge to the versions that will run, and its decisions to their variables.
  func note(_ guarded: GuardedLayouts, in prepared: PreparedReload) {
    prepared.report.layoutWarnings = guarded.warnings
    prepared.report.blindUnits = guarded.blind
    prepared.layouts = guarded.layouts
    for member in prepared.members {
      if let layouts = guarded.layouts[member.unit.id] { member.version.layouts = layouts }
      guard let decisions = guarded.decisions[member.unit.id] else { continue }
      let linked = member.version.linked
      for decision in decisions.bySymbol.values.sorted(by: { $0.symbol < $1.symbol }) {
        guard let address = linked.address(ofSymbol: decision.symbol) else { continue }
        let symbol = linked.object.symbols[decision.symbol]
        var image: UnsafeRawPointer?
        if case .section(let section) = linked.object.place(ofSymbol: decision.symbol),
          let start = member.plan.images[section]
        {
          image = UnsafeRawPointer(start) + Int(symbol.st_value)
        }
        prepared.replacements.append(
          Replacement(
            unit: member.unit.name, decision, address: address, size: symbol.st_size, image: image))
      }
    }
  }

  /// Calls `hotlink_migrate_…` of the new code, before anything else of it runs.
  func callMigrations(_ prepared: PreparedReload) {
    for replacement in prepared.replacements {
      replacement.callHook { generation.symbol($0)?.identity }
    }
    prepared.replacements = []
  }

  func blind(_ unit: Unit, _ sight: UnitLayouts.Sight) -> BlindUnit {
    let reason: BlindUnit.Reason =
      switch sight {
      case .split: .splitDebugData
      case .damaged: .unreadableDebugData
      default: .noDebugData
      }
    return BlindUnit(
      unit: unit.name, reason: reason, isNews: !knownBlind.contains(unit.id))
  }

  /// What has been told is no news.
  func note(_ blind: BlindUnit) {
    if let unit = unit(named: blind.unit) { knownBlind.insert(unit.id) }
  }

  /// Units outside a change that know a symbol, those that wait to be called included.
  func users(of name: String, outside inputs: ChangeSet) -> [Unit] {
    guard let id = space.names.find(name) else { return [] }
    var users = units.filter { unit in
      guard !inputs.contains(unit) else { return false }
      return unit.version?.linked.globals.contains(id) ?? (unit.library?.bound[id] != nil)
    }
    users += lazyUnits.waiting.values.filter { unit, object in
      !inputs.contains(unit)
        && (object.firstGlobal..<object.symbols.count).contains {
          object.place(ofSymbol: $0) == .undefined && object.name(ofSymbol: $0).string == name
        }
    }.map(\.unit)
    return users.sorted { $0.id < $1.id }
  }
}

/// What a program's hooks are called.
enum MigrationHooks {
  static let prefix = "hotlink_migrate_"

  /// `game::player` → `hotlink_migrate_game__player`; also by the last part, and by the symbol.
  static func candidates(_ names: [String]) -> [String] {
    var found: [String] = []
    for name in names {
      let text = name.replacing("::", with: "__")
      let hook = prefix + String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
      if !found.contains(hook) { found.append(hook) }
    }
    return found
  }
}
