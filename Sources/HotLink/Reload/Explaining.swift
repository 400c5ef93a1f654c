// What a program knows about a name: where it is, who refers to it, what became of it. For a person who asks;
// it reads all symbols, and for each that was meant all relocations.
internal import CLoaderSupport
internal import LoaderEngine

extension Program {
  private struct Found {
    var unit: Unit
    var object: ObjectFile
    var index: Int
  }

  func explain(_ name: String, _ history: SymbolHistory?) -> Explanation {
    var found = find { $0 == name }
    if found.isEmpty { found = find { ReadableName.matches(name, $0) } }
    if !found.isEmpty {
      let chosen = Array(found.prefix(8))
      return .known(chosen.map { explain($0, history) })
    }
    if let library = exported(name) { return .known([explain(library, name, history)]) }
    let gone = history?.symbols.filter { ReadableName.matches(name, $0) }.sorted() ?? []
    guard gone.isEmpty else {
      return .known(
        gone.prefix(8).map {
          var explanation = SymbolExplanation(symbol: $0, kind: .gone)
          explanation.history = history?.events(of: $0) ?? []
          return explanation
        })
    }
    return .unknown(nearest: nearest(to: name))
  }

  // MARK: find

  /// Definitions by name: of a group that many units have, the one that counts.
  private func find(_ matches: (String) -> Bool) -> [Found] {
    var found: [Found] = []
    for unit in units {
      guard let object = unit.version?.object ?? lazyUnits.waiting[unit.id]?.object else {
        continue
      }
      for index in 1..<max(object.symbols.count, 1) {
        guard case .section(let section) = object.place(ofSymbol: index),
          object.sections[section].isAllocated, object.symbols[index].type != UInt8(STT_SECTION),
          object.symbols[index].type != UInt8(STT_FILE)
        else { continue }
        if let linked = unit.version?.linked, linked.discarded.contains(section) { continue }
        let name = object.name(ofSymbol: index).string
        if !name.isEmpty, matches(name) {
          found.append(Found(unit: unit, object: object, index: index))
        }
      }
    }
    return found
  }

  private func exported(_ name: String) -> Definition? {
    guard let id = space.names.find(name), let definition = generation.table[id],
      definition.unit < units.count, units[Int(definition.unit)].library != nil
    else { return nil }
    return definition
  }

  private func nearest(to name: String) -> [String] {
    let limit = name.utf8.count < 4 ? 1 : max(2, min(3, name.utf8.count / 3))
    var near: [(distance: Int, name: String)] = []
    generation.table.forEach { id, definition in
      guard definition.kind != .none else { return }
      let symbol = space.names[id].string
      if let distance = ReadableName.distance(name, symbol, limit: limit) {
        near.append((distance, symbol))
      }
    }
    return near.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
  }

  // MARK: explain

  private func explain(_ found: Found, _ history: SymbolHistory?) -> SymbolExplanation {
    let (object, index) = (found.object, found.index)
    let name = object.name(ofSymbol: index).string
    let isLocal = index < object.firstGlobal
    var explanation = SymbolExplanation(
      symbol: name, kind: kind(object, index))
    explanation.unit = found.unit.name
    explanation.isLocal = isLocal
    explanation.size = object.symbols[index].st_size
    explanation.source = object.sourceFile(ofSymbol: index)
    explanation.history = history?.events(of: name) ?? []
    if let version = found.unit.version {
      explanation.address = version.linked.address(ofSymbol: index).map { Address($0) }
      explanation.generation = version.generation
      if isLocal {
        explanation.slot = version.linked.localSlots[index]?.value
      }
    } else {
      explanation.isWaiting = true
    }
    if !isLocal, let definition = generation.table[space.id(of: object, index)],
      definition.slot != 0
    {
      explanation.slot = definition.slot
    }
    if let slot = explanation.slot { explanation.stub = space.slots.stub(SlotIndex(slot)) }
    if explanation.kind == .variable {
      explanation.policy = options.states.of(unit: found.unit.name)[name]
    }
    explanation.users = users(of: found)
    return explanation
  }

  private func explain(
    _ definition: Definition, _ name: String, _ history: SymbolHistory?
  ) -> SymbolExplanation {
    var explanation = SymbolExplanation(
      symbol: name, kind: definition.kind == .function ? .function : .variable)
    explanation.unit = self.name(ofUnit: definition.unit)
    explanation.size = definition.size
    if definition.kind == .function, definition.slot != 0 {
      explanation.slot = definition.slot
      explanation.stub = space.slots.stub(SlotIndex(definition.slot))
      explanation.address = space.slots.body(SlotIndex(definition.slot))
    } else {
      explanation.address = Address(definition.address)
    }
    explanation.history = history?.events(of: name) ?? []
    if let id = space.names.find(name) {
      for unit in units {
        guard let object = unit.version?.object ?? lazyUnits.waiting[unit.id]?.object else {
          continue
        }
        for index in object.firstGlobal..<object.symbols.count
        where space.id(of: object, index) == id {
          explanation.users += SymbolUses(object, unit: unit.name).users(of: index)
        }
      }
    }
    return explanation
  }

