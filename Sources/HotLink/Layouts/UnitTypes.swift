// What was read of one object: the types of its variables, of the functions that other units may call, and
// of what `std::function` objects made in it hold. Read once a version; names lie in the object's bytes.
internal import CLoaderSupport
internal import LoaderEngine

/// The types of one object, and what has them.
final class UnitTypes {
  /// A variable or function, by its name in the source.
  struct Entity {
    /// Index of its symbol; -1: it has none of its own.
    var symbol: Int32 = -1
    var type: TypeIndex
    var name: NameView?
    var scopes: Span32
  }

  /// What a `std::function` or `std::any` made in this object holds.
  struct Held {
    /// The function that it stands in, with its name if it has one: closures of one function are told apart
    /// by their order only.
    var home: String
    /// The type that it is kept in: `std::function<void()>`, `std::any`.
    var holder: String
    var type: TypeIndex
  }

  let sight: UnitLayouts.Sight
  let table: TypeTable
  /// By symbol, rising.
  let variables: [Entity]
  /// Those that other units may call, by symbol, rising.
  let functions: [Entity]
  /// Variables that the optimiser has split into several, by their name in the source.
  let split: [String: Entity]
  /// Variables of other units, by symbol name.
  let elsewhere: [String: Entity]
  /// In the order of the source.
  let held: [Held]
  /// Nodes up to here are reached from variables.
  let reachedFromVariables: Int
  // Names lie in these.
  private let source: LayoutSource
  private let owners: [Bytes]
  private let data: DebugData?

  init(_ source: LayoutSource, _ entries: DebugEntries) {
    self.source = source
    owners = entries.data.owners
    data = entries.data.holdsNames ? entries.data : nil
    var reader = TypeCollector(source, entries)
    reader.readVariables()
    reader.readDeclarations()
    reader.types.addDerivedClasses()
    reachedFromVariables = reader.types.table.nodes.count
    reader.readFunctions()
    reader.readHeld()
    table = reader.types.table
    variables = reader.variables.sorted { $0.symbol < $1.symbol }
    functions = reader.functions.sorted { $0.symbol < $1.symbol }
    split = reader.split
    elsewhere = reader.elsewhere
    held = reader.held
    sight = reader.sight
  }

  // MARK: questions

  /// As in the source: `game::player`.
  func name(of entity: Entity) -> String {
    table.qualified(entity.name?.string ?? "?", entity.scopes)
  }

  /// A variable of this object from which a type of a certain name is reached, complete or not.
  func keeper(of name: String) -> Entity? {
    let wanted = table.nodes.indices.prefix(reachedFromVariables).filter {
      isNamed(name, $0, or: .incomplete)
    }
    guard !wanted.isEmpty else { return nil }
    let targets = Set(wanted)
    return variables.first { reaches(targets, from: $0.type) }
  }

  /// The definition of a type that variables or signatures of this object reach.
  func definition(of name: String) -> TypeIndex? {
    table.nodes.indices.first { isNamed(name, $0, or: .union) }
      .map { TypeIndex(truncatingIfNeeded: $0) }
  }

  /// Where types of some names are defined, in the order of the table. A name may be defined more than once.
  func definitions(of names: Set<String>) -> [(name: String, types: [TypeIndex])] {
    var found: [(name: String, types: [TypeIndex])] = []
    var places: [String: Int] = [:]
    for index in table.nodes.indices {
      let node = table.nodes[index]
      guard node.shape == .record || node.shape == .union,
        let name = table.qualifiedName(node).map(LayoutText.plain), names.contains(name)
      else { continue }
      let place = places[name] ?? found.count
      if place == found.count {
        places[name] = place
        found.append((name, []))
      }
      found[place].types.append(TypeIndex(truncatingIfNeeded: index))
    }
    return found
  }

  /// Whether a function takes or returns a type, or leads to it through pointers.
  func signature(_ function: Entity, mentions name: String) -> Bool {
    let targets = Set(table.nodes.indices.filter { isNamed(name, $0, or: .union) })
    return !targets.isEmpty && reaches(targets, from: function.type)
  }

  /// The same for one of some types.
  func signature(_ function: Entity, reaches types: [TypeIndex]) -> Bool {
    reaches(Set(types.map(Int.init)), from: function.type)
  }

  private func isNamed(_ name: String, _ index: Int, or other: TypeNode.Shape) -> Bool {
    let node = table.nodes[index]
    guard node.shape == .record || node.shape == other, let own = node.name else { return false }
    return name.hasSuffix(own.string) && LayoutText.plain(table.qualifiedName(node) ?? "") == name
  }

  private func reaches(_ targets: Set<Int>, from start: TypeIndex) -> Bool {
    var pending = [start]
    var seen: Set<TypeIndex> = []
    while let index = pending.popLast() {
      guard index >= 0, seen.insert(index).inserted else { continue }
      if targets.contains(Int(index)) { return true }
      let node = table[index]
      pending.append(node.target)
      for member in table.members(of: node) { pending.append(member.type) }
      pending += table.derived[index] ?? []
    }
    return false
  }
}

extension [UnitTypes.Entity] {
  /// The entity of a symbol, in a list by symbols.
  func entity(of symbol: Int) -> UnitTypes.Entity? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low &+ high) / 2
      if Int(self[middle].symbol) < symbol { low = middle &+ 1 } else { high = middle }
    }
    return low < count && Int(self[low].symbol) == symbol ? self[low] : nil
  }
}

