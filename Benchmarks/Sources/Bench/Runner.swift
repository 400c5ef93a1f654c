// Paired measuring: ours and the peer take turns, so that what disturbs the machine disturbs both, and
// the ratio is taken within a round before the median is taken over rounds (docs/decisions/0003).
internal import ArgumentParser
internal import Glibc
internal import SystemPackage

/// One figure: what it is called and how each side is measured once.
struct Figure {
  /// Counterpart: FEATURES section J.
  var id: String
  var peer: String
  var rounds: Int
  var unit = Unit.nanoseconds
  /// One measurement, in that unit.
  var measureOurs: () throws -> Double
  var measurePeer: () throws -> Double
}

/// What a figure counts. In JSON it is part of the keys.
enum Unit: String {
  case nanoseconds = "ns"
  case bytes
  case count
}

struct Row {
  var id: String
  var ours: Double
  var peer: String
  var peerTime: Double
  var ratio: Double
  var rounds: Int
  var unit: Unit

  var json: String {
    "{\"id\":\"\(id)\",\"ours_\(unit.rawValue)\":\(decimal(ours, 3)),\"peer\":\"\(peer)\","
      + "\"peer_\(unit.rawValue)\":\(decimal(peerTime, 3)),\"ratio\":\(decimal(ratio, 4)),\"rounds\":\(rounds)}"
  }

  var cells: [String] {
    [id, amount(ours), peer, amount(peerTime), decimal(ratio, 3), "\(rounds)"]
  }

  private func amount(_ value: Double) -> String {
    switch unit {
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

/// For profilers: one side alone.
enum Side: String, ExpressibleByArgument {
  case ours
  case peer
}

final class Runner {
  private let only: [String]
  private let rounds: Int?
  private let printsJSON: Bool
  private let side: Side?
  private var rows: [Row] = []

  init(only: [String], rounds: Int?, printsJSON: Bool, side: Side? = nil) {
    self.side = side
    self.only = only
    self.rounds = rounds
    self.printsJSON = printsJSON
  }

  /// Whether any of these figures is asked for: what they need is made only then.
  func wants(_ ids: String...) -> Bool {
    ids.contains { id in only.isEmpty || only.contains { id == $0 || id.hasPrefix($0 + ".") } }
  }

  /// Measures a figure, unless it is not asked for. One round more than told is run; the first counts
  /// for nothing.
  func measure(_ figure: Figure) throws {
    guard wants(figure.id) else { return }
    let count = rounds ?? figure.rounds
    var figure = figure
    if side == .ours { figure.measurePeer = { .nan } }
    if side == .peer { figure.measureOurs = { .nan } }
    note("\(figure.id): \(count) rounds")
    var ours: [Double] = []
    var peers: [Double] = []
    for round in 0...count {
      var times = (ours: 0.0, peer: 0.0)
      if round.isMultiple(of: 2) {
        times.ours = try figure.measureOurs()
        times.peer = try figure.measurePeer()
      } else {
        times.peer = try figure.measurePeer()
        times.ours = try figure.measureOurs()
      }
      if round > 0 {
        ours.append(times.ours)
        peers.append(times.peer)
      }
    }
    let row = Row(
      id: figure.id, ours: median(ours), peer: figure.peer, peerTime: median(peers),
      ratio: median(zip(ours, peers).map { $0 / $1 }), rounds: count, unit: figure.unit)
    rows.append(row)
    if printsJSON {
      print(row.json)
      fflush(nil)
    }
  }

  /// Writes the table.
  func finish() throws {
    guard !rows.isEmpty else { throw BenchError("no figure has the id \(only)") }
    guard !printsJSON else { return }
    let lines = [["id", "ours", "peer", "peer's", "ratio", "rounds"]] + rows.map(\.cells)
    let widths = (0..<6).map { column in lines.map { $0[column].count }.max() ?? 0 }
    for line in lines {
      let cells = line.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - line[column].count)
        return column == 0 || column == 2 ? line[column] + space : space + line[column]
      }
      print(cells.joined(separator: "  "))
    }
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  let middle = sorted.count / 2
  guard !sorted.isEmpty else { return .nan }
  return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}

/// A number with that many digits after the point; no locale, no Foundation.
func decimal(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return "null" }
  var scale = 1.0
  if digits == 0 { return String(Int(value.rounded())) }
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int((abs(value) * scale).rounded())
  let fraction = String(scaled % Int(scale))
  return (value < 0 ? "-" : "") + "\(scaled / Int(scale))."
    + String(repeating: "0", count: digits - fraction.count) + fraction
}

/// Progress, on standard error.
func note(_ text: String) {
  _ = try? FileDescriptor.standardError.writeAll("bench: \(text)\n".utf8)
}

/// Why a figure could not be measured.
struct BenchError: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
