// Forged relocations, thread-local storage and unwind tables. psABI AMD64, table 4.9; gABI: DT_RELR; LSB 5.0,
// “Exception Frames”.
import TestFixtures

extension Forgery {
  private typealias Header = MadeImage.Header
  private typealias Relocation = MadeImage.Relocation

  /// Types that write, how many bytes, and whether a symbol is named.
  private static let types: [(type: UInt32, name: String, width: UInt64, names: Bool)] = [
    (1, "R_X86_64_64", 8, true), (2, "R_X86_64_PC32", 4, true), (6, "R_X86_64_GLOB_DAT", 8, true),
    (8, "R_X86_64_RELATIVE", 8, false), (10, "R_X86_64_32", 4, true),
    (16, "R_X86_64_DTPMOD64", 8, false), (17, "R_X86_64_DTPOFF64", 8, false),
    (18, "R_X86_64_TPOFF64", 8, false), (24, "R_X86_64_PC64", 8, true),
    (32, "R_X86_64_SIZE32", 4, true), (33, "R_X86_64_SIZE64", 8, true),
    (36, "R_X86_64_TLSDESC", 16, false), (37, "R_X86_64_IRELATIVE", 8, false),
    (38, "R_X86_64_RELATIVE64", 8, false),
  ]

  private static func relocating(
    _ place: UInt64, _ type: UInt32, symbol: UInt32 = 0, addend: Int64 = 0,
    isThreadLocal: Bool = false
  ) -> @Sendable (inout MadeImage) -> Void {
    {
      $0.relocations = [Relocation(place, type, symbol: symbol, addend: addend)]
      if isThreadLocal { $0.headers.append(Header(7, 4, MadeImage.data, fileSize: 16, size: 64)) }
    }
  }

  private static let places: [Forgery] = types.flatMap { type, name, width, names in
    let places: [(String, UInt64)] = [
      ("in code", MadeImage.text), ("in its headers", 0), ("outside", outside),
      ("over the end of the data", MadeImage.dataEnd - width + 1), ("at the top", UInt64.max - 3),
    ]
    return places.map { what, place in
      let relocate = relocating(
        place, type, symbol: names ? 1 : 0, addend: type == 37 ? 0x1000 : 0,
        isThreadLocal: [16, 17, 18, 36].contains(type))
      // 32 bits do not hold the address: that may be seen before the place is.
      return Forgery(
        "\(name) \(what)",
        ["malformed \(name) @" + String(place, radix: 16)]
          + (type == 10 || type == 2 ? ["overflow \(name) @" + String(place, radix: 16)] : [])
      ) {
        var image = MadeImage()
        image.define("run")
        relocate(&image)
        return image.bytes()
      }
    }
  }

  private static let beyond: [Forgery] = [1, 2, 5, 6, 10, 16, 17, 18, 24, 32, 36].map {
    (type: UInt32) in
    Forgery(
      "type \(type) of a symbol that is not there", "malformed R_X86_64_",
      as: relocating(MadeImage.data, type, symbol: type == 1 ? .max : 1000, isThreadLocal: true))
  }

