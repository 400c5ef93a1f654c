// All libraries of a sweep in one document: how many, what differs, and each that dlopen loads and we do not,
// with its reason. Without dates, so that two sweeps of one machine are equal.

/// Counts over many comparisons.
struct SweepTable {
  private var files = 0
  private var compared = 0
  private var relocations = 0
  private var words = 0
  private var skipped: [(reason: String, count: Int)] = []
  private var different: [(library: String, count: Int, example: LibraryVerdict.Difference)] = []
  private var differences = 0
  private var failed: [(library: String, reason: String)] = []
  /// How many, by the kind of reason: which they are is no matter of ours.
  private var refused: [String: Int] = [:]

  mutating func add(_ verdict: LibraryVerdict) {
    files += 1
    switch verdict.state {
    case .compared(let all, let some):
      compared += 1
      relocations += all
      words += some
      for skip in verdict.skipped {
        if let index = skipped.firstIndex(where: { $0.reason == skip.reason }) {
          skipped[index].count += skip.count
        } else {
          skipped.append(skip)
        }
      }
      if let first = verdict.differences.first {
        different.append((verdict.library, verdict.differences.count, first))
        differences += verdict.differences.count
      }
    case .failed(let reason): failed.append((verdict.library, reason))
    case .refused(let reason): refused[SweepTable.kind(reason), default: 0] += 1
    }
  }

  private var loadable: Int { compared + failed.count }

  private var share: String {
    guard loadable > 0 else { return "–" }
    let tenths = compared * 1000 / loadable
    return "\(tenths / 10).\(tenths % 10) %"
  }

  /// One line for people.
  var line: String {
    "\(files) files: dlopen loads \(loadable), we load \(compared) of them (\(share));"
      + " \(words) of \(relocations) relocations compared, \(differences) different"
  }

  /// The document.
  var markdown: String {
    var text = """
      # Sweep: every shared object against dlopen

      Made by `make sweep`: `hotlink check --against dlopen` over the shared objects below the system's library
      directories. Each is loaded twice in a process of its own, by ld.so and by us, with its initialisers
      neutralised, and compared relocation by relocation.

      | | |
      | --- | ---: |
      | shared objects | \(files) |
      | dlopen loads | \(loadable) |
      | we load of those | \(compared) (\(share)) |
      | relocations | \(relocations) |
      | compared | \(words) |
      | different | \(differences) |

      """
    for skip in skipped { text += "| skipped: \(skip.reason) | \(skip.count) |\n" }
    if !different.isEmpty {
      text += "\n## Different\n\n| library | words | first |\n| --- | ---: | --- |\n"
      for row in different {
        let first = row.example
        text += "| \(row.library) | \(row.count) | \(Messages.hex(first.offset)) \(first.type)"
        text += " \(first.symbol): ours \(first.ours), theirs \(first.theirs) |\n"
      }
    }
    text += list("Loaded by dlopen, not by us", failed)
    if !refused.isEmpty {
      let count = refused.values.reduce(0, +)
      text += "\n## Not loaded by dlopen: \(count)\n\n| reason | libraries |\n| --- | ---: |\n"
      for (reason, count) in refused.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
        text += "| \(reason) | \(count) |\n"
      }
    }
    return text
  }

  /// `FILE: undefined symbol: NAME` → `undefined symbol`.
  private static func kind(_ reason: String) -> String {
    var parts: [Substring] = []
    var rest = reason[...]
    while let colon = rest.firstRange(of: ": ") {
      parts.append(rest[..<colon.lowerBound])
      rest = rest[colon.upperBound...]
    }
    parts.append(rest)
    return String(parts.count > 1 ? parts[1] : parts[0])
  }

  private func list(_ title: String, _ rows: [(library: String, reason: String)]) -> String {
    guard !rows.isEmpty else { return "" }
    var text = "\n## \(title): \(rows.count)\n\n| library | reason |\n| --- | --- |\n"
    for row in rows {
      text += "| \(row.library) | \(row.reason.split(separator: "|").joined(separator: "/")) |\n"
    }
    return text
  }
}
