// Which members of archives a link needs: those that define what is asked for and nobody else has, and
// what they ask for in turn. ld(1), archives.
internal import CLoaderSupport
internal import LoaderEngine

struct MemberSelection {
  private let members: [String: ObjectFile]
  private let space: LinkSpace
  private var definer: [SymbolID: String] = [:]

  init(_ members: [String: ObjectFile], _ order: [String], _ space: LinkSpace) {
    self.members = members
    self.space = space
    for name in order {
      guard let object = members[name] else { continue }
      for index in object.firstGlobal..<object.symbols.count {
        switch object.place(ofSymbol: index) {
        case .undefined, .common: continue
        case .absolute, .section: break
        }
        let id = space.names.intern(object.name(ofSymbol: index))
        if definer[id] == nil { definer[id] = name }
      }
    }
  }

  /// Names of members, in the order they are needed.
  mutating func needed(by objects: [ObjectFile], having isDefined: (SymbolID) -> Bool) -> [String] {
    var defined: Set<SymbolID> = []
    var wanted: [SymbolID] = []
    var chosen: [String] = []
    var queue = objects
    var seen: Set<String> = []
    for object in objects { collect(object, &defined, &wanted) }
    queue.removeAll()
    while let id = wanted.popLast() {
      guard !defined.contains(id), !isDefined(id), let name = definer[id],
        seen.insert(name).inserted, let object = members[name]
      else { continue }
      chosen.append(name)
      collect(object, &defined, &wanted)
    }
    return chosen
  }

  private func collect(
    _ object: ObjectFile, _ defined: inout Set<SymbolID>, _ wanted: inout [SymbolID]
  ) {
    for index in object.firstGlobal..<object.symbols.count {
      let id = space.names.intern(object.name(ofSymbol: index))
      if object.place(ofSymbol: index) == .undefined {
        if !object.symbols[index].isWeakBinding { wanted.append(id) }
      } else {
        defined.insert(id)
      }
    }
  }
}
