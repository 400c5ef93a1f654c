// Variables that every object brings along and that a program has once: static members of templates, inline variables,
// static variables of inline functions, and the guards of these. A linker keeps one of them and ld.so has all images use
// the first (glibc: STB_GNU_UNIQUE; Itanium C++ ABI, “Vague Linkage”). An engine's singleton in a header is to be the
// engine's, then, in code that is linked into its process. A program that is a process of its own has its own first.
internal import CLoaderSupport

extension LinkOptions {
  /// The number of the owner of groups that the process supplies; it is no unit of the program.
  package static let hostUnit: UInt32 = .max - 2
}

extension LinkSpace {
  /// Whether a group of an object holds such a variable and the process has it, as large. Constants and C++'s records are
  /// an object's own: a reload may change them.
  package func hostSupplies(_ group: SectionGroup, of object: ObjectFile) -> Bool {
    guard sharesVariables else { return false }
    let symbol = object.symbols[group.signature]
    guard !arena.isImaginary, group.isComdat, group.signature >= object.firstGlobal,
      symbol.type == UInt8(STT_OBJECT), symbol.isWeakBinding || symbol.isUniqueBinding,
      !symbol.isHidden, symbol.st_size > 0,
      case .section(let section) = object.place(ofSymbol: group.signature),
      group.members.contains(section)
    else { return false }
    let header = object.sections[section]
    let role = SectionRole.of(header, object.name(ofSection: section))
    guard role == .data || role == .bss else { return false }
    let id = id(of: object, group.signature)
    guard !LinkSpace.isOfStandardLibrary(names[id]) else { return false }
    guard let found = host.find(id, names[id]) else { return false }
    // Code that was compiled without -fPIC reaches 2 GiB: an executable's variable stays its own then.
    return !found.isFunction && found.size == symbol.st_size
      && arena.window.reaches(found.address)
  }

  /// Variables of the C++ library (Itanium C++ ABI: the substitutions `St`, `Ss`). They number things that it counts in
  /// others of its own: who links its archive has all of them, and half of them shared would not do.
  private static func isOfStandardLibrary(_ name: NameView) -> Bool {
    var rest = name
    for prefix in ["_Z", "GV", "Z", "N", "K"] as [StaticString] where rest.hasPrefix(prefix) {
      rest = rest.dropFirst(prefix.utf8CodeUnitCount)
    }
    return rest.hasPrefix("St") || rest.hasPrefix("Ss")
  }
}
