// The part of the guard that looks beyond variables: functions that other units call, types that only pointers lead to,
// closures that are stored.
internal import LoaderEngine

extension LayoutGuard {
  // MARK: functions

  mutating func compareSignatures(_ pair: Pair, _ comparison: inout LayoutComparison) {
    guard !pair.new.functions.isEmpty, !pair.old.functions.isEmpty else { return }
    var twins = NamedTwins(pair.old, pair.old.functions)
    var before: [String: UnitLayouts.Entity] = [:]
    var byValue = LayoutComparison(pair.old.table, pair.new.table, staysByValue: true)
    var heap: [String: LayoutDifference] = [:]
    for entity in pair.new.functions {
      let view = pair.new.symbolName(of: entity)
      var twin = twins.next(view)
      if twin == nil {
        if before.isEmpty {
          for one in pair.old.functions { before[pair.old.symbolName(of: one).string] = one }
        }
        twin = before[view.string]
      }
      guard let old = twin else { continue }
      let differences = byValue.differences(old.type, entity.type)
      if !differences.isEmpty {
        let name = view.string
        let callers = program.users(of: name, outside: inputs).map(\.name)
        if !callers.isEmpty {
          noteSignature(pair, name, old, entity, differences, callers)
          continue
        }
      }
      for difference in comparison.differences(old.type, entity.type)
      where difference.isBehindPointer && heap[difference.old.name] == nil {
        heap[difference.old.name] = difference
      }
    }
    for name in heap.keys.sorted() { if let found = heap[name] { compareHeap(pair, found) } }
  }

  private mutating func noteSignature(
    _ pair: Pair, _ name: String, _ old: UnitLayouts.Entity, _ new: UnitLayouts.Entity,
    _ differences: [LayoutDifference], _ callers: [String]
  ) {
    let plain = pair.new.name(of: new)
    let policy = policies.policy(unit: pair.unit.name, names: [name, plain])
    refused.append(
      (
        LayoutChange(
          subject: .function(callers: callers), unit: pair.unit.name, name: plain, symbol: name,
          oldType: pair.old.table.name(of: old.type), newType: pair.new.table.name(of: new.type),
          differences: differences),
        policy == .restart ? .restart : .refuse, nil
      ))
  }

  /// A type that only functions of this unit have seen changed: does any other unit keep one, or look into it?
  private mutating func compareHeap(_ pair: Pair, _ difference: LayoutDifference) {
    let shown = difference.old.name
    let name = shown.hasPrefix("struct ") ? String(shown.dropFirst(7)) : shown
    guard let after = pair.new.definition(of: name) else { return }
    for unit in program.units where !inputs.contains(unit) {
      guard let layouts = unit.layouts, layouts.sight == .sees,
        let keeper = layouts.keeper(of: name)
      else { continue }
      let change = LayoutChange(
        subject: .heap(keeper: layouts.name(of: keeper), unit: unit.name), unit: pair.unit.name,
        name: shown, symbol: name, oldType: shown, newType: difference.new.name,
        differences: [difference])
      if policies.toleratesHeap {
        result.warnings.append(change)
      } else {
        let policy = policies.policy(unit: pair.unit.name, names: [name, shown])
        refused.append((change, policy, policy == .migrate ? .behindPointer : nil))
      }
      return
    }
    compareCallers(pair, name, after, difference)
  }

  /// Units that were compiled with the old form of a type and call functions of this one.
  private mutating func compareCallers(
    _ pair: Pair, _ name: String, _ after: TypeIndex, _ difference: LayoutDifference
  ) {
    for entity in pair.new.functions {
      guard pair.new.signature(entity, mentions: name) else { continue }
      let function = pair.new.symbolName(of: entity).string
      let callers = program.users(of: function, outside: inputs).filter { unit in
        guard let source = unit.layouts?.source,
          let (table, type) = UnitLayouts.definition(of: name, in: source)
        else { return false }
        var comparison = LayoutComparison(table, pair.new.table)
        return !comparison.differences(type, after).isEmpty
      }.map(\.name)
      guard !callers.isEmpty else { continue }
      let text = pair.new.table.name(of: entity.type)
      let policy = policies.policy(unit: pair.unit.name, names: [function])
      refused.append(
        (
          LayoutChange(
            subject: .function(callers: callers), unit: pair.unit.name,
            name: pair.new.name(of: entity), symbol: function, oldType: text, newType: text,
            differences: [difference]),
          policy == .restart ? .restart : .refuse, nil
        ))
      return
    }
  }

  // MARK: stored closures

  mutating func compareHeld(_ pair: Pair, _ comparison: inout LayoutComparison) {
    func grouped(_ list: [UnitLayouts.Held]) -> [String: [UnitLayouts.Held]] {
      Dictionary(grouping: list) { $0.home + " " + $0.holder }
    }
    let before = grouped(pair.old.held)
    for (home, held) in grouped(pair.new.held).sorted(by: { $0.key < $1.key }) {
      if let earlier = before[home] { compareHeld(pair, earlier, held, &comparison) }
    }
  }

  /// Closures of one function and one signature. One that was added or taken out shifts the others.
  private mutating func compareHeld(
    _ pair: Pair, _ old: [UnitLayouts.Held], _ new: [UnitLayouts.Held],
    _ comparison: inout LayoutComparison
  ) {
    if old.count != new.count {
      var at = 0
      for held in old.count < new.count ? new : old where at < min(old.count, new.count) {
        let (a, b) = old.count < new.count ? (old[at], held) : (held, new[at])
        if comparison.differences(a.type, b.type).isEmpty { at += 1 }
      }
      if at == min(old.count, new.count) { return }
    }
    for (before, held) in zip(old, new) {
      let differences = comparison.differences(before.type, held.type)
      guard !differences.isEmpty, isKept(held.holder, pair) else { continue }
      let name = held.home.hasSuffix("::") ? "a lambda in \(held.home.dropLast(2))" : held.home
      let change = LayoutChange(
        subject: .closure, unit: pair.unit.name, name: name, symbol: "",
        oldType: pair.old.table.name(of: before.type), newType: name, differences: differences)
      if policies.toleratesHeap, change.isBehindPointer {
        result.warnings.append(change)
      } else {
        let policy = policies.policy(unit: pair.unit.name, names: [name])
        refused.append(
          (change, policy, policy == .migrate || policy == .reset ? .noVariable : nil))
      }
    }
  }

  /// Whether any unit's variables lead to a type that holds such a thing.
  private func isKept(_ holder: String, _ pair: Pair) -> Bool {
    if pair.old.keeper(of: holder) != nil { return true }
    return program.units.contains { unit in
      guard unit !== pair.unit, let layouts = unit.layouts, layouts.sight == .sees else {
        return false
      }
      return layouts.keeper(of: holder) != nil
    }
  }
}
