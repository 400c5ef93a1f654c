// What is wrong with the symbols of a link, for programs: each missing one with the places that refer to it, each
// duplicate with both of its places.
import HotLink
import LoaderEngine

extension Refusal {
  private var conflicts: LinkError.SymbolConflicts {
    var conflicts = LinkError.SymbolConflicts()
    guard case .link(let error) = reason else { return conflicts }
    if case .undefined(let symbols) = error.reason { conflicts.undefined = symbols }
    if case .conflicts(let found) = error.reason { conflicts = found }
    return conflicts
  }

  var undefinedNames: [String] { conflicts.undefined.map(\.name) }

  /// Members for a JSON object.
  var symbolDefects: [(String, JSON)] {
    let conflicts = conflicts
    return [
      ("missing", .array(conflicts.undefined.map(Refusal.json))),
      (
        "duplicates",
        .array(
          conflicts.duplicates.map {
            .object([
              ("symbol", .string($0.symbol)), ("first", Refusal.json($0.first)),
              ("second", Refusal.json($0.second)),
            ])
          })
      ),
      (
        "discarded",
        .array(
          conflicts.discarded.map {
            .object([
              ("symbol", .string($0.symbol)), ("section", .string($0.section)),
              ("site", Refusal.json($0.site)),
            ])
          })
      ),
    ]
  }

  private static func json(_ symbol: LinkError.UndefinedSymbol) -> JSON {
    .object([
      ("symbol", .string(symbol.name)), ("references", .count(symbol.references)),
      ("sites", .array(symbol.sites.map(json))),
      (
        "suggestion",
        symbol.suggestion.map {
          .object([("symbol", .string($0.name)), ("file", .string($0.definedIn))])
        } ?? .null
      ),
    ])
  }

  private static func json(_ site: LinkError.Site) -> JSON {
    .object([
      ("file", .string(site.file)), ("section", .string(site.section)),
      ("offset", .unsigned(site.offset)), ("relocation", .string(site.relocation)),
    ])
  }

  private static func json(_ place: LinkError.Place) -> JSON {
    .object([
      ("file", .string(place.file)), ("section", place.section.map { .string($0) } ?? .null),
      ("offset", .unsigned(place.offset)),
    ])
  }
}
