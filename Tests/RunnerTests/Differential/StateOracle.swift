// What state a reload must leave behind, by the rules of docs/state.md; and what a freshly started program
// made by the system's linker does from there on.
import Foundation

struct StateOracle {
  /// Values by name, as a line of the program tells them.
  static func state(of line: Line) -> [String: UInt64] {
    var state: [String: UInt64] = [:]
    for word in line.text.split(separator: " ") {
      guard let equals = word.firstIndex(of: "="), word.contains("."),
        let value = UInt64(word[word.index(after: equals)...])
      else { continue }
      state[String(word[..<equals])] = value
    }
    return state
  }

  /// The state right after a unit was replaced: what was there stays; an edited first value is taken by a
  /// variable that nobody touched; what is new has its first value.
  static func carried(
    _ state: [String: UInt64], from old: GeneratedUnit, to new: GeneratedUnit
  ) -> [String: UInt64] {
    var result = state
    for variable in new.variables where variable.isState {
      let keys = variable.told.indices.map { "\(new.name).\(variable.name).\($0)" }
      guard let before = old.variable(variable.name), before.kind == variable.kind,
        before.home == variable.home
      else {
        for (key, value) in zip(keys, variable.told) { result[key] = value }
        continue
      }
      let common = min(before.told.count, variable.told.count)
      let isEdited = before.told.prefix(common) != variable.told.prefix(common)
      let isUntouched = zip(keys, before.told).prefix(common).allSatisfy { state[$0] == $1 }
      for index in keys.indices where index >= common || (isEdited && isUntouched) {
        result[keys[index]] = variable.told[index]
      }
    }
    return result
  }

  /// Links the objects that run now into a program of their own and runs it.
  ///
  /// - Returns: its lines, one for each frame.
  static func run(
    _ bench: Workbench, _ program: GeneratedProgram, from state: [String: UInt64], frame: Int,
    frames: Int
  ) throws -> [String] {
    let objects = ["main"] + program.units.map(\.name)
    let linker = program.isCxx ? bench.toolchain.cxx : bench.toolchain.c
    try Tool.output(
      linker, objects.map { "build/\($0).o" } + ["oracle.o", "-o", "fresh"],
      directory: bench.folder.root)
    let input = state.map { "\($0) \($1)\n" }.joined() + "frame \(frame)\n"
    let outcome = try Tool.run(
      bench.folder.path("fresh"), [String(frames)], input: Array(input.utf8))
    guard outcome.code == 0 else {
      throw Tool.Failure(description: "the fresh program: \(outcome.end) \(outcome.stderr)")
    }
    return outcome.stdout.split(separator: "\n").map(String.init)
  }

  /// The words in which two lines differ, for a message.
  static func difference(_ line: String, _ expected: String) -> String {
    let (left, right) = (line.split(separator: " "), expected.split(separator: " "))
    let pairs = zip(left, right).filter { $0 != $1 }.map { "\($0), not \($1)" }
    return left.count == right.count
      ? pairs.prefix(8).joined(separator: "; ") : "\(left.count) words, not \(right.count)"
  }
}
