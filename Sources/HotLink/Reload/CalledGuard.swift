// The guard in the other direction: a unit that was rebuilt with another form of a type calls functions of units that have the
// old one. A build writes one object after the other, and a caller may be the first: it waits for the others.
internal import CLoaderSupport
internal import LoaderEngine

extension LayoutGuard {
  /// Types that this unit sees in another form than before, against those of the units it calls.
  mutating func compareCalled(_ pair: Pair) {
    let called = calledUnits(pair)
    guard !called.isEmpty, let types = EditedTypes(pair.old.source, pair.new.source) else { return }
    for (unit, functions) in called {
      guard let layouts = unit.layouts, layouts.sight == .sees else { continue }
      let entities = layouts.functions.filter {
        functions.contains(layouts.symbolName(of: $0).string)
      }
      for (name, theirs) in layouts.definitions(of: types.edited) {
        guard let change = types.change(of: name, since: theirs[0], in: layouts.table),
          let function = entities.first(where: { layouts.signature($0, reaches: theirs) })
        else { continue }
        note(change, of: pair, passedTo: function, layouts, unit)
      }
    }
  }

  private mutating func note(
    _ change: EditedTypes.Change, of pair: Pair, passedTo function: UnitLayouts.Entity,
    _ layouts: UnitLayouts, _ unit: Unit
  ) {
    let told = LayoutChange(
      subject: .passed(to: layouts.name(of: function), unit: unit.name), unit: pair.unit.name,
      name: change.oldName, symbol: layouts.symbolName(of: function).string,
      oldType: change.oldName, newType: change.newName, differences: change.differences)
    let policy = policies.policy(unit: pair.unit.name, names: [change.oldName])
    refused.append((told, policy == .restart ? .restart : .refuse, nil))
  }

  /// Units outside the change whose functions the new version refers to, with those.
  private func calledUnits(_ pair: Pair) -> [(Unit, Set<String>)] {
    var called: [UInt32: Set<String>] = [:]
    let source = pair.new.source
    for symbol in source.firstGlobal..<max(source.symbols.count, source.firstGlobal)
    where !source.isDefined(symbol) {
      let name = source.name(ofSymbol: symbol).string
      guard let id = program.space.names.find(name), let known = program.generation.table[id],
        known.kind == .function, Int(known.unit) < program.units.count
      else { continue }
      guard !inputs.contains(program.units[Int(known.unit)]) else { continue }
      called[known.unit, default: []].insert(name)
    }
    return called.sorted { $0.key < $1.key }.map { (program.units[Int($0.key)], $0.value) }
  }
}

/// What an edit did to the structures, classes and unions that two versions of a unit know, whether or not anything kept
/// leads to them.
private struct EditedTypes {
  struct Change {
    var oldName: String
    var newName: String
    var differences: [LayoutDifference]
  }

  /// By name.
  private let old: [String: TypeIndex]
  private let new: [String: TypeIndex]
  private let tables: (old: TypeTable, new: TypeTable)
  /// Names of those that differ.
  let edited: Set<String>

  /// - Returns: nil when none differs.
  init?(_ before: LayoutSource, _ after: LayoutSource) {
    guard let before = NamedTypes(before), let after = NamedTypes(after) else { return nil }
    var comparison = LayoutComparison(before.table, after.table)
    var found: Set<String> = []
    for (name, type) in after.types {
      guard let earlier = before.types[name] else { continue }
      if !comparison.differences(earlier, type).isEmpty { found.insert(name) }
    }
    guard !found.isEmpty else { return nil }
    (old, new, edited) = (before.types, after.types, found)
    tables = (before.table, after.table)
  }

  /// How a type differs from what another unit has of it; nil when it does not, or did before.
  func change(of name: String, since theirs: TypeIndex, in table: TypeTable) -> Change? {
    guard let before = old[name], let after = new[name] else { return nil }
    var agreement = LayoutComparison(table, tables.old)
    guard agreement.differences(theirs, before).isEmpty else { return nil }
    var comparison = LayoutComparison(table, tables.new)
    let differences = comparison.differences(theirs, after)
    guard !differences.isEmpty else { return nil }
    return Change(
      oldName: table.name(of: theirs), newName: tables.new.name(of: after),
      differences: differences)
  }
}

/// All structures, classes and unions of debug data that have a name.
private struct NamedTypes {
  private(set) var types: [String: TypeIndex] = [:]
  let table: TypeTable
  // Names lie in it.
  private let data: DebugData

  init?(_ source: LayoutSource) {
    guard let data = try? DebugData(source) else { return nil }
    self.data = data
    let entries = DebugEntries(data)
    var reader = LayoutReader(entries)
    for offset in entries.scan.records {
      let type = reader.type(at: offset)
      let node = reader.table[type]
      guard node.shape == .record || node.shape == .union,
        let name = reader.table.qualifiedName(node)
      else { continue }
      types[LayoutText.plain(name)] = type
    }
    table = reader.table
  }
}
