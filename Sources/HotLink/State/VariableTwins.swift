// Finds the old selves of a new version's variables by walking along both symbol tables, whose order edits hardly change: no
// name is copied or hashed where the next one, or one soon after, is it.
internal import CLoaderSupport
internal import LoaderEngine

struct VariableTwins {
  private let old: LinkedObject
  private let variables: VariableIndex
  private let object: ObjectFile
  private let ordinals: LocalOrdinals
  /// Names under which local symbols of the new version are known, where that is not their own.
  private let identities: [Int: String]
  private var last = 0
  /// So many symbols that came or went are stepped over.
  private static let reach = 8

  init(
    _ object: ObjectFile, _ ordinals: LocalOrdinals, _ identities: [Int: String], old: UnitVersion
  ) {
    self.object = object
    self.ordinals = ordinals
    self.identities = identities
    self.old = old.linked
    variables = old.variables
  }

  /// What a symbol of the new version was before; nil: not found so, which says nothing.
  mutating func find(_ symbol: Int) -> Variable? {
    // Sections are walked one by one: the number is a better guess than the last one found.
    for start in [last + 1, symbol] {
      let end = min(start + VariableTwins.reach, old.object.symbols.count)
      for candidate in max(start, 1)..<max(end, start, 1) where isSame(candidate, symbol) {
        guard let variable = variables[symbol: candidate] else { return nil }
        last = candidate
        return variable
      }
    }
    return nil
  }

  private func isSame(_ before: Int, _ now: Int) -> Bool {
    let (a, b) = (old.object.symbols[before], object.symbols[now])
    let isLocal = now < object.firstGlobal
    guard a.type == b.type, isLocal == (before < old.object.firstGlobal),
      old.object.isName(ofSymbol: before, sameAs: object, now)
    else { return false }
    return !isLocal
      || (identities[now] == nil && old.identities[before] == nil
        && ordinals[now] == old.ordinal(ofLocal: before))
  }
}
