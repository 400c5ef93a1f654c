// What was read of one object: the types of its variables, of the functions that other units may call, and
// of what `std::function` objects made in it hold. Read once a version; names lie in the object's bytes.
internal import CLoaderSupport
internal import LoaderEngine

/// The types of one object, and what has them.
final class UnitTypes {
  /// A variable or function, by its name in the source.
  struct Entity {
    var name: NameView?
    var scopes: Span32
    var type: TypeIndex
  }

  /// What a `std::function` made in this object holds.
  struct Held {
    /// The function that it stands in, with its name if it has one: closures of one function are told apart
    /// by their order only.
    var home: String
    /// The text of its signature: `void()`.
    var signature: String
    var type: TypeIndex
  }

  private(set) var sight = UnitLayouts.Sight.sees
  private(set) var table = TypeTable()
  /// By symbol.
  private(set) var variables: [Int: Entity] = [:]
  private(set) var functions: [Int: Entity] = [:]
  /// Variables that the optimiser has split into several, by their name in the source.
  private(set) var split: [String: Entity] = [:]
  /// Variables of other units, by symbol name.
  private(set) var elsewhere: [String: Entity] = [:]
  /// In the order of the source.
  private(set) var held: [Held] = []
  /// Nodes up to here are reached from variables.
  private(set) var reachedFromVariables = 0
  // Names lie in these.
  private let object: ObjectFile
  private var owners: [Bytes] = []
  private var data: DebugData?

  init(_ object: ObjectFile, _ entries: DebugEntries) {
    self.object = object
    owners = entries.data.owners
    if entries.data.holdsNames { data = entries.data }
    read(entries)
  }

  private func read(_ entries: DebugEntries) {
    let reader = LayoutReader(entries)
    let symbols = SymbolPlaces(object, needsUndefined: !entries.declarations.isEmpty)
    for offset in entries.variables {
      guard let entry = entries.entry(at: offset) else { continue }
      if entries.isSplit(entry.location) {
        let entity = entity(reader, entries, entry) { reader.type(at: $0.type) }
        split[reader.table.qualified(entity.name?.string ?? "?", entity.scopes)] = entity
        continue
      }
      guard let place = entries.place(ofExpression: entry.location, entry.unit),
        let symbol = symbols.variable(at: place), variables[symbol] == nil
      else { continue }
      variables[symbol] = entity(reader, entries, entry) { reader.type(at: $0.type) }
    }
    for offset in entries.declarations {
      guard let entry = entries.entry(at: offset), entry.isExternal,
        let name = entries.text(entry.linkageName, entry.unit)
          ?? entries.text(entry.name, entry.unit)
      else { continue }
      let text = name.string
      guard symbols.undefined.contains(text), elsewhere[text] == nil else { continue }
      elsewhere[text] = entity(reader, entries, entry) { reader.type(at: $0.type) }
    }
    reader.addDerivedClasses()
    reachedFromVariables = reader.table.nodes.count
    for offset in entries.functions {
      guard let entry = entries.entry(at: offset),
        let place = entries.place(entry.lowPC, entry.unit),
        let symbol = symbols.function(at: place), functions[symbol] == nil
      else { continue }
      functions[symbol] = entity(reader, entries, entry) { _ in reader.signature(of: entry) }
    }
    for offset in entries.records { noteHeld(offset, reader, entries) }
    table = reader.table
    // Line tables alone (-g1, -gline-tables-only) say nothing about types.
    let untyped = variables.values.contains { $0.type < 0 }
    if untyped || (variables.isEmpty && split.isEmpty && symbols.hasVariables) { sight = .blind }
    if sight == .blind, !symbols.hasVariables, functions.isEmpty { sight = .nothingToSee }
  }

  private func entity(
    _ reader: LayoutReader, _ entries: DebugEntries, _ entry: DebugEntry,
    _ type: (DebugEntry) -> TypeIndex
  ) -> Entity {
    let declared = reader.declared(entry)
    return Entity(
      name: entries.text(declared.name, declared.unit),
      scopes: reader.scopes(around: declared.offset), type: type(declared))
  }

  /// libstdc++ calls what a `std::function` holds through a class that names its type.
  private func noteHeld(_ offset: Int, _ reader: LayoutReader, _ entries: DebugEntries) {
    guard let entry = entries.entry(at: offset), let name = entries.text(entry.name, entry.unit),
      name.hasPrefix("_Function_handler<")
    else { return }
    var types: [Int] = []
    entries.forEachChild(of: entry) { child in
      if child.tag == DebugTag.templateType { types.append(child.type) }
    }
    guard types.count == 2, let functor = entries.entry(at: types[1]) else { return }
    let own = entries.text(functor.name, functor.unit)?.string ?? ""
    let scopes = reader.scopes(around: functor.offset)
    held.append(
      Held(
        home: reader.table.qualified(own, scopes),
        signature: UnitTypes.firstArgument(name.string), type: reader.type(at: types[1])))
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

  // MARK: questions

  /// As in the source: `game::player`, `tick::frames`.
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
    return variables.sorted { $0.key < $1.key }.first { reaches(targets, from: $0.value.type) }?
      .value
  }

  /// The definition of a type that variables or signatures of this object reach.
  func definition(of name: String) -> TypeIndex? {
    table.nodes.indices.first { isNamed(name, $0, or: .union) }
      .map { TypeIndex(truncatingIfNeeded: $0) }
  }

  /// Whether a function takes or returns a type, or leads to it through pointers.
  func signature(_ function: Entity, mentions name: String) -> Bool {
    definition(of: name).map { reaches([Int($0)], from: function.type) } ?? false
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

/// The symbols of an object by where they are.
private struct SymbolPlaces {
  private var variables: [DebugPlace: Int] = [:]
  private var functions: [DebugPlace: Int] = [:]
  /// Names of data or functions that other units define.
  private(set) var undefined: Set<String> = []
  /// Variables that no compiler made up.
  private(set) var hasVariables = false

  init(_ object: ObjectFile, needsUndefined: Bool) {
    let roles = SectionRole.all(of: object)
    for index in 1..<max(object.symbols.count, 1) {
      let symbol = object.symbols[index]
      switch object.place(ofSymbol: index) {
      case .section(let section):
        let place = DebugPlace(section: section, offset: symbol.st_value)
        if roles[section] == .text {
          // Inline functions are compiled into each unit that calls them.
          if symbol.isFunction, symbol.binding == UInt8(STB_GLOBAL) { functions[place] = index }
        } else if roles[section].isState || roles[section].isThreadLocal,
          symbol.type == UInt8(STT_OBJECT) || symbol.isThreadLocal
        {
          variables[place] = index
          hasVariables = hasVariables || !object.name(ofSymbol: index).hasPrefix("_Z")
        }
      case .common: variables[DebugPlace(section: -1, offset: UInt64(index))] = index
      case .undefined:
        if needsUndefined, index >= object.firstGlobal {
          undefined.insert(object.name(ofSymbol: index).string)
        }
      case .absolute: break
      }
    }
  }

  func variable(at place: DebugPlace) -> Int? { variables[place] }
  func function(at place: DebugPlace) -> Int? { functions[place] }
}
