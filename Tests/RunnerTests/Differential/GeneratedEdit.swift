// Random edits of a generated program, as a game programmer makes them: bodies, numbers, new and removed
// functions and variables, first values, tables, texts, order.

extension GeneratedProgram {
  /// Changes something.
  ///
  /// - Returns: what, for the message of a failure.
  mutating func edit(_ random: inout SeededNumbers) -> String {
    let unit = random.below(units.count)
    var said: String?
    while said == nil { said = edit(unit, random.below(16), &random) }
    return "\(units[unit].name): \(said ?? "")"
  }

  private mutating func edit(_ unit: Int, _ choice: Int, _ random: inout SeededNumbers) -> String? {
    let callers = units[unit].functions.indices.filter { units[unit].functions[$0].rank > 0 }
    guard !callers.isEmpty else { return nil }
    let function = callers[random.below(callers.count)]
    let name = units[unit].functions[function].name
    switch choice {
    case 0, 1:
      let statements = units[unit].functions[function].statements.count
      guard statements > 0 else { return nil }
      let numbers = (0..<3).map { _ in UInt64(random.below(1000)) | 1 }
      units[unit].functions[function].statements[random.below(statements)].numbers = numbers
      return "other numbers in \(name)"
    case 2, 3:
      addStatement(unit, function, &random)
      return "another statement in \(name)"
    case 4:
      let statements = units[unit].functions[function].statements.count
      guard statements > 1 else { return nil }
      units[unit].functions[function].statements.remove(at: random.below(statements))
      return "a statement less in \(name)"
    case 5:
      addFunction(unit, rank: 1 + random.below(4), &random)
      return "new function \(units[unit].functions.last?.name ?? "")"
    case 6: return removeFunction(unit, function)
    case 7, 8:
      let variable = addVariable(unit, &random)
      let home = units[unit].variable(variable)?.home
      let user: Int
      if case .inside(let owner)? = home {
        user = units[unit].functions.firstIndex { $0.name == owner } ?? function
      } else {
        user = function
      }
      addStatement(unit, user, using: variable, &random)
      let place = random.below(units[unit].variables.count)
      units[unit].variables.swapAt(place, units[unit].variables.count - 1)
      return "new variable \(variable)"
    case 9: return removeVariable(unit, &random)
    case 10, 11: return editValues(unit, &random)
    case 12: return resize(unit, &random)
    case 13:
      guard units[unit].variables.count > 1 else { return nil }
      units[unit].variables.shuffle(using: &random)
      return "variables in another order"
    case 14:
      let (a, b) = (function, callers[random.below(callers.count)])
      guard a != b else { return nil }
      units[unit].functions.swapAt(a, b)
      return "functions in another order"
    default:
      guard isCxx else { return nil }
      shared[random.below(4)] = UInt64(random.below(1000)) | 1
      return "inline functions that all units include"
    }
  }

  private mutating func removeFunction(_ unit: Int, _ function: Int) -> String? {
    let name = units[unit].functions[function].name
    guard units[unit].functions.count(where: { $0.rank > 0 }) > 1,
      !units.contains(where: { other in
        other.name != units[unit].name
          && other.functions.contains { $0.statements.contains { $0.name == name } }
      }),
      !units[unit].variables.contains(where: { $0.home == .inside(name) })
    else { return nil }
    units[unit].functions.remove(at: function)
    for other in units[unit].functions.indices {
      units[unit].functions[other].statements.removeAll { $0.name == name }
    }
    return "function \(name) gone"
  }

  private mutating func removeVariable(_ unit: Int, _ random: inout SeededNumbers) -> String? {
    let removable = units[unit].variables.indices.filter {
      units[unit].variables[$0].home != .threadLocal
    }
    guard removable.count > 1 else { return nil }
    let variable = units[unit].variables.remove(at: removable[random.below(removable.count)])
    for other in units[unit].functions.indices {
      units[unit].functions[other].statements.removeAll { $0.name == variable.name }
    }
    return "variable \(variable.name) gone"
  }

  private mutating func editValues(_ unit: Int, _ random: inout SeededNumbers) -> String? {
    let editable = units[unit].variables.indices.filter {
      units[unit].variables[$0].home != .threadLocal
    }
    guard !editable.isEmpty else { return nil }
    let index = editable[random.below(editable.count)]
    let variable = units[unit].variables[index]
    // Another number of elements is another edit.
    var values = values(for: variable.kind, unit, &random)
    while values.count < variable.values.count { values += values }
    let cut = Array(values.prefix(variable.values.count))
    guard cut != variable.values else { return nil }
    // From zero to something is from .bss to .data: allowed.
    units[unit].variables[index].values = cut
    return "first values of \(variable.name)"
  }

  private mutating func resize(_ unit: Int, _ random: inout SeededNumbers) -> String? {
    let tables = units[unit].variables.indices.filter {
      switch units[unit].variables[$0].kind {
      case .array, .functions, .constants, .constantFunctions, .text, .literal: true
      case .scalar, .real, .pointer: false
      }
    }
    guard !tables.isEmpty else { return nil }
    let index = tables[random.below(tables.count)]
    let variable = units[unit].variables[index]
    if random.chance(60) || variable.values.count <= 2 {
      units[unit].variables[index].values += values(for: variable.kind, unit, &random).prefix(1)
      return "\(variable.name) grows"
    }
    units[unit].variables[index].values.removeLast()
    return "\(variable.name) shrinks"
  }
}
