// The sources of this checkout, held against the architecture (DESIGN sections 1 and 2) and the house
// style. Each issue it records names a place and what to do there.
import Foundation
import Testing

@Suite("The architecture holds")
struct PolicyTests {
  @Test("The sources follow", arguments: Policy.allCases)
  func sources(follow policy: Policy) throws {
    let tree = try SourceTree.checkout.get()
    #expect(tree.sources.count > 10, "Found hardly any sources in \(SourceTree.root.path).")
    for finding in policy.findings(in: tree) { Issue.record("\(finding)") }
  }

  @Test("Every room and home in the tables has files")
  func tablesAreAlive() throws {
    let paths = try SourceTree.checkout.get().sources.map(\.path)
    for home in Policy.unsafeHomes {
      #expect(
        paths.contains { $0.hasPrefix(home.path) },
        "Policy.unsafeHomes names \(home.path), where nothing is. Delete the row.")
    }
    for target in Policy.importsAllowed.keys {
      #expect(
        paths.contains { $0.hasPrefix("Sources/\(target)/") },
        "Policy.importsAllowed names \(target), which has no files. Delete the row.")
    }
  }

  @Test("A feature that works names a test that exists")
  func featuresAreProven() throws {
    let file = SourceTree.root.appending(path: FeatureTable.path)
    let text = try #require(
      try? String(contentsOf: file, encoding: .utf8), "\(FeatureTable.path) cannot be read.")
    #expect(
      !FeatureTable.rows(in: text).isEmpty,
      "\(FeatureTable.path) has no rows of the form | A3 | works | `Suite.test` |.")
    let violations = FeatureTable.violations(
      in: text, tests: TestNames(try SourceTree.checkout.get().tests),
      fileExists: {
        FileManager.default.fileExists(atPath: SourceTree.root.appending(path: $0).path)
      })
    for violation in violations { Issue.record("\(violation)") }
  }
}
