// The tables of an ELF file, record by record through libelf: symbols, relocations, groups, the dynamic
// table and notes. Counts come from sizes that are proven; a record libelf will not give ends a table.
// gABI, chapters 4 and 5; gelf(3).
internal import CLibElf

extension ElfReader {
  mutating func readSymbols(_ index: Int) throws(LinkError) {
    let section = scan.sections[index]
    let data = elf_getdata(try table(index, record: scan.is64Bit ? 24 : 16), nil)
    let extended = scan.sections.firstIndex {
      $0.type == UInt32(SHT_SYMTAB_SHNDX) && Int($0.link) == index
    }
    let wideData = extended.flatMap { elf_getscn(elf, $0) }.flatMap { elf_getdata($0, nil) }
    var symbols: [ElfScan.Symbol] = []
    var raw = GElf_Sym()
    var wide: Elf32_Word = 0
    while gelf_getsymshndx(data, wideData, Int32(clamping: symbols.count), &raw, &wide) != nil {
      let place: ElfScan.Place
      switch raw.st_shndx {
      case 0: place = .undefined
      case 0xFFF1: place = .absolute
      case 0xFFF2: place = .common
      case 0xFFFF: place = .section(Int(wide))
      case 0xFF00...: place = .reserved(raw.st_shndx)
      default: place = .section(Int(raw.st_shndx))
      }
      var name = string(Int(section.link), UInt64(raw.st_name)) ?? "<name outside the table>"
      if name.isEmpty, raw.st_info & 0xF == UInt8(STT_SECTION), case .section(let own) = place,
        scan.sections.indices.contains(own)
      {
        name = scan.sections[own].name
      }
      symbols.append(
        ElfScan.Symbol(
          name: name, value: raw.st_value, size: raw.st_size, type: raw.st_info & 0xF,
          binding: raw.st_info >> 4, visibility: raw.st_other & 3, place: place))
    }
    scan.symbolTables.append(ElfScan.SymbolTable(section: index, symbols: symbols))
  }

  mutating func readRelocations(_ index: Int) throws(LinkError) {
    let section = scan.sections[index]
    let hasAddend = section.type == UInt32(SHT_RELA)
    let record: UInt64 = (scan.is64Bit ? 8 : 4) * (hasAddend ? 3 : 2)
    let data = elf_getdata(try table(index, record: record), nil)
    let names = scan.symbolTables.first { $0.section == Int(section.link) }?.symbols ?? []
    var relocations: [ElfScan.Relocation] = []
    func append(_ offset: UInt64, _ info: UInt64, _ addend: Int64?) throws(LinkError) {
      let symbol = Int(info >> 32)
      guard symbol == 0 || symbol < names.count else {
        throw fail(
          "relocation \(relocations.count) of section \(index)", section.offset,
          "symbol \(symbol) does not exist")
      }
      relocations.append(
        ElfScan.Relocation(
          offset: offset, type: UInt32(truncatingIfNeeded: info),
          symbol: symbol == 0 ? "" : names[symbol].name, addend: addend))
    }
    if hasAddend {
      var raw = GElf_Rela()
      while gelf_getrela(data, Int32(clamping: relocations.count), &raw) != nil {
        try append(raw.r_offset, raw.r_info, raw.r_addend)
      }
    } else {
      var raw = GElf_Rel()
      while gelf_getrel(data, Int32(clamping: relocations.count), &raw) != nil {
        try append(raw.r_offset, raw.r_info, nil)
      }
    }
    scan.relocationTables.append(
      ElfScan.RelocationTable(
        section: index, target: Int(section.info), relocations: relocations))
  }

  /// SHT_RELR: an even word is an address; an odd one is a bitmap of the words that follow it.
  mutating func readRelativeRelocations(_ index: Int) throws(LinkError) {
    let section = scan.sections[index]
    let width: UInt64 = scan.is64Bit ? 8 : 4
    guard let words = bytes.slice(section.offset, section.size), section.size % width == 0 else {
      throw fail("section header \(index)", section.offset, "size \(section.size)")
    }
    var relocations: [ElfScan.Relocation] = []
    var next: UInt64 = 0
    func append(_ address: UInt64) {
      relocations.append(ElfScan.Relocation(offset: address, type: relativeType, symbol: ""))
    }
    for position in stride(from: 0, to: section.size, by: Int(width)) {
      guard let word = word(words, at: position, width: width) else { break }
      if word & 1 == 0 {
        append(word)
        next = word &+ width
      } else {
        for bit in 1..<(width * 8) where word >> bit & 1 != 0 { append(next &+ (bit - 1) * width) }
        next = next &+ (width * 8 - 1) * width
      }
    }
    scan.relocationTables.append(
      ElfScan.RelocationTable(section: index, target: 0, relocations: relocations))
  }