  static let relocations: [Forgery] =
    places + beyond + [
      Forgery("DT_RELACOUNT of 2^64 - 1", "run") {
        $0.relocations = [
          Relocation(MadeImage.data, 8, addend: 0x1000),
          Relocation(MadeImage.data + 8, 6, symbol: 1),
        ]
        $0.dynamic.append((0x6FFF_FFF9, .max))
      },
      Forgery("a table that relocates itself", "malformed R_X86_64_RELATIVE @") {
        // The first entry makes nonsense of where the second one writes.
        $0.words = [MadeImage.data + 24, 8, 0x70_0000_0000, MadeImage.data + 0x500, 8, 0]
        $0.dynamic += [(7, MadeImage.data), (8, 48)]
      },
      Forgery(
        "an unknown type", "unsupported relocation type 250",
        as: relocating(MadeImage.data, 250, symbol: 1)),
      Forgery(
        "a type of objects", "unsupported R_X86_64_GOTPCREL",
        as: relocating(MadeImage.data, 9, symbol: 1)),
      Forgery(
        "32 bits that do not hold the address", "overflow R_X86_64_32 @2000 run",
        as: relocating(MadeImage.data, 10, symbol: 1)),
      Forgery(
        "a resolver in data", "malformed R_X86_64_IRELATIVE @2000",
        as: relocating(MadeImage.data, 37, addend: 0x2000)),
      Forgery(
        "a resolver outside", "malformed R_X86_64_IRELATIVE @2000",
        as: relocating(MadeImage.data, 37, addend: Int64(outside))),
      Forgery(
        "a resolver in front of the image", "malformed R_X86_64_IRELATIVE @2000",
        as: relocating(MadeImage.data, 37, addend: -4096)),
      Forgery("a resolver of the image", "run", as: relocating(MadeImage.data, 37, addend: 0x1000)),
      Forgery("an IFUNC whose resolver is data", "malformed R_X86_64_GLOB_DAT @2000") {
        let index = $0.define("chosen", info: 0x1A, value: MadeImage.data)
        $0.relocations = [Relocation(MadeImage.data, 6, symbol: index)]
      },
      Forgery("an IFUNC by 32 bits", "malformed R_X86_64_PC32 @2000") {
        let index = $0.define("chosen", info: 0x1A)
        $0.relocations = [Relocation(MadeImage.data, 2, symbol: index)]
      },
      Forgery("a copy to code", "malformed R_X86_64_COPY @1000") {
        let index = $0.refer("environ", size: 8)
        $0.relocations = [Relocation(MadeImage.text, 5, symbol: index)]
      },
      Forgery("a copy over the end", "malformed R_X86_64_COPY @3ffc") {
        let index = $0.refer("environ", size: 8)
        $0.relocations = [Relocation(MadeImage.dataEnd - 4, 5, symbol: index)]
      },
      Forgery("a copy of more than there is", "run") {
        let index = $0.refer("environ", size: .max)
        $0.relocations = [Relocation(MadeImage.data, 5, symbol: index)]
      },
      Forgery("a copy of what nobody has", "undefined") {
        let index = $0.refer("gone_missing", size: 8)
        $0.relocations = [Relocation(MadeImage.data, 5, symbol: index)]
      },
    ]

  // MARK: jump slots

  private static func slot(
    _ place: UInt64, _ change: @escaping @Sendable (inout MadeImage.Draft) -> Void = { _ in }
  )
    -> @Sendable (inout MadeImage) -> Void
  {
    {
      $0.jumpSlots = [Relocation(place, 7, symbol: 1)]
      $0.adjust = change
    }
  }

  static let lazy: [Forgery] = [false, true].flatMap { isLazy in
    let how = isLazy ? "lazily" : "at once"
    return [
      Forgery("a jump slot, \(how)", "run", isLazy: isLazy, as: slot(MadeImage.data)),
      Forgery(
        "a jump slot in code, \(how)", "malformed R_X86_64_JUMP_SLOT @1000", isLazy: isLazy,
        as: slot(MadeImage.text)),
      Forgery(
        "a jump slot outside, \(how)", "malformed R_X86_64_JUMP_SLOT @900000", isLazy: isLazy,
        as: slot(outside)),
      Forgery(
        "a jump slot over the end, \(how)", "malformed R_X86_64_JUMP_SLOT @3ffc",
        isLazy: isLazy, as: slot(MadeImage.dataEnd - 4)),
      Forgery(
        "DT_PLTRELSZ of 25, \(how)", "malformed dynamic section", isLazy: isLazy,
        as: slot(MadeImage.data) { $0[2] = 25 }),
      Forgery(
        "DT_PLTREL of DT_REL, \(how)", "malformed dynamic section", isLazy: isLazy,
        as: slot(MadeImage.data) { $0[20] = 17 }),
      Forgery(
        "DT_JMPREL outside, \(how)", "malformed DT_JMPREL @900000", isLazy: isLazy,
        as: slot(MadeImage.data) { $0[23] = outside }),
      Forgery(
        "DT_PLTGOT in code, \(how)", isLazy ? "malformed DT_PLTGOT @1000" : "run",
        isLazy: isLazy, as: slot(MadeImage.data) { $0[3] = MadeImage.text }),
      Forgery(
        "DT_PLTGOT outside, \(how)", isLazy ? "malformed DT_PLTGOT @900000" : "run",
        isLazy: isLazy, as: slot(MadeImage.data) { $0[3] = outside }),
      Forgery(
        "DT_PLTGOT at the end, \(how)", isLazy ? "malformed DT_PLTGOT @3ff8" : "run",
        isLazy: isLazy, as: slot(MadeImage.data) { $0[3] = MadeImage.dataEnd - 8 }),
      Forgery(
        "a jump slot of a symbol that is not there, \(how)",
        isLazy ? "run" : "malformed R_X86_64_JUMP_SLOT @2000", isLazy: isLazy
      ) { $0.jumpSlots = [Relocation(MadeImage.data, 7, symbol: 1000)] },
      Forgery(
        "jump slots counted among the others, \(how)", "run", isLazy: isLazy,
        as: slot(MadeImage.data) {
          $0[7] = $0[23]
          $0[8] = 24
        }),
    ]
  }

