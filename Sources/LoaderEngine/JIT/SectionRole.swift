// What a section of an object is for the linker: decides where it goes, how long it lives, and how
// references to it bind.
internal import CLoaderSupport

package enum SectionRole: UInt8, BitwiseCopyable, Sendable {
  /// Not linked: symbol tables, debug data, a group that another object supplies.
  case ignored
  case text
  /// Read-only, with `.data.rel.ro`: lives as long as the process.
  case constant
  /// Strings, of characters of one, two or four bytes, or fixed-size constants that are interned by content (SHF_MERGE).
  case mergedStrings, mergedConstants
  /// Read-only and only meant for the code beside it (`.gcc_except_table`): dies with it.
  case tied
  /// `.eh_frame`
  case unwind
  case data, bss
  case threadData, threadBSS
  case initArray, finiArray, preinitArray, constructors, destructors
  /// Sections that a runtime walks by `__start_NAME` and `__stop_NAME`: all of a name lie together.
  case encapsulated

  package var isState: Bool { self == .data || self == .bss }
  package var isThreadLocal: Bool { self == .threadData || self == .threadBSS }
  package var isInitialiserTable: Bool {
    switch self {
    case .initArray, .finiArray, .preinitArray, .constructors, .destructors: true
    default: false
    }
  }

  /// The roles of all sections of an object.
  package static func all(of object: ObjectFile) -> [SectionRole] {
    let roles = Column<SectionRole>(repeating: .ignored, count: object.sections.count)
    defer { roles.deallocate() }
    note(object, in: roles)
    return Array(roles)
  }

  /// The same into a row of as many as there are sections.
  static func note(_ object: ObjectFile, in roles: Column<SectionRole>) {
    LinkSteps.add(object.sections.count)
    for section in object.sections.indices {
      roles[section] = SectionRole.of(object.sections[section], object.name(ofSection: section))
    }
    for relocations in object.relocationSections {
      let target = Int(object.sections[relocations].info)
      if roles[target] == .mergedStrings || roles[target] == .mergedConstants {
        roles[target] = .constant  // contents are known only after relocation
      }
    }
  }

  package static func of(_ section: Section, _ name: NameView) -> SectionRole {
    guard section.isAllocated, section.size > 0 || section.mayBeEmpty else { return .ignored }
    switch section.type {
    case UInt32(SHT_NOTE): return name == ".note.gnu.property" ? .ignored : .constant
    case UInt32(SHT_INIT_ARRAY): return .initArray
    case UInt32(SHT_FINI_ARRAY): return .finiArray
    case UInt32(SHT_PREINIT_ARRAY): return .preinitArray
    case 0x7000_0001: return .unwind  // SHT_X86_64_UNWIND
    default: break
    }
    if section.flags & UInt64(SHF_EXCLUDE) != 0 { return .ignored }
    if section.isThreadLocal { return section.isNoBits ? .threadBSS : .threadData }
    if section.isExecutable { return .text }
    if name == ".eh_frame" { return .unwind }
    if section.isNoBits { return .bss }
    if name.hasPrefix(".ctors") { return .constructors }
    if name.hasPrefix(".dtors") { return .destructors }
    if name.hasPrefix(".init_array") { return .initArray }
    if name.hasPrefix(".fini_array") { return .finiArray }
    if isIdentifier(name) { return .encapsulated }
    if section.isWritable {
      // With an l: of the large model (psABI: SHF_X86_64_LARGE).
      let isConstant = name.hasPrefix(".data.rel.ro") || name.hasPrefix(".ldata.rel.ro")
      return isConstant ? .constant : .data
    }
    if name.hasPrefix(".gcc_except_table") { return .tied }
    if name == ".swift_modhash" { return .ignored }
    if section.isMergeable, section.entrySize > 0, section.size % section.entrySize == 0 {
      if section.holdsStrings {
        // Characters of C: char, char16_t, char32_t and wchar_t.
        return [1, 2, 4].contains(section.entrySize) ? .mergedStrings : .constant
      }
      if section.entrySize <= 64 { return .mergedConstants }
    }
    return .constant
  }

  /// Whether this is a piece of `_init` or `_fini`, which a linker puts together from all objects.
  package static func isFragment(_ object: ObjectFile, _ section: Int) -> Bool {
    object.isSection(section, named: ".init") || object.isSection(section, named: ".fini")
  }

  /// Whether `__start_` and `__stop_` symbols exist for a section of this name (ELF linkers: C
  /// identifiers only).
  private static func isIdentifier(_ name: NameView) -> Bool {
    guard name.count > 0 else { return false }
    let bytes = UnsafeRawBufferPointer(start: name.base, count: name.count)
    return bytes.enumerated().allSatisfy { index, byte in
      switch byte {
      case 0x41...0x5A, 0x61...0x7A, 0x5F: true
      case 0x30...0x39: index > 0
      default: false
      }
    }
  }
}

extension Section {
  /// Whether a symbol can stand in it though it has no bytes.
  fileprivate var mayBeEmpty: Bool {
    type == UInt32(SHT_PROGBITS) || (isNoBits && !isThreadLocal)
  }
}
