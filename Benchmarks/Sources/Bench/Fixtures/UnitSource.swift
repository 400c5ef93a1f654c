// The C source of generated units. Their shape is that of FEATURES J4: 20 functions, some 150 relocations
// and 12 KB an object, most calls into other units.
//
// A unit refers to units of its own ten and to the one with half its number, so that any first 10 n units
// are a whole program, and a unit has the same callers in a program of 10 and of 10,000.

struct UnitSource {
  var number: Int
  /// What `unit…_value` returns: the edit.
  var value: Int

  static let steps = 18

  static func name(_ number: Int) -> String {
    let digits = String(number)
    return "unit" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }

  /// The unit that calls `unit…_value` of this one, in its `unit…_ask`.
  static func caller(of number: Int) -> Int { number / 10 * 10 + (number + 9) % 10 }

  private var name: String { Self.name(number) }
  private func neighbour(_ distance: Int) -> Int { number / 10 * 10 + (number + distance) % 10 }

  /// The units that this one refers to.
  private var others: [Int] {
    Set([1, 2, 3, 5, 7].map(neighbour) + [number / 2]).subtracting([number]).sorted()
  }

  var text: String {
    var lines: [String] = []
    for other in others {
      let name = Self.name(other)
      lines.append("extern int \(name)_table[32], \(name)_total; extern int \(name)_value(void);")
    }
    lines += [
      "int \(name)_table[32] = {\((0..<32).map { "\($0 * number % 97)" }.joined(separator: ", "))};",
      "int \(name)_total;",
      "static int calls;",
      "static const char *last = \"\(name) has not run\";",
      (0..<4).map { "int \(name)_step_\($0)(int);" }.joined(separator: " "),
      "int (*const \(name)_steps[4])(int) = {"
        + (0..<4).map { "\(name)_step_\($0)" }.joined(separator: ", ") + "};",
      "int \(name)_value(void) { return \(value); }",
      "int \(name)_ask(void) { return \(Self.name(neighbour(1)))_value(); }",
    ]
    for step in 0..<Self.steps { lines += stepLines(step) }
    return lines.joined(separator: "\n") + "\n"
  }

  private func stepLines(_ step: Int) -> [String] {
    let first = "\(Self.name(others[step % others.count]))_step_\((step + 1) % Self.steps)"
    let second = "\(Self.name(others[(step + 2) % others.count]))_step_\(step)"
    var lines = [
      "int \(first)(int), \(second)(int);",
      "int \(name)_step_\(step)(int x) {",
      "  calls++;",
      "  if (x > \(1000 + step)) {",
      "    last = \"\(name), step \(step)\";",
      "    x = \(first)(x - 1) ^ \(second)(x >> 1);",
      "  }",
    ]
    switch step % 6 {
    case 0:
      lines.append("  switch (x) {")
      for value in 0..<6 {
        lines.append("  case \(value): x = x * \(value + 2) ^ calls; break;")
      }
      lines.append("  }")
    case 1: lines.append("  \(Self.name(others[0]))_total += x;")
    case 2: lines.append("  for (int i = 0; i < (x & 15); i++) \(name)_table[i] += x * i;")
    case 3: lines.append("  if (x < -9) x = \(name)_steps[x & 3](x + 1);")
    case 4: lines.append("  \(Self.name(others[1]))_table[x & 7] ^= \(step);")
    default: lines.append("  x += \(name)_table[x & 31] * \(step + 3);")
    }
    if step.isMultiple(of: 2) { lines.append("  \(name)_total += x;") }
    lines += ["  return x;", "}"]
    return lines
  }
}
