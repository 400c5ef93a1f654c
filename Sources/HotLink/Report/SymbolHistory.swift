// What happened to each symbol over the generations, for `explain`. A symbol that nothing happened to costs
// nothing; the others keep their last events.
internal import Synchronization

/// Something that happened to a symbol.
public struct SymbolEvent: Hashable, Sendable {
  public enum What: Hashable, Sendable {
    case changed, added, removed
    /// A variable or constant of the unit.
    case verdict(Verdict.Fate, unit: String)
    /// A copy of an inline function that is not the one that runs.
    case shadowed(unit: String, owner: String)
  }
  public var generation: Int
  /// The last generation of a row in which the same happened.
  public var last: Int
  public var what: What
}

final class SymbolHistory: Sendable {
  /// Events kept of a symbol.
  static let most = 32
  private let table = Mutex<[String: [SymbolEvent]]>([:])

  func note(_ report: ReloadReport) {
    table.withLock { table in
      func note(_ symbol: String, _ what: SymbolEvent.What) {
        let event = SymbolEvent(
          generation: report.generation, last: report.generation, what: what)
        guard let previous = table[symbol]?.last else {
          table[symbol] = [event]
          return
        }
        if previous.what == what, previous.last >= report.generation - 1 {
          let index = (table[symbol]?.count ?? 1) - 1
          table[symbol]?[index].last = report.generation
          return
        }
        table[symbol]?.append(event)
        if let count = table[symbol]?.count, count > SymbolHistory.most {
          table[symbol]?.removeFirst(count - SymbolHistory.most)
        }
      }
      for name in report.changed { note(name, .changed) }
      for name in report.added { note(name, .added) }
      for name in report.removed { note(name, .removed) }
      for verdict in report.verdicts {
        note(verdict.symbol, .verdict(verdict.fate, unit: verdict.unit))
      }
      for function in report.shadowed {
        note(function.symbol, .shadowed(unit: function.unit, owner: function.owner))
      }
    }
  }

  func events(of symbol: String) -> [SymbolEvent] { table.withLock { $0[symbol] ?? [] } }
  /// Symbols that are gone, and yet somebody may ask for.
  var symbols: [String] { table.withLock { Array($0.keys) } }
}
