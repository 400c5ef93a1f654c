// gcc numbers a C function's static variables over the whole file (`n.0`, `count.1`), so that adding one renames
// the others. They are matched by the functions that refer to them, then by first value and order; one that has no
// match is new.
internal import CLoaderSupport
internal import LoaderEngine

/// Identities for the numbered variables of a changed unit.
struct LocalStatics {
  /// By symbol index of the new object: the name whose identity it takes.
  private(set) var identities: [Int: String] = [:]

  private struct Member {
    var symbol: Int
    var number: Int
    var size: UInt64
    /// Names of functions that refer to it.
    var users: Set<String> = []
    /// Its first bytes, as a number.
    var first: UInt64
  }

  /// - Parameter generation: makes identities of variables without a predecessor unique.
  init(_ object: ObjectFile, old: UnitVersion, generation: Int) {
    let new = LocalStatics.families(object)
    guard !new.isEmpty else { return }
    let before = LocalStatics.families(old.object)
    for (family, members) in new {
      let earlier = before[family] ?? []
      let partners = LocalStatics.pair(earlier, members)
      for (index, member) in members.enumerated() {
        let own = object.name(ofSymbol: member.symbol).string
        if let partner = partners[index] {
          let identity = old.identity(ofLocal: earlier[partner].symbol)
          if identity != own { identities[member.symbol] = identity }
        } else if old.variables.all.keys.contains(where: { $0.name == own }) {
          identities[member.symbol] = own + "\u{1}\(generation)"
        }
      }
    }
  }

  /// Whether gcc made an object, and a local name with a number is one of a function's variables.
  static func areNumbered(in object: ObjectFile) -> Bool {
    object.sections.indices.contains { section in
      guard object.name(ofSection: section) == ".comment",
        let bytes = object.contents(ofSection: section)
      else { return false }
      // An assembler begins it with an empty text.
      return bytes.array.drop { $0 == 0 }.starts(with: Array("GCC: ".utf8))
    }
  }

  private static func families(_ object: ObjectFile) -> [String: [Member]] {
    var families: [String: [Member]] = [:]
    for index in 1..<max(object.firstGlobal, 1)
    where object.symbols[index].type == UInt8(STT_OBJECT)
      && object.name(ofSymbol: index).contains(".")
    {
      guard let part = VariableParts.part(object.name(ofSymbol: index).string),
        case .section(let section) = object.place(ofSymbol: index),
        SectionRole.of(object.sections[section], object.name(ofSection: section)).isState
      else { continue }
      families[part.whole, default: []].append(
        Member(
          symbol: index, number: part.number, size: object.symbols[index].st_size,
          first: firstBytes(object, section, index)))
    }
    guard !families.isEmpty, areNumbered(in: object) else { return [:] }
    let users = StateUses(object)
    return families.mapValues { members in
      members.map { member in
        var member = member
        member.users = users.functions(of: member.symbol)
        return member
      }.sorted { $0.number < $1.number }
    }
  }

  private static func firstBytes(_ object: ObjectFile, _ section: Int, _ index: Int) -> UInt64 {
    let symbol = object.symbols[index]
    let bytes = object.contents(ofSection: section)?.slice(symbol.st_value, symbol.st_size)
    // What is zero is the same in .bss and in .data.
    guard let bytes, bytes.array.contains(where: { $0 != 0 }) else { return 0 }
    return bytes.hash | 1
  }

  /// For each new member the old one that it continues.
  private static func pair(_ old: [Member], _ new: [Member]) -> [Int?] {
    var partners = [Int?](repeating: nil, count: new.count)
    var isTaken = [Bool](repeating: false, count: old.count)
    /// Takes those of which there are as many on both sides, in their order.
    func take(_ isSame: (Member, Member) -> Bool) {
      for index in new.indices where partners[index] == nil {
        let olds = old.indices.filter { !isTaken[$0] && isSame(old[$0], new[index]) }
        let news = new.indices.filter { candidate in
          partners[candidate] == nil && olds.contains { isSame(old[$0], new[candidate]) }
        }
        guard olds.count == news.count else { continue }
        for (partner, candidate) in zip(olds, news) where isSame(old[partner], new[candidate]) {
          partners[candidate] = partner
          isTaken[partner] = true
        }
      }
    }
    take { $0.users == $1.users && $0.size == $1.size && $0.first == $1.first }
    take { $0.users == $1.users && $0.size == $1.size }
    take { !$0.users.isDisjoint(with: $1.users) && $0.size == $1.size && $0.first == $1.first }
    take { !$0.users.isDisjoint(with: $1.users) && $0.size == $1.size }
    take { $0.users == $1.users }
    take { $0.size == $1.size && $0.first == $1.first }
    return partners
  }
}

/// Which functions of an object refer to which of its variables.
struct StateUses {
  private var table: [Int: Set<String>] = [:]

  init(_ object: ObjectFile) {
    let symbols = SymbolsBySection(object)
    var maps: [Int: DataMap] = [:]
    for list in object.relocationSections {
      let section = Int(object.sections[list].info)
      guard object.sections[section].isAllocated, object.sections[section].isExecutable,
        let code = object.contents(ofSection: section)
      else { continue }
      let functions = symbols[section].filter { object.symbols[$0].isFunction }.map {
        (start: object.symbols[$0].st_value, symbol: $0)
      }.sorted { $0.start < $1.start }
      let relocations = object.relocations(inSection: list)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        guard relocation.symbol < object.symbols.count,
          case .section(let aim) = object.place(ofSymbol: relocation.symbol),
          !object.sections[aim].isExecutable
        else { continue }
        var variable = relocation.symbol
        if object.symbols[variable].type == UInt8(STT_SECTION) {
          if maps[aim] == nil {
            maps[aim] = DataMap(object, section: aim, symbols: symbols[aim])
          }
          let offset = UInt64(
            bitPattern: relocation.r_addend
              &+ OperandField.bias(code, relocation.r_offset, relocation.type))
          guard let atom = maps[aim]?.index(of: offset), let owner = maps[aim]?.atoms[atom].symbol
          else { continue }
          variable = owner
        }
        guard let function = StateUses.last(in: functions, at: relocation.r_offset) else {
          continue
        }
        table[variable, default: []].insert(object.name(ofSymbol: function).string)
      }
    }
  }

  func functions(of variable: Int) -> Set<String> { table[variable] ?? [] }

  /// The last function that begins at or before an offset.
  private static func last(in functions: [(start: UInt64, symbol: Int)], at offset: UInt64) -> Int?
  {
    var low = 0
    var high = functions.count
    while low < high {
      let middle = (low + high) / 2
      if functions[middle].start <= offset { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? functions[low - 1].symbol : nil
  }
}
