// A small random program as a value: units with variables and functions, from which C or C++ text is made.
// Nothing in it is undefined behaviour, and everything that changes while it runs can be told and set.

/// SplitMix64: the same numbers for the same seed everywhere.
struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// A variable or constant of a unit.
struct GeneratedVariable: Equatable {
  enum Kind: Equatable {
    case scalar(String)
    case array(String)
    case real
    /// Values are indices into the candidates of the unit.
    case functions, pointer
    case constants, constantFunctions
    case text, literal
  }
  enum Home: Equatable {
    case global, hidden, threadLocal
    case inside(String)
  }

  var name: String
  var kind: Kind
  var home: Home
  /// First values. Of a real, an integer; of a text, its characters.
  var values: [UInt64]

  /// It is called `n` in its source, as others in other functions are.
  var sharesName = false
  var written: String { sharesName ? "n" : name }

  var isState: Bool {
    switch kind {
    case .scalar, .array, .real, .functions, .pointer: true
    case .constants, .constantFunctions, .text, .literal: false
    }
  }

  /// First values as the program tells them.
  var told: [UInt64] {
    switch kind {
    case .real: values.map { Double($0).bitPattern }
    case .scalar(let type), .array(let type): values.map { $0 & GeneratedVariable.mask(type) }
    default: values
    }
  }

  static func mask(_ type: String) -> UInt64 {
    switch type {
    case "unsigned char": 0xFF
    case "unsigned short": 0xFFFF
    case "unsigned": 0xFFFF_FFFF
    default: .max
    }
  }
}

/// One line of a function.
struct GeneratedStatement: Equatable {
  enum Kind: Equatable {
    case mix, write, read, call, branch, choose, loop, indirect, throughPointer, throwing
  }
  var kind: Kind
  /// The variable or function it uses.
  var name = ""
  var numbers: [UInt64]
}

struct GeneratedFunction: Equatable {
  var name: String
  /// A function calls only those of lower rank.
  var rank: Int
  var isHidden: Bool
  var statements: [GeneratedStatement]
}

struct GeneratedUnit: Equatable {
  var name: String
  var variables: [GeneratedVariable]
  var functions: [GeneratedFunction]

  var leaves: [GeneratedFunction] { functions.filter { $0.rank == 0 } }
  func variable(_ name: String) -> GeneratedVariable? { variables.first { $0.name == name } }
}

struct GeneratedProgram: Equatable {
  var isCxx: Bool
  var units: [GeneratedUnit]
  /// Numbers in the bodies of the inline functions that all units include (C++).
  var shared: [UInt64]
  /// Makes names that were never used before.
  var counter = 0

  init(_ random: inout SeededNumbers) {
    isCxx = random.chance(50)
    shared = (0..<4).map { _ in UInt64(random.below(1000)) | 1 }
    units = []
    for index in 0..<(2 + random.below(3)) {
      units.append(GeneratedUnit(name: "u\(index)", variables: [], functions: []))
      for _ in 0..<3 { addFunction(index, rank: 0, &random) }
      for _ in 0..<(2 + random.below(4)) {
        addFunction(index, rank: 1 + random.below(4), &random)
      }
      for _ in 0..<(3 + random.below(4)) { addVariable(index, &random) }
      for _ in 0..<random.below(4) {
        addVariable(index, kind: .scalar("unsigned"), home: .hidden, &random)
      }
      if random.chance(30) {
        addVariable(index, kind: .scalar("unsigned long"), home: .threadLocal, &random)
      }
    }
    for index in units.indices {
      for function in units[index].functions.indices
      where units[index].functions[function].rank > 0 {
        for _ in 0..<3 { addStatement(index, function, &random) }
      }
    }
  }

  mutating func fresh(_ prefix: String) -> String {
    counter += 1
    return "\(prefix)\(counter)"
  }

  // MARK: parts

