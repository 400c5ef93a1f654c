// One measured figure, as JSON, as cells of a table, and as a line between two processes of `bench`.

/// What a figure counts. In JSON it is part of the keys.
enum Unit: String {
  case nanoseconds = "ns"
  case bytes
  case count
}

/// A number more about a figure, with its unit in its name: `p99_ns`, `relocations_per_s`.
struct Detail {
  var name: String
  var value: Double
}

struct Row {
  var id: String
  var ours: Double
  var peer: String
  var peerTime: Double
  var ratio: Double
  var rounds: Int
  var unit: Unit
  var details: [Detail] = []

  var json: String {
    "{\"id\":\"\(id)\",\"ours_\(unit.rawValue)\":\(decimal(ours, 3)),\"peer\":\"\(peer)\","
      + "\"peer_\(unit.rawValue)\":\(decimal(peerTime, 3)),\"ratio\":\(decimal(ratio, 4)),\"rounds\":\(rounds)"
      + details.map { ",\"\($0.name)\":\(decimal($0.value, 1))" }.joined() + "}"
  }

  var cells: [String] {
    [
      id, amount(ours), peer, amount(peerTime), decimal(ratio, 3), "\(rounds)",
      details.map { "\($0.name) \(decimal($0.value, 0))" }.joined(separator: ", "),
    ]
  }

  private func amount(_ value: Double) -> String {
    guard value.isFinite else { return "-" }
    return switch unit {
    case .nanoseconds: duration(value)
    case .bytes: decimal(value / 1_048_576, 1) + " MiB"
    case .count: decimal(value, 0)
    }
  }

  private func duration(_ nanoseconds: Double) -> String {
    switch abs(nanoseconds) {
    case ..<1e3: decimal(nanoseconds, 2) + " ns"
    case ..<1e6: decimal(nanoseconds / 1e3, 1) + " us"
    default: decimal(nanoseconds / 1e6, 2) + " ms"
    }
  }
}

/// A figure as it is told: by whichever process measured it.
enum Finding {
  case row(json: String, cells: [String])
  /// What could not be measured, and why.
  case failure(id: String, reason: String)

  init(_ row: Row) { self = .row(json: row.json, cells: row.cells) }

  /// Columns with a tab between them; the first says what it is.
  var line: String {
    switch self {
    case .row(let json, let cells): (["row", json] + cells).joined(separator: "\t")
    case .failure(let id, let reason):
      ["failure", id, Self.inOneLine(reason)].joined(separator: "\t")
    }
  }

  /// - Returns: nil for any other line.
  init?(line: String) {
    let columns = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    switch columns.first {
    case "row" where columns.count > 2: self = .row(json: columns[1], cells: Array(columns[2...]))
    case "failure" where columns.count == 3: self = .failure(id: columns[1], reason: columns[2])
    default: return nil
    }
  }

  private static func inOneLine(_ text: String) -> String {
    String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
  }
}
