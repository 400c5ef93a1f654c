// What `hotlink check --against dlopen --json` says, one object a line, and how tests ask for it.
import Foundation

struct AgainstResult: Decodable {
  struct Difference: Decodable, Equatable {
    var offset: UInt64
    var type: String
    var symbol: String
    var ours: String
    var theirs: String
  }

  var library: String
  var relocations: Int
  var compared: Int
  var different: [Difference]
  var skipped: [String: Int]
  var failed: String?
  var refused: String?

  /// Compares libraries in one call.
  ///
  /// - Returns: its exit code, and one result for each.
  static func of(
    _ libraries: [String], _ options: [String] = [], timeout: Double = 300
  ) throws -> (code: Int32, results: [AgainstResult]) {
    let outcome = try Tool.hotlink(
      ["check", "--json", "--against", "dlopen"] + options + libraries, timeout: timeout)
    guard let code = outcome.code else {
      throw Tool.Failure(description: "\(outcome.end): \(outcome.stderr)")
    }
    let results = try outcome.stdout.split(separator: "\n").map {
      try JSONDecoder().decode(AgainstResult.self, from: Data($0.utf8))
    }
    return (code, results)
  }

  /// Compares one.
  static func of(_ library: String, _ options: [String] = []) throws -> (Int32, AgainstResult) {
    let (code, results) = try of([library], options)
    guard results.count == 1 else {
      throw Tool.Failure(description: "\(results.count) results for \(library)")
    }
    return (code, results[0])
  }
}