  @discardableResult
  mutating func addVariable(
    _ unit: Int, kind: GeneratedVariable.Kind? = nil, home: GeneratedVariable.Home? = nil,
    _ random: inout SeededNumbers
  ) -> String {
    let types = ["unsigned char", "unsigned short", "unsigned", "unsigned long"]
    let kinds: [GeneratedVariable.Kind] = [
      .scalar(types[random.below(4)]), .scalar(types[random.below(4)]), .scalar("unsigned"),
      .array(types[random.below(4)]), .real,
      .functions, .pointer, .constants, .constantFunctions, .text, .literal,
    ]
    let kind = kind ?? kinds[random.below(kinds.count)]
    let callers = units[unit].functions.filter { $0.rank > 0 }
    var home = home ?? (random.chance(50) ? .hidden : .global)
    if home == .hidden, case .scalar = kind, !callers.isEmpty, random.chance(60) {
      home = .inside(callers[random.below(callers.count)].name)
    }
    let name = fresh("v")
    var variable = GeneratedVariable(
      name: name, kind: kind, home: home, values: values(for: kind, unit, &random))
    if case .inside = home {
      variable.sharesName =
        random.chance(60) && !units[unit].variables.contains { $0.home == home && $0.sharesName }
    }
    units[unit].variables.append(variable)
    return name
  }

  func values(
    for kind: GeneratedVariable.Kind, _ unit: Int, _ random: inout SeededNumbers
  ) -> [UInt64] {
    switch kind {
    case .scalar, .real: [random.chance(30) ? 0 : UInt64(random.below(200))]
    case .array:
      random.chance(30)
        ? [UInt64](repeating: 0, count: 2 + random.below(6))
        : (0..<(2 + random.below(6))).map { _ in UInt64(random.below(200)) }
    case .functions, .constantFunctions:
      (0..<(2 + random.below(3))).map { _ in UInt64(random.below(3)) }
    case .pointer: [UInt64(random.below(2))]
    case .constants: (0..<(3 + random.below(5))).map { _ in UInt64(random.below(5000)) }
    case .text, .literal: (0..<(3 + random.below(9))).map { _ in UInt64(97 + random.below(26)) }
    }
  }

  mutating func addFunction(_ unit: Int, rank: Int, _ random: inout SeededNumbers) {
    let name = fresh("\(units[unit].name)_f")
    units[unit].functions.append(
      GeneratedFunction(name: name, rank: rank, isHidden: random.chance(50), statements: []))
    let index = units[unit].functions.count - 1
    for _ in 0..<(1 + random.below(3)) { addStatement(unit, index, &random) }
  }

  mutating func addStatement(
    _ unit: Int, _ function: Int, using name: String? = nil, _ random: inout SeededNumbers
  ) {
    let statement = statement(unit, function, using: name, &random)
    let count = units[unit].functions[function].statements.count
    units[unit].functions[function].statements.insert(statement, at: random.below(count + 1))
  }

  private func statement(
    _ unit: Int, _ function: Int, using name: String?, _ random: inout SeededNumbers
  ) -> GeneratedStatement {
    let own = units[unit].functions[function]
    let numbers = (0..<3).map { _ in UInt64(random.below(1000)) | 1 }
    func plain(_ kind: GeneratedStatement.Kind = .mix) -> GeneratedStatement {
      GeneratedStatement(kind: kind, numbers: numbers)
    }
    guard own.rank > 0 else { return plain(random.chance(50) ? .mix : .choose) }
    if let name { return use(units[unit].variable(name), numbers, &random) ?? plain() }
    switch random.below(10) {
    case 0: return plain(.choose)
    case 1: return plain(.loop)
    case 2 where isCxx: return plain(.throwing)
    case 3, 4:
      let callees = units.enumerated().flatMap { index, other in
        other.functions.filter { $0.rank < own.rank && (index == unit || !$0.isHidden) }
      }
      // Calls of calls of calls grow without bound: one in a function of each rank.
      guard !callees.isEmpty, !own.statements.contains(where: { $0.kind == .call }) else {
        return plain()
      }
      return GeneratedStatement(
        kind: .call, name: callees[random.below(callees.count)].name, numbers: numbers)
    default:
      let visible = units[unit].variables.filter {
        if case .inside(let name) = $0.home { return name == own.name }
        return true
      }
      guard !visible.isEmpty else { return plain() }
      return use(visible[random.below(visible.count)], numbers, &random) ?? plain()
    }
  }

  private func use(
    _ variable: GeneratedVariable?, _ numbers: [UInt64], _ random: inout SeededNumbers
  ) -> GeneratedStatement? {
    guard let variable else { return nil }
    let kinds: [GeneratedStatement.Kind] =
      switch variable.kind {
      case .scalar: [.write, .read, .branch]
      case .array, .real: [.write, .read]
      case .functions: [.indirect, .write]
      case .pointer: [.throughPointer, .write]
      case .constantFunctions: [.indirect]
      case .constants, .text, .literal: [.read]
      }
    return GeneratedStatement(
      kind: kinds[random.below(kinds.count)], name: variable.name, numbers: numbers)
  }
}
