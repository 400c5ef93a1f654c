// A relocatable object (ET_REL), read in place. Everything the linker indexes by is proven here, once:
// section ranges, string tables, symbol names, section indices, groups. gABI, chapters 4 and 5.
package import CLoaderSupport

/// One section header of a proven object. `size` bytes at `offset` lie in the file unless `isNoBits`.
package struct Section {
  package var type: UInt32
  package var flags: UInt64
  package var offset: UInt64
  package var size: UInt64
  package var link: UInt32
  package var info: UInt32
  package var alignment: UInt64
  package var entrySize: UInt64
  package var nameOffset: UInt32

  package var isAllocated: Bool { flags & UInt64(SHF_ALLOC) != 0 }
  package var isWritable: Bool { flags & UInt64(SHF_WRITE) != 0 }
  package var isExecutable: Bool { flags & UInt64(SHF_EXECINSTR) != 0 }
  package var isThreadLocal: Bool { flags & UInt64(SHF_TLS) != 0 }
  package var isMergeable: Bool { flags & UInt64(SHF_MERGE) != 0 }
  package var holdsStrings: Bool { flags & UInt64(SHF_STRINGS) != 0 }
  package var isNoBits: Bool { type == UInt32(SHT_NOBITS) }
  /// SHF_GNU_RETAIN: kept whoever refers to it (GNU extension to the gABI).
  package var isRetained: Bool { flags & 0x20_0000 != 0 }
  /// SHF_LINK_ORDER: the section that this one describes, and whose order it follows.
  package var leader: Int? { flags & 0x80 != 0 && link != 0 ? Int(link) : nil }
}

/// A section group: its signature symbol and members.
package struct SectionGroup {
  package var signature: Int
  package var isComdat: Bool
  package var members: [Int]
}

