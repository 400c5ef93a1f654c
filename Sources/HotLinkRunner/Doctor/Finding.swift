// One thing that `doctor` has found: what, where, why it will hurt, what to do.

struct Finding: Equatable {
  enum Severity: String {
    /// A reload will be refused, have no effect, or not be safe.
    case hurts
    /// Good to know.
    case note
  }

  var severity: Severity
  /// Short and stable, for scripts: `no-debug-data`.
  var code: String
  /// A file, or a setting of the system.
  var place: String
  var what: String
  var why: String
  var help: String
  /// How many more places it was found at.
  var others = 0

  var text: String {
    let more = others > 0 ? " and \(others) more" : ""
    return
      "\(severity == .hurts ? "will hurt" : "note"): \(what) [\(code)]\n  in \(place)\(more)\n  why: \(why)\n  help: \(help)"
  }

  var json: JSON {
    .object([
      ("severity", .string(severity.rawValue)), ("code", .string(code)), ("place", .string(place)),
      ("others", .count(others)), ("what", .string(what)), ("why", .string(why)),
      ("help", .string(help)),
    ])
  }
}

extension [Finding] {
  /// The same thing in many files is one finding with the first of them.
  var joined: [Finding] {
    var result: [Finding] = []
    var index: [String: Int] = [:]
    for finding in self {
      let key = finding.code + "\u{1}" + finding.what
      if let known = index[key] {
        // Two flags may mean one thing.
        if result[known].place != finding.place { result[known].others += 1 }
      } else {
        index[key] = result.count
        result.append(finding)
      }
    }
    return result.filter { $0.severity == .hurts } + result.filter { $0.severity == .note }
  }
}
