// What shall become of state where the rules leave a choice: for all of it, for a unit, for one variable.
// docs/state.md. The choice about changed types is another one.
internal import LoaderEngine

/// What becomes of a variable in a reload of its unit.
public enum StatePolicy: String, Sendable, CaseIterable {
  /// The program's value stays; an edited initial value is taken by what the program has not touched.
  case keep
  /// The program's value stays, touched or not.
  case hold
  /// An edited initial value wins over the program's value.
  case source
  /// It gets its initial value at each reload of its unit.
  case reset
  /// As keep; what outgrows its place moves with its value. Pointers to the old place stay behind.
  case move
  /// As keep; where a reload would be refused without a reset, it is reset.
  case resetWhenNeeded = "reset-when-needed"
}

/// Policies by name; the most particular one counts.
public struct StatePolicies: Sendable {
  public var all = StatePolicy.keep
  /// By a unit (`player.o`, `build/player.o`), a variable (`score`, `Game::score`), or a variable of a unit
  /// (`player.o:score`).
  public var named: [String: StatePolicy] = [:]

  public init() {}

  /// Those of one unit.
  func of(unit: String) -> UnitPolicies {
    guard !named.isEmpty else { return UnitPolicies(all: all) }
    var result = UnitPolicies(all: all)
    for (name, policy) in named {
      if StatePolicies.names(name, unit) {
        result.all = policy
      } else if let (part, variable) = StatePolicies.parts(name), StatePolicies.names(part, unit) {
        result.own[variable] = policy
      } else {
        result.variables[name] = policy
      }
    }
    return result
  }

  /// A unit and a variable: `game.o:score`, `game.o:Game::score`, but not `Game::score`.
  static func parts(_ name: String) -> (unit: String, variable: String)? {
    let marks = name.indices.filter { index in
      guard name[index] == ":", index > name.startIndex else { return false }
      let next = name.index(after: index)
      return name[name.index(before: index)] != ":" && next < name.endIndex && name[next] != ":"
    }
    return marks.last.map { (String(name[..<$0]), String(name[name.index(after: $0)...])) }
  }

  /// Whether a name, as a person writes it, means a unit: its path, or the end of it; of a member of an archive, the
  /// member.
  static func names(_ name: String, _ unit: String) -> Bool {
    unit == name || unit.hasSuffix("/" + name) || unit.hasSuffix("(\(name))")
  }
}

/// Policies as one unit sees them.
struct UnitPolicies {
  var all = StatePolicy.keep
  var variables: [String: StatePolicy] = [:]
  /// Those named together with the unit.
  var own: [String: StatePolicy] = [:]
  /// Everything is initialised anew.
  var resetsAll = false

  subscript(symbol: String) -> StatePolicy {
    if resetsAll { return .reset }
    guard !variables.isEmpty || !own.isEmpty else { return all }
    // A guard goes with what it guards (Itanium C++ ABI 5.1.5.1).
    let name = symbol.hasPrefix("_ZGV") ? "_Z" + symbol.dropFirst(4) : symbol
    for table in [own, variables] {
      if let policy = table[name] { return policy }
      if let named = table.first(where: { ReadableName.matches($0.key, name) }) {
        return named.value
      }
    }
    return all
  }

  /// Whether a unit that cannot go on otherwise is initialised anew.
  var allowsReset: Bool { all == .reset || all == .resetWhenNeeded }
}

extension Program {
  /// - Parameter resets: units that are initialised anew.
  func policies(for unit: Unit, _ resets: Set<UInt32>) -> UnitPolicies {
    var policies = options.states.of(unit: unit.name)
    policies.resetsAll = resets.contains(unit.id)
    if policies.all == .keep, grantedResets.contains(unit.name) { policies.all = .resetWhenNeeded }
    return policies
  }

  /// The unit that a refusal asks to initialise anew, when that is allowed.
  func unitToReset(for refusal: StateRefusal) -> Unit? {
    guard case .needsReset = refusal.reason, let unit = unit(named: refusal.unit) else {
      return nil
    }
    let isAllowed =
      grantedResets.contains(unit.name) || options.states.of(unit: unit.name).allowsReset
    return isAllowed ? unit : nil
  }
}
