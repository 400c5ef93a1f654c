// Policies for state whose name means nothing in the program. A slip of the pen in `--state scroe=reset` would otherwise
// show when state is kept that was to be reset, or lost that was to be kept.
internal import CLoaderSupport
internal import LoaderEngine

/// A policy by the name of a unit or a variable that is not there. An edit may still bring it.
public struct UnmetPolicy: Hashable, Sendable {
  /// As it was written.
  public var name: String
  /// What is called nearly so.
  public var suggestion: String?

  public init(name: String, suggestion: String? = nil) {
    self.name = name
    self.suggestion = suggestion
  }
}

extension Program {
  /// Policies by names that mean no unit and no variable, in order.
  func unmetPolicies() -> [UnmetPolicy] {
    let wanted = options.states.named.keys.sorted()
    guard !wanted.isEmpty else { return [] }
    let known = NamedState(self)
    return wanted.compactMap {
      known.has($0) ? nil : UnmetPolicy(name: $0, suggestion: known.nearest(to: $0))
    }
  }

  /// Symbols of a unit's variables.
  fileprivate func variables(of unit: Unit) -> [String] {
    if let library = unit.library { return library.plan.pieces.map(\.symbol.name) }
    guard let object = unit.version?.object ?? lazyUnits.waiting[unit.id]?.object else { return [] }
    return (1..<max(object.symbols.count, 1)).compactMap { index in
      guard object.isVariable(index) else { return nil }
      let name = object.name(ofSymbol: index)
      return name.count == 0 ? nil : name.string
    }
  }
}

extension ObjectFile {
  /// Whether a symbol may be a variable: an assembler gives it no type.
  fileprivate func isVariable(_ index: Int) -> Bool {
    switch place(ofSymbol: index) {
    case .undefined, .absolute: return false
    case .common: return true
    case .section(let section):
      guard sections[section].isAllocated, !sections[section].isExecutable else { return false }
      return [UInt8(STT_OBJECT), UInt8(STT_TLS), UInt8(STT_NOTYPE)].contains(symbols[index].type)
    }
  }
}

/// The units and variables of a program, as people name them.
private struct NamedState {
  private var units: [(name: String, variables: [String])] = []
  private var all: Set<String> = []
  /// Names that are looked through for what may have been meant: demangling takes its time.
  private static let mostSuggested = 20_000

  init(_ program: Program) {
    for unit in program.units
    where unit.version != nil || unit.library != nil || program.isWaiting(unit) {
      units.append((unit.name, program.variables(of: unit)))
    }
    for unit in units { all.formUnion(unit.variables) }
  }

  /// Whether a name means something, by the rules of `StatePolicies.of`.
  func has(_ name: String) -> Bool {
    if units.contains(where: { StatePolicies.names(name, $0.name) }) { return true }
    guard let (unit, variable) = StatePolicies.parts(name) else {
      return hasVariable(name, in: all)
    }
    let named = units.filter { StatePolicies.names(unit, $0.name) }
    return named.contains { hasVariable(variable, in: $0.variables) }
      || (named.isEmpty && hasVariable(name, in: all))
  }

  private func hasVariable(_ name: String, in variables: some Collection<String>) -> Bool {
    variables.contains(name) || variables.contains { ReadableName.matches(name, $0) }
  }

  /// The name that differs least, when it differs little.
  func nearest(to name: String) -> String? {
    if let (unit, variable) = StatePolicies.parts(name) {
      let named = units.filter { StatePolicies.names(unit, $0.name) }
      if !named.isEmpty {
        return NamedState.nearest(to: variable, among: named.flatMap(\.variables)).map {
          "\(unit):\($0)"
        }
      }
      return NamedState.nearest(to: unit, among: units.map { NamedState.short($0.name) }).map {
        "\($0):\(variable)"
      }
    }
    return NamedState.nearest(
      to: name, among: units.map { NamedState.short($0.name) } + all.sorted())
  }

  /// A unit as it is named at least: the file, or the member of an archive.
  private static func short(_ unit: String) -> String {
    if unit.hasSuffix(")"), let open = unit.lastIndex(of: "(") {
      return String(unit[unit.index(after: open)...].dropLast())
    }
    return unit.lastIndex(of: "/").map { String(unit[unit.index(after: $0)...]) } ?? unit
  }

  private static func nearest(to name: String, among names: [String]) -> String? {
    // Two letters that changed places are two differences.
    var limit = min(3, (name.utf8.count + 1) / 3)
    var best: String?
    for symbol in names.prefix(mostSuggested) where limit > 0 {
      let readable = ReadableName.of(symbol)
      // With its scopes, or without any.
      for candidate in readable == symbol ? [symbol] : [readable, lastPart(readable)] {
        guard let distance = ReadableName.distance(name, candidate, limit: limit), distance > 0
        else { continue }
        best = candidate
        limit = distance - 1
      }
    }
    return best
  }

  private static func lastPart(_ name: String) -> String {
    guard let mark = name.lastIndex(where: { $0 == ":" || $0 == "." }) else { return name }
    return String(name[name.index(after: mark)...])
  }
}
