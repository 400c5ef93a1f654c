// The headers of a shared object or executable, proven: after this every segment's bytes lie in the source,
// no two segments share a page, and what the other program headers name lies inside a segment.
// gABI, chapter 5, “Program Header”; Linux extensions PT_GNU_*.
internal import CLoaderSupport

/// What the ELF header and the program headers of an image say.
package struct ImageHeaders: Sendable {
  package enum Kind: Sendable { case sharedObject, executable }

  /// A range of virtual addresses as the file numbers them.
  package typealias Extent = Range<UInt64>

  package struct ThreadTemplate: Sendable {
    /// Virtual address and size of the initial bytes.
    package var address: UInt64
    package var fileSize: UInt64
    /// Size of a thread's block, bytes.
    package var size: UInt64
    package var alignment: UInt64
  }

  package static let pageSize: UInt64 = 4096

  package let kind: Kind
  /// Virtual address of the entry point; 0 when there is none.
  package let entry: UInt64
  /// Virtual address of the first page.
  package let base: UInt64
  /// From the first page to the end of the last, bytes.
  package let size: UInt64
  package let alignment: UInt64
  /// Offsets count from `base`.
  package let segments: [LoadSegment]
  package private(set) var dynamic: Extent?
  package private(set) var threadTemplate: ThreadTemplate?
  /// Virtual addresses of `.eh_frame_hdr`.
  package private(set) var unwindHeader: Extent?
  /// Whole pages that are read-only after relocation, as offsets from `base`; the end is rounded down.
  package private(set) var readOnlyAfterRelocation: Range<UInt64> = 0..<0
  package private(set) var wantsExecutableStack = false
  package private(set) var hasInterpreter = false
  /// Virtual addresses of the interpreter's path, of an executable, where a segment holds it.
  package private(set) var interpreter: Extent?
  /// Virtual address of the program headers, where a segment holds them; and their count.
  package private(set) var programHeaders: UInt64?
  package let programHeaderCount: Int
  /// Virtual addresses of notes.
  package private(set) var notes: [Extent] = []

  /// Reads and proves the headers.
  ///
  /// - Throws: `LinkError`: not ELF, another machine, not an image, malformed.
  package init(_ source: ImageSource) throws(LinkError) {
    let name = source.name
    func malformed(_ structure: String, _ offset: UInt64, _ detail: String) -> LinkError {
      LinkError(file: name, .malformed(structure: structure, offset: offset, detail: detail))
    }
    let header = try ImageHeaders.fileHeader(source)
    kind = header.e_type == UInt16(ET_DYN) ? .sharedObject : .executable
    entry = header.e_entry
    let table = try ImageHeaders.table(source, header)
    programHeaderCount = table.count
    var loads: [LoadSegment] = []
    loads.reserveCapacity(4)
    var base: UInt64 = 0
    var end: UInt64 = 0
    var alignment = ImageHeaders.pageSize
    let page = ImageHeaders.pageSize
    for index in 0..<programHeaderCount {
      let raw = table[index]
      guard raw.p_type == UInt32(PT_LOAD), raw.p_memsz > 0 else { continue }
      let at = header.e_phoff + UInt64(index * MemoryLayout<Elf64_Phdr>.size)
      guard raw.p_filesz <= raw.p_memsz else {
        throw malformed("PT_LOAD", at, "\(raw.p_filesz) bytes of file for \(raw.p_memsz) of memory")
      }
      guard raw.p_vaddr < 1 << 47, raw.p_memsz < 1 << 46 else {
        throw malformed("PT_LOAD", at, "address \(raw.p_vaddr), size \(raw.p_memsz)")
      }
      guard
        raw.p_filesz == 0
          || raw.p_offset <= source.size && raw.p_filesz <= source.size - raw.p_offset
      else { throw malformed("PT_LOAD", at, "its bytes leave the file") }
      let step = max(raw.p_align, 1)
      guard step & (step - 1) == 0, step <= 1 << 32 else {
        throw malformed("PT_LOAD", at, "alignment \(raw.p_align)")
      }
      guard raw.p_filesz == 0 || (raw.p_vaddr &- raw.p_offset) & (page - 1) == 0 else {
        throw malformed("PT_LOAD", at, "address and file offset differ in a page")
      }
      if loads.isEmpty {
        base = raw.p_vaddr & ~(page - 1)
      } else {
        guard raw.p_vaddr & ~(page - 1) >= end else {
          throw malformed("PT_LOAD", at, "overlaps the one before it, or is out of order")
        }
      }
      end = aligned(raw.p_vaddr + raw.p_memsz, to: page)
      alignment = max(alignment, step)
      // What holds bytes can be read, whatever its flags say: tables may lie in it, and x86-64 has no memory that can be
      // run or written only.
      var access = SegmentAccess(rawValue: raw.p_flags & 7)
      if raw.p_filesz > 0 { access.insert(.read) }
      loads.append(
        LoadSegment(
          offset: raw.p_vaddr - base, size: raw.p_memsz,
          fileOffset: raw.p_filesz == 0 ? raw.p_vaddr & (page - 1) : raw.p_offset,
          fileSize: raw.p_filesz, access: access))
    }
    guard !loads.isEmpty else { throw malformed("program headers", header.e_phoff, "no PT_LOAD") }
    self.base = base
    size = end - base
    self.alignment = alignment
    segments = loads
    for index in 0..<programHeaderCount {
      let at = header.e_phoff + UInt64(index * MemoryLayout<Elf64_Phdr>.size)
      try read(table[index], malformed, at)
    }
    if programHeaders == nil {
      let end = UInt64(table.count * MemoryLayout<Elf64_Phdr>.size)
      // ld.so finds them by file offset when there is no PT_PHDR.
      for segment in loads
      where header.e_phoff >= segment.fileOffset
        && header.e_phoff - segment.fileOffset + end <= segment.fileSize
      {
        programHeaders = base + segment.offset + (header.e_phoff - segment.fileOffset)
      }
    }
  }

  private mutating func read(
    _ raw: Elf64_Phdr, _ malformed: (String, UInt64, String) -> LinkError, _ at: UInt64
  ) throws(LinkError) {
    func extent(_ what: String, _ size: UInt64) throws(LinkError) -> Extent {
      guard holds(raw.p_vaddr, size, inFile: true) else {
        throw malformed(what, at, "lies outside the loaded segments")
      }
      return raw.p_vaddr..<(raw.p_vaddr + size)
    }
    switch raw.p_type {
    case UInt32(PT_DYNAMIC):
      guard dynamic == nil else { throw malformed("PT_DYNAMIC", at, "a second one") }
      dynamic = try extent("PT_DYNAMIC", min(raw.p_filesz, raw.p_memsz))
    case UInt32(PT_TLS) where raw.p_memsz > 0:
      guard threadTemplate == nil else { throw malformed("PT_TLS", at, "a second one") }
      let step = max(raw.p_align, 1)
      guard raw.p_filesz <= raw.p_memsz, raw.p_memsz < 1 << 40, step & (step - 1) == 0,
        step <= 1 << 30
      else { throw malformed("PT_TLS", at, "size \(raw.p_memsz), alignment \(raw.p_align)") }
      _ = try extent("PT_TLS", raw.p_filesz)
      threadTemplate = ThreadTemplate(
        address: raw.p_vaddr, fileSize: raw.p_filesz, size: raw.p_memsz, alignment: step)
    case UInt32(PT_GNU_EH_FRAME) where raw.p_memsz > 0:
      unwindHeader = try extent("PT_GNU_EH_FRAME", raw.p_filesz)
    case UInt32(PT_GNU_STACK):
      wantsExecutableStack = raw.p_flags & UInt32(PF_X) != 0
    case UInt32(PT_GNU_RELRO) where raw.p_memsz > 0:
      guard holds(raw.p_vaddr, 1, inFile: false), raw.p_memsz < 1 << 46 else {
        throw malformed("PT_GNU_RELRO", at, "lies outside the loaded segments")
      }
      let first = raw.p_vaddr & ~(ImageHeaders.pageSize - 1)
      let end = min((raw.p_vaddr + raw.p_memsz) & ~(ImageHeaders.pageSize - 1), base + size)
      if end > first { readOnlyAfterRelocation = (first - base)..<(end - base) }
    case UInt32(PT_INTERP):
      hasInterpreter = true
      if holds(raw.p_vaddr, raw.p_filesz, inFile: true), raw.p_filesz <= 4096 {
        interpreter = raw.p_vaddr..<(raw.p_vaddr + raw.p_filesz)
      }
    case UInt32(PT_PHDR):
      if holds(raw.p_vaddr, raw.p_filesz, inFile: true) { programHeaders = raw.p_vaddr }
    case UInt32(PT_NOTE):
      if holds(raw.p_vaddr, raw.p_filesz, inFile: true), raw.p_filesz < 1 << 30 {
        notes.append(raw.p_vaddr..<(raw.p_vaddr + raw.p_filesz))
      }
    default: break
    }
  }

  /// Whether a range of virtual addresses lies inside one segment, or inside the part of it that the
  /// file fills.
  package func holds(_ address: UInt64, _ size: UInt64, inFile: Bool) -> Bool {
    guard address >= base else { return false }
    let offset = address - base
    for segment in segments where offset >= segment.offset {
      let room = inFile ? segment.fileSize : segment.size
      if offset - segment.offset <= room, size <= room - (offset - segment.offset) { return true }
    }
    return false
  }

  private static func fileHeader(_ source: ImageSource) throws(LinkError) -> Elf64_Ehdr {
    let size = MemoryLayout<Elf64_Ehdr>.size
    var header = Elf64_Ehdr()
    if source.size < UInt64(size) {
      let start = try source.contents()
      let magic = Bytes(start).load(UInt32.self, at: 0)
      guard magic != 0x464C_457F, case .unknown(let found) = Identification.kind(of: Bytes(start))
      else {
        throw LinkError(
          file: source.name,
          .malformed(structure: "ELF header", offset: 0, detail: "the file ends inside it"))
      }
      throw LinkError(file: source.name, .notELF(found: found))
    }
    let start = try source.bytes(at: 0, count: size)
    if let found = start.load(Elf64_Ehdr.self, at: 0) { header = found }
    if isImage(header) { return header }
    // What it is instead: said by the one place that knows.
    let name = source.name
    switch Identification.kind(of: start) {
    case .sharedObject, .executable:
      throw LinkError(
        file: name,
        .malformed(
          structure: "ELF header", offset: 54,
          detail: "version \(header.e_version), e_phentsize \(header.e_phentsize)"))
    case .object:
      throw LinkError(
        file: name,
        .unsupported(what: "a relocatable object", help: "link it as an object, or with -shared"))
    case .archive, .thinArchive, .llvmBitcode, .core:
      throw LinkError(
        file: name, .unsupported(what: "not a shared object", help: "pass an ET_DYN file"))
    case .otherMachine(let found):
      throw LinkError(
        file: name, .otherMachine(found: found, expected: "x86-64, 64-bit, little-endian"))
    case .unknown(let found): throw LinkError(file: name, .notELF(found: found))
    }
  }

  private static func isImage(_ header: Elf64_Ehdr) -> Bool {
    let id = header.e_ident
    return id.0 == 0x7F && id.1 == 0x45 && id.2 == 0x4C && id.3 == 0x46
      && id.4 == UInt8(ELFCLASS64) && id.5 == UInt8(ELFDATA2LSB) && id.6 == UInt8(EV_CURRENT)
      && Int32(header.e_machine) == EM_X86_64 && header.e_version == UInt32(EV_CURRENT)
      && (header.e_type == UInt16(ET_DYN) || header.e_type == UInt16(ET_EXEC))
      && header.e_phentsize == UInt16(MemoryLayout<Elf64_Phdr>.size)
  }

  /// The bytes of the program headers. PN_XNUM: a count that does not fit stands in section header 0.
  private static func table(_ source: ImageSource, _ header: Elf64_Ehdr) throws(LinkError)
    -> RecordTable<Elf64_Phdr>
  {
    var count = UInt64(header.e_phnum)
    func refuse(_ offset: UInt64, _ detail: String) -> LinkError {
      LinkError(
        file: source.name,
        .malformed(structure: "program headers", offset: offset, detail: detail))
    }
    if header.e_phnum == 0xFFFF {
      let size = MemoryLayout<Elf64_Shdr>.size
      let first = try source.bytes(at: header.e_shoff, count: size)
      count = UInt64(first.load(Elf64_Shdr.self, at: 0)?.sh_info ?? 0)
    }
    let size = count * UInt64(MemoryLayout<Elf64_Phdr>.size)
    guard count > 0, header.e_phoff <= source.size, size <= source.size - header.e_phoff else {
      throw refuse(header.e_phoff, "\(count) of them leave the file")
    }
    let bytes = try source.bytes(at: header.e_phoff, count: Int(size))
    guard let records = RecordTable<Elf64_Phdr>(bytes) else {
      throw refuse(header.e_phoff, "\(size) bytes are no whole number of them")
    }
    return records
  }
}
