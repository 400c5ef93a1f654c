// Which initialisers run in a reload. A file's initialiser is never run again over objects that live;
// what is new is initialised by a function of its own where the compiler made one, and where it did
// not, the reload is refused.
internal import CLoaderSupport
internal import LoaderEngine

/// The initialisers of a changed unit.
struct InitialiserPlan {
  /// A function of a unit, with its place among those of all units: lower priorities start first.
  struct Entry {
    var priority: Int
    var symbol: Int
  }

  /// Functions to run, in order; of a unit that is new all run, and none is named here.
  private(set) var toRun: [Entry] = []
  /// Names of all functions that initialise something in the unit.
  private(set) var names: Set<String> = []

  init(
    _ object: ObjectFile, unit: String, old: ObjectFile?, newVariables: Set<Int>
  ) throws {
    guard let old else { return }
    let entries = InitialiserPlan.entries(of: object)
    // What initialises anything is called by one of them.
    guard !entries.isEmpty else { return }
    let oldNames = Set(
      InitialiserPlan.entries(of: old).map { old.name(ofSymbol: $0.symbol).string })
    let uses = InitialiserUses(object)
    let helpers = uses.functions.filter { InitialiserPlan.isHelper(object.name(ofSymbol: $0)) }
    names = Set((entries.map(\.symbol) + helpers).map { object.name(ofSymbol: $0).string })
    var ran: Set<Int> = []
    for helper in helpers where InitialiserPlan.standsAlone(object.name(ofSymbol: helper)) {
      let touched = uses.variables(of: helper)
      guard !touched.isDisjoint(with: newVariables) else { continue }
      guard touched.isSubset(of: newVariables) else {
        throw InitialiserPlan.refusal(object, unit, touched.intersection(newVariables), helper)
      }
      toRun.append(Entry(priority: InitialiserOrder.last, symbol: helper))
      ran.formUnion(touched)
    }
    for entry in entries {
      let name = object.name(ofSymbol: entry.symbol)
      guard InitialiserPlan.isDynamic(name) else {
        // A constructor function: it is the program's own, and runs when it is new.
        if !oldNames.contains(name.string) { toRun.append(entry) }
        continue
      }
      var touched = uses.variables(of: entry.symbol)
      for helper in helpers where !InitialiserPlan.standsAlone(object.name(ofSymbol: helper)) {
        touched.formUnion(uses.variables(of: helper))
      }
      touched.subtract(ran)
      let fresh = touched.intersection(newVariables)
      guard !fresh.isEmpty else { continue }
      guard touched == fresh else {
        throw InitialiserPlan.refusal(object, unit, fresh, entry.symbol)
      }
      toRun.append(entry)
    }
  }

  /// What became of initialisers: those that ran for new variables, and edited ones that did not.
  func remarks(_ changed: [String], _ object: ObjectFile, _ unit: String) -> [Verdict] {
    let run = Set(toRun.map { object.name(ofSymbol: $0.symbol).string })
    return run.intersection(names).sorted().map {
      Verdict(unit: unit, symbol: $0, fate: .initialised)
    }
      + changed.filter { names.contains($0) && !run.contains($0) }.map {
        Verdict(unit: unit, symbol: $0, fate: .initialiserNotRun)
      }
  }

  private static func refusal(
    _ object: ObjectFile, _ unit: String, _ fresh: Set<Int>, _ function: Int
  ) -> StateRefusal {
    let name = fresh.map { object.name(ofSymbol: $0).string }.sorted().first ?? ""
    return StateRefusal(
      unit: unit, symbol: name,
      reason: .needsReset(initialiser: object.name(ofSymbol: function).string))
  }

  /// The functions that `.init_array` and `.ctors` name, in the order they run: lower priorities first.
  static func entries(of object: ObjectFile) -> [Entry] {
    functions(of: object, in: ".init_array", ".ctors", .initArray, .constructors)
  }

