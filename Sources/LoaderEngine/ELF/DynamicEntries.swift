// The dynamic section as values: what an image says about itself to a runtime linker. Nothing here is
// followed yet; addresses are proven where the table they name is opened. gABI, chapter 5, “Dynamic
// Section”; the gABI's drafts for DT_RELR; Linux extensions DT_GNU_HASH, DT_VER*.
internal import CLoaderSupport

/// The entries of a dynamic section. Addresses are virtual, 0 where there is no entry.
package struct DynamicEntries: Sendable {
  /// An address and a size in bytes.
  package struct Table: Sendable, BitwiseCopyable {
    package var address: UInt64 = 0
    package var size: UInt64 = 0
    package var isEmpty: Bool { size == 0 }
  }

  package private(set) var strings = Table()
  package private(set) var symbols: UInt64 = 0
  package private(set) var sysvHash: UInt64 = 0
  package private(set) var gnuHash: UInt64 = 0
  package private(set) var relocations = Table()
  package private(set) var relativeCount: UInt64 = 0
  package private(set) var compactRelative = Table()
  package private(set) var jumpSlots = Table()
  package private(set) var pltGOT: UInt64 = 0
  package private(set) var initialiser: UInt64 = 0
  package private(set) var finaliser: UInt64 = 0
  package private(set) var initialisers = Table()
  package private(set) var finalisers = Table()
  package private(set) var preinitialisers = Table()
  package private(set) var versionIndices: UInt64 = 0
  package private(set) var versionNeeds: (address: UInt64, count: UInt64) = (0, 0)
  package private(set) var versionDefinitions: (address: UInt64, count: UInt64) = (0, 0)
  package private(set) var flags: UInt64 = 0
  package private(set) var flags1: UInt64 = 0
  /// Offsets of strings; nil where there is no entry.
  package private(set) var soname: UInt32?
  package private(set) var runpath: UInt32?
  package private(set) var rpath: UInt32?
  package private(set) var needed: [UInt32] = []

  package var relocatesText: Bool { flags & UInt64(DF_TEXTREL) != 0 }
  package var isSymbolic: Bool { flags & UInt64(DF_SYMBOLIC) != 0 }
  package var bindsNow: Bool {
    flags & UInt64(DF_BIND_NOW) != 0 || flags1 & UInt64(DF_1_NOW) != 0
  }
  package var hasStaticTLS: Bool { flags & UInt64(DF_STATIC_TLS) != 0 }
  package var isPIE: Bool { flags1 & UInt64(DF_1_PIE) != 0 }

  /// Reads the entries.
  ///
  /// - Parameters:
  ///   - bytes: the dynamic section.
  ///   - count: its size in bytes.
  ///   - offset: where it stands, for messages.
  ///   - loaded: an image that ld.so has loaded: it turns addresses in the section into run-time ones.
  /// - Throws: `LinkError.malformed` for sizes and kinds no linker writes.
  package init(
    _ bytes: UnsafeRawPointer, count: UInt64, name: @autoclosure () -> String, offset: UInt64,
    loaded: AddressRange? = nil, bias: UInt64 = 0
  ) throws(LinkError) {
    var hasRel = false
    var entrySizes = (symbol: UInt64(24), rela: UInt64(24), relr: UInt64(8), plt: UInt64(7))
    let size = UInt64(MemoryLayout<Elf64_Dyn>.size)
    var index: UInt64 = 0
    while index < count / size {
      let entry = (bytes + Int(index * size)).loadUnaligned(as: Elf64_Dyn.self)
      if entry.d_tag == 0 { break }
      index += 1
      let value = entry.d_un.d_val
      var address = value
      if let loaded, loaded.contains(Address(value)) { address = value &- bias }
      switch entry.d_tag {
      case Int64(DT_NEEDED): needed.append(UInt32(clamping: value))
      case Int64(DT_PLTRELSZ): jumpSlots.size = value
      case Int64(DT_PLTGOT): pltGOT = address
      case Int64(DT_HASH): sysvHash = address
      case Int64(DT_STRTAB): strings.address = address
      case Int64(DT_SYMTAB): symbols = address
      case Int64(DT_RELA): relocations.address = address
      case Int64(DT_RELASZ): relocations.size = value
      case Int64(DT_RELAENT): entrySizes.rela = value
      case Int64(DT_STRSZ): strings.size = value
      case Int64(DT_SYMENT): entrySizes.symbol = value
      case Int64(DT_INIT): initialiser = address
      case Int64(DT_FINI): finaliser = address
      case Int64(DT_SONAME): soname = UInt32(clamping: value)
      case Int64(DT_RPATH): rpath = UInt32(clamping: value)
      case Int64(DT_SYMBOLIC): flags |= UInt64(DF_SYMBOLIC)
      case Int64(DT_REL), Int64(DT_RELSZ): hasRel = hasRel || value != 0
      case Int64(DT_PLTREL): entrySizes.plt = value
      case Int64(DT_TEXTREL): flags |= UInt64(DF_TEXTREL)
      case Int64(DT_JMPREL): jumpSlots.address = address
      case Int64(DT_BIND_NOW): flags |= UInt64(DF_BIND_NOW)
      case Int64(DT_INIT_ARRAY): initialisers.address = address
      case Int64(DT_FINI_ARRAY): finalisers.address = address
      case Int64(DT_INIT_ARRAYSZ): initialisers.size = value
      case Int64(DT_FINI_ARRAYSZ): finalisers.size = value
      case Int64(DT_RUNPATH): runpath = UInt32(clamping: value)
      case Int64(DT_FLAGS): flags |= value
      case Int64(DT_PREINIT_ARRAY): preinitialisers.address = address
      case Int64(DT_PREINIT_ARRAYSZ): preinitialisers.size = value
      case Int64(DT_RELRSZ): compactRelative.size = value
      case Int64(DT_RELR): compactRelative.address = address
      case Int64(DT_RELRENT): entrySizes.relr = value
      case 0x6FFF_FEF5: gnuHash = address  // DT_GNU_HASH
      case 0x6FFF_FFF0: versionIndices = address  // DT_VERSYM
      case 0x6FFF_FFF9: relativeCount = value  // DT_RELACOUNT
      case 0x6FFF_FFFB: flags1 = value  // DT_FLAGS_1
      case 0x6FFF_FFFC: versionDefinitions.address = address  // DT_VERDEF
      case 0x6FFF_FFFD: versionDefinitions.count = value  // DT_VERDEFNUM
      case 0x6FFF_FFFE: versionNeeds.address = address  // DT_VERNEED
      case 0x6FFF_FFFF: versionNeeds.count = value  // DT_VERNEEDNUM
      default: break
      }
    }
    func refuse(_ detail: String) -> LinkError {
      LinkError(
        file: name(), .malformed(structure: "dynamic section", offset: offset, detail: detail))
    }
    guard index < count / size else { throw refuse("no DT_NULL") }
    guard entrySizes.symbol == 24 else { throw refuse("DT_SYMENT is \(entrySizes.symbol)") }
    guard entrySizes.rela == 24 else { throw refuse("DT_RELAENT is \(entrySizes.rela)") }
    guard entrySizes.relr == 8 else { throw refuse("DT_RELRENT is \(entrySizes.relr)") }
    guard !hasRel, jumpSlots.isEmpty || entrySizes.plt == UInt64(DT_RELA) else {
      throw refuse("REL relocations, where x86-64 has RELA")
    }
    guard relocations.size % 24 == 0, jumpSlots.size % 24 == 0, compactRelative.size % 8 == 0,
      initialisers.size % 8 == 0, finalisers.size % 8 == 0, preinitialisers.size % 8 == 0
    else { throw refuse("a table's size is no multiple of its entries'") }
    func check(_ table: Table, _ what: StaticString) throws(LinkError) {
      guard table.address != 0 || table.isEmpty else {
        throw refuse("\(table.size) bytes of \(what), and no address")
      }
    }
    try check(relocations, "DT_RELA")
    try check(jumpSlots, "DT_JMPREL")
    try check(compactRelative, "DT_RELR")
    try check(initialisers, "DT_INIT_ARRAY")
    try check(finalisers, "DT_FINI_ARRAY")
    try check(preinitialisers, "DT_PREINIT_ARRAY")
    // Some linkers count the jump slots among the other relocations (gABI allows it).
    let end = relocations.address &+ relocations.size
    if !jumpSlots.isEmpty, jumpSlots.address >= relocations.address, jumpSlots.address < end,
      jumpSlots.address &+ jumpSlots.size == end
    {
      relocations.size -= jumpSlots.size
    }
  }
}
