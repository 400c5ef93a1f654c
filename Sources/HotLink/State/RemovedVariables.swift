// Variables that an edit took out: they are told, and their memory stays for pointers that may exist (docs/state.md). What only
// changed its kind, from a variable to something else of its name, is not gone.
internal import LoaderEngine

extension StatePlan {
  /// Notes state of the old version that has no new self.
  func noteRemoved(_ old: UnitVersion) {
    let missed = old.variables.list.filter { variable in
      variable.section >= 0 && !matched[variable.symbol]
        && old.linked.roles[variable.section].isState
    }
    guard !missed.isEmpty else { return }
    var present: Set<String> = []
    for index in 1..<max(object.symbols.count, 1) {
      if object.place(ofSymbol: index) != .undefined {
        present.insert(identities[index] ?? object.name(ofSymbol: index).string)
      }
    }
    for variable in missed {
      let name = VariableIndex.key(old.linked, variable.symbol).name
      if !present.contains(name), !IdentityNames.isIdentity(name),
        !IdentityNames.isRuntimeCache(name)
      {
        removed.append(name)
      }
    }
    removed.sort()
  }
}
