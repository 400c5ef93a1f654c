// Lists that the Swift runtime reads once, when an image is registered, and never forgets: protocols,
// conformances and types. One section a record. A reload registers only records of things that are
// new; a body-only edit registers nothing.
internal import LoaderEngine

struct SwiftRecords {
  private var known: Set<String> = []

  init(old: ObjectFile?) {
    guard let old, old.isSwift else { return }
    let relocations = SectionRelocations(old)
    for section in old.sections.indices
    where SwiftRuntime.isRecordList(old.name(ofSection: section)) {
      if let key = SwiftRecords.key(old, section, relocations) { known.insert(key) }
    }
  }

  /// Whether the old version had the record in a section.
  func contains(_ object: ObjectFile, _ section: Int, _ relocations: SectionRelocations) -> Bool {
    SwiftRecords.key(object, section, relocations).map(known.contains) ?? false
  }

  private static func key(_ object: ObjectFile, _ section: Int, _ relocations: SectionRelocations)
    -> String?
  {
    relocations.onlySymbol(section).map {
      object.name(ofSection: section).string + " " + object.name(ofSymbol: $0).string
    }
  }
}