/// A validated relocatable object of this machine.
package final class ObjectFile: Sendable {
  /// As given by the caller: a path, `archive(member)`, or any name.
  package let name: String
  package let bytes: Bytes
  package let sections: [Section]
  package let symbols: RecordTable<Elf64_Sym>
  /// Index of the first symbol that is not local.
  package let firstGlobal: Int
  package let symbolNames: StringTable
  /// Made by swiftc: such objects alone have types to register and libraries to ask for.
  package let isSwift: Bool
  package let groups: [SectionGroup]
  /// Sections of type SHT_RELA, SHT_REL and SHT_CREL, with `info` naming an existing section.
  package let relocationSections: [Int]
  /// Some symbol is COMMON.
  package let hasCommons: Bool
  /// Some section follows another one's order.
  package let hasFollowers: Bool
  private let sectionNames: StringTable
  /// Of sections that are not SHT_RELA, their relocations.
  private let decoded: [Int: RecordTable<Elf64_Rela>]
  private let extendedIndices: RecordTable<UInt32>
  /// Whether symbols of their own name something in each section.
  package let isNamed: [Bool]
  /// Undefined symbols whose names begin with an underscore: compilers' and systems'.
  private let reserved: [Int32]

  package init(_ bytes: Bytes, name: String, addends: ImplicitAddends) throws(LinkError) {
    func malformed(_ structure: String, _ offset: UInt64, _ detail: String) -> LinkError {
      LinkError(file: name, .malformed(structure: structure, offset: offset, detail: detail))
    }
    switch Identification.kind(of: bytes) {
    case .object: break
    case .otherMachine(let found):
      throw LinkError(
        file: name, .otherMachine(found: found, expected: "x86-64, 64-bit, little-endian"))
    case .llvmBitcode:
      throw LinkError(
        file: name, .unsupported(what: "LLVM bitcode", help: "compile without -flto"))
    case .archive, .thinArchive, .sharedObject, .executable, .core:
      throw LinkError(
        file: name,
        .unsupported(what: "not a relocatable object", help: "pass an object made with `cc -c`"))
    case .unknown(let found):
      throw LinkError(file: name, .notELF(found: found))
    }
    guard let header = bytes.load(Elf64_Ehdr.self, at: 0) else {
      throw malformed("ELF header", 0, "the file ends inside it")
    }
    guard header.e_shoff != 0 else { throw malformed("ELF header", 40, "no section headers") }
    guard header.e_shentsize == MemoryLayout<Elf64_Shdr>.size else {
      throw malformed("ELF header", 58, "e_shentsize is \(header.e_shentsize)")
    }
    guard let first = bytes.load(Elf64_Shdr.self, at: header.e_shoff) else {
      throw malformed("section headers", header.e_shoff, "outside the file")
    }
    // SHN_XINDEX: counts that do not fit 16 bits stand in the first section header.
    let count = header.e_shnum == 0 ? first.sh_size : UInt64(header.e_shnum)
    let namesIndex =
      header.e_shstrndx == 0xFFFF ? UInt64(first.sh_link) : UInt64(header.e_shstrndx)
    let entry = UInt64(MemoryLayout<Elf64_Shdr>.size)
    guard count <= UInt64(bytes.count) / entry,
      let headerBytes = bytes.slice(header.e_shoff, count * entry),
      let headers = RecordTable<Elf64_Shdr>(headerBytes)
    else { throw malformed("section headers", header.e_shoff, "\(count) of them leave the file") }

    var sections: [Section] = []
    sections.reserveCapacity(headers.count)
    for index in 0..<headers.count {
      let raw = headers[index]
      let at = header.e_shoff + UInt64(index) * entry
      if raw.sh_type != UInt32(SHT_NOBITS) && raw.sh_type != UInt32(SHT_NULL) {
        guard bytes.slice(raw.sh_offset, raw.sh_size) != nil else {
          throw malformed("section header \(index)", at, "contents leave the file")
        }
      }
      if raw.sh_type == UInt32(SHT_NOBITS) && raw.sh_size > 1 << 46 {
        throw malformed("section header \(index)", at, "size \(raw.sh_size)")
      }
      let alignment = max(raw.sh_addralign, 1)
      guard alignment & (alignment - 1) == 0, alignment <= 1 << 32 else {
        throw malformed("section header \(index)", at, "alignment \(raw.sh_addralign)")
      }
      guard raw.sh_flags & UInt64(SHF_COMPRESSED) == 0 || raw.sh_flags & UInt64(SHF_ALLOC) == 0
      else { throw malformed("section header \(index)", at, "compressed and allocated") }
      sections.append(
        Section(
          type: raw.sh_type, flags: raw.sh_flags, offset: raw.sh_offset,
          size: raw.sh_type == UInt32(SHT_NULL) ? 0 : raw.sh_size,
          link: raw.sh_link, info: raw.sh_info, alignment: alignment,
          entrySize: raw.sh_entsize, nameOffset: raw.sh_name))
    }

    func contents(_ index: Int) -> Bytes? {
      let section = sections[index]
      return section.isNoBits ? nil : bytes.slice(section.offset, section.size)
    }
    func strings(_ index: UInt64, _ what: String) throws(LinkError) -> StringTable {
      guard index < UInt64(sections.count), sections[Int(index)].type == UInt32(SHT_STRTAB),
        let data = contents(Int(index))
      else { throw malformed(what, header.e_shoff, "section \(index) is no string table") }
      guard let table = StringTable(data) else {
        throw malformed(what, sections[Int(index)].offset, "does not end in NUL")
      }
      return table
    }
    let sectionNames =
      namesIndex == 0 ? .empty : try strings(namesIndex, "section name table")
    for (index, section) in sections.enumerated()
    where sectionNames.name(at: section.nameOffset) == nil {
      throw malformed("section header \(index)", section.offset, "name outside the name table")
    }

    var symbols = RecordTable<Elf64_Sym>.empty
    var symbolNames = StringTable.empty
    var firstGlobal = 0
    var symbolTable = -1
    var extended = RecordTable<UInt32>.empty
    for (index, section) in sections.enumerated() where section.type == UInt32(SHT_SYMTAB) {
      guard symbolTable < 0 else { throw malformed("symbol table", section.offset, "a second one") }
      symbolTable = index
      guard let data = contents(index), let table = RecordTable<Elf64_Sym>(data) else {
        throw malformed("symbol table", section.offset, "size \(section.size) is no multiple of 24")
      }
      symbols = table
      symbolNames = try strings(UInt64(section.link), "symbol name table")
      guard Int(section.info) <= table.count else {
        throw malformed("symbol table", section.offset, "sh_info \(section.info) is too large")
      }
      firstGlobal = Int(section.info)
    }
    for (index, section) in sections.enumerated() where section.type == UInt32(SHT_SYMTAB_SHNDX) {
      guard Int(section.link) == symbolTable, let data = contents(index),
        let table = RecordTable<UInt32>(data), table.count >= symbols.count
      else { throw malformed("extended section indices", section.offset, "too short") }
      extended = table
    }
    var reserved: [Int32] = []
    var hasCommons = false
    var isNamed = [Bool](repeating: false, count: sections.count)
    for index in 0..<symbols.count {
      let symbol = symbols[index]
      let at = sections[symbolTable].offset + UInt64(index) * 24
      guard symbolNames.name(at: symbol.st_name) != nil else {
        throw malformed("symbol \(index)", at, "name outside the name table")
      }
      let shndx = symbol.st_shndx
      if shndx == 0xFFF2 {
        hasCommons = true
        if symbolNames.name(at: symbol.st_name).map({ $0 == "__gnu_lto_slim" }) == true {
          throw LinkError(
            file: name,
            .unsupported(
              what: "GCC LTO object without machine code",
              help: "compile without -flto, or with -ffat-lto-objects"))
        }
      }
      var section = Int(shndx)
      if shndx == UInt16(truncatingIfNeeded: SHN_XINDEX) {
        guard index < extended.count else {
          throw malformed("symbol \(index)", at, "extended index without a table")
        }
        section = Int(extended[index])
      } else if shndx >= 0xFF00 {
        continue
      }
      guard section < sections.count else {
        throw malformed("symbol \(index)", at, "section \(section) does not exist")
      }
      guard section != 0 else {
        if index >= firstGlobal, !symbol.isWeakBinding,
          symbolNames.begins(at: symbol.st_name, with: "_")
        {
          reserved.append(Int32(truncatingIfNeeded: index))
        }
        continue
      }
      if symbol.type != UInt8(STT_SECTION), symbol.type != UInt8(STT_FILE) {
        isNamed[section] = true
      }
      let size = sections[section].size
      // Its size may run past the end: Swift's metadata symbols do. `extent` cuts it off.
      guard symbol.st_value <= size else {
        throw malformed("symbol \(index)", at, "begins outside its section")
      }
    }

    var groups: [SectionGroup] = []
    var relocationSections: [Int] = []
    var decoded: [Int: RecordTable<Elf64_Rela>] = [:]
    for (index, section) in sections.enumerated() {
      switch section.type {
      case UInt32(SHT_GROUP):
        guard Int(section.link) == symbolTable, Int(section.info) < symbols.count,
          let data = contents(index), let words = RecordTable<UInt32>(data), words.count > 0
        else { throw malformed("group \(index)", section.offset, "no signature or no flags") }
        var members: [Int] = []
        for word in 1..<max(words.count, 1) {
          let member = Int(words[word])
          guard member > 0, member < sections.count else {
            throw malformed("group \(index)", section.offset, "section \(member) does not exist")
          }
          members.append(member)
        }
        groups.append(
          SectionGroup(signature: Int(section.info), isComdat: words[0] & 1 != 0, members: members))
      case UInt32(SHT_RELA), UInt32(SHT_REL), RelocationTables.compact:
        let target = Int(section.info)
        let record: UInt64 =
          switch section.type {
          case UInt32(SHT_RELA): 24
          case UInt32(SHT_REL): 16
          default: 1
          }
        guard target > 0, target < sections.count, Int(section.link) == symbolTable,
          section.size % record == 0
        else {
          throw malformed("relocation section \(index)", section.offset, "no target or symbols")
        }
        guard !sections[target].isNoBits || section.size == 0 || !sections[target].isAllocated
        else {
          throw malformed("relocation section \(index)", section.offset, "target has no contents")
        }
        relocationSections.append(index)
        guard record < 24, section.size > 0, let data = contents(index) else { continue }
        let relocated =
          sections[target].flags & UInt64(SHF_COMPRESSED) == 0 ? contents(target) : nil
        if record == 16 {
          decoded[index] = try RelocationTables.implicit(
            RecordTable<Elf64_Rel>(data) ?? .empty, of: relocated, addends)
        } else {
          guard let table = try RelocationTables.compact(data, of: relocated, addends) else {
            throw malformed("relocation section \(index)", section.offset, "broken CREL encoding")
          }
          decoded[index] = table
        }
      default: break
      }
    }
    LinkSteps.add(sections.count + symbols.count)
    self.name = name
    self.bytes = bytes
    self.sections = sections
    self.symbols = symbols
    self.firstGlobal = firstGlobal
    self.symbolNames = symbolNames
    self.groups = groups
    self.relocationSections = relocationSections
    self.sectionNames = sectionNames
    isSwift = sections.contains {
      sectionNames.begins(at: $0.nameOffset, with: "swift5_")
        || sectionNames.begins(at: $0.nameOffset, with: ".swift1_")
    }
    self.hasCommons = hasCommons
    hasFollowers = sections.contains { $0.leader != nil }
    self.decoded = decoded
    extendedIndices = extended
    self.reserved = reserved
    self.isNamed = isNamed
  }

  package func name(ofSection index: Int) -> NameView {
    sectionNames.name(at: sections[index].nameOffset) ?? NameView("")
  }

  /// Whether a section has a name, without measuring the one that it has.
  package func isSection(_ index: Int, named name: StaticString) -> Bool {
    sectionNames.isString(at: sections[index].nameOffset, name)
  }

  package func name(ofSymbol index: Int) -> NameView {
    symbolNames.name(at: symbols[index].st_name) ?? NameView("")
  }

  /// Whether two symbols are called the same, without measuring what they are called.
  package func isName(ofSymbol index: Int, sameAs other: ObjectFile, _ symbol: Int) -> Bool {
    symbolNames.isString(
      at: symbols[index].st_name, sameAs: other.symbolNames, at: other.symbols[symbol].st_name)
  }

  /// The same with a name that is known.
  package func isSymbol(_ index: Int, named name: StaticString) -> Bool {
    symbolNames.isString(at: symbols[index].st_name, name)
  }

  /// Calls `body` with the symbols that the object cannot do without and does not define, whose names begin with an
  /// underscore: those of compilers and systems.
  package func forEachReserved(_ body: (Int, NameView) -> Void) {
    for index in reserved {
      let name = name(ofSymbol: Int(index))
      if name.count > 1 { body(Int(index), name) }
    }
  }

  /// The bytes of its section that a defined symbol names: never beyond the section's end.
  package func extent(ofSymbol index: Int) -> Range<UInt64> {
    let symbol = symbols[index]
    guard case .section(let section) = place(ofSymbol: index) else {
      return symbol.st_value..<symbol.st_value
    }
    let end = sections[section].size
    return symbol.st_value..<(symbol.st_value + min(symbol.st_size, end - symbol.st_value))
  }

  /// What a group is called: its symbol, or the section that its symbol stands for.
  package func signature(of group: SectionGroup) -> NameView {
    if symbols[group.signature].type == UInt8(STT_SECTION),
      case .section(let section) = place(ofSymbol: group.signature)
    {
      return name(ofSection: section)
    }
    return name(ofSymbol: group.signature)
  }

  /// The bytes of a section; nil for SHT_NOBITS.
  package func contents(ofSection index: Int) -> Bytes? {
    let section = sections[index]
    return section.isNoBits ? nil : bytes.slice(section.offset, section.size)
  }

  /// The relocations of a section named in `relocationSections`.
  package func relocations(inSection index: Int) -> RecordTable<Elf64_Rela> {
    if sections[index].type != UInt32(SHT_RELA) { return decoded[index] ?? .empty }
    return contents(ofSection: index).flatMap { RecordTable<Elf64_Rela>($0) } ?? .empty
  }

  /// Where a symbol is defined.
  @inline(__always)
  package func place(ofSymbol index: Int) -> SymbolPlace {
    let raw = symbols[index].st_shndx
    switch raw {
    case 0: return .undefined
    case 0xFFF1: return .absolute
    case 0xFFF2: return .common
    case 0xFFFF: return .section(Int(extendedIndices[index]))
    case 0xFF00...: return .undefined
    default: return .section(Int(raw))
    }
  }
}
