// Reads an ELF file of any class, byte order and machine through libelf, which translates records into
// the host's form. Cold paths only. libelf proves that records lie inside their data; that headers and
// section contents lie inside the file is proven here, since libelf forgives some of that in silence.
// elf(3), gelf(3).
internal import CLibElf

/// One open libelf descriptor over bytes in memory.
struct ElfReader: ~Copyable {
  let elf: OpaquePointer
  let bytes: Bytes
  let name: String
  var scan = ElfScan()

  /// - Throws: `LinkError.notELF` when the file does not begin as one.
  init(_ bytes: Bytes, name: String) throws(LinkError) {
    let start = bytes.slice(0, UInt64(min(bytes.count, 16)))?.array ?? []
    guard start.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
      throw LinkError(file: name, .notELF(found: Array(start.prefix(8))))
    }
    guard elf_version(UInt32(EV_CURRENT)) != 0,
      let elf = elf_memory(bytes.readOnlyStart, bytes.count)
    else {
      throw LinkError(
        file: name,
        .malformed(structure: "ELF header", offset: 0, detail: ElfReader.lastError))
    }
    self.elf = elf
    self.bytes = bytes
    self.name = name
  }

  deinit { elf_end(elf) }

  mutating func read() throws(LinkError) -> ElfScan {
    try readHeader()
    try readSegments()
    try readSections()
    // GATE: every section's contents lie in the file.
    for index in scan.sections.indices {
      switch scan.sections[index].type {
      case UInt32(SHT_SYMTAB), UInt32(SHT_DYNSYM): try readSymbols(index)
      case UInt32(SHT_DYNAMIC):
        let section = scan.sections[index]
        readDynamic(section.offset, section.size, names: Int(section.link))
      case UInt32(SHT_NOTE):
        let section = scan.sections[index]
        readNotes(
          section.offset, section.size, alignment: section.alignment, section: section.name)
      default: break
      }
    }
    // GATE: symbols have names, which relocations and groups are about to borrow.
    for index in scan.sections.indices {
      switch scan.sections[index].type {
      case UInt32(SHT_RELA), UInt32(SHT_REL): try readRelocations(index)
      case 19: try readRelativeRelocations(index)  // SHT_RELR
      case UInt32(SHT_GROUP): try readGroup(index)
      default: break
      }
    }
    if scan.sections.isEmpty { readWithoutSections() }
    return scan
  }

  // MARK: headers

  private mutating func readHeader() throws(LinkError) {
    var header = GElf_Ehdr()
    guard elf_kind(elf) == ELF_K_ELF, gelf_getehdr(elf, &header) != nil else {
      throw fail("ELF header", 0, "the file ends inside it, or its class or byte order is unknown")
    }
    let identification = bytes.slice(0, 16)?.array ?? []
    guard identification.count == 16 else { throw fail("ELF header", 0, "the file ends inside it") }
    scan.is64Bit = identification[4] == 2
    scan.isBigEndian = identification[5] == 2
    scan.osABI = identification[7]
    scan.type = header.e_type
    scan.machine = header.e_machine
    scan.flags = header.e_flags
    scan.entry = header.e_entry
    var sections = 0
    var segments = 0
    guard elf_getshdrnum(elf, &sections) == 0, elf_getphdrnum(elf, &segments) == 0 else {
      throw fail("ELF header", 0, ElfReader.lastError)
    }
    if sections == 0, header.e_shnum != 0 || header.e_shoff != 0 {
      throw fail("section headers", header.e_shoff, "outside the file")
    }
    try require(
      "section headers", header.e_shoff, count: sections, size: scan.is64Bit ? 64 : 40,
      declared: header.e_shentsize)
    try require(
      "program headers", header.e_phoff, count: segments, size: scan.is64Bit ? 56 : 32,
      declared: header.e_phentsize)
  }

  private func require(
    _ what: String, _ offset: UInt64, count: Int, size: UInt64, declared: UInt16
  ) throws(LinkError) {
    guard count > 0 else { return }
    guard UInt64(declared) == size else { throw fail(what, offset, "entry size \(declared)") }
    let (total, overflow) = UInt64(count).multipliedReportingOverflow(by: size)
    guard !overflow, bytes.slice(offset, total) != nil else {
      throw fail(what, offset, "\(count) of them leave the file")
    }
  }

  private mutating func readSegments() throws(LinkError) {
    var count = 0
    guard elf_getphdrnum(elf, &count) == 0 else {
      throw fail("program headers", 0, ElfReader.lastError)
    }
    for index in 0..<count {
      var raw = GElf_Phdr()
      guard gelf_getphdr(elf, Int32(clamping: index), &raw) != nil else {
        throw fail("program header \(index)", 0, ElfReader.lastError)
      }
      scan.segments.append(
        ElfScan.Segment(
          type: raw.p_type, flags: raw.p_flags, offset: raw.p_offset, address: raw.p_vaddr,
          physicalAddress: raw.p_paddr, fileSize: raw.p_filesz, memorySize: raw.p_memsz,
          alignment: raw.p_align))
    }
  }

  private mutating func readSections() throws(LinkError) {
    var count = 0
    var names = 0
    guard elf_getshdrnum(elf, &count) == 0, count == 0 || elf_getshdrstrndx(elf, &names) == 0 else {
      throw fail("section headers", 0, ElfReader.lastError)
    }
    for index in 0..<count {
      var raw = GElf_Shdr()
      guard let section = elf_getscn(elf, index), gelf_getshdr(section, &raw) != nil else {
        throw fail("section header \(index)", 0, ElfReader.lastError)
      }
      if raw.sh_type != UInt32(SHT_NOBITS) && raw.sh_type != UInt32(SHT_NULL) {
        guard bytes.slice(raw.sh_offset, raw.sh_size) != nil else {
          throw fail("section header \(index)", raw.sh_offset, "contents leave the file")
        }
      }
      scan.sections.append(
        ElfScan.Section(
          name: names == 0 ? "" : string(names, UInt64(raw.sh_name)) ?? "<name outside the table>",
          type: raw.sh_type, flags: raw.sh_flags, address: raw.sh_addr, offset: raw.sh_offset,
          size: raw.sh_size, link: raw.sh_link, info: raw.sh_info, alignment: raw.sh_addralign,
          entrySize: raw.sh_entsize))
    }
  }

  // MARK: parts

  /// A section whose size is a multiple of its records' size.
  func table(_ index: Int, record: UInt64) throws(LinkError) -> OpaquePointer {
    let section = scan.sections[index]
    guard section.size % record == 0 else {
      throw fail(
        "section header \(index)", section.offset,
        "size \(section.size) is no multiple of \(record)")
    }
    guard let handle = elf_getscn(elf, index) else {
      throw fail("section header \(index)", section.offset, ElfReader.lastError)
    }
    return handle
  }

  /// A string of a string table; nil when it does not lie inside.
  func string(_ table: Int, _ offset: UInt64) -> String? {
    guard table > 0, let text = elf_strptr(elf, table, Int(clamping: offset)) else { return nil }
    return String(cString: text)
  }

  /// A number in the file's byte order.
  func word(_ bytes: Bytes, at offset: UInt64, width: UInt64) -> UInt64? {
    if width == 8 {
      return bytes.load(UInt64.self, at: offset).map { scan.isBigEndian ? $0.bigEndian : $0 }
    }
    return bytes.load(UInt32.self, at: offset).map { UInt64(scan.isBigEndian ? $0.bigEndian : $0) }
  }

  func fail(_ structure: String, _ offset: UInt64, _ detail: String) -> LinkError {
    LinkError(file: name, .malformed(structure: structure, offset: offset, detail: detail))
  }

  static var lastError: String {
    elf_errmsg(-1).map { String(cString: $0) } ?? "libelf gives no reason"
  }
}