  /// The type a RELR entry stands for, as far as this project names types.
  private var relativeType: UInt32 {
    switch Int32(scan.machine) {
    case EM_X86_64, EM_386: 8
    case EM_AARCH64: 1027
    case EM_RISCV: 3
    default: 0
    }
  }

  mutating func readGroup(_ index: Int) throws(LinkError) {
    let section = scan.sections[index]
    guard let words = bytes.slice(section.offset, section.size),
      let flags = word(words, at: 0, width: 4)
    else { throw fail("group \(index)", section.offset, "no flags") }
    var members: [Int] = []
    for position in stride(from: UInt64(4), to: section.size, by: 4) {
      guard let member = word(words, at: position, width: 4) else { break }
      members.append(Int(member))
    }
    let symbols = scan.symbolTables.first { $0.section == Int(section.link) }?.symbols ?? []
    guard Int(section.info) < symbols.count else {
      throw fail("group \(index)", section.offset, "symbol \(section.info) does not exist")
    }
    scan.groups.append(
      ElfScan.Group(
        section: index, signature: symbols[Int(section.info)].name, isComdat: flags & 1 != 0,
        members: members))
  }

  // MARK: dynamic table and notes, by section or, without sections, by segment

  mutating func readDynamic(_ offset: UInt64, _ size: UInt64, names: Int) {
    guard bytes.slice(offset, size) != nil,
      let data = elf_getdata_rawchunk(elf, Int64(offset), Int(size), ELF_T_DYN)
    else { return }
    var raw = GElf_Dyn()
    var position: Int32 = 0
    while gelf_getdyn(data, position, &raw) != nil {
      let value = raw.d_un.d_val
      let text = ElfReader.namesString(raw.d_tag) ? string(names, value) : nil
      scan.dynamic.append(ElfScan.DynamicEntry(tag: raw.d_tag, value: value, text: text))
      guard raw.d_tag != 0 else { break }
      position += 1
    }
  }

  mutating func readNotes(_ offset: UInt64, _ size: UInt64, alignment: UInt64, section: String) {
    let kind = alignment == 8 ? ELF_T_NHDR8 : ELF_T_NHDR
    guard let chunk = bytes.slice(offset, size),
      let data = elf_getdata_rawchunk(elf, Int64(offset), Int(size), kind)
    else { return }
    var header = GElf_Nhdr()
    var owner = 0
    var descriptor = 0
    var position = 0
    while true {
      position = gelf_getnote(data, position, &header, &owner, &descriptor)
      guard position > 0, let name = chunk.slice(UInt64(owner), UInt64(header.n_namesz)),
        let content = chunk.slice(UInt64(descriptor), UInt64(header.n_descsz))
      else { return }
      scan.notes.append(
        ElfScan.Note(
          section: section, owner: String(decoding: name.array.prefix { $0 != 0 }, as: UTF8.self),
          type: header.n_type, descriptor: content.array))
    }
  }

  /// What the program headers alone tell.
  mutating func readWithoutSections() {
    for segment in scan.segments {
      switch segment.type {
      case UInt32(PT_NOTE):
        readNotes(segment.offset, segment.fileSize, alignment: segment.alignment, section: "")
      case UInt32(PT_DYNAMIC): readDynamic(segment.offset, segment.fileSize, names: 0)
      default: break
      }
    }
  }

  /// Whether the value of a dynamic tag is an offset into the string table.
  private static func namesString(_ tag: Int64) -> Bool {
    switch tag {
    case 1, 14, 15, 29, 0x7FFF_FFFD, 0x7FFF_FFFF, 0x6FFF_FEFC: true
    default: false
    }
  }
}
