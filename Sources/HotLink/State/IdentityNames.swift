// Which data is not state although it may lie in a writable section: records by which languages know
// types and functions. Decided by the kind of symbol, never by its section. Itanium C++ ABI 5.1.4;
// Swift: docs/ABI/Mangling.rst.
internal import LoaderEngine

enum IdentityNames {
  /// vtables, typeinfo, Swift descriptors, metadata, witness tables, async function records.
  static func isIdentity(_ name: String) -> Bool {
    // Nearly all names are told by their first letters.
    guard let first = name.utf8.first, "_$Dgsa".utf8.contains(first) else { return false }
    if first == UInt8(ascii: "_"), !name.hasPrefix("_ZT") { return false }
    if name.hasPrefix("_ZTV") || name.hasPrefix("_ZTI") || name.hasPrefix("_ZTS")
      || name.hasPrefix("_ZTT") || name.hasPrefix("_ZTC") || name.hasPrefix("DW.ref.")
    {
      return true
    }
    guard name.hasPrefix("$s") || name.hasPrefix("$e") else {
      return name.hasPrefix("got.$s") || name.hasPrefix("symbolic ")
        || name.hasPrefix("associated conformance ")
    }
    return swiftRecords.contains { name.hasSuffix($0) }
  }

  /// Whether a record holds distances to others (Swift: relative pointers).
  static func refersByDistance(_ name: String) -> Bool {
    name.hasPrefix("$s") && ["Mn", "Mp", "Mc", "MXM"].contains { name.hasSuffix($0) }
  }

  /// Whether a section holds records that live objects and each other's distances depend on.
  static func areIn(_ object: ObjectFile, _ section: Int) -> Bool {
    SymbolsBySection(object)[section].contains {
      let name = object.name(ofSymbol: $0).string
      return shapesObjects(name) || refersByDistance(name)
    }
  }

  /// Swift's records with room for what the runtime notes in them: they keep value and address.
  static func isRuntimeCache(_ name: String) -> Bool {
    guard name.hasPrefix("$s") else { return false }
    return ["MD", "WL", "MK", "MI", "ML", "Wz"].contains { name.hasSuffix($0) }
  }

  /// Whether live objects depend on its size and shape.
  static func shapesObjects(_ name: String) -> Bool {
    if name.hasPrefix("_ZTV") || name.hasPrefix("_ZTI") { return true }
    guard name.hasPrefix("$s") else { return false }
    return ["Mf", "N", "WV", "Mn", "MF", "WP"].contains { name.hasSuffix($0) }
  }

  private static let swiftRecords = [
    "Mf", "N", "Mn", "Mp", "Mc", "WP", "WV", "Tu", "MF", "MA", "MB", "MXM", "MP", "MV", "Wvd",
    "Tq", "TL", "Tl", "Mr",
  ]
}