  private func kind(_ object: ObjectFile, _ index: Int) -> SymbolExplanation.Kind {
    guard case .section(let section) = object.place(ofSymbol: index) else { return .variable }
    if object.symbols[index].isThreadLocal { return .threadLocal }
    if object.sections[section].isExecutable { return .function }
    let role = SectionRole.of(object.sections[section], object.name(ofSection: section))
    return role.isState || (role == .encapsulated && object.sections[section].isWritable)
      ? .variable : .constant
  }

  private func users(of found: Found) -> [SymbolExplanation.User] {
    var users = SymbolUses(found.object, unit: found.unit.name).users(of: found.index)
    guard found.index >= found.object.firstGlobal else { return users }
    let id = space.id(of: found.object, found.index)
    for unit in units where unit !== found.unit {
      guard let object = unit.version?.object ?? lazyUnits.waiting[unit.id]?.object else {
        continue
      }
      for index in object.firstGlobal..<object.symbols.count
      where space.id(of: object, index) == id {
        users += SymbolUses(object, unit: unit.name).users(of: index)
      }
      if let library = unit.library, library.bound.contains(where: { $0.0 == id }) {
        users.append(SymbolExplanation.User(unit: unit.name, symbol: ""))
      }
    }
    return users
  }
}

extension ObjectFile {
  /// The file that a symbol was defined in, as its compiler noted it (gABI: STT_FILE).
  fileprivate func sourceFile(ofSymbol wanted: Int) -> String {
    var file = ""
    for index in 1..<max(firstGlobal, 1) where symbols[index].type == UInt8(STT_FILE) {
      if index > wanted, !file.isEmpty { break }
      file = name(ofSymbol: index).string
    }
    return file
  }
}

/// Who refers to a symbol in one object.
private struct SymbolUses {
  private let object: ObjectFile
  private let unit: String
  private let symbols: SymbolsBySection

  init(_ object: ObjectFile, unit: String) {
    self.object = object
    self.unit = unit
    symbols = SymbolsBySection(object)
  }

  func users(of wanted: Int) -> [SymbolExplanation.User] {
    var home = -1
    var range: Range<UInt64> = 0..<0
    if case .section(let section) = object.place(ofSymbol: wanted) {
      home = section
      let start = object.symbols[wanted].st_value
      range = start..<(start &+ max(object.symbols[wanted].st_size, 1))
    }
    var names: Set<String> = []
    for list in object.relocationSections {
      let section = Int(object.sections[list].info)
      guard object.sections[section].isAllocated, !isTable(section) else { continue }
      let isCode = object.sections[section].isExecutable
      let relocations = object.relocations(inSection: list)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        guard relocation.symbol < object.symbols.count else { continue }
        if relocation.symbol != wanted {
          guard home >= 0, object.symbols[relocation.symbol].type == UInt8(STT_SECTION),
            object.place(ofSymbol: relocation.symbol) == .section(home)
          else { continue }
          // Code counts from behind the field.
          let offset = UInt64(bitPattern: relocation.r_addend &+ (isCode ? 4 : 0))
          guard range.contains(offset) else { continue }
        }
        names.insert(owner(section, relocation.r_offset))
      }
    }
    if home >= 0, object.sections[home].isExecutable { names.formUnion(callers(home, range)) }
    names.remove(object.name(ofSymbol: wanted).string)
    return names.sorted().map { SymbolExplanation.User(unit: unit, symbol: $0) }
  }

  /// Unwind tables and notes refer to everything.
  private func isTable(_ section: Int) -> Bool {
    switch SectionRole.of(object.sections[section], object.name(ofSection: section)) {
    case .unwind, .tied, .ignored: true
    default: false
    }
  }

  private func owner(_ section: Int, _ offset: UInt64) -> String {
    var best: (start: UInt64, symbol: Int)?
    for symbol in symbols[section] {
      let start = object.symbols[symbol].st_value
      guard start <= offset, object.symbols[symbol].st_name != 0 else { continue }
      if start > best?.start ?? 0 || best == nil { best = (start, symbol) }
    }
    return best.map { object.name(ofSymbol: $0.symbol).string } ?? ""
  }

  /// Direct calls inside a section, of which assemblers leave no relocation.
  private func callers(_ section: Int, _ range: Range<UInt64>) -> Set<String> {
    guard let code = object.contents(ofSection: section)?.array, code.count >= 5 else { return [] }
    var found: Set<String> = []
    for at in 0...(code.count - 5) where code[at] == 0xE8 || code[at] == 0xE9 {
      let displacement = (1...4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(code[at + $1]) }
      let target = at + 5 + Int(Int32(bitPattern: displacement))
      if displacement != 0, target >= 0, UInt64(target) == range.lowerBound {
        found.insert(owner(section, UInt64(at)))
      }
    }
    return found
  }
}
