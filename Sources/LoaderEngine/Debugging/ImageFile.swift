// Writes an ELF file: header, contents, symbols, section headers. gABI, chapter 4.
internal import CLoaderSupport
internal import Glibc

/// The sections of a debugger's image, laid out one behind the other.
struct ImageFile {
  private var headers: [Elf64_Shdr] = [Elf64_Shdr()]
  private var names: [UInt8] = [0]
  /// Bytes of the file so far, or in all once it is written.
  private(set) var size = MemoryLayout<Elf64_Ehdr>.size

  /// - Parameter codeName: what the sections of code are called.
  init(_ places: SectionPlaces, codeName: StaticString = ".text") {
    // A section of this name is where debuggers look for code first.
    for place in places.places {
      var header = Elf64_Shdr()
      header.sh_name = name(place.isCode ? codeName : ".data")
      header.sh_type = UInt32(SHT_NOBITS)
      header.sh_flags = UInt64(SHF_ALLOC) | UInt64(place.isCode ? SHF_EXECINSTR : SHF_WRITE)
      header.sh_addr = place.range.start.value
      header.sh_size = place.range.size
      header.sh_offset = UInt64(size)
      header.sh_addralign = 1
      headers.append(header)
    }
  }

  var count: Int { headers.count }

  func offset(_ section: Int) -> Int { Int(headers[section].sh_offset) }

  mutating func add(
    _ title: StaticString, type: UInt32 = UInt32(SHT_PROGBITS), flags: UInt64 = 0,
    address: UInt64 = 0, size: UInt64, alignment: UInt64, link: UInt32 = 0, info: UInt32 = 0,
    entrySize: UInt64 = 0
  ) -> Int {
    self.size = Int(aligned(UInt64(self.size), to: max(alignment, 1)))
    var header = Elf64_Shdr()
    header.sh_name = name(title)
    header.sh_type = type
    header.sh_flags = flags
    header.sh_addr = address
    header.sh_offset = UInt64(self.size)
    header.sh_size = size
    header.sh_link = link
    header.sh_info = info
    header.sh_addralign = max(alignment, 1)
    header.sh_entsize = entrySize
    headers.append(header)
    self.size += Int(size)
    return headers.count - 1
  }

  private mutating func name(_ text: StaticString) -> UInt32 {
    defer {
      text.withUTF8Buffer { names.append(contentsOf: $0) }
      names.append(0)
    }
    return UInt32(names.count)
  }

  /// Adds the symbols and writes everything but the contents of what was added before.
  ///
  /// - Returns: memory of `size` bytes from `malloc`.
  mutating func write(_ symbols: DebugSymbols) -> UnsafeMutableRawPointer {
    let table = add(
      ".symtab", type: UInt32(SHT_SYMTAB), size: UInt64(symbols.count * 24), alignment: 8,
      link: UInt32(headers.count + 1), info: UInt32(symbols.locals.count), entrySize: 24)
    let strings = add(
      ".strtab", type: UInt32(SHT_STRTAB), size: UInt64(symbols.names.count), alignment: 1)
    // Its own name is among its contents.
    let title = add(
      ".shstrtab", type: UInt32(SHT_STRTAB), size: UInt64(names.count + 10), alignment: 1)
    size = (size + 7) & ~7
    let headerOffset = size
    size += headers.count * MemoryLayout<Elf64_Shdr>.size
    guard let image = calloc(size, 1) else { preconditionFailure("out of memory") }
    var header = Elf64_Ehdr()
    header.e_ident.0 = 0x7F
    header.e_ident.1 = 0x45
    header.e_ident.2 = 0x4C
    header.e_ident.3 = 0x46
    header.e_ident.4 = UInt8(ELFCLASS64)
    header.e_ident.5 = UInt8(ELFDATA2LSB)
    header.e_ident.6 = UInt8(EV_CURRENT)
    header.e_type = UInt16(ET_EXEC)
    header.e_machine = UInt16(EM_X86_64)
    header.e_version = UInt32(EV_CURRENT)
    header.e_shoff = UInt64(headerOffset)
    header.e_ehsize = UInt16(MemoryLayout<Elf64_Ehdr>.size)
    header.e_shentsize = UInt16(MemoryLayout<Elf64_Shdr>.size)
    header.e_shnum = UInt16(headers.count)
    header.e_shstrndx = UInt16(title)
    image.storeBytes(of: header, as: Elf64_Ehdr.self)
    ImageFile.copy(symbols.locals, to: image + offset(table))
    ImageFile.copy(symbols.globals, to: image + offset(table) + symbols.locals.count * 24)
    ImageFile.copy(symbols.names, to: image + offset(strings))
    ImageFile.copy(names, to: image + offset(title))
    ImageFile.copy(headers, to: image + headerOffset)
    return image
  }

  private static func copy<T: BitwiseCopyable>(_ items: [T], to place: UnsafeMutableRawPointer) {
    items.withUnsafeBytes { from in
      if let base = from.baseAddress { memcpy(place, base, from.count) }
    }
  }
}
