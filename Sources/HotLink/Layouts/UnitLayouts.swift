// What debug data says about one object. A look at it gives a fingerprint; types are read when the fingerprint of another
// version differs, once, and are kept with the version.
internal import LoaderEngine

/// The layouts that matter of one object.
final class UnitLayouts {
  /// Whether there was anything to read.
  enum Sight: Hashable {
    case sees
    /// No variables and no functions of its own.
    case nothingToSee
    /// No debug data.
    case blind
    /// It is in another file (`-gsplit-dwarf`).
    case split
    /// It cannot be read.
    case damaged
  }

  typealias Entity = UnitTypes.Entity
  typealias Held = UnitTypes.Held

  /// What was looked at.
  let source: LayoutSource
  /// nil when there is nothing that can be read.
  let fingerprint: DebugFingerprint?
  private var entries: DebugEntries?
  private var knownSight: Sight?
  private var known: UnitTypes?

  init(_ source: LayoutSource) {
    self.source = source
    do {
      guard let data = try DebugData(source) else {
        fingerprint = nil
        knownSight = .blind
        return
      }
      let entries = DebugEntries(data)
      if entries.scan.damage != nil {
        knownSight = .damaged
      } else if entries.units.isSplit {
        knownSight = .split
      }
      fingerprint = knownSight == nil ? entries.scan.fingerprint : nil
      if knownSight == nil { self.entries = entries }
    } catch {
      fingerprint = nil
      knownSight = .damaged
    }
  }

  /// Whether there is anything to compare.
  var sight: Sight { knownSight ?? types?.sight ?? .damaged }

  /// Debug data says the same as that of another version, which has been looked at: types need not be read.
  func isSame(as other: UnitLayouts) -> Bool {
    guard let fingerprint, fingerprint == other.fingerprint else { return false }
    knownSight = other.sight
    entries = nil
    return true
  }

  /// What there is to compare; nil when there is nothing.
  var types: UnitTypes? {
    if let known { return known }
    let entries = entries ?? (try? DebugData(source)).flatMap { $0.map { DebugEntries($0) } }
    self.entries = nil
    known = entries.map { UnitTypes(source, $0) }
    return known
  }

  var table: TypeTable { types?.table ?? TypeTable() }
  /// By symbol.
  var variables: [Entity] { types?.variables ?? [] }
  /// Of functions that other units may call, by symbol.
  var functions: [Entity] { types?.functions ?? [] }
  /// Variables that the optimiser has split into several, by their name in the source.
  var split: [String: Entity] { types?.split ?? [:] }
  /// Variables of other units, by symbol name.
  var elsewhere: [String: Entity] { types?.elsewhere ?? [:] }
  /// What `std::function` objects hold, in the order of the source.
  var held: [Held] { types?.held ?? [] }

  /// The name of an entity's symbol.
  func symbolName(of entity: Entity) -> NameView {
    entity.symbol < 0 ? NameView("") : source.name(ofSymbol: Int(entity.symbol))
  }

  // MARK: questions

  /// As in the source: `game::player`, `tick::frames`.
  func name(of entity: Entity) -> String { types?.name(of: entity) ?? "?" }

  /// A variable of this object from which a type of a certain name is reached, complete or not.
  func keeper(of name: String) -> Entity? { types?.keeper(of: name) }

  /// The definition of a type that variables or signatures of this object reach.
  func definition(of name: String) -> TypeIndex? { types?.definition(of: name) }

  /// Where types of some names are defined, in the order of the table.
  func definitions(of names: Set<String>) -> [(name: String, types: [TypeIndex])] {
    types?.definitions(of: names) ?? []
  }

  /// Whether a function takes or returns a type, or leads to it through pointers.
  func signature(_ function: Entity, mentions name: String) -> Bool {
    types?.signature(function, mentions: name) ?? false
  }

  /// The same for one of some types.
  func signature(_ function: Entity, reaches targets: [TypeIndex]) -> Bool {
    types?.signature(function, reaches: targets) ?? false
  }

  /// A type by name, whether or not anything kept reaches it.
  static func definition(of name: String, in source: LayoutSource) -> (TypeTable, TypeIndex)? {
    guard let data = try? DebugData(source) else { return nil }
    let entries = DebugEntries(data)
    var reader = LayoutReader(entries)
    for offset in entries.scan.records {
      guard let entry = entries.entry(at: offset), let own = entries.text(entry.name, entry.unit),
        name.hasSuffix(own.string)
      else { continue }
      let type = reader.type(at: offset)
      if reader.table.qualifiedName(reader.table[type]).map(LayoutText.plain) == name {
        return (reader.table, type)
      }
    }
    return nil
  }
}