  private static func functions(
    of object: ObjectFile, in array: StaticString, _ legacy: StaticString,
    _ arrayRole: SectionRole, _ legacyRole: SectionRole
  ) -> [Entry] {
    let tables = object.relocationSections.filter {
      let name = object.name(ofSection: Int(object.sections[$0].info))
      return name.hasPrefix(array) || name.hasPrefix(legacy)
    }
    guard !tables.isEmpty else { return [] }
    var found: [(priority: Int, order: Int, symbol: Int)] = []
    let roles = SectionRole.all(of: object)
    let finder = CodeSymbols(object)
    for list in tables {
      let section = Int(object.sections[list].info)
      guard roles[section] == arrayRole || roles[section] == legacyRole else { continue }
      let isReversed = roles[section] == legacyRole
      let priority = InitialiserOrder.priority(object.name(ofSection: section))
      let relocations = object.relocations(inSection: list)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        guard let symbol = finder.function(of: relocation) else { continue }
        let order = Int(relocation.r_offset) * (isReversed ? -1 : 1)
        found.append((priority, order, symbol))
      }
    }
    return found.sorted { ($0.priority, $0.order) < ($1.priority, $1.order) }.map {
      Entry(priority: $0.priority, symbol: $0.symbol)
    }
  }

  /// Whether a compiler made it to initialise variables, as opposed to a constructor of the program.
  private static func isDynamic(_ name: NameView) -> Bool {
    name.hasPrefix("_GLOBAL__sub_I") || name.hasPrefix("_GLOBAL__I_") || isHelper(name)
  }

  private static func isHelper(_ name: NameView) -> Bool {
    name.hasPrefix("__cxx_global_var_init")
      || name.contains("__static_initialization_and_destruction_0")
  }

  /// clang's helpers initialise one variable each; g++'s takes arguments and does them all.
  private static func standsAlone(_ name: NameView) -> Bool {
    name.hasPrefix("__cxx_global_var_init")
  }
}

/// Which variables of an object its initialiser functions refer to.
struct InitialiserUses {
  let functions: [Int]
  private let object: ObjectFile
  private var table: [Int: Set<Int>] = [:]

  init(_ object: ObjectFile) {
    self.object = object
    let symbols = SymbolsBySection(object)
    let roles = SectionRole.all(of: object)
    var functions: [Int] = []
    var maps: [Int: DataMap] = [:]
    var finders: [Int: [(start: UInt64, end: UInt64, symbol: Int)]] = [:]
    for section in roles.indices where roles[section] == .text {
      let list = symbols[section].filter { object.symbols[$0].isFunction }
      functions.append(contentsOf: list)
      finders[section] = list.map {
        let extent = object.extent(ofSymbol: $0)
        return (extent.lowerBound, extent.upperBound, $0)
      }.sorted { $0.start < $1.start }
    }
    var table: [Int: Set<Int>] = [:]
    for list in object.relocationSections {
      let section = Int(object.sections[list].info)
      guard let ranges = finders[section] else { continue }
      let relocations = object.relocations(inSection: list)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        guard case .section(let aim) = object.place(ofSymbol: relocation.symbol),
          roles[aim].isState
        else { continue }
        var variable = relocation.symbol
        if object.symbols[variable].type == 3 {  // STT_SECTION
          if maps[aim] == nil {
            maps[aim] = DataMap(object, section: aim, symbols: symbols[aim])
          }
          let bias =
            object.contents(ofSection: section).map {
              OperandField.bias($0, relocation.r_offset, relocation.type)
            } ?? 4
          let offset = UInt64(bitPattern: relocation.r_addend &+ bias)
          guard let atom = maps[aim]?.index(of: offset), let owner = maps[aim]?.atoms[atom].symbol
          else { continue }
          variable = owner
        }
        let name = object.name(ofSymbol: variable)
        if name.hasPrefix("_ZGV") { continue }
        for range in InitialiserUses.around(relocation.r_offset, ranges) {
          table[range.symbol, default: []].insert(variable)
        }
      }
    }
    self.functions = functions
    self.table = table
  }

  /// The functions that hold an offset: those of the last start before it, which have several names.
  private static func around(
    _ offset: UInt64, _ ranges: [(start: UInt64, end: UInt64, symbol: Int)]
  ) -> ArraySlice<(start: UInt64, end: UInt64, symbol: Int)> {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].start <= offset { low = middle + 1 } else { high = middle }
    }
    var first = low
    while first > 0, ranges[first - 1].start == ranges[low - 1].start { first -= 1 }
    return ranges[first..<low].drop { $0.end <= offset }
  }

  func variables(of function: Int) -> Set<Int> { table[function] ?? [] }
}

/// Functions by the way initialiser tables name them.
struct CodeSymbols {
  private let object: ObjectFile
  private var byPlace: [Place: Int] = [:]

  private struct Place: Hashable {
    var section: Int
    var offset: UInt64
  }

  init(_ object: ObjectFile) {
    self.object = object
    for index in 1..<max(object.symbols.count, 1) where object.symbols[index].isFunction {
      if case .section(let section) = object.place(ofSymbol: index) {
        byPlace[Place(section: section, offset: object.symbols[index].st_value)] = index
      }
    }
  }

  func function(of relocation: Relocation) -> Int? {
    guard relocation.symbol < object.symbols.count else { return nil }
    if object.symbols[relocation.symbol].isFunction { return relocation.symbol }
    guard case .section(let section) = object.place(ofSymbol: relocation.symbol) else { return nil }
    return byPlace[
      Place(section: section, offset: UInt64(bitPattern: relocation.r_addend))]
  }
}
