// A calculator that compiles. Each line becomes C, the system's compiler makes an object of it in memory, and HotLink
// links it beside what was there before: functions may use functions that are defined later, or defined again.
//
//     hyp(a, b) = sqrt(sq(a) + sq(b))
//     sq(x) = x * x
//     hyp(3, 4)                            5
internal import Foundation
internal import LoaderEngine
internal import SystemPackage

/// What was wrong with a line.
public struct CalculatorError: Error, CustomStringConvertible {
  public var description: String
}

/// The language: `name(parameters) = expression` defines, an expression is computed. Expressions are C's over doubles,
/// with the functions of libm and `cond ? a : b`.
public final class Calculator {
  private let context = LinkContext()
  private var definitions: [String: (objects: LinkedObjects, arity: Int)] = [:]
  private var lines = 0
  private let compiler: String

  public init(compiler: String = "cc") throws {
    self.compiler = compiler
    let nothing: @convention(c) () -> Double = { .nan }
    try context.onUndefinedCall { name in
      print("\(name) is not defined yet")
      return .address(HostSymbol(function: nothing).address)
    }
  }

  /// - Returns: the value of an expression; nil for a definition.
  public func evaluate(_ line: String) throws -> Double? {
    lines += 1
    if let (name, parameters, body) = Calculator.definition(line) {
      let known = definitions[name]
      if let known, known.arity != parameters.count {
        throw CalculatorError(description: "\(name) takes \(known.arity) arguments")
      }
      let object = try compile(
        name, parameters, body, declaring: [name: parameters.count])
      // Callers of the old one move to the new one; its code goes.
      let objects = try context.link([object], replacing: known?.objects)
      definitions[name] = (objects, parameters.count)
      return nil
    }
    let name = "line_\(lines)"
    let objects = try context.link([try compile(name, [], line, declaring: [:])])
    defer { objects.remove() }
    let function: Symbol<@convention(c) () -> Double> = try objects.symbol(name)
    return function.value()
  }

  /// One function, as an object in memory. What it calls and nobody declares is assumed to come later.
  private func compile(
    _ name: String, _ parameters: [String], _ body: String, declaring own: [String: Int]
  ) throws -> ObjectSource {
    var source = "#include <math.h>\n"
    var arities = definitions.mapValues(\.arity).merging(own) { $1 }
    for (called, arity) in Calculator.calls(in: body) where arities[called] == nil {
      arities[called] = arity
    }
    for (function, arity) in arities.sorted(by: { $0.key < $1.key })
    where !Calculator.libm.contains(function) {
      let types = [String](repeating: "double", count: arity).joined(separator: ", ")
      source += "double \(function)(\(arity == 0 ? "void" : types));\n"
    }
    let list = parameters.map { "double \($0)" }.joined(separator: ", ")
    source += "double \(name)(\(list.isEmpty ? "void" : list)) { return \(body); }\n"
    return try run(source, name: name)
  }

  /// The compiler reads the source from a pipe and writes the object into shared memory.
  private func run(_ source: String, name: String) throws -> ObjectSource {
    let memory = "/dev/shm/calculator-\(UUID().uuidString).o"
    defer { unlink(memory) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [compiler, "-x", "c", "-O2", "-fPIC", "-w", "-c", "-", "-o", memory]
    let (input, errors) = (Pipe(), Pipe())
    (process.standardInput, process.standardError) = (input, errors)
    try process.run()
    input.fileHandleForWriting.write(Data(source.utf8))
    try input.fileHandleForWriting.close()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let first = text.split(separator: "\n").first { $0.contains("error:") }
      throw CalculatorError(description: first.map(String.init) ?? text)
    }
    return try ObjectSource(FileContents(reading: FilePath(memory)), name: name)
  }

  // MARK: the language

  private static let libm: Set<String> = [
    "sqrt", "sin", "cos", "tan", "atan", "atan2", "exp", "log", "pow", "fabs", "floor", "ceil",
    "fmod", "hypot", "cbrt", "round", "fmin", "fmax",
  ]

  private static func definition(_ line: String) -> (String, [String], String)? {
    guard
      let match = line.wholeMatch(
        of: /\s*([A-Za-z_]\w*)\s*\(([\w\s,]*)\)\s*=(?!=)\s*(.+)/)
    else { return nil }
    let parameters = match.2.split(separator: ",").map {
      $0.trimmingCharacters(in: .whitespaces)
    }.filter { !$0.isEmpty }
    return (String(match.1), parameters, String(match.3))
  }

  /// Functions that an expression calls, with how many arguments.
  private static func calls(in body: String) -> [(String, Int)] {
    body.matches(of: /([A-Za-z_]\w*)\s*\(/).map { match in
      var (depth, commas, isEmpty) = (1, 0, true)
      for character in body[match.range.upperBound...] {
        if character == "(" { depth += 1 }
        if character == ")" { depth -= 1 }
        if depth == 0 { break }
        if character == ",", depth == 1 { commas += 1 }
        if !character.isWhitespace { isEmpty = false }
      }
      return (String(match.1), isEmpty ? 0 : commas + 1)
    }
  }
}
