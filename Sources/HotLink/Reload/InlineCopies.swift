// Inline functions have a copy in each unit that uses them, and one unit's copy serves all (ELF: COMDAT
// groups). What a unit changed in a copy that nobody uses is no change; that it was meant to be one is said.
internal import LoaderEngine

extension FunctionChanges {
  /// Without functions of groups that another unit supplies.
  func supplied(by linked: LinkedObject) -> FunctionChanges {
    guard !linked.discarded.isEmpty, !changed.isEmpty || !added.isEmpty else { return self }
    let others = linked.discardedFunctions
    var result = self
    result.changed.removeAll { others[$0] != nil }
    result.added.removeAll { others[$0] != nil }
    return result
  }
}

extension LinkedObject {
  /// Global functions of groups that another object supplies, with their sections.
  fileprivate var discardedFunctions: [String: Int] {
    var found: [String: Int] = [:]
    for index in object.firstGlobal..<object.symbols.count where object.symbols[index].isFunction {
      guard case .section(let section) = object.place(ofSymbol: index),
        discarded.contains(section)
      else { continue }
      found[object.name(ofSymbol: index).string] = section
    }
    return found
  }
}

extension Program {
  /// Functions whose copy changed with a unit, while the copy that all use is another one.
  func shadowed(_ members: [Comparison], _ set: LinkedSet) -> [ShadowedFunction] {
    var found: [ShadowedFunction] = []
    for member in members where !member.version.linked.discarded.isEmpty {
      guard let old = member.old else { continue }
      let candidates = member.version.linked.discardedFunctions
      let changes = member.version.functions.compared(to: old.functions)
      for name in changes.changed where candidates[name] != nil {
        guard let id = space.names.find(name), let owner = set.definition(of: id)?.unit,
          owner != member.unit.id, owner < units.count
        else { continue }
        let supplier =
          members.first { $0.unit.id == owner }?.version ?? units[Int(owner)].version
        guard let theirs = supplier?.functions.fingerprints[name],
          theirs != member.version.functions.fingerprints[name]
        else { continue }
        found.append(
          ShadowedFunction(symbol: name, unit: member.unit.name, owner: self.name(ofUnit: owner)))
      }
    }
    return found
  }
}
