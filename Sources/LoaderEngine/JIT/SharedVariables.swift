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
  /// Whether a group of an object holds such a variable and the process has it, as large.
  package func hostSupplies(_ group: SectionGroup, of object: ObjectFile) -> Bool {
    sizeInHost(group, of: object) == object.symbols[group.signature].st_size
  }

  /// Bytes of the process's copy of such a variable; nil when a group of an object holds none, or the process has none.
  /// Constants and C++'s records are an object's own: a reload may change them.
  package func sizeInHost(_ group: SectionGroup, of object: ObjectFile) -> UInt64? {
    guard sharesVariables, !arena.isImaginary, let section = object.variable(of: group) else {
      return nil
    }
    let header = object.sections[section]
    let role = SectionRole.of(header, object.name(ofSection: section))
    guard role == .data || role == .bss else { return nil }
    let id = id(of: object, group.signature)
    guard !LinkSpace.isOfStandardLibrary(names[id]) else { return nil }
    guard let found = host.find(id, names[id]) else { return nil }
    // Code that was compiled without -fPIC reaches 2 GiB: an executable's variable stays its own then.
    return !found.isFunction && arena.window.reaches(found.address) ? found.size : nil
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

extension ObjectFile {
  /// The section of the variable or constant that a COMDAT group is for; nil when it is for something else.
  package func variable(of group: SectionGroup) -> Int? {
    let symbol = symbols[group.signature]
    guard group.isComdat, group.signature >= firstGlobal, symbol.type == UInt8(STT_OBJECT),
      symbol.isWeakBinding || symbol.isUniqueBinding, !symbol.isHidden, symbol.st_size > 0,
      case .section(let section) = place(ofSymbol: group.signature),
      group.members.contains(section)
    else { return nil }
    return section
  }
}
