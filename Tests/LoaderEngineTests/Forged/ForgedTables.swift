// Forged hash tables, symbols, versions and initialisers. gABI, “Hash Table”; GNU: “.gnu.hash”; LSB 5.0,
// “Symbol Versioning”.
import TestFixtures

extension Forgery {
  private static func words(_ values: UInt64..., width: Int) -> [UInt8] {
    values.flatMap { MadeImage.little($0, width) }
  }

  private static func hash(_ name: String) -> UInt32 {
    name.utf8.reduce(5381 as UInt32) { $0 &* 33 &+ UInt32($1) }
  }

  /// A table with a filter that lets everything through.
  private static func gnu(
    buckets: UInt32 = 1, first: UInt32 = 1, filterWords: UInt32 = 1, shift: UInt32 = 0,
    _ rest: [UInt32]
  ) -> @Sendable (inout MadeImage) -> Void {
    {
      $0.hash = .raw(
        tag: 0x6FFF_FEF5, [buckets, first, filterWords, shift, .max, .max] + rest)
    }
  }

  /// Three symbols, `run` the first, and a reference to one that nobody has.
  private static func sysv(_ table: [UInt32]) -> @Sendable (inout MadeImage) -> Void {
    {
      $0.define("other")
      let missing = $0.refer("nobody_has_this", info: 0x20)
      $0.relocations = [MadeImage.Relocation(MadeImage.data, 6, symbol: missing)]
      $0.hash = .raw(tag: 4, table)
    }
  }

  static let hashTables: [Forgery] = [
    Forgery("a SysV chain in a circle", "run", as: sysv([1, 4, 2, 0, 2, 1, 0])),
    Forgery("a SysV chain of one that leads to itself", "run", as: sysv([1, 4, 1, 0, 1, 0, 0])),
    Forgery("a SysV chain that leads outside", "run", as: sysv([1, 4, 1, 0, .max, 0, 0])),
    Forgery(
      "a SysV bucket that leads outside", "loaded", as: sysv([1, 4, 0x7FFF_FFFF, 0, 0, 0, 0])),
    Forgery("a SysV table without buckets", "loaded", as: sysv([0, 4, 0, 0, 0, 0])),
    Forgery(
      "a SysV table of more buckets than bytes", "malformed DT_HASH",
      as: sysv([0x4000_0000, 4, 0, 0, 0, 0])),
    Forgery(
      "a SysV table of more chains than bytes", "malformed DT_HASH",
      as: sysv([1, .max, 0, 0, 0, 0])),
    Forgery(
      "a SysV table of more chains than symbols", "run",
      as: sysv([1, 40, 1] + [UInt32](repeating: 9, count: 40))),
    Forgery("DT_HASH outside", "malformed DT_HASH @900000") {
      $0.hash = .none
      $0.dynamic.append((4, outside))
    },
    Forgery("DT_HASH at the last bytes of its segment", "malformed DT_HASH") {
      $0.hash = .none
      $0.dynamic.append((4, MadeImage.data + 0xFFC))
    },
    Forgery("no hash table", "loaded") { $0.hash = .none },
    Forgery("a GNU chain without an end mark", "run", as: gnu([1, hash("run") & ~1])),
    Forgery(
      "a GNU chain of nothing but wrong hashes, without an end mark", "loaded",
      as: gnu([1] + [UInt32](repeating: 2, count: 64))),
    Forgery("a GNU bucket beyond the symbols", "loaded", as: gnu([.max, hash("run") | 1])),
    Forgery("a GNU bucket before the first hashed symbol", "loaded", as: gnu(first: 9, [1, 1])),
    Forgery(
      "a GNU table whose first symbol is 2^32 - 1", "loaded",
      as: gnu(first: .max, [.max, hash("run") | 1])),
    Forgery("a GNU table without buckets", "loaded", as: gnu(buckets: 0, [hash("run") | 1])),
    Forgery(
      "a GNU table of more buckets than bytes", "malformed DT_GNU_HASH",
      as: gnu(buckets: 0x4000_0000, [1, hash("run") | 1])),
    Forgery(
      "a GNU table without a filter", "malformed DT_GNU_HASH",
      as: gnu(filterWords: 0, [1, hash("run") | 1])),
    Forgery(
      "a GNU filter of three words", "malformed DT_GNU_HASH",
      as: gnu(filterWords: 3, [1, hash("run") | 1])),
    Forgery(
      "a GNU filter larger than the file", "malformed DT_GNU_HASH",
      as: gnu(filterWords: 0x8000_0000, [1, hash("run") | 1])),
    Forgery("a GNU filter shifted by 2^32 - 1", "run", as: gnu(shift: .max, [1, hash("run") | 1])),
    Forgery("DT_GNU_HASH outside", "malformed DT_GNU_HASH @900000") {
      $0.hash = .none
      $0.dynamic.append((0x6FFF_FEF5, outside))
    },
    Forgery(
      "many GNU buckets that lead to one chain without an end", "run",
      as: gnu(buckets: 512, [UInt32](repeating: 1, count: 512) + [hash("run") & ~1])),
  ]

