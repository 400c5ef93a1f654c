// What nothing leads to is left out: sections that are reached from the roots over relocations stay, and what has to
// stay whoever refers to it. ld(1), --gc-sections, KEEP; gABI, SHF_GNU_RETAIN, SHF_LINK_ORDER, groups.
internal import CLoaderSupport

extension LinkedSet {
  /// Drops sections and symbols that the roots do not lead to.
  ///
  /// - Throws: `LinkError.undefined` for a root that nobody defines.
  func prune() throws(LinkError) {
    guard let roots = options.deadStripRoots else { return }
    var strip = DeadStrip(self)
    let absent = roots.filter { !strip.mark(root: space.names.intern($0)) }
    guard absent.isEmpty else {
      throw LinkError(
        file: "",
        .undefined(
          absent.map { LinkError.UndefinedSymbol(name: $0, sites: [], references: 1) }))
    }
    strip.run()
    strip.sweep()
  }
}

/// Which sections of a set are reached.
struct DeadStrip {
  private struct Node: Hashable {
    var object: Int
    var section: Int
  }

  private let set: LinkedSet
  private var live: [[Bool]]
  private var queue: [Node] = []
  private var liveCommons: Set<SymbolID> = []
  /// The object and symbol that define a name.
  private var definitions: [SymbolID: (object: Int, symbol: Int)] = [:]
  private var encapsulated: [String: [Node]] = [:]
  /// By object: relocation lists of a section, sections that follow it, groups.
  private var lists: [[Int: [Int]]] = []
  private var followers: [[Int: [Int]]] = []
  private var groups: [[Int: [Int]]] = []
  /// What unwinding a function needs, by its section.
  private var unwindNeeds: [Node: [Int]] = [:]

  init(_ set: LinkedSet) {
    self.set = set
    live = set.objects.map { [Bool](repeating: false, count: $0.roles.count) }
    for (index, linked) in set.objects.enumerated() {
      let object = linked.object
      lists.append(
        Dictionary(grouping: object.relocationSections) { Int(object.sections[$0].info) })
      var following: [Int: [Int]] = [:]
      for section in object.sections.indices {
        if let leader = object.sections[section].leader {
          following[leader, default: []].append(section)
        }
        if linked.roles[section] == .encapsulated {
          encapsulated[object.name(ofSection: section).string, default: []].append(
            Node(object: index, section: section))
        }
      }
      followers.append(following)
      var members: [Int: [Int]] = [:]
      for group in object.groups { for member in group.members { members[member] = group.members } }
      groups.append(members)
      for symbol in object.firstGlobal..<object.symbols.count
      where linked.kind(ofSymbol: symbol) != .none
        && set.draft[linked.globalID(symbol)]?.unit == linked.unit
      {
        definitions[linked.globalID(symbol)] = (index, symbol)
      }
    }
    for index in set.objects.indices { markKept(index) }
  }

  /// What stays whoever refers to it.
  private mutating func markKept(_ index: Int) {
    let linked = set.objects[index]
    for section in linked.roles.indices where linked.roles[section] != .ignored {
      let header = linked.object.sections[section]
      let role = linked.roles[section]
      if role == .unwind {
        noteUnwinding(index, section)
      } else if role.isInitialiserTable || header.isRetained
        || (header.type == UInt32(SHT_NOTE) && groups[index][section] == nil)
        || (role == .text && SectionRole.isFragment(linked.object, section))
      {
        mark(index, section)
      }
    }
  }

  /// An unwind record is needed with its function, and then needs its handlers; a CIE's routine always.
  private mutating func noteUnwinding(_ index: Int, _ section: Int) {
    let object = set.objects[index].object
    guard let bytes = object.contents(ofSection: section) else { return }
    var relocations: [Elf64_Rela] = []
    for list in lists[index][section] ?? [] {
      let table = object.relocations(inSection: list)
      for position in 0..<table.count { relocations.append(table[position]) }
    }
    relocations.sort { $0.r_offset < $1.r_offset }
    var next = 0
    var at: UInt64 = 0
    while let length = bytes.load(UInt32.self, at: at), length != 0, length != 0xFFFF_FFFF,
      let id = bytes.load(UInt32.self, at: at + 4)
    {
      let end = at + 4 + UInt64(length)
      var symbols: [Int] = []
      var function: Node?
      while next < relocations.count, relocations[next].r_offset < end {
        let relocation = relocations[next]
        next += 1
        guard relocation.symbol < object.symbols.count else { continue }
        if id != 0, relocation.r_offset == at + 8 {
          if case .section(let code) = object.place(ofSymbol: relocation.symbol) {
            function = Node(object: index, section: code)
          }
        } else {
          symbols.append(relocation.symbol)
        }
      }
      if id == 0 {
        for symbol in symbols { mark(index, symbol: symbol) }
      } else if let function, !symbols.isEmpty {
        unwindNeeds[function, default: []] += symbols
      }
      at = end
    }
  }

  /// - Returns: whether anybody defines it.
  mutating func mark(root id: SymbolID) -> Bool {
    guard let found = definitions[id] else { return set.draft[id] != nil }
    mark(found.object, symbol: found.symbol)
    return true
  }

  private mutating func mark(_ index: Int, symbol: Int) {
    let linked = set.objects[index]
    guard symbol >= linked.object.firstGlobal else {
      if case .section(let section) = linked.object.place(ofSymbol: symbol) {
        mark(index, section)
      }
      return
    }
    let id = linked.globalID(symbol)
    if let found = definitions[id] {
      switch set.objects[found.object].object.place(ofSymbol: found.symbol) {
      case .section(let section): mark(found.object, section)
      case .common: liveCommons.insert(id)
      case .absolute, .undefined: break
      }
      return
    }
    let name = set.space.names[id]
    guard name.hasPrefix("__start_") || name.hasPrefix("__stop_") else { return }
    let section = name.dropFirst(name.hasPrefix("__start_") ? 8 : 7).string
    for node in encapsulated[section] ?? [] { mark(node.object, node.section) }
  }

  private mutating func mark(_ index: Int, _ section: Int) {
    guard section < live[index].count, !live[index][section],
      set.objects[index].roles[section] != .ignored
    else { return }
    live[index][section] = true
    queue.append(Node(object: index, section: section))
  }

  /// Follows relocations to the end.
  mutating func run() {
    while let node = queue.popLast() {
      let object = set.objects[node.object].object
      for list in lists[node.object][node.section] ?? [] {
        let relocations = object.relocations(inSection: list)
        for position in 0..<relocations.count
        where relocations[position].symbol < object.symbols.count {
          mark(node.object, symbol: relocations[position].symbol)
        }
      }
      for symbol in unwindNeeds[node] ?? [] { mark(node.object, symbol: symbol) }
      for section in followers[node.object][node.section] ?? [] { mark(node.object, section) }
      for section in groups[node.object][node.section] ?? [] { mark(node.object, section) }
    }
  }

  /// Drops what was not reached.
  func sweep() {
    for (index, linked) in set.objects.enumerated() {
      let object = linked.object
      for section in linked.roles.indices
      where !live[index][section] && linked.roles[section] != .unwind {
        linked.roles[section] = .ignored
      }
      for symbol in object.firstGlobal..<object.symbols.count {
        let id = linked.globalID(symbol)
        guard let found = definitions[id], found.object == index, found.symbol == symbol else {
          continue
        }
        let isCommon = object.place(ofSymbol: symbol) == .common
        if linked.kind(ofSymbol: symbol) == .none || (isCommon && !liveCommons.contains(id)) {
          set.draft.remove(id)
        }
      }
    }
  }
}
