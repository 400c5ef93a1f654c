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
  /// More about it, of our counted measurements.
  var details: ([Double]) -> [Detail] = { _ in [] }
}

/// For profilers: one side alone.
enum Side: String, ExpressibleByArgument {
  case ours
  case peer
}

/// Where findings go.
enum Destination {
  case table
  /// One object a line, as soon as it is measured.
  case json
  /// The process that started this one.
  case parent
}

final class Runner {
  private let only: [String]
  private let rounds: Int?
  private let side: Side?
  private let destination: Destination
  private var rows: [[String]] = []
  private var failures: [(id: String, reason: String)] = []
  private var isEmpty = true

  init(only: [String], rounds: Int?, destination: Destination, side: Side? = nil) {
    self.side = side
    self.only = only
    self.rounds = rounds
    self.destination = destination
  }

  /// Whether any of these figures is asked for: what they need is made only then.
  func wants(_ ids: String...) -> Bool {
    ids.contains { id in only.isEmpty || only.contains { id == $0 || id.hasPrefix($0 + ".") } }
  }

  /// Measures a figure, unless it is not asked for. One round more than told is run; the first counts
  /// for nothing. One that cannot be measured is noted as failed; the others go on.
  func measure(_ figure: Figure) {
    guard wants(figure.id) else { return }
    do {
      found(Finding(try measured(figure)))
    } catch {
      fail(figure.id, error)
    }
  }

  private func measured(_ figure: Figure) throws -> Row {
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
    return Row(
      id: figure.id, ours: median(ours), peer: figure.peer, peerTime: median(peers),
      ratio: median(zip(ours, peers).map { $0 / $1 }), rounds: count, unit: figure.unit,
      details: figure.details(ours))
  }

  /// Notes what could not be measured.
  func fail(_ id: String, _ error: any Error) {
    found(.failure(id: id, reason: "\(error)"))
  }

  /// Takes over a line of a process that measured for this one.
  func take(_ line: String) {
    guard let finding = Finding(line: line) else { return note(line) }
    found(finding)
  }

  private func found(_ finding: Finding) {
    isEmpty = false
    if destination == .parent {
      print(finding.line)
      fflush(nil)
      return
    }
    switch finding {
    case .row(let json, let cells):
      rows.append(cells)
      guard destination == .json else { return }
      print(json)
      fflush(nil)
    case .failure(let id, let reason):
      failures.append((id, reason))
      note("\(id) FAILED: \(reason)")
    }
  }

  /// Writes the table, and what failed.
  ///
  /// - Throws: when something failed, or nothing was asked for.
  func finish() throws {
    guard destination != .parent else { return }
    guard !isEmpty else { throw BenchError("no figure has the id \(only)") }
    if destination == .table { printTable() }
    guard failures.isEmpty else {
      fflush(nil)
      for failure in failures { note("could not be measured: \(failure.id): \(failure.reason)") }
      throw ExitCode.failure
    }
  }

  private func printTable() {
    let lines = [["id", "ours", "peer", "peer's", "ratio", "rounds", ""]] + rows
    let widths = (0..<6).map { column in lines.map { $0[column].count }.max() ?? 0 }
    for line in lines {
      let cells = (0..<6).map { column in
        let space = String(repeating: " ", count: widths[column] - line[column].count)
        return column == 0 || column == 2 ? line[column] + space : space + line[column]
      }
      print((cells + (line[6].isEmpty ? [] : [line[6]])).joined(separator: "  "))
    }
  }
}

/// What a share of the values does not exceed: 0.5 is near the median, 1 the greatest.
func quantile(_ share: Double, _ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  let rank = (share * Double(sorted.count)).rounded(.up)
  return sorted[min(max(Int(rank) - 1, 0), sorted.count - 1)]
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
