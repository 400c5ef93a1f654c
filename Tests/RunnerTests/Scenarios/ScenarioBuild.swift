// How a scenario's sources become units: the words of a `build:` line, each a compiler with flags or the name of a
// set of them.
import Foundation
import Testing

struct ScenarioBuild: CustomStringConvertible, Sendable {
  var toolchain = Toolchain.gcc
  var swift = SwiftMode.plain
  /// Units are shared objects and not objects.
  var isLibrary = false
  var compilesC = true
  var compilesSwift = false

  var description: String {
    let c = (isLibrary ? "library " : "") + toolchain.testDescription
    guard compilesSwift else { return c }
    return compilesC ? "\(c) and \(swift.testDescription)" : swift.testDescription
  }

  /// The builds that a line names; none when it is not understood.
  static func named(_ line: String) -> [ScenarioBuild] {
    let halves = line.components(separatedBy: " and ")
    if halves.count == 2 {
      return named(halves[0]).flatMap { c in
        named(halves[1]).filter { c.compilesC && $0.compilesSwift && !c.isLibrary }.map {
          ScenarioBuild(toolchain: c.toolchain, swift: $0.swift, compilesSwift: true)
        }
      }
    }
    var words = line.split(separator: " ").map(String.init)
    let isLibrary = words.first == "library"
    if isLibrary { words.removeFirst() }
    guard let name = words.first, words.dropFirst().allSatisfy({ $0.hasPrefix("-") }) else {
      return []
    }
    let flags = Array(words.dropFirst())
    if ["swift", "swiftc"].contains(name), !isLibrary {
      let modes = name == "swift" ? SwiftMode.all : [SwiftMode(flags: flags)]
      guard name == "swiftc" || flags.isEmpty else { return [] }
      return modes.map { ScenarioBuild(swift: $0, compilesC: false, compilesSwift: true) }
    }
    return sets(name, isLibrary).map {
      ScenarioBuild(toolchain: Toolchain(c: $0.c, flags: $0.flags + flags), isLibrary: isLibrary)
    }
  }

  private static func sets(_ name: String, _ isLibrary: Bool) -> [Toolchain] {
    switch name {
    case "gcc", "g++": [.gcc]
    case "clang", "clang++": [.clang]
    case "all": Toolchain.all
    case "few": Toolchain.few
    case "sectioned": Toolchain.sectioned
    case "debugging": Toolchain.debugging
    case "formats" where isLibrary:
      Toolchain.libraryDebugFormats.map { Toolchain(c: "gcc", flags: ["-g", "-O2"] + $0) }
    case "formats":
      ["gcc", "clang"].flatMap { c in
        Toolchain.debugFormats.map { Toolchain(c: c, flags: ["-g"] + $0) }
      }
    default: []
    }
  }
}

/// A file, a way to build it, and arguments.
struct ScenarioCase: CustomTestStringConvertible, Sendable {
  var scenario: Scenario
  var build: ScenarioBuild
  var arguments: [String]

  var testDescription: String {
    let name = scenario.file.split(separator: "/").suffix(2).joined(separator: "/")
    return ([name, build.description] + arguments).joined(separator: " ")
  }
}

extension Workbench {
  /// Compiles what a step has saved, as a build tool does: one file in place, several aside and then into place
  /// together. Several files of Swift are one module.
  func compile(_ names: [String], of sources: [String], _ build: ScenarioBuild) throws {
    let compiled = names.filter { Workbench.object(of: $0) != nil }
    let module = sources.filter { $0.hasSuffix(".swift") }
    if build.compilesSwift, module.count > 1 {
      let rest = compiled.filter { !$0.hasSuffix(".swift") }
      if rest.count < compiled.count { try compileModule(module, build) }
      if !rest.isEmpty { try compile(rest, of: [], build) }
      return
    }
    guard build.isLibrary || compiled.count > 1 else {
      for name in compiled { try compile(name) }
      return
    }
    try shell("mkdir -p staged")
    var staged: [String] = []
    for name in compiled {
      let stem = name.prefix { $0 != "." }
      let target = "staged/\(stem).\(build.isLibrary ? "so" : "o")"
      if build.isLibrary {
        let driver =
          name.hasSuffix(".cpp") ? [toolchain.cxx, "-std=c++20"] : [toolchain.c]
        let command = driver + ["-shared", "-fPIC", "-o", target, name] + toolchain.flags
        try Tool.output(command[0], Array(command.dropFirst()), directory: folder.root)
      } else {
        try compile(name, to: target)
      }
      staged.append(target)
    }
    try shell("mv \(staged.joined(separator: " ")) build/")
  }

  /// Only objects that changed are written anew, as a build tool with incremental compilation does.
  private func compileModule(_ files: [String], _ build: ScenarioBuild) throws {
    let sources = files.map { "../\($0)" }.joined(separator: " ")
    try shell(
      """
      mkdir -p out && cd out
      swiftc -c -parse-as-library \(build.swift.flags.joined(separator: " ")) \
      -no-whole-module-optimization -module-name game \(sources)
      for f in *.o; do cmp -s $f ../build/$f || mv $f ../build/$f; done
      """)
  }
}
