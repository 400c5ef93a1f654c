// Which members of archives a link needs: those that define what is asked for and nobody else has, and what they
// ask for in turn. As ld takes them between --start-group and --end-group: archive by archive, each until it gives
// nothing more, round by round. Linear but for a heap. ld(1), archives.
internal import CLoaderSupport
internal import LoaderEngine
internal import SystemPackage

/// The members that archives offer, in the order of the archives.
struct ArchiveMembers {
  fileprivate(set) var objects: [String: ObjectFile] = [:]
  fileprivate(set) var order: [(name: String, archive: Int)] = []
  /// Positions of files among all that were given, by name.
  private(set) var positions: [String: Int] = [:]
  private var files = 0
  private var archives = 0
  private var isInArchives = false

  /// Notes files, and the members of those that are archives.
  mutating func offer(_ files: [UnitFile]) {
    positions.reserveCapacity(positions.count + files.count)
    for file in files { offer(file) }
  }

  mutating func offer(_ file: UnitFile) {
    // Archives side by side are one group: their members stand in the order in which they are needed.
    let isInGroup = file.isArchive && isInArchives
    var position = isInGroup ? files : files + 1
    if let known = positions.updateValue(position, forKey: file.name) {
      positions[file.name] = known
      position = known
    } else {
      files = position
      isInArchives = file.isArchive
      archives += 1
    }
    for member in file.members {
      positions[member.name] = position
      if objects.updateValue(member.object, forKey: member.name) == nil {
        order.append((member.name, archives))
      }
    }
  }
}

extension Program {
  /// Where a unit's file stands among those that were given.
  func position(of unit: Unit) -> Int { archives.positions[unit.name] ?? .max }

  /// Pulls in archive members that define something the change needs and nobody has.
  func pullMembers(into inputs: inout ChangeSet) {
    guard !archives.order.isEmpty else { return }
    let selection = MemberSelection(archives, space)
    let wanted = generation.number == 0 ? options.wanted : []
    for name in selection.needed(
      by: inputs.objects, wanted: wanted, having: { self.generation.table[$0] != nil })
    where unit(named: name).map({ $0.version == nil && !inputs.contains($0) }) ?? true {
      if let object = archives.objects[name] { inputs.add(makeUnit(name), object) }
    }
  }
}

struct MemberSelection {
  private let objects: [ObjectFile]
  private let names: [String]
  private let archives: [Int]
  private let space: LinkSpace
  /// By symbol: the first member that defines it, and the first that has it as COMMON.
  private var definer: [SymbolID: Int] = [:]
  private var commonDefiner: [SymbolID: Int] = [:]

  init(_ members: ArchiveMembers, _ space: LinkSpace) {
    let sorted = members.order.enumerated().sorted {
      ($0.element.archive, $0.offset) < ($1.element.archive, $1.offset)
    }.map(\.element)
    self.space = space
    names = sorted.map(\.name)
    archives = sorted.map(\.archive)
    objects = sorted.compactMap { members.objects[$0.name] }
    for (member, object) in objects.enumerated() {
      for index in object.firstGlobal..<object.symbols.count {
        let place = object.place(ofSymbol: index)
        guard place != .undefined else { continue }
        let id = space.id(of: object, index)
        if place == .common {
          if commonDefiner[id] == nil { commonDefiner[id] = member }
        } else if definer[id] == nil {
          definer[id] = member
        }
      }
    }
    // The linker's own, by which what is registered for the program's end is found again; tcc's archive has another.
    definer[space.names.intern("__dso_handle")] = nil
  }

  /// Where the search stands: round, archive, pass over the archive, member; and what it is wanted for.
  private struct Step: Comparable {
    var round = 0
    var archive = -1
    var pass = 0
    var member = -1
    var symbol = SymbolID.none
    var isCommon = false

    static func < (left: Step, right: Step) -> Bool {
      (left.round, left.archive, left.pass, left.member)
        < (right.round, right.archive, right.pass, right.member)
    }

    /// When a member is come upon next.
    func next(_ member: Int, of archive: Int, for symbol: SymbolID, isCommon: Bool) -> Step {
      var step = Step(round: round, archive: archive, member: member)
      if archive < self.archive { step.round += 1 }
      if archive == self.archive { step.pass = member > self.member ? pass : pass + 1 }
      step.symbol = symbol
      step.isCommon = isCommon
      return step
    }
  }

  /// What the objects taken so far have, and what they ask for.
  private struct Symbols {
    var defined: Set<SymbolID> = []
    var common: Set<SymbolID> = []
    var asked: [SymbolID] = []

    mutating func take(_ object: ObjectFile, _ space: LinkSpace) {
      for index in object.firstGlobal..<object.symbols.count {
        let id = space.id(of: object, index)
        switch object.place(ofSymbol: index) {
        case .undefined: if !object.symbols[index].isWeakBinding { asked.append(id) }
        // A definition of it is taken from an archive, another COMMON is not.
        case .common: if common.insert(id).inserted { asked.append(id) }
        case .absolute, .section: defined.insert(id)
        }
      }
    }
  }

  /// Names of members, in the order they are needed.
  func needed(
    by inputs: [ObjectFile], wanted: [String], having isDefined: (SymbolID) -> Bool
  ) -> [String] {
    var symbols = Symbols()
    var chosen: [Int] = []
    var seen: Set<Int> = []
    var queue = Heap<Step>()
    var step = Step()
    for object in inputs { symbols.take(object, space) }
    symbols.asked += wanted.map { space.names.intern($0) }
    while true {
      for id in symbols.asked where !symbols.defined.contains(id) && !isDefined(id) {
        let isCommon = symbols.common.contains(id)
        guard let member = member(for: id, isCommon: isCommon), !seen.contains(member) else {
          continue
        }
        queue.push(step.next(member, of: archives[member], for: id, isCommon: isCommon))
      }
      symbols.asked.removeAll(keepingCapacity: true)
      guard let at = queue.pop() else { break }
      step = at
      // Another may have brought what it was wanted for.
      guard !symbols.defined.contains(at.symbol),
        at.isCommon || !symbols.common.contains(at.symbol), seen.insert(at.member).inserted
      else { continue }
      chosen.append(at.member)
      symbols.take(objects[at.member], space)
    }
    return chosen.map { names[$0] }
  }

  private func member(for id: SymbolID, isCommon: Bool) -> Int? {
    guard !isCommon, let common = commonDefiner[id] else { return definer[id] }
    return definer[id].map { min($0, common) } ?? common
  }
}

/// A queue whose smallest element comes first.
struct Heap<Element: Comparable> {
  private var elements: [Element] = []

  mutating func push(_ element: Element) {
    elements.append(element)
    var child = elements.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard elements[child] < elements[parent] else { return }
      elements.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> Element? {
    guard let least = elements.first else { return nil }
    let last = elements.removeLast()
    guard !elements.isEmpty else { return least }
    elements[0] = last
    var parent = 0
    while true {
      var child = parent * 2 + 1
      guard child < elements.count else { return least }
      if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
      guard elements[child] < elements[parent] else { return least }
      elements.swapAt(child, parent)
      parent = child
    }
  }
}
