// Variables that an edit took out: they are told, and their memory stays for pointers that may exist (docs/state.md). What only
// changed its kind, from a variable to something else of its name, is not gone.
internal import LoaderEngine

extension StatePlan {
  /// Notes state of the old version that has no new self.
  func noteRemoved(_ old: UnitVersion) {
    let missed = old.variables.all.filter { _, variable in
      variable.section >= 0 && !matched.contains(variable.symbol)
        && old.linked.roles[variable.section].isState
    }
    guard !missed.isEmpty else { return }
    var present: Set<String> = []
    for index in 1..<max(object.symbols.count, 1) {
      if object.place(ofSymbol: index) != .undefined {
        present.insert(identities[index] ?? object.name(ofSymbol: index).string)
      }
    }
    for key in missed.keys
    where !present.contains(key.name) && !IdentityNames.isIdentity(key.name)
      && !IdentityNames.isRuntimeCache(key.name)
    {
      removed.append(key.name)
    }
    removed.sort()
  }
}
