// Forged ELF headers, program headers and dynamic sections. gABI, chapters 4 and 5.
import TestFixtures

extension Forgery {
  private typealias Header = MadeImage.Header

  private static func elf(_ at: Int, _ width: Int, _ value: UInt64)
    -> @Sendable (inout MadeImage)
    -> Void
  {
    { $0.patch = { $0.replaceSubrange(at..<at + width, with: MadeImage.little(value, width)) } }
  }

  /// Program headers: 0 headers, 1 code, 2 data, 3 tables, 4 PT_DYNAMIC.
  private static func header(_ index: Int, _ change: @escaping @Sendable (inout Header) -> Void)
    -> @Sendable (inout MadeImage) -> Void
  {
    { $0.adjust = { change(&$0.headers[index]) } }
  }

  private static func extra(_ headers: Header...) -> @Sendable (inout MadeImage) -> Void {
    { $0.headers += headers }
  }

  static let headers: [Forgery] = [
    Forgery("nothing forged", "run") { _ in },
    Forgery("no bytes", ["notELF"]) { [] },
    Forgery("63 bytes", ["malformed ELF header @0"]) { Array(MadeImage().bytes().prefix(63)) },
    Forgery("another magic", "notELF", as: elf(0, 1, 0x7E)),
    Forgery("32 bits", "otherMachine", as: elf(4, 1, 1)),
    Forgery("big-endian", "otherMachine", as: elf(5, 1, 2)),
    Forgery("another version", "malformed ELF header", "otherMachine", as: elf(20, 4, 7)),
    Forgery("another machine", "otherMachine", as: elf(18, 2, 183)),
    Forgery("an object", "unsupported a relocatable object", as: elf(16, 2, 1)),
    Forgery("a core", "unsupported", as: elf(16, 2, 4)),
    Forgery("an executable", "unsupported an executable", as: elf(16, 2, 2)),
    Forgery("program headers of 32 bytes", "malformed ELF header", as: elf(54, 2, 32)),
    Forgery("no program headers", ["malformed program headers"]) {
      var bytes = MadeImage().bytes()
      bytes.replaceSubrange(56..<58, with: [0, 0])
      return bytes
    },
    Forgery(
      "program headers beyond the file", "malformed program headers @fffffffffffffff0",
      as: elf(32, 8, UInt64.max - 15)),
    Forgery("more program headers than bytes", "malformed program headers", as: elf(56, 2, 0xFFFE)),
    Forgery("PN_XNUM, the count in section header 0", "run") {
      $0.adjust = { draft in
        draft.elf.replaceSubrange(40..<48, with: MadeImage.little(0x800, 8))
        draft.elf.replaceSubrange(56..<58, with: [0xFF, 0xFF])
      }
      $0.patch = { $0.replaceSubrange(0x82C..<0x830, with: MadeImage.little(5, 4)) }
    },
    Forgery("PN_XNUM, and a count beyond the file", "malformed program headers") {
      $0.adjust = { draft in
        draft.elf.replaceSubrange(40..<48, with: MadeImage.little(0x800, 8))
        draft.elf.replaceSubrange(56..<58, with: [0xFF, 0xFF])
      }
      $0.patch = { $0.replaceSubrange(0x82C..<0x830, with: [0xFF, 0xFF, 0xFF, 0xFF]) }
    },
    Forgery("PN_XNUM, and section headers beyond the file", "malformed") {
      $0.adjust = { draft in
        draft.elf.replaceSubrange(40..<48, with: MadeImage.little(UInt64.max - 8, 8))
        draft.elf.replaceSubrange(56..<58, with: [0xFF, 0xFF])
      }
    },
    Forgery("SHN_XINDEX and no section headers", "run") {
      $0.adjust = { draft in
        draft.elf.replaceSubrange(40..<48, with: MadeImage.little(UInt64.max - 8, 8))
        draft.elf.replaceSubrange(60..<64, with: [0, 0, 0xFF, 0xFF])
      }
    },
  ]

