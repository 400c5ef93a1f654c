// Symbols that a group of images refers to and nobody defines: collected over the whole group and reported
// at once, each with up to three places and the nearest spelling that exists.
internal import CLoaderSupport

/// What was looked up in vain.
struct MissingReferences {
  private var entries: [String: LinkError.UndefinedSymbol] = [:]
  /// A plugin of a program that is not here may miss thousands: each suggestion looks at every name there is.
  private static let mostSuggestions = 50
  var isEmpty: Bool { entries.isEmpty }

  mutating func note(_ image: MappedImage, _ index: UInt32, _ relocation: Elf64_Rela) {
    var name = image.symbolName(relocation)
    if let version = image.provider.lookup.version(of: index) { name += "@\(version.text)" }
    var entry =
      entries[name] ?? LinkError.UndefinedSymbol(name: name, sites: [], references: 0)
    if entry.sites.count < 3 { entry.sites.append(image.site(relocation)) }
    entry.references += 1
    entries[name] = entry
  }

  mutating func merge(_ other: MissingReferences) {
    for (name, entry) in other.entries {
      var known = entries[name] ?? LinkError.UndefinedSymbol(name: name, sites: [], references: 0)
      known.sites = Array((known.sites + entry.sites).prefix(3))
      known.references += entry.references
      entries[name] = known
    }
  }

  /// The error, with what exists under a similar name in the given images.
  func error(file: String, searched: [SymbolProvider]) -> LinkError {
    var symbols: [LinkError.UndefinedSymbol] = []
    for var symbol in entries.values.sorted(by: { $0.name < $1.name }) {
      if symbols.count < MissingReferences.mostSuggestions {
        symbol.suggestion = MissingReferences.nearest(to: symbol.name, in: searched)
      }
      symbols.append(symbol)
    }
    return LinkError(file: file, .undefined(symbols))
  }

  private static func nearest(to name: String, in providers: [SymbolProvider])
    -> LinkError.Suggestion?
  {
    let wanted = Array(name.utf8.prefix { $0 != UInt8(ascii: "@") })
    let limit = max(1, min(3, wanted.count / 4))
    var best: (distance: Int, suggestion: LinkError.Suggestion)?
    for provider in providers {
      provider.lookup.forEachExported { _, symbol in
        guard best?.distance != 1, let candidate = provider.lookup.name(of: symbol),
          abs(candidate.count - wanted.count) <= limit
        else { return }
        let distance = Spelling.distance(
          wanted, UnsafeRawBufferPointer(start: candidate.base, count: candidate.count),
          limit: min(limit, (best?.distance ?? limit + 1) - 1))
        if let distance, distance > 0 {
          best = (
            distance,
            LinkError.Suggestion(name: candidate.string, definedIn: provider.name)
          )
        }
      }
    }
    return best?.suggestion
  }
}