  static let symbols: [Forgery] = [
    Forgery("a symbol in section SHN_XINDEX", "run") { $0.symbols[1].section = 0xFFFF },
    Forgery("a symbol in a section that is not there", "run") { $0.symbols[1].section = 0xFE00 },
    Forgery("a symbol of a size of 2^64 - 1", "run") { $0.symbols[1].size = .max },
    Forgery("a definition whose name lies outside", "loaded") { $0.symbols[1].name = 0xFF_FFFF },
    Forgery("a reference whose name lies outside", "malformed symbol 2 @ffffff") {
      let index = $0.refer("lost")
      $0.symbols[Int(index)].name = 0xFF_FFFF
      $0.relocations = [MadeImage.Relocation(MadeImage.data, 6, symbol: index)]
    },
    Forgery("a name that does not end", "malformed symbol 2") {
      let index = $0.refer("without_end")
      $0.relocations = [MadeImage.Relocation(MadeImage.data, 6, symbol: index)]
      $0.adjust = { $0[10] -= 1 }
    },
    Forgery("a symbol of an unknown type and binding", "loaded") { $0.symbols[1].info = 0xFF },
    Forgery("an undefined symbol", "undefined [\"gone_missing\"]") {
      let index = $0.refer("gone_missing")
      $0.relocations = [MadeImage.Relocation(MadeImage.data, 6, symbol: index)]
    },
  ]

  // MARK: versions

  /// A record of what is needed, and one version.
  private static func need(
    version: UInt64 = 1, count: UInt64 = 1, file: UInt64 = 1, entry: UInt64 = 16, next: UInt64 = 0,
    name: UInt64 = 1, nextEntry: UInt64 = 0, records: UInt64 = 1
  ) -> @Sendable (inout MadeImage) -> Void {
    {
      let bytes =
        words(version, count, width: 2) + words(file, entry, next, 0x1234, width: 4)
        + words(0, 5, width: 2) + words(name, nextEntry, width: 4)
      $0.blobs = [(0x6FFF_FFFE, bytes)]
      $0.dynamic.append((0x6FFF_FFFF, records))
    }
  }

  private static func definition(
    version: UInt64 = 1, count: UInt64 = 1, entry: UInt64 = 20, next: UInt64 = 0, name: UInt64 = 1,
    records: UInt64 = 1
  ) -> @Sendable (inout MadeImage) -> Void {
    {
      let bytes =
        words(version, 0, 2, count, width: 2) + words(0x1234, entry, next, name, 0, width: 4)
      $0.blobs = [(0x6FFF_FFFC, bytes)]
      $0.dynamic.append((0x6FFF_FFFD, records))
    }
  }