  static let segments: [Forgery] = [
    Forgery(
      "segments that overlap", "malformed PT_LOAD @b0 overlaps",
      as: header(2) { $0 = Header(1, 6, MadeImage.text, fileSize: 0x1000, offset: 0x2000) }),
    Forgery(
      "segments that share a page", "malformed PT_LOAD @b0 overlaps",
      as: header(2) { $0 = Header(1, 6, 0x1800, fileSize: 0x800, offset: 0x2800) }),
    Forgery("segments out of order", "malformed PT_LOAD") {
      $0.adjust = { $0.headers.swapAt(1, 2) }
    },
    Forgery("a file shorter than its segments", ["malformed PT_LOAD @e8 its bytes leave"]) {
      Array(MadeImage().bytes().prefix(0x3080))
    },
    Forgery("a file that ends in its headers", ["malformed program headers @40"]) {
      Array(MadeImage().bytes().prefix(0x80))
    },
    Forgery(
      "more bytes of file than of memory", "malformed PT_LOAD @b0",
      as: header(2) { $0.size = 0x800 }),
    Forgery(
      "a file offset near 2^64", "malformed PT_LOAD @b0",
      as: header(2) { $0.offset = UInt64.max - 0xFFF }),
    Forgery(
      "a file offset in another place of the page", "malformed PT_LOAD @b0",
      as: header(2) { $0.offset += 8 }),
    Forgery(
      "an address near 2^64", "malformed PT_LOAD", as: header(3) { $0.address = 0 &- 0x2000 }),
    Forgery(
      "an alignment that is no power of two", "malformed PT_LOAD @b0 alignment 3",
      as: header(2) { $0.alignment = 3 }),
    Forgery(
      "an alignment of 1 TiB", "malformed PT_LOAD @b0", as: header(2) { $0.alignment = 1 << 40 }),
    Forgery("no alignment", "run", as: header(2) { $0.alignment = 0 }),
    Forgery(
      "32 TiB of memory", "system mmap", "run",
      as: extra(Header(1, 6, 0x10_0000, fileSize: 0, size: 1 << 45, offset: 0))),
    Forgery(
      "more memory than addresses", "malformed PT_LOAD",
      as: extra(Header(1, 6, 0x10_0000, fileSize: 0, size: 1 << 63, offset: 0))),
    Forgery(
      "memory that wraps around", "malformed PT_LOAD",
      as: extra(Header(1, 6, 0x10_0000, fileSize: 0, size: UInt64.max - 0xF_FFFF, offset: 0))),
    Forgery(
      "an empty segment anywhere", "run",
      as: extra(Header(1, 6, UInt64.max - 7, fileSize: 0, size: 0, offset: 0))),
    Forgery(
      "memory without bytes, near 2^64 in the file", "run",
      as: extra(Header(1, 6, 0x10_0000, fileSize: 0, size: 8, offset: UInt64.max - 15))),
    Forgery(
      "a segment without rights", "run", as: extra(Header(1, 0, 0x10_0000, fileSize: 0, size: 8))),
    Forgery("tables that cannot be read, by their flags", "run", as: header(0) { $0.flags = 0 }),
    Forgery("data that can be written only, by its flags", "run", as: header(2) { $0.flags = 2 }),
    Forgery("sixty segments with holes", "run") {
      for index in 0..<60 as Range<UInt64> {
        $0.headers.append(Header(1, 6, 0x10_0000 + index * 0x3000, fileSize: 0, size: 0x1800))
      }
    },
    Forgery("no segment", "malformed program headers @40 no PT_LOAD") {
      $0.adjust = { draft in for index in 0..<4 { draft.headers[index].type = 6 } }
    },
    Forgery(
      "code that can be written", "unsupported a segment that is writable and executable",
      as: header(1) { $0.flags = 7 }),
    Forgery(
      "data that can be executed", "unsupported a segment that is writable and executable",
      as: header(2) { $0.flags = 7 }),
    Forgery(
      "a stack that can be executed", "unsupported an executable stack",
      as: extra(Header(0x6474_E551, 7, 0, fileSize: 0))),
    Forgery(
      "RELRO over code", "run",
      as: extra(Header(0x6474_E552, 4, MadeImage.text, fileSize: 0x1000))),
    Forgery(
      "RELRO over everything", "run",
      as: extra(Header(0x6474_E552, 4, 0, fileSize: 0x1000, size: 0x10_0000))),
    Forgery(
      "RELRO of 32 TiB", "run",
      as: extra(Header(0x6474_E552, 4, MadeImage.data, fileSize: 0, size: 1 << 45))),
    Forgery(
      "RELRO of more than there is", "malformed PT_GNU_RELRO",
      as: extra(Header(0x6474_E552, 4, MadeImage.data, fileSize: 0, size: UInt64.max - 0x1FFF))),
    Forgery(
      "RELRO outside", "malformed PT_GNU_RELRO",
      as: extra(Header(0x6474_E552, 4, outside, fileSize: 0, size: 0x1000))),
    Forgery(
      "an interpreter, notes and headers outside", "run",
      as: extra(
        Header(3, 4, outside, fileSize: 16), Header(4, 4, outside, fileSize: 16),
        Header(6, 4, outside, fileSize: 16), Header(3, 4, 0x2FF8, fileSize: 0x2000))),
    Forgery("a note longer than its segment", "run") {
      $0.words = [0xFFFF_FFFF_0000_0004, 0x0055_4E47_0000_0005]
      $0.headers.append(Header(4, 4, MadeImage.data, fileSize: 24))
    },
    Forgery("an entry point outside", "run", as: elf(24, 8, outside)),
  ]

