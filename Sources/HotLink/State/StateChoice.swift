// What a unit's policies mean for one variable of a plan.
internal import LoaderEngine

extension StatePlan {
  /// What is done with a variable that was there before.
  func stateKind(_ name: String) -> Carry.Kind {
    // Swift: the word by which a global knows that it is initialised (`swift_once`).
    if IdentityNames.isRuntimeCache(name) {
      return policies.resetsAll && name.hasSuffix("Wz") ? .reset : .cache
    }
    if IdentityNames.isIdentity(name) { return .identity }
    switch policies[name] {
    case .keep, .move, .resetWhenNeeded: return .state
    case .hold: return .held
    case .source: return .source
    case .reset: return policies.resetsAll || !name.hasPrefix("$s") ? .reset : .state
    }
  }

  /// A variable that is initialised anew is as good as new to the initialisers of its unit.
  func end(_ variable: Variable, _ symbol: Int) {
    newVariables.insert(symbol)
    carriedNew.insert(symbol)
    ended.append(AddressRange(start: Address(variable.address), size: variable.size))
  }

  /// Whether a variable that outgrew its place may have another.
  func leave(
    _ section: Int, _ atom: Atom, _ symbol: Int, _ variable: Variable
  ) -> Bool {
    let policy = policies[name(symbol)]
    guard policy == .move || policy == .reset || policy == .resetWhenNeeded else { return false }
    if policy != .move { end(variable, symbol) }
    moves.append(
      StateMove(
        symbol: name(symbol), section: section, offset: atom.offset, size: atom.size,
        oldSize: variable.size,
        sources: [
          StateMove.Source(
            address: variable.address, offset: 0, size: min(atom.size, variable.size))
        ], isReset: policy != .move))
    return true
  }
}
