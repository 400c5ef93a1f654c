// Sections and symbols of a linked image as its file has them. A loader does not need them; who wants to know
// which variable a byte of `.bss` belongs to does. gABI, chapters 4.
package import CLoaderSupport

/// The section headers and the fullest symbol table of a shared object.
package struct ImageSections: Sendable {
  package struct Section: Sendable {
    package var type: UInt32
    package var flags: UInt64
    /// Virtual address, and size in bytes.
    package var address: UInt64
    package var size: UInt64
    /// In the file, in bytes.
    package var offset: UInt64
    package var nameOffset: UInt32

    package var isWritable: Bool { flags & UInt64(SHF_WRITE) != 0 }
    package var isExecutable: Bool { flags & UInt64(SHF_EXECINSTR) != 0 }
    package var isThreadLocal: Bool { flags & UInt64(SHF_TLS) != 0 }
    package var isAllocated: Bool { flags & UInt64(SHF_ALLOC) != 0 }
    package var isNoBits: Bool { type == UInt32(SHT_NOBITS) }
  }

  package let sections: [Section]
  /// `.symtab`, or `.dynsym` of a stripped image.
  package let symbols: RecordTable<Elf64_Sym>
  /// Index of the first symbol that is not local.
  package let firstGlobal: Int
  /// Whether local symbols are there.
  package let isComplete: Bool
  private let names: StringTable
  private let sectionNames: StringTable

  /// - Throws: `LinkError.malformed`; `.unsupported` for a file without section headers.
  package init(_ bytes: Bytes, name: String) throws(LinkError) {
    func malformed(_ what: String, _ at: UInt64) -> LinkError {
      LinkError(
        file: name, .malformed(structure: what, offset: at, detail: "leaves the file, or its table")
      )
    }
    guard let header = bytes.load(Elf64_Ehdr.self, at: 0), header.e_shoff != 0,
      header.e_shnum > 0, header.e_shentsize == UInt16(MemoryLayout<Elf64_Shdr>.size)
    else {
      throw LinkError(
        file: name,
        .unsupported(
          what: "a library without section headers",
          help: "do not strip section headers from libraries that shall be reloaded"))
    }
    guard
      let table = bytes.slice(
        header.e_shoff, UInt64(header.e_shnum) * UInt64(MemoryLayout<Elf64_Shdr>.size)),
      let raw = RecordTable<Elf64_Shdr>(table)
    else { throw malformed("section headers", header.e_shoff) }
    func strings(_ index: Int) throws(LinkError) -> StringTable {
      guard index < raw.count, raw[index].sh_type == UInt32(SHT_STRTAB),
        let data = bytes.slice(raw[index].sh_offset, raw[index].sh_size),
        let table = StringTable(data)
      else { throw malformed("string table \(index)", header.e_shoff) }
      return table
    }
    sectionNames = try strings(Int(header.e_shstrndx))
    sections = (0..<raw.count).map {
      let section = raw[$0]
      return Section(
        type: section.sh_type, flags: section.sh_flags, address: section.sh_addr,
        size: section.sh_size, offset: section.sh_offset, nameOffset: section.sh_name)
    }
    let full = (0..<raw.count).first { raw[$0].sh_type == UInt32(SHT_SYMTAB) }
    let dynamic = (0..<raw.count).first { raw[$0].sh_type == UInt32(SHT_DYNSYM) }
    isComplete = full != nil
    guard let index = full ?? dynamic else {
      symbols = .empty
      names = .empty
      firstGlobal = 0
      return
    }
    guard let data = bytes.slice(raw[index].sh_offset, raw[index].sh_size),
      let found = RecordTable<Elf64_Sym>(data), Int(raw[index].sh_info) <= found.count
    else { throw malformed("symbol table", raw[index].sh_offset) }
    symbols = found
    names = try strings(Int(raw[index].sh_link))
    firstGlobal = Int(raw[index].sh_info)
    for symbol in 0..<found.count where names.name(at: found[symbol].st_name) == nil {
      throw malformed("symbol \(symbol)", raw[index].sh_offset + UInt64(symbol * 24))
    }
  }

  package func name(ofSymbol index: Int) -> NameView {
    names.name(at: symbols[index].st_name) ?? NameView("")
  }

  package func name(ofSection index: Int) -> NameView {
    sectionNames.name(at: sections[index].nameOffset) ?? NameView("")
  }

  /// The section a symbol stands in; nil for undefined, absolute and out-of-range ones.
  package func section(ofSymbol index: Int) -> Int? {
    let raw = Int(symbols[index].st_shndx)
    return raw > 0 && raw < sections.count ? raw : nil
  }
}
