// What a set of objects defines for itself only. In a linked image a hidden symbol is known to its own objects and to nobody
// else; sets that are linked one after the other into a context are as many images. gABI, "Symbol Table", STV_HIDDEN.
internal import CLoaderSupport

extension LinkedSet {
  /// Gives names that the set defines and any of its objects calls hidden a number that no other set has.
  func hideNames() {
    guard options.isRemovable, let owner = objects.first?.unit else { return }
    var hidden: Set<SymbolID> = []
    var defined: Set<SymbolID> = []
    for linked in objects {
      let object = linked.object
      for index in object.firstGlobal..<object.symbols.count
      where object.symbols[index].isHidden {
        hidden.insert(linked.globalID(index))
      }
    }
    guard !hidden.isEmpty else { return }
    for linked in objects {
      let object = linked.object
      for index in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: index) != .undefined && hidden.contains(linked.globalID(index)) {
        defined.insert(linked.globalID(index))
      }
    }
    for linked in objects {
      for index in linked.globals.indices where defined.contains(linked.globals[index]) {
        // No local symbol has this ordinal.
        linked.globals[index] = space.localID(
          unit: owner, name: space.names[linked.globals[index]].string, ordinal: -1)
      }
    }
  }

  /// Sections of an object that define what other sets cannot refer to: a COMDAT group with one of them is each set's own.
  func hiddenSections(of object: ObjectFile) -> Set<Int> {
    guard options.isRemovable, !object.groups.isEmpty else { return [] }
    var found: Set<Int> = []
    for index in object.firstGlobal..<object.symbols.count where object.symbols[index].isHidden {
      if case .section(let section) = object.place(ofSymbol: index) { found.insert(section) }
    }
    return found
  }
}