  // MARK: RELR

  private static func relr(_ words: UInt64...) -> @Sendable (inout MadeImage) -> Void {
    { $0.compact = words }
  }

  static let compact: [Forgery] = [
    Forgery("RELR of data", "run", as: relr(MadeImage.data, 0xFF)),
    Forgery("RELR of code", "malformed DT_RELR @1000", as: relr(MadeImage.text)),
    Forgery("RELR over the end", "malformed DT_RELR @3ffc", as: relr(MadeImage.dataEnd - 4)),
    Forgery(
      "a RELR bitmap that leaves its segment", "malformed DT_RELR @4000",
      as: relr(MadeImage.dataEnd - 0x100, .max)),
    Forgery("a RELR bitmap without an address", "malformed DT_RELR @0", as: relr(3)),
    Forgery("RELR at the top", "malformed DT_RELR @fffffffffffffffe", as: relr(.max - 1, .max)),
    Forgery("RELR that wraps around", "malformed DT_RELR", as: relr(.max - 1, .max, .max)),
    Forgery("DT_RELRENT of 4", "malformed dynamic section") {
      $0.compact = [MadeImage.data]
      $0.adjust = { $0[37] = 4 }
    },
    Forgery("DT_RELRSZ of 7", "malformed dynamic section") {
      $0.compact = [MadeImage.data]
      $0.adjust = { $0[35] = 7 }
    },
    Forgery("DT_RELR outside", "malformed DT_RELR @900000") {
      $0.compact = [MadeImage.data]
      $0.adjust = { $0[36] = outside }
    },
  ]

  // MARK: thread-local storage

  private static func template(
    _ address: UInt64 = MadeImage.data, _ fileSize: UInt64 = 16, _ size: UInt64 = 64,
    alignment: UInt64 = 16, type: UInt32 = 16
  ) -> @Sendable (inout MadeImage) -> Void {
    {
      $0.headers.append(
        Header(7, 4, address, fileSize: fileSize, size: size, alignment: alignment))
      $0.relocations = [Relocation(MadeImage.data + 0x100, type)]
    }
  }

  static let threadLocal: [Forgery] =
    [
      Forgery("thread-local storage", "run", as: template()),
      Forgery(
        "thread-local storage that begins in the middle of its alignment", "run",
        as: template(MadeImage.data + 8, alignment: 64)),
      Forgery("thread-local storage outside", "malformed PT_TLS @158", as: template(outside)),
      Forgery(
        "thread-local storage over the end", "malformed PT_TLS @158",
        as: template(MadeImage.data + 0xFF8)),
      Forgery(
        "more initial bytes than storage", "malformed PT_TLS @158", as: template(MadeImage.data, 65)
      ),
      Forgery("an alignment of three", "malformed PT_TLS @158", as: template(alignment: 3)),
      Forgery("an alignment of 1 TiB", "malformed PT_TLS @158", as: template(alignment: 1 << 40)),
      Forgery(
        "an alignment of 16 MiB", "noSpace thread-local storage", as: template(alignment: 1 << 24)),
      Forgery(
        "1 TiB for each thread", "malformed PT_TLS @158", as: template(MadeImage.data, 16, 1 << 40)),
      Forgery(
        "32 GiB for each thread", "noSpace thread-local storage",
        as: template(MadeImage.data, 16, 1 << 35)),
      Forgery(
        "a megabyte at a fixed offset", "noSpace static thread-local storage",
        as: template(MadeImage.data, 16, 1 << 20, type: 18)),
      Forgery(
        "4 GiB at a fixed offset", "noSpace static thread-local storage",
        as: template(MadeImage.data, 16, 1 << 32, type: 18)),
      Forgery("a fixed offset aligned to 4 KiB", "run", as: template(alignment: 4096, type: 18)),
      Forgery(
        "a fixed offset aligned to 8 KiB", "unsupported static thread-local storage",
        as: template(alignment: 8192, type: 18)),
      Forgery("two templates", "malformed PT_TLS @190 a second one") {
        for _ in 0..<2 { $0.headers.append(Header(7, 4, MadeImage.data, fileSize: 16)) }
      },
      Forgery("an empty template anywhere", "run") {
        $0.headers.append(Header(7, 4, outside, fileSize: 0, size: 0, alignment: 3))
      },
    ]
    + [16, 17, 18, 36].map { (type: UInt32) in
      Forgery(
        "type \(type) without storage", "malformed R_X86_64_",
        as: relocating(MadeImage.data, type))
    }

