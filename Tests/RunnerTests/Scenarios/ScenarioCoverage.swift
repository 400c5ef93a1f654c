// What the scenarios must cover, taken together: what can be counted is counted (fates that are expected, policies that
// are given, compilers that are used), the rest is said by the files' `covers:` lines.
import Testing

@Suite("Scenarios cover")
struct ScenarioCoverage {
  /// The words of `covers:`.
  static let tags: Set<String> = [
    // Edits.
    "struct field added", "struct field removed", "struct fields reordered",
    "field retyped with the same size", "pointer to a changed struct", "enum value inserted",
    "base class added", "virtual function added", "virtual function removed",
    "virtual functions reordered", "lambda captures changed", "Swift stored property added",
    "Swift method added", "static table of function pointers", "singletons",
    "container of polymorphic objects", "tuned constant", "const table changed", "string changed",
    "thread_local counter", "initialiser with side effects",
    // What a layout is made of, and how the guard comes to it.
    "struct members", "enum", "bit field", "union", "array", "base class", "vtable shape",
    "template", "lambda captures", "Swift metadata size", "Swift field descriptor",
    "Swift class metadata", "layout by value", "layout through a pointer", "cycle", "signature",
    "never refused", "blind guard",
    // State.
    "global", "static", "function static", "guard", "template static", "thread_local",
    "renamed statics", "Swift global", "needs reset",
    // Identity.
    "vtable", "typeinfo", "Swift witness table", "Swift closure", "Swift descriptors",
    // The rest.
    "hooks", "proof of effect", "refusals",
  ]

  private static func scenarios() throws -> [Scenario] { try ScenarioFiles.all.get() }

  @Test("at least 75 files")
  func files() throws { #expect(try Self.scenarios().count >= 75) }

  @Test("all that is listed, and nothing else is said to be covered")
  func tagsOccur() throws {
    let scenarios = try Self.scenarios()
    let said = Set(scenarios.flatMap(\.covers))
    #expect(Self.tags.subtracting(said).isEmpty, "nobody covers these")
    for scenario in scenarios {
      #expect(Set(scenario.covers).subtracting(Self.tags).isEmpty, "\(scenario.file)")
    }
  }

  @Test("each verdict, and each way a step can end")
  func fates() throws {
    let outcomes = try Self.scenarios().flatMap { $0.steps.map(\.outcome) }
    let fates = outcomes.flatMap(\.expectations).filter {
      $0.word == .fate || $0.word == .fates && $0.number > 0
    }
    #expect(Set(Expectation.fates).subtracting(fates.map(\.text)).isEmpty)
    let kinds = Set(outcomes.map(\.kind.rawValue))
    #expect(kinds == ["accepted", "refused", "restart", "unchanged"])
  }

  @Test("each policy, for all, for a unit and for a variable")
  func policies() throws {
    let given = Set(
      try Self.scenarios().flatMap { $0.arguments }.flatMap { arguments in
        arguments.joined(separator: " ").replacing("--state ", with: "--state=")
          .replacing("--layout ", with: "--layout=").split(separator: " ").map(String.init)
      })
    func names(_ option: String) -> [(name: String, policy: String)] {
      given.filter { $0.hasPrefix(option + "=") }.map { word in
        let parts = word.dropFirst(option.count + 1).split(separator: "=").map(String.init)
        return parts.count == 1 ? ("", parts[0]) : (parts[0], parts[1])
      }
    }
    let state = names("--state")
    #expect(
      Set(state.map(\.policy)) == [
        "keep", "hold", "source", "reset", "move", "reset-when-needed",
      ])
    let layout = names("--layout")
    #expect(Set(layout.map(\.policy)) == ["refuse", "reset", "migrate", "restart"])
    #expect(given.contains("--heap-layout=warn"))
    for choices in [state, layout] {
      #expect(choices.contains { $0.name.isEmpty })
      #expect(choices.contains { $0.name.hasSuffix(".o") })
      #expect(choices.contains { !$0.name.isEmpty && !$0.name.contains(".o") })
    }
  }

  @Test(
    "each compiler, with and without optimisation, debug data and sections; objects and libraries")
  func compilers() throws {
    let scenarios = try Self.scenarios()
    var used: Set<String> = []
    for scenario in scenarios {
      for build in scenario.builds {
        let flags = build.toolchain.flags
        let level = flags.first { $0.hasPrefix("-O") } ?? "-O0"
        let facts = [
          level, flags.contains { $0.hasPrefix("-g") } ? "-g" : "no -g",
          flags.contains("-fdata-sections") ? "sections" : "no sections",
          build.isLibrary ? "library" : "object",
        ]
        for source in scenario.sources {
          let compiler =
            source.name.hasSuffix(".swift")
            ? "swiftc" : source.name.hasSuffix(".cpp") ? build.toolchain.cxx : build.toolchain.c
          used.insert(compiler)
          if compiler == "swiftc" { used.insert("swiftc \(build.swift.flags[0])") }
          if compiler != "swiftc" { used.formUnion(facts.map { "\(compiler) \($0)" }) }
        }
      }
    }
    for compiler in ["gcc", "g++", "clang", "clang++"] {
      for fact in [
        "-O0", "-Og", "-O2", "-g", "no -g", "sections", "no sections", "library", "object",
      ] {
        #expect(used.contains("\(compiler) \(fact)"), "\(compiler) \(fact)")
      }
    }
    #expect(used.contains("swiftc -Onone") && used.contains("swiftc -O"))
  }
}
