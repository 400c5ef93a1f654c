// The scanner and the rules on files made up for them: each rule is shown to find what it is for, and to
// leave alone what only looks like it.
import Testing

@Suite("The policies can fail")
struct PolicySelfTests {
  @Test(
    "Code is told from comments and text",
    arguments: [
      ("a // b", ["a"]),
      ("a /* b /* c */ d */ e", ["a", "e"]),
      (#"a("b // c") d"#, ["a", "d"]),
      (#"a("b \"c\" d") e"#, ["a", "e"]),
      (#"a("b \(c(")")) d") e"#, ["a", "c", "e"]),
      (#"a("\(b(c) + d) e") f"#, ["a", "b", "c", "d", "f"]),
      (##"a(#"b "c" \(d) \#(e)"#) f"##, ["a", "e", "f"]),
      ("a(\"\"\"\n b \"c\" \\(d)\n \"\"\") e", ["a", "d", "e"]),
      ("a(\"\") b", ["a", "b"]),
      ("`b \"c` d", ["b \"c", "d"]),
      ("a = \"open\nb", ["a", "b"]),
      ("a /* open", ["a"]),
      ("a(\"open \\(b", ["a", "b"]),
    ])
  func words(source: String, expected: [String]) {
    let words = ScannedSwift(source).places.compactMap { place -> String? in
      guard case .word(let word) = place.token else { return nil }
      return word
    }
    #expect(words == expected)
  }

  @Test("Lines are counted through comments and texts of many lines")
  func lines() {
    let scanned = ScannedSwift("/*\n*/ let a = \"\"\"\n x\n \"\"\"\nstruct B {}")
    #expect(scanned.declarations.map(\.line) == [5])
  }

  @Test("Imports in all their forms")
  func imports() {
    let scanned = ScannedSwift(
      """
      public import A
      @testable import B
      internal import struct C.D
      // import E
      func f() { print("import F") }
      """)
    #expect(scanned.imports.map(\.module) == ["A", "B", "C"])
    #expect(scanned.imports.map(\.line) == [1, 2, 3])
  }

  @Test("Declarations with their depth and privacy")
  func declarations() {
    let scanned = ScannedSwift(
      """
      public final class A { class func f() {}; struct B {} }
      private indirect enum C {}
      fileprivate typealias D = Int
      #if os(Linux)
      package protocol E {}
      #endif
      extension A { enum F {} }
      let type = A.self
      """)
    let found = scanned.declarations
    #expect(found.map(\.name) == ["A", "B", "C", "D", "E", "F"])
    #expect(found.map(\.depth) == [0, 1, 0, 0, 0, 1])
    #expect(found.map(\.isPrivate) == [false, false, true, true, false, false])
    #expect(scanned.extended == ["A"])
  }

  static let engine = "Sources/LoaderEngine/"

  @Test("The order of the rooms is kept")
  func rooms() {
    let later = SourceFile(
      Self.engine + "JIT/Graph.swift", "package struct Graph { struct Slot {} }")
    let cell = SourceFile(Self.engine + "Context/Slot.swift", "package struct Slot {}")
    func lines(_ path: String, _ text: String) -> [Int] {
      Policy.wrongRooms([later, cell, SourceFile(Self.engine + path, text)]).map(\.line)
    }
    #expect(lines("Memory/A.swift", "let a = 1\nfunc f(_ g: [Graph]) {}") == [2])
    #expect(lines("Memory/A.swift", "func f(_ g: Graph, _ s: Slot) {}\nlet g: Graph") == [1, 1])
    #expect(lines("Memory/A.swift", "extension Graph {}") == [1])
    #expect(lines("Attic/A.swift", "let a = 1") == [1])
    // The same name as text, as a member, nested here, private here, in a later room, in a flow file.
    #expect(lines("Memory/A.swift", "// Graph\nlet a = \"Graph\"").isEmpty)
    #expect(lines("Memory/A.swift", "let a = X.Slot()").isEmpty)
    #expect(lines("Memory/A.swift", "let a = 0...Slot.end") == [1])
    #expect(lines("Memory/A.swift", "struct A { struct Slot {}; let s: Slot }").isEmpty)
    #expect(lines("Context/A.swift", "let g: Graph").isEmpty)
    #expect(lines("Linker.swift", "let g: Graph; let s: Slot").isEmpty)
  }

  @Test("Nested and private types of a later room are its own affair")
  func hiddenTypes() {
    let later = SourceFile(
      Self.engine + "JIT/Graph.swift", "struct Graph { enum Kind {} }\nprivate struct Entry {}")
    let early = SourceFile(Self.engine + "ELF/A.swift", "let kind: Kind, entry: Entry")
    #expect(Policy.wrongRooms([later, early]).isEmpty)
  }

  @Test(
    "Imports follow the arrows",
    arguments: [
      ("LoaderEngine", "Foundation", false), ("LoaderEngine", "HotLink", false),
      ("LoaderEngine", "CLibElf", true), ("LoaderEngine", "CLibDW", false),
      ("HotLink", "LoaderEngine", true), ("HotLink", "HotLinkWatch", false),
      ("HotLink", "CInotifyTools", false), ("HotLinkWatch", "CInotifyTools", true),
      ("HotLinkRunner", "Foundation", true), ("Unheard", "Glibc", false),
    ])
  func directions(target: String, module: String, isAllowed: Bool) {
    let file = SourceFile("Sources/\(target)/A.swift", "// Door.\ninternal import \(module)")
    #expect(Policy.wrongImports([file]).isEmpty == isAllowed)
  }

  @Test(
    "Unsafe code stays at home",
    arguments: [
      ("LoaderEngine/Memory/A.swift", "let a: UnsafeRawPointer", true),
      ("LoaderEngine/Plan/A.swift", "let a: UnsafeRawPointer", false),
      ("LoaderEngine/Plan/A.swift", "let a: UnsafeMutableRawBufferPointer", false),
      ("LoaderEngine/Plan/A.swift", "a.withUnsafeBytes { $0 }", false),
      ("LoaderEngine/Plan/A.swift", "let a = b.unsafelyUnwrapped", false),
      ("LoaderEngine/Plan/A.swift", "// UnsafeRawPointer", true),
      ("LoaderEngine/ELF/Bytes.swift", "let a: UnsafeRawPointer", true),
      ("LoaderEngine/ELF/Notes.swift", "let a: UnsafeRawPointer", false),
      ("HotLink/SessionCore.swift", "unsafeBitCast(a, to: B.self)", false),
    ])
  func unsafePlaces(path: String, text: String, isAllowed: Bool) {
    #expect(Policy.unsafeOutsideHomes([SourceFile("Sources/" + path, text)]).isEmpty == isAllowed)
  }

  @Test("Only so many lines")
  func sizes() {
    let most = String(repeating: "// x\n", count: Policy.longestFile)
    #expect(Policy.largeFiles([SourceFile("Sources/A/A.swift", most)]).isEmpty)
    #expect(Policy.largeFiles([SourceFile("Sources/A/A.c", most + "int x;\n")]).count == 1)
  }

  @Test(
    "Traps and promises are found",
    arguments: [
      ("let a = try! f()", 1), ("let a = b as! C", 1), ("fatalError(\"x\")", 1),
      ("// " + "TODO: later", 1), ("/* " + "FIXME */", 1), ("a\nb try! c; try! d", 2),
      ("let a = try? f()", 0), ("let a = b as? C", 0), ("// never try! here", 0),
      ("let a = \"as! in a text\"", 0), ("myfatalError(1)", 0), ("METHODTODO", 0),
    ])
  func forbidden(text: String, count: Int) {
    #expect(Policy.forbiddenWords([SourceFile("Sources/A/A.swift", text)]).count == count)
  }

  @Test(
    "A file begins with why it exists",
    arguments: [
      ("// Why.\nimport A", true), ("\n// Why.", true), ("/* Why. */", true),
      ("/*\n * Why.\n */", true), ("import A\n// Why.", false), ("", false),
      ("//\nimport A", false),
      ("// swift-format-ignore-file\nimport A", false),
      ("// swift-format-ignore-file\n// Why.\nimport A", true),
    ])
  func doors(text: String, isThere: Bool) {
    #expect(Policy.missingDoors([SourceFile("Sources/A/A.swift", text)]).isEmpty == isThere)
  }

  @Test("An exception covers its file and rule, and is reported once it covers nothing")
  func exceptions() {
    let tree = SourceTree([
      SourceFile("Sources/A/A.swift", "try! f()"), SourceFile("Sources/A/B.swift", "try! f()"),
    ])
    func findings(_ rule: Policy, _ path: String) -> [String] {
      let exception = PolicyException(rule: rule, path: path, reason: "a test")
      return Policy.forbidden.findings(in: tree, exceptions: [exception])
    }
    #expect(findings(.sizes, "Sources/A/A.swift").count == 2)
    let left = findings(.forbidden, "Sources/A/A.swift")
    #expect(left.count == 1)
    #expect(left.first?.hasPrefix("Sources/A/B.swift:1: try! can end the process. ") == true)
    #expect(findings(.forbidden, "Sources/A/C.swift").count == 3)
  }

  @Test(
    "A promise without proof is found",
    arguments: [
      ("| A1 | works | `Loading.reads` |", 0), ("| A1 | works | `Loading.reads()`, `links` |", 0),
      ("| A1 | works | `Loading` |", 0), ("| A1 | works | `Some sentence` |", 0),
      ("| A1 | works | `LoadingTests.swift`, `demo/run.sh` |", 0),
      ("| A1 | works | `a sentence, raw` |", 0),
      ("| A1 | partial | |", 0), ("| A1 | not yet | none |", 0), ("| Row | State | Test |", 0),
      ("| A1 | works | |", 1), ("| A1 | works | reads |", 1),
      ("| A1 | works | `Loading.helper` |", 1),
      ("| A1 | works | `Other.reads` |", 1), ("| A1 | works | `gone`, `Loading.reads` |", 1),
      ("| A1 | works | `demo/gone.sh` |", 1), ("| A1 | done | `Loading.reads` |", 1),
      ("| **A1** | works | `gone` |", 1), ("| A1 | works | `Fixture` |", 1),
    ])
  func features(row: String, count: Int) {
    let tests = TestNames([
      SourceFile(
        "Tests/T/LoadingTests.swift",
        """
        struct Loading { @Test("Some sentence") func reads() {}; func helper() {} }
        extension Loading { @Test(arguments: [{ 1 }]) func links(_ f: Int) {} }
        struct Sentences { @Test func `a sentence, raw`() {} }
        """),
      SourceFile("Tests/T/Fixture.swift", "struct Fixture { func make() {} }"),
      SourceFile("Tests/T/OtherTests.swift", "struct Other { @Test func writes() {} }"),
    ])
    let violations = FeatureTable.violations(
      in: "# Features\n\n" + row, tests: tests, fileExists: { $0 == "demo/run.sh" })
    #expect(violations.count == count)
    #expect(violations.allSatisfy { $0.line == 3 })
  }
}