  // MARK: unwind tables

  private static func little(_ values: UInt64...) -> [UInt8] {
    values.flatMap { MadeImage.little($0, 4) }
  }

  /// A CIE as compilers write it: 24 bytes.
  private static let cie: [UInt8] =
    little(20, 0) + [1, 0x7A, 0x52, 0, 1, 0x78, 16, 1, 0x1B, 12, 7, 8, 0x90, 1, 0, 0]

  private static func frames(_ bytes: [UInt8]) -> @Sendable (inout MadeImage) -> Void {
    { $0.unwind = bytes }
  }

  /// Where `.eh_frame_hdr` says that `.eh_frame` is: a distance from the field itself.
  private static func distance(_ value: UInt64) -> @Sendable (inout MadeImage) -> Void {
    {
      $0.unwind = cie + little(0)
      $0.adjust = { draft in
        guard let header = draft.headers.first(where: { $0.type == 0x6474_E550 }) else { return }
        let at = Int(header.address - MadeImage.tables) + 4
        draft.bytes.replaceSubrange(at..<at + 4, with: MadeImage.little(value, 4))
      }
    }
  }

  static let unwinding: [Forgery] = [
    Forgery("an unwind table", "run", as: frames(cie + little(0))),
    Forgery("PT_GNU_EH_FRAME outside", "malformed PT_GNU_EH_FRAME @158") {
      $0.headers.append(Header(0x6474_E550, 4, outside, fileSize: 8))
    },
    Forgery("an unwind table outside", "malformed .eh_frame", as: distance(0x7000_0000)),
    Forgery(
      "an unwind table in front of the image", "malformed .eh_frame", as: distance(0x8000_0000)),
    Forgery(
      "a record longer than its segment", "malformed .eh_frame",
      as: frames(cie + little(0x7FFF_FFF0, 4))),
    Forgery(
      "a record of 2^32 - 1 bytes", "malformed .eh_frame", as: frames(cie + little(0xFFFF_FFFF, 4))),
    Forgery("a record of two bytes", "malformed .eh_frame", as: frames(cie + little(2, 4, 0, 0))),
    Forgery("a CIE of another version", "malformed .eh_frame", as: frames(little(12, 0, 9, 0, 0))),
    Forgery(
      "a CIE whose augmentation does not end", "malformed .eh_frame",
      as: frames(little(8, 0) + [1, 0x7A, 0x52, 0x52] + little(0))),
    Forgery(
      "a CIE with a personality that is padded", "malformed .eh_frame",
      as: frames(
        little(24, 0) + [1, 0x7A, 0x50, 0x52, 0, 1, 0x78, 16, 10, 0x50]
          + [UInt8](repeating: 0, count: 10) + little(0))),
    Forgery(
      "a CIE of a signal frame whose encoding comes too late", "malformed .eh_frame",
      as: frames(
        little(20, 0) + [1, 0x7A, 0x53, 0x52, 0, 1, 0x78, 16, 1, 0x1B]
          + [UInt8](repeating: 0, count: 6) + little(0))),
    Forgery(
      "an FDE whose CIE does not exist", "malformed .eh_frame",
      as: frames(cie + little(16, 0x1000, 0, 0, 0, 0))),
    Forgery(
      "an FDE whose CIE is an FDE", "malformed .eh_frame",
      as: frames(cie + little(16, 28, 0, 0, 0) + little(16, 24, 0, 0, 0, 0))),
    Forgery(
      "an FDE of code outside", "malformed .eh_frame",
      as: frames(cie + little(16, 28, 0x7000_0000, 16, 0, 0))),
    Forgery(
      "an FDE of more code than there is", "malformed .eh_frame",
      as: frames(cie + little(16, 28, 0xFFFF_D000, 0x7000_0000, 0, 0))),
  ]
}
