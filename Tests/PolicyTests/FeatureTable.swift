// docs/features.md is the list of promises. A row that says “works” names the tests that prove it, in
// backticks: `SuiteName.testName`, `testName`, `SuiteName`, the sentence of a `@Test("…")`, or a file.
// Here the names are looked up, so that a promise cannot outlive its proof.

struct FeatureRow: Equatable {
  var id: String
  var state: String
  /// What stands in backticks in the third column, in its parts between commas.
  var proofs: [String]
  var line: Int
}

/// Everything a row may name.
struct TestNames {
  private var testsOfType: [String: Set<String>] = [:]
  private var tests: Set<String> = []
  private var sentences: Set<String> = []
  private var files: Set<String> = []

  init(_ files: [SourceFile]) {
    for file in files {
      let found = Set(file.swift.tests)
      tests.formUnion(found)
      for type in Set(file.swift.declarations.map(\.name) + file.swift.extended) {
        testsOfType[type, default: []].formUnion(found)
      }
      sentences.formUnion(TestNames.sentences(in: file.text))
      self.files.formUnion([file.name, file.path])
    }
  }

  func contains(_ proof: String) -> Bool {
    let name = proof.prefix { $0 != "(" }
    if files.contains(proof) || sentences.contains(proof) || tests.contains(String(name)) {
      return true
    }
    if let type = testsOfType[proof] { return !type.isEmpty }
    guard let dot = name.firstIndex(of: ".") else { return false }
    let test = String(name[name.index(after: dot)...])
    return testsOfType[String(name[..<dot])]?.contains(test) ?? false
  }

  /// The texts of `@Test("…")` and `@Suite("…")`.
  private static func sentences(in text: String) -> [String] {
    ["@Test(\"", "@Suite(\""].flatMap { opening in
      text.split(separator: opening, omittingEmptySubsequences: false).dropFirst().compactMap {
        $0.split(separator: "\"", omittingEmptySubsequences: false).first.map(String.init)
      }
    }
  }
}

enum FeatureTable {
  static let path = "docs/features.md"
  static let states: Set = ["works", "partial", "not yet"]

  static func rows(in text: String) -> [FeatureRow] {
    text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap {
      index, line in
      guard line.hasPrefix("|") else { return nil }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().map {
        $0.split(separator: " ").joined(separator: " ")
      }
      guard cells.count >= 3, isID(cells[0]) || cells[1] == "works" else { return nil }
      return FeatureRow(
        id: cells[0], state: cells[1], proofs: quoted(in: cells[2]), line: index + 1)
    }
  }

  static func violations(
    in text: String, tests: TestNames, fileExists: (String) -> Bool
  ) -> [Violation] {
    rows(in: text).flatMap { row -> [Violation] in
      func violation(_ what: String, _ remedy: String) -> Violation {
        Violation(path: path, line: row.line, what: "row \(row.id) \(what)", remedy: remedy)
      }
      guard states.contains(row.state) else {
        return [
          violation("has the state '\(row.state)'", "Say works, partial or not yet.")
        ]
      }
      guard row.state == "works" else { return [] }
      guard !row.proofs.isEmpty else {
        return [
          violation(
            "works, but names no test",
            "Name one in backticks in the third column, or say partial.")
        ]
      }
      return row.proofs.filter { !tests.contains($0) && !isFile($0, fileExists) }.map {
        violation(
          "names `\($0)`, which is no test, suite or file in Tests",
          "Correct the name, or say partial until there is a test.")
      }
    }
  }

  private static func isFile(_ proof: String, _ exists: (String) -> Bool) -> Bool {
    proof.contains("/") && exists(proof)
  }

  /// `A3`, `J4.one`.
  private static func isID(_ cell: String) -> Bool {
    guard let first = cell.first, first.isASCII, first.isUppercase else { return false }
    return cell.dropFirst().first?.isNumber ?? false
  }

  private static func quoted(in cell: String) -> [String] {
    cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().compactMap {
      $0.isMultiple(of: 2) ? nil : String($1)
    }
  }
}