/// Reads the types of one object: of variables first, and from there on what they lead to.
private struct TypeCollector {
  var types: LayoutReader
  private(set) var variables: [UnitTypes.Entity] = []
  private(set) var functions: [UnitTypes.Entity] = []
  private(set) var split: [String: UnitTypes.Entity] = [:]
  private(set) var elsewhere: [String: UnitTypes.Entity] = [:]
  private(set) var held: [UnitTypes.Held] = []
  private let entries: DebugEntries
  private let symbols: LayoutSymbols
  private var isKnown: [Bool]

  init(_ source: LayoutSource, _ entries: DebugEntries) {
    self.entries = entries
    types = LayoutReader(entries)
    symbols = LayoutSymbols(source, needsUndefined: !entries.scan.declarations.isEmpty)
    isKnown = [Bool](repeating: false, count: source.symbols.count)
  }

  mutating func readVariables() {
    for offset in entries.scan.variables {
      guard let entry = entries.entry(at: offset) else { continue }
      if let place = entries.place(ofExpression: entry.location, entry.unit) {
        let symbol = symbols.variable(at: place)
        guard symbol >= 0, !isKnown[symbol] else { continue }
        isKnown[symbol] = true
        variables.append(variable(entry, symbol))
      } else if entries.isSplit(entry.location) {
        let entity = variable(entry)
        split[types.table.qualified(entity.name?.string ?? "?", entity.scopes)] = entity
      }
    }
  }

  mutating func readDeclarations() {
    for offset in entries.scan.declarations {
      guard let entry = entries.entry(at: offset), entry.isExternal,
        let name = entries.text(entry.linkageName, entry.unit)
          ?? entries.text(entry.name, entry.unit)
      else { continue }
      let text = name.string
      guard symbols.undefined.contains(text), elsewhere[text] == nil else { continue }
      elsewhere[text] = variable(entry)
    }
  }

  mutating func readFunctions() {
    for offset in entries.scan.functions {
      guard let entry = entries.entry(at: offset),
        let place = entries.place(entry.location, entry.unit)
      else { continue }
      let symbol = symbols.function(at: place)
      guard symbol >= 0, !isKnown[symbol] else { continue }
      isKnown[symbol] = true
      functions.append(entity(types.declared(entry), symbol, types.signature(of: entry)))
    }
  }

  private mutating func variable(_ entry: DebugEntry, _ symbol: Int = -1) -> UnitTypes.Entity {
    let declared = types.declared(entry)
    return entity(declared, symbol, types.type(at: declared.type))
  }

  private mutating func entity(_ declared: DebugEntry, _ symbol: Int, _ type: TypeIndex)
    -> UnitTypes.Entity
  {
    UnitTypes.Entity(
      symbol: Int32(truncatingIfNeeded: symbol), type: type,
      name: entries.text(declared.name, declared.unit),
      scopes: types.scopes(around: declared.offset))
  }

  /// libstdc++ calls what a `std::function` holds through a class that names its type; that of `std::any` is named after
  /// where it puts it.
  mutating func readHeld() {
    let isCxx = entries.units.headers.contains { !LayoutReader.isC($0.language) }
    guard isCxx,
      entries.data.mentions("_Function_handler<") || entries.data.mentions("_S_manage")
    else { return }
    for offset in entries.scan.records { readHeld(offset) }
  }

  private mutating func readHeld(_ offset: Int) {
    guard let entry = entries.entry(at: offset), let name = entries.text(entry.name, entry.unit),
      name.hasPrefix("_Function_handler<") || name.hasPrefix("_Manager_internal<")
        || name.hasPrefix("_Manager_external<")
    else { return }
    var arguments: [Int] = []
    var children = entries.children(of: entry)
    var child = DebugEntry()
    while children.next(&child) {
      if child.tag == DebugTag.templateType { arguments.append(child.type) }
    }
    let isAny = name.hasPrefix("_M")
    guard arguments.count == (isAny ? 1 : 2), let type = arguments.last,
      let functor = entries.entry(at: type)
    else { return }
    let own = entries.text(functor.name, functor.unit)?.string ?? ""
    let scopes = types.scopes(around: functor.offset)
    held.append(
      UnitTypes.Held(
        home: types.table.qualified(own, scopes),
        holder: isAny ? "std::any" : "std::function<\(TypeCollector.firstArgument(name.string))>",
        type: types.type(at: type)))
  }

  /// `_Function_handler<void(int, int), X>` → `void(int, int)`.
  private static func firstArgument(_ name: String) -> String {
    var depth = 0
    var text = ""
    for character in name.drop(while: { $0 != "<" }).dropFirst() {
      if character == ",", depth == 0 { break }
      if "<([".contains(character) { depth += 1 }
      if ">)]".contains(character) { depth -= 1 }
      text.append(character)
    }
    return text
  }

  var sight: UnitLayouts.Sight {
    // Line tables alone (-g1, -gline-tables-only) say nothing about types.
    let isUntyped = variables.contains { $0.type < 0 }
    guard isUntyped || (variables.isEmpty && split.isEmpty && symbols.hasVariables) else {
      return .sees
    }
    return !symbols.hasVariables && functions.isEmpty ? .nothingToSee : .blind
  }
}
