// A program in sources that is built twice from the same objects: linked by its compiler's driver, which is
// the oracle, and run by `hotlink run`. Both have to print the same and end the same.
import Foundation
import Testing

struct TestProgram: Sendable, CustomTestStringConvertible {
  /// One source, and flags only it needs.
  struct Source: Sendable {
    var compiler: Compiler
    var text: String
    var flags: [String] = []
  }

  var name: String
  var sources: [Source]
  /// Archives or objects that exist already.
  var extra: [String] = []
  var arguments: [String] = []
  var input: [UInt8]?
  var environment: [String: String] = [:]
  /// What only the oracle's link needs.
  var linkFlags: [String] = []
  /// What only `hotlink run` needs, for example `-lstdc++`.
  var runFlags: [String] = []

  var testDescription: String { name }

  /// The same in C, with one compiler and one set of flags.
  static func c(_ name: String, _ texts: String...) -> TestProgram {
    TestProgram(name: name, sources: texts.map { Source(compiler: .gcc, text: $0) })
  }

  static func cxx(_ name: String, _ texts: String...) -> TestProgram {
    TestProgram(
      name: name, sources: texts.map { Source(compiler: .gxx, text: $0) },
      linkFlags: ["-pthread"])
  }

  /// Builds it with `flags` everywhere, runs both, compares.
  ///
  /// - Returns: the output, for tests that want to know that something was tested.
  @discardableResult
  func expectSame(
    _ flags: [String] = [], clang: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let folder = try TemporaryFolder()
    let compilers = sources.map { $0.compiler.chosen(clang: clang) }
    let objects = try zip(sources, compilers).enumerated().map { index, pair in
      try pair.1.object(
        pair.0.text, "unit\(index)", flags: flags + pair.0.flags, in: folder)
    }
    let files = objects + extra
    let driver = compilers.first { $0.isSwift || $0.suffix == "cpp" } ?? compilers[0]
    let program = try driver.program(files, flags: linkFlags, in: folder)
    let expected = try Tool.run(
      program, arguments, input: input, environment: environment, timeout: 30)
    let found = try Tool.hotlink(
      ["run"] + runFlags + files + (arguments.isEmpty ? [] : ["--"] + arguments), input: input,
      environment: environment, timeout: 60)
    let what = "\(name), \(driver) \(flags.joined(separator: " "))"
    #expect(
      expected.code != nil, "the oracle ended by \(expected.end): \(what)",
      sourceLocation: sourceLocation)
    #expect(
      found.end == expected.end, "\(what): \(found.stderr.suffix(800))",
      sourceLocation: sourceLocation)
    #expect(found.stdout == expected.stdout, "\(what)", sourceLocation: sourceLocation)
    #expect(found.stderr == expected.stderr, "\(what)", sourceLocation: sourceLocation)
    return found.stdout
  }
}

extension Compiler {
  /// gcc or clang of the same language.
  func chosen(clang: Bool) -> Compiler {
    guard clang, suffix != "s" else { return self }
    return switch program {
    case "gcc": .clang
    case "g++": .clangxx
    default: self
    }
  }
}

/// A compiler family and its flags: what real builds use.
struct Build: Sendable, CustomTestStringConvertible {
  var clang: Bool
  var flags: [String]

  var testDescription: String {
    "\(clang ? "clang" : "gcc") \(flags.joined(separator: " "))"
  }

  static let all: [Build] = [false, true].flatMap { clang in
    [
      ["-O0"], ["-O2"], ["-O3"], ["-O0", "-fPIC"], ["-O2", "-fPIC"],
      ["-O2", "-ffunction-sections", "-fdata-sections"],
      ["-O0", "-ffunction-sections", "-fdata-sections", "-g"],
      ["-O2", "-fPIC", "-fno-plt"],
      ["-O3", "-fno-plt", "-ffunction-sections", "-fdata-sections", "-g"],
    ].map { Build(clang: clang, flags: $0) }
  }

  /// A few, for programs that take long to compile.
  static let few: [Build] = [
    Build(clang: false, flags: ["-O0"]), Build(clang: false, flags: ["-O2", "-fPIC"]),
    Build(clang: true, flags: ["-O2", "-ffunction-sections", "-fdata-sections"]),
    Build(clang: true, flags: ["-O1", "-fno-plt", "-fPIC"]),
  ]
}