  static let versions: [Forgery] = [
    Forgery("a needed version of a library that is not there", "run", as: need()),
    Forgery("needed versions, 2^64 - 1 of them", "run", as: need(records: .max)),
    Forgery(
      "a needed version that leads into itself", "malformed .gnu.version_r",
      as: need(count: 0xFFFF, nextEntry: 1)),
    Forgery(
      "a record of needs that leads into itself", "malformed .gnu.version_r",
      as: need(next: 2, records: .max)),
    Forgery(
      "needed versions that lead outside", "malformed .gnu.version_r",
      as: need(count: 0xFFFF, nextEntry: 0xFFFF_FFF0)),
    Forgery(
      "records of needs that lead outside", "malformed .gnu.version_r",
      as: need(next: 0xFFFF_FFF0, records: 2)),
    Forgery(
      "a needed version that lies outside", "malformed .gnu.version_r", as: need(entry: 0xFFFF_FFF0)
    ),
    Forgery("needs of another version", "malformed .gnu.version_r", as: need(version: 2)),
    Forgery(
      "a needed file whose name lies outside", "malformed .gnu.version_r", as: need(file: 0xFF_FFFF)
    ),
    Forgery(
      "a needed version whose name lies outside", "malformed .gnu.version_r",
      as: need(name: 0xFF_FFFF)),
    Forgery("DT_VERNEED outside", "malformed .gnu.version_r @900000") {
      $0.dynamic += [(0x6FFF_FFFE, outside), (0x6FFF_FFFF, 1)]
    },
    Forgery("a version that is defined", "run", as: definition()),
    Forgery(
      "definitions that lead into themselves", "malformed .gnu.version_d",
      as: definition(next: 4, records: .max)),
    Forgery(
      "definitions that lead outside", "malformed .gnu.version_d",
      as: definition(next: 0xFFFF_FFF0, records: 2)),
    Forgery("definitions without names", "run", as: definition(count: 0, entry: 0xFFFF_FFF0)),
    Forgery(
      "a definition whose record lies outside", "malformed .gnu.version_d",
      as: definition(entry: 0xFFFF_FFF0)),
    Forgery(
      "a definition whose name lies outside", "malformed .gnu.version_d",
      as: definition(name: 0xFF_FFFF)),
    Forgery(
      "definitions of another version", "malformed .gnu.version_d", as: definition(version: 2)),
    Forgery("DT_VERSYM outside", "malformed DT_VERSYM @900000") {
      $0.dynamic.append((0x6FFF_FFF0, outside))
    },
    Forgery("DT_VERSYM in memory that no file fills", "malformed DT_VERSYM") {
      $0.dynamic.append((0x6FFF_FFF0, MadeImage.data + 0x1800))
    },
    Forgery("a version number that nobody has", "run") {
      $0.blobs = [(0x6FFF_FFF0, words(0, 0x7FFF, width: 2))]
    },
    Forgery("version numbers for fewer symbols than there are", "run") {
      // The last two bytes that the file fills.
      $0.dynamic.append((0x6FFF_FFF0, MadeImage.data + 0xFFE))
    },
  ]

  // MARK: initialisers

  private static func table(_ tags: (Int64, Int64), _ address: UInt64, _ size: UInt64)
    -> @Sendable (inout MadeImage) -> Void
  {
    { $0.dynamic += [(tags.0, address), (tags.1, size)] }
  }

  private static let tables: [(name: String, address: Int64, size: Int64)] = [
    ("DT_INIT_ARRAY", 25, 27), ("DT_FINI_ARRAY", 26, 28),
  ]

  static let initialisers: [Forgery] =
    [
      Forgery("DT_INIT in data", "malformed DT_INIT @2000") {
        $0.dynamic.append((12, MadeImage.data))
      },
      Forgery("DT_INIT outside", "malformed DT_INIT @900000") { $0.dynamic.append((12, outside)) },
      Forgery("DT_FINI in data", "malformed DT_FINI @2000") {
        $0.dynamic.append((13, MadeImage.data))
      },
      Forgery("DT_FINI at the top", "malformed DT_FINI @ffffffffffffffff") {
        $0.dynamic.append((13, .max))
      },
      Forgery("DT_INIT and DT_FINI in code", "run") {
        $0.dynamic += [(12, MadeImage.text), (13, MadeImage.text + 8)]
      },
    ]
    + tables.flatMap { name, address, size in
      [
        Forgery(
          "\(name) outside", "malformed \(name) @900000", as: table((address, size), outside, 16)),
        Forgery(
          "\(name) over the end of its segment", "malformed \(name) @3ff8",
          as: table((address, size), MadeImage.dataEnd - 8, 16)),
        Forgery(
          "\(name) near 2^64 bytes long", "malformed \(name) @2000",
          as: table((address, size), MadeImage.data, UInt64.max - 7)),
        Forgery(
          "\(name) of seven bytes", "malformed dynamic section",
          as: table((address, size), MadeImage.data, 7)),
        Forgery("\(name) with an address of nothing", "malformed \(name) @2000") {
          $0.words = [0x1234]
          $0.dynamic += [(address, MadeImage.data), (size, 8)]
        },
        Forgery("\(name) with an address of the image's data", "malformed \(name) @2000") {
          $0.relocations = [MadeImage.Relocation(MadeImage.data, 8, addend: 0x2000)]
          $0.dynamic += [(address, MadeImage.data), (size, 8)]
        },
        Forgery("\(name) with an address of the process's data", "malformed \(name) @2000") {
          let index = $0.refer("environ")
          $0.relocations = [MadeImage.Relocation(MadeImage.data, 6, symbol: index)]
          $0.dynamic += [(address, MadeImage.data), (size, 8)]
        },
        Forgery("\(name) with 0, -1 and a function", "run") {
          $0.words = [0, .max]
          $0.relocations = [MadeImage.Relocation(MadeImage.data + 16, 8, addend: 0x1000)]
          $0.dynamic += [(address, MadeImage.data), (size, 24)]
        },
      ]
    }
}