  private static func dynamic(_ tag: Int64, _ value: UInt64) -> @Sendable (inout MadeImage) -> Void
  {
    { $0.adjust = { $0[tag] = value } }
  }

  static let dynamicSections: [Forgery] = [
    Forgery("no PT_DYNAMIC", "unsupported no dynamic section", as: header(4) { $0.type = 0 }),
    Forgery(
      "PT_DYNAMIC outside", "malformed PT_DYNAMIC @120", as: header(4) { $0.address = outside }),
    Forgery(
      "PT_DYNAMIC beyond the bytes of the file", "malformed PT_DYNAMIC",
      as: header(4) { $0.address = MadeImage.data + 0x1000 }),
    Forgery(
      "PT_DYNAMIC over the end of its segment", "malformed PT_DYNAMIC",
      as: header(4) {
        $0.fileSize += 0x1000
        $0.size += 0x1000
      }),
    Forgery(
      "two of PT_DYNAMIC", "malformed PT_DYNAMIC @158 a second one",
      as: extra(Header(2, 4, MadeImage.tables, fileSize: 16))),
    Forgery(
      "a dynamic section of eight bytes", "malformed dynamic section",
      as: header(4) {
        $0.fileSize = 8
        $0.size = 8
      }),
    Forgery(
      "a dynamic section without an end", "malformed dynamic section",
      as: header(4) {
        $0.fileSize = 32
        $0.size = 32
      }),
    Forgery("DT_STRTAB outside", "malformed DT_STRTAB @900000", as: dynamic(5, outside)),
    Forgery("DT_STRSZ beyond the segment", "malformed DT_STRTAB", as: dynamic(10, 1 << 20)),
    Forgery("DT_STRSZ of 2^64 - 1", "malformed DT_STRTAB", as: dynamic(10, UInt64.max)),
    Forgery("DT_SYMTAB outside", "malformed DT_SYMTAB @900000", as: dynamic(6, outside)),
    Forgery(
      "DT_SYMTAB in memory that no file fills", "malformed DT_SYMTAB",
      as: dynamic(6, MadeImage.data + 0x1800)),
    Forgery("DT_SYMENT of 16", "malformed dynamic section", as: dynamic(11, 16)),
    Forgery("DT_RELAENT of 0", "malformed dynamic section", as: dynamic(9, 0)),
    Forgery("DT_REL where DT_RELA is due", "malformed dynamic section") {
      $0.dynamic += [(17, MadeImage.data), (18, 16), (19, 16)]
    },
    Forgery("DT_RELASZ of no whole entries", "malformed dynamic section") {
      $0.dynamic += [(7, MadeImage.data), (8, 25)]
    },
    Forgery("DT_RELASZ without DT_RELA", "malformed dynamic section", as: dynamic(8, 48)),
    Forgery("DT_PLTRELSZ without DT_JMPREL", "malformed dynamic section", as: dynamic(2, 48)),
    Forgery("DT_RELRSZ without DT_RELR", "malformed dynamic section", as: dynamic(35, 48)),
    Forgery(
      "DT_INIT_ARRAYSZ without DT_INIT_ARRAY", "malformed dynamic section", as: dynamic(27, 8)),
    Forgery("DT_RELA outside", "malformed DT_RELA @900000") {
      $0.dynamic += [(7, outside), (8, 24)]
    },
    Forgery("DT_RELASZ beyond the segment", "malformed DT_RELA @2000") {
      $0.dynamic += [(7, MadeImage.data), (8, 24 << 20)]
    },
    Forgery("DT_RELASZ near 2^64", "malformed DT_RELA @2000") {
      $0.dynamic += [(7, MadeImage.data), (8, UInt64.max - UInt64.max % 24)]
    },
    Forgery(
      "DT_NEEDED outside the strings", "malformed DT_NEEDED @ffffff", as: dynamic(1, 0xFF_FFFF)),
    Forgery("DT_NEEDED of 2^32 + 1", "malformed DT_NEEDED", as: dynamic(1, 1 << 32 | 1)),
    Forgery("DT_SONAME outside the strings", "run", as: dynamic(14, 0xFF_FFFF)),
    Forgery("DT_SONAME of 2^32 + 1", "run", as: dynamic(14, 1 << 32 | 1)),
    Forgery("DT_RUNPATH and DT_RPATH outside the strings", "run") {
      $0.dynamic += [(29, 0xFF_FFFF), (15, 1 << 32 | 1)]
    },
    Forgery("tags that nobody knows", "run") {
      $0.dynamic += [(0x7FFF_FFFF_FFFF_FFFF, 1), (-1, 2), (0x6FFF_FEFA, UInt64.max)]
    },
  ]
}
