// Records of languages that live objects and other records depend on: which changes of theirs are refused.
internal import LoaderEngine

extension StatePlan {
  /// Swift's descriptors refer to others of their section by distance, which the assembler has already
  /// computed: there is no relocation to follow, so they stay together or not at all.
  func refuseMovedRecords(_ section: Int, _ map: DataMap, _ found: [Variable?]) throws {
    guard roles[section] == .constant, found.contains(where: { $0 != nil }) else { return }
    var bases: Set<UInt64> = []
    var fresh: String?
    var holdsRecords = false
    for (atom, variable) in zip(map.atoms, found) {
      guard let symbol = atom.symbol else { continue }
      holdsRecords = holdsRecords || IdentityNames.refersByDistance(name(symbol))
      if let variable {
        bases.insert(variable.address &- atom.offset)
        if IdentityNames.refersByDistance(name(symbol)), differs(section, atom, variable) {
          fresh = fresh ?? name(symbol)
        }
      } else {
        fresh = fresh ?? name(symbol)
      }
    }
    guard holdsRecords, bases.count > 1 || fresh != nil else { return }
    throw StateRefusal(
      unit: unit, symbol: fresh ?? object.name(ofSection: section).string,
      reason: .recordsWouldMove)
  }

  /// Whether a section has to stay in one piece, new as it is.
  func holdsRecords(_ map: DataMap) -> Bool {
    map.atoms.contains { atom in
      atom.symbol.map { IdentityNames.refersByDistance(name($0)) } ?? false
    }
  }

  /// Whether a record's bytes in the object are other ones than before, distances among them.
  func differs(_ section: Int, _ atom: Atom, _ variable: Variable) -> Bool {
    guard let old, variable.section >= 0 else { return true }
    let now = object.contents(ofSection: section)?.slice(atom.offset, atom.size)
    let before = old.object.contents(ofSection: variable.section)?
      .slice(variable.offset, variable.size)
    return now?.array != before?.array
  }

  func refuseShape(_ name: String, _ from: UInt64, _ to: UInt64) throws {
    if from != to, IdentityNames.shapesObjects(name) {
      throw StateRefusal(
        unit: unit, symbol: name, reason: .shapeChanged(from: from, to: to))
    }
  }
}
