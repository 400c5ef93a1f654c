// A small ELF reader for tests, which shares nothing with the one under test: sections, symbols, and
// relocations in all three encodings, of 64-bit little-endian files that a compiler or linker just made.
import Foundation

struct ElfBytes {
  struct Section {
    var index: Int
    var name: String
    var type: Int
    var flags: UInt64
    var address: UInt64
    var offset: Int
    var size: Int
    var link: Int
    var info: Int
    var isAllocated: Bool { flags & 2 != 0 }
    var hasBytes: Bool { type != 8 && type != 0 }
  }
  struct Symbol {
    var name: String
    var type: Int
    var binding: Int
    var section: Int
    var value: UInt64
    var size: UInt64
    var isUndefined: Bool { section == 0 }
  }
  struct Relocation {
    /// Index of the section it changes.
    var section: Int
    var offset: UInt64
    var type: Int
    var symbol: Int
    var addend: Int64
    /// File offset of its SHT_RELA record.
    var record = 0
  }

  let bytes: [UInt8]
  private(set) var sections: [Section] = []
  private(set) var symbols: [Symbol] = []
  private(set) var relocations: [Relocation] = []

  /// - Parameter dynamic: read `.dynsym` and its relocations instead of `.symtab`.
  init(_ path: String, dynamic: Bool = false) throws {
    bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    let headers = word(40, 8)
    let first = word(headers + 32, 8)
    let count = word(60, 2) == 0 ? first : word(60, 2)
    let names = word(62, 2) == 0xFFFF ? word(headers + 40, 4) : word(62, 2)
    let nameTable = word(headers + names * 64 + 24, 8)
    for index in 0..<count {
      let at = headers + index * 64
      sections.append(
        Section(
          index: index, name: text(nameTable + word(at, 4)), type: word(at + 4, 4),
          flags: UInt64(word(at + 8, 8)), address: number(at + 16, 8), offset: word(at + 24, 8),
          size: word(at + 32, 8), link: word(at + 40, 4), info: word(at + 44, 4)))
    }
    guard let table = sections.first(where: { $0.type == (dynamic ? 11 : 2) }) else { return }
    let strings = sections[table.link].offset
    let extended = sections.first { $0.type == 18 && $0.link == table.index }
    for index in 0..<table.size / 24 {
      let at = table.offset + index * 24
      var section = word(at + 6, 2)
      if section == 0xFFFF, let extended { section = word(extended.offset + index * 4, 4) }
      symbols.append(
        Symbol(
          name: text(strings + word(at, 4)), type: Int(bytes[at + 4] & 15),
          binding: Int(bytes[at + 4] >> 4), section: section, value: number(at + 8, 8),
          size: number(at + 16, 8)))
    }
    for list in sections where list.link == table.index {
      switch list.type {
      case 4:
        for at in stride(from: list.offset, to: list.offset + list.size, by: 24) {
          relocations.append(
            Relocation(
              section: list.info, offset: number(at, 8), type: word(at + 8, 4),
              symbol: word(at + 12, 4), addend: Int64(bitPattern: number(at + 16, 8)), record: at))
        }
      case 9:
        for at in stride(from: list.offset, to: list.offset + list.size, by: 16) {
          let (offset, type) = (number(at, 8), word(at + 8, 4))
          relocations.append(
            Relocation(
              section: list.info, offset: offset, type: type, symbol: word(at + 12, 4),
              addend: field(type, sections[list.info].offset + Int(offset))))
        }
      case 0x4000_0014: readCompact(list)
      default: break
      }
    }
  }

  // LLVM's documentation of SHT_CREL: a header of count, a flag and a shift; then records of differences.
  private mutating func readCompact(_ list: Section) {
    var at = list.offset
    func byte() -> UInt64 {
      defer { at += 1 }
      return UInt64(bytes[at])
    }
    func leb(signed: Bool) -> Int64 {
      var value: UInt64 = 0
      var shift = 0
      while true {
        let next = byte()
        if shift < 64 { value |= (next & 0x7F) << UInt64(shift) }
        shift += 7
        if next < 0x80 {
          if signed, next & 0x40 != 0, shift < 64 { value |= UInt64.max << UInt64(shift) }
          return Int64(bitPattern: value)
        }
      }
    }
    let header = leb(signed: false)
    let hasAddend = header & 4 != 0
    var place = Relocation(section: list.info, offset: 0, type: 0, symbol: 0, addend: 0)
    var offset: UInt64 = 0
    for _ in 0..<header >> 3 {
      let flags = byte()
      let bits: UInt64 = hasAddend ? 3 : 2
      offset &+= (flags & 0x7F) >> bits
      if flags >= 0x80 { offset &+= UInt64(bitPattern: leb(signed: false)) << (7 - bits) }
      if flags & 1 != 0 { place.symbol += Int(leb(signed: true)) }
      if flags & 2 != 0 { place.type += Int(leb(signed: true)) }
      if hasAddend && flags & 4 != 0 { place.addend &+= leb(signed: true) }
      place.offset = offset << UInt64(header & 3)
      var record = place
      if !hasAddend {
        record.addend = field(place.type, sections[list.info].offset + Int(place.offset))
      }
      relocations.append(record)
    }
  }

  /// Bytes of a relocation's field.
  static func width(_ type: Int) -> Int {
    switch type {
    case 0, 35: 0
    case 1, 17, 18, 24, 25, 27...31, 33: 8
    case 12, 13: 2
    case 14, 15: 1
    default: 4
    }
  }

  private func field(_ type: Int, _ at: Int) -> Int64 {
    let width = ElfBytes.width(type)
    guard width > 0 else { return 0 }
    let shift = Int64(64 - width * 8)
    return (Int64(bitPattern: number(at, width)) << shift) >> shift
  }

  func contents(_ section: Section) -> ArraySlice<UInt8> {
    section.hasBytes ? bytes[section.offset..<section.offset + section.size] : []
  }

  func section(_ name: String) -> Section? { sections.first { $0.name == name } }

  func number(_ offset: Int, _ width: Int) -> UInt64 { bytes[offset..<offset + width].number }
  func word(_ offset: Int, _ width: Int) -> Int { Int(truncatingIfNeeded: number(offset, width)) }

  private func text(_ offset: Int) -> String {
    String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
  }
}
