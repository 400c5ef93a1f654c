// A unit of a change as the layout guard sees it: what its old and its new version say of their types, and which variable of
// the one is which of the other. An object's are recognised as `StatePlan` does it, a library's as `LibraryPlan` does.
internal import CLoaderSupport
internal import LoaderEngine

/// Two versions of a unit.
struct GuardedPair {
  enum Versions {
    case object(UnitVersion, ObjectFile)
    case library(LibraryVersion, LibraryFile)
  }

  let unit: Unit
  let versions: Versions
  let old: UnitLayouts
  let new: UnitLayouts
  /// Names of older versions under which local symbols of an object are known; nil: not asked for yet.
  private(set) var identities: [Int: String]?
  private var ordinals = LocalOrdinals.none
  /// Variables of the old library by their places.
  private var places: WordTable<UInt64>?

  init(_ unit: Unit, _ versions: Versions, _ old: UnitLayouts, _ new: UnitLayouts) {
    self.unit = unit
    self.versions = versions
    self.old = old
    self.new = new
  }

  func name(ofSymbol symbol: Int) -> NameView { new.source.name(ofSymbol: symbol) }
  func isGlobal(_ symbol: Int) -> Bool { new.source.isGlobal(symbol) }
  func isThreadLocal(_ symbol: Int) -> Bool { new.source.symbols[symbol].isThreadLocal }

  /// Bytes that a variable of the new version has; never beyond its section.
  func size(ofSymbol symbol: Int) -> UInt64 {
    switch versions {
    case .object(_, let object): object.symbols[symbol].st_size
    case .library(_, let file): librarySymbol(symbol, file)?.size ?? 0
    }
  }

  /// What a variable of the new version was before.
  struct Predecessor {
    var variable: Variable
    /// nil: debug data does not describe it.
    var entity: UnitLayouts.Entity?
  }

  mutating func predecessor(of symbol: Int, _ program: Program) -> Predecessor? {
    switch versions {
    case .object(let version, let object): return predecessor(of: symbol, version, object, program)
    case .library(let version, let file): return predecessor(of: symbol, version, file)
    }
  }

  private mutating func predecessor(
    of symbol: Int, _ version: UnitVersion, _ object: ObjectFile, _ program: Program
  ) -> Predecessor? {
    let known = identities ?? program.identities(for: object, of: unit)
    if identities == nil {
      identities = known
      ordinals = LocalOrdinals(object)
    }
    let key = VariableKey(
      name: known[symbol] ?? object.name(ofSymbol: symbol).string,
      ordinal: symbol < object.firstGlobal ? ordinals[symbol] : 0,
      isThreadLocal: object.symbols[symbol].isThreadLocal)
    guard let variable = version.variables[key] else { return nil }
    return Predecessor(variable: variable, entity: old.variables.entity(of: variable.symbol))
  }

  private mutating func predecessor(
    of symbol: Int, _ version: LibraryVersion, _ file: LibraryFile
  ) -> Predecessor? {
    guard let own = librarySymbol(symbol, file) else { return nil }
    let isThreadLocal = isThreadLocal(symbol)
    let variable: Variable?
    if isThreadLocal {
      variable = version.file.threadVariables.first { $0.key == own.key }.map {
        Variable(
          symbol: -1, section: -1, offset: $0.address, size: $0.size, address: 0, room: $0.size)
      }
    } else {
      variable = self.variable(of: own.key, version, file)
    }
    guard let variable else { return nil }
    let places = places ?? oldPlaces()
    self.places = places
    let place = DebugPlace(address: variable.offset, isThreadLocal: isThreadLocal)
    let index = Int(places[place.word])
    return Predecessor(variable: variable, entity: index < 0 ? nil : old.variables[index])
  }

  private func oldPlaces() -> WordTable<UInt64> {
    var table = WordTable<UInt64>(capacity: old.variables.count)
    for (index, entity) in old.variables.enumerated() {
      let symbol = old.source.symbols[Int(entity.symbol)]
      let place = DebugPlace(address: symbol.st_value, isThreadLocal: symbol.isThreadLocal)
      table.set(place.word, Int32(truncatingIfNeeded: index))
    }
    return table
  }

  private func librarySymbol(_ symbol: Int, _ file: LibraryFile) -> LibrarySymbol? {
    file.variable(
      name(ofSymbol: symbol), at: new.source.symbols[symbol].st_value,
      isThreadLocal: isThreadLocal(symbol))
  }

  /// Where a library has a variable; its `offset` is the virtual address.
  private func variable(
    of key: LibrarySymbol.Key, _ version: LibraryVersion, _ file: LibraryFile
  ) -> Variable? {
    let key = version.key(of: key, in: file)
    guard let home = version.plan.home(of: key), !home.isConstant else { return nil }
    return Variable(
      symbol: -1, section: -1, offset: home.address, size: home.size, address: home.home,
      room: home.size)
  }

  /// A variable of the old version that both versions call by a name of the linker's.
  func variable(named name: String, _ symbol: Int) -> Variable? {
    switch versions {
    case .object(let version, _):
      version.variables[VariableKey(name: name, ordinal: 0, isThreadLocal: false)]
    case .library(let version, let file):
      librarySymbol(symbol, file).flatMap { variable(of: $0.key, version, file) }
    }
  }

  /// Adds a decision on one of its variables.
  func note(_ decision: LayoutDecision, in decisions: inout LayoutDecisions) {
    switch versions {
    case .object: decisions.bySymbol[decision.symbol] = decision
    case .library(_, let file):
      if let key = librarySymbol(decision.symbol, file)?.key { decisions.byKey[key] = decision }
    }
  }
}

/// Walks over two lists of variables or functions in the order of their symbols, which edits hardly change: the global one of a
/// name is found without looking it up.
struct NamedTwins {
  private let source: LayoutSource
  private let list: [UnitLayouts.Entity]
  private var at = 0
  /// So many that were added or taken out are stepped over.
  private static let reach = 8

  init(_ layouts: UnitLayouts, _ list: [UnitLayouts.Entity]) {
    source = layouts.source
    self.list = list
  }

  /// The global one of a name, where it is the next or one soon after.
  mutating func next(_ name: NameView) -> UnitLayouts.Entity? {
    for index in at..<min(list.count, at + NamedTwins.reach) {
      let symbol = Int(list[index].symbol)
      if source.isGlobal(symbol), source.name(ofSymbol: symbol) == name {
        at = index + 1
        return list[index]
      }
    }
    return nil
  }
}
