// A shared object made by hand, byte by byte, for claims that no linker writes. The layout is always the same:
// headers, a page of code, two pages of data of which the second is not in the file, and the tables:
//
//     0x0000  R    ELF header, program headers
//     0x1000  R X  `lea 0x1000(%rip), %rax; ret`, and returns up to the page's end
//     0x2000  RW   0x1000 bytes of zeros, 0x1000 bytes beyond the file
//     0x4000  R    strings, symbols, hash, relocations, dynamic section … (0x3000 in the file)

/// What a hand-made image is made of; whatever is not said is right.
package struct MadeImage {
  package static let text: UInt64 = 0x1000
  package static let data: UInt64 = 0x2000
  package static let dataEnd: UInt64 = 0x4000
  package static let tables: UInt64 = 0x4000

  package struct Symbol {
    package var name: UInt32
    package var info: UInt8
    package var section: UInt16
    package var value: UInt64
    package var size: UInt64
  }

  package struct Relocation {
    package var offset: UInt64
    package var type: UInt32
    package var symbol: UInt32
    package var addend: Int64

    package init(_ offset: UInt64, _ type: UInt32, symbol: UInt32 = 0, addend: Int64 = 0) {
      self.offset = offset
      self.type = type
      self.symbol = symbol
      self.addend = addend
    }
  }

  package struct Header {
    package var type: UInt32
    package var flags: UInt32
    package var offset: UInt64
    package var address: UInt64
    package var fileSize: UInt64
    package var size: UInt64
    package var alignment: UInt64 = 0x1000

    package init(
      _ type: UInt32, _ flags: UInt32, _ address: UInt64, fileSize: UInt64, size: UInt64? = nil,
      offset: UInt64? = nil, alignment: UInt64 = 0x1000
    ) {
      self.type = type
      self.flags = flags
      self.offset = offset ?? (address >= MadeImage.tables ? address - 0x1000 : address)
      self.address = address
      self.fileSize = fileSize
      self.size = size ?? fileSize
      self.alignment = alignment
    }
  }

  package enum Hash {
    case gnu, sysv, none
    case raw(tag: Int64, [UInt32])
  }

  /// What is known once everything has its place, and may still be changed.
  package struct Draft {
    package var dynamic: [(tag: Int64, value: UInt64)]
    package var headers: [Header]
    /// The tables; their first byte is at `MadeImage.tables`.
    package var bytes: [UInt8]
    package var elf: [UInt8]

    package var end: UInt64 { MadeImage.tables + UInt64(bytes.count) }

    /// Sets the value of a tag, or adds it.
    package subscript(tag: Int64) -> UInt64 {
      get { dynamic.first { $0.tag == tag }?.value ?? 0 }
      set {
        if let index = dynamic.firstIndex(where: { $0.tag == tag }) {
          dynamic[index].value = newValue
        } else {
          dynamic.append((tag, newValue))
        }
      }
    }
  }

  package var kind: UInt16 = 3
  package private(set) var strings: [UInt8] = [0]
  package var symbols: [Symbol] = [Symbol(name: 0, info: 0, section: 0, value: 0, size: 0)]
  package var relocations: [Relocation] = []
  package var jumpSlots: [Relocation] = []
  package var compact: [UInt64] = []
  package var hash = Hash.gnu
  /// First bytes of the data, as words.
  package var words: [UInt64] = []
  package var unwind: [UInt8] = []
  /// Further tables, in the order of their tags' addresses.
  package var blobs: [(tag: Int64, bytes: [UInt8])] = []
  package var dynamic: [(tag: Int64, value: UInt64)] = []
  package var headers: [Header] = []
  /// Before the tables are laid down.
  package var adjust: (inout Draft) -> Void = { _ in }
  /// The file's bytes, at last.
  package var patch: (inout [UInt8]) -> Void = { _ in }

  package init() {}

  /// Adds a string and says where it is.
  package mutating func string(_ text: String) -> UInt32 { string(Array(text.utf8)) }

  package mutating func string(_ bytes: [UInt8]) -> UInt32 {
    defer { strings += bytes + [0] }
    return UInt32(strings.count)
  }

  /// Adds a symbol and gives its index.
  @discardableResult
  package mutating func define(
    _ name: String, info: UInt8 = 0x12, section: UInt16 = 1, value: UInt64 = MadeImage.text,
    size: UInt64 = 8
  ) -> UInt32 {
    let name = string(name)
    symbols.append(Symbol(name: name, info: info, section: section, value: value, size: size))
    return UInt32(symbols.count - 1)
  }

  @discardableResult
  package mutating func refer(_ name: String, info: UInt8 = 0x10, size: UInt64 = 0) -> UInt32 {
    define(name, info: info, section: 0, value: 0, size: size)
  }

  package func bytes() -> [UInt8] {
    var draft = Draft(dynamic: dynamic, headers: [], bytes: [], elf: [])
    func lay(_ tag: Int64, _ bytes: [UInt8], sizeTag: Int64? = nil) {
      draft.bytes += [UInt8](repeating: 0, count: -draft.bytes.count & 15)
      draft.dynamic.append((tag, draft.end))
      if let sizeTag { draft.dynamic.append((sizeTag, UInt64(bytes.count))) }
      draft.bytes += bytes
    }
    // Symbols before strings, as linkers have them.
    lay(6, symbols.flatMap(MadeImage.encode))
    draft.dynamic.append((11, 24))
    lay(5, strings, sizeTag: 10)
    switch hash {
    case .gnu: lay(0x6FFF_FEF5, gnuHash().flatMap { MadeImage.little(UInt64($0), 4) })
    case .sysv:
      let count = UInt32(symbols.count)
      let chain = [count > 1 ? 1 : 0, 0] + (1..<max(count, 1)).map { $0 + 1 < count ? $0 + 1 : 0 }
      lay(
        4, ([1, count] + chain.prefix(Int(count) + 1)).flatMap { MadeImage.little(UInt64($0), 4) })
    case .raw(let tag, let words): lay(tag, words.flatMap { MadeImage.little(UInt64($0), 4) })
    case .none: break
    }
    if !relocations.isEmpty {
      lay(7, relocations.flatMap(MadeImage.encode), sizeTag: 8)
      draft.dynamic.append((9, 24))
    }
    if !jumpSlots.isEmpty {
      lay(23, jumpSlots.flatMap(MadeImage.encode), sizeTag: 2)
      draft.dynamic += [(20, 7), (3, MadeImage.data + 0x800)]
    }
    if !compact.isEmpty {
      lay(36, compact.flatMap { MadeImage.little($0, 8) }, sizeTag: 35)
      draft.dynamic.append((37, 8))
    }
    for blob in blobs { lay(blob.tag, blob.bytes) }
    draft.headers = [
      Header(1, 4, 0, fileSize: 0x1000), Header(1, 5, MadeImage.text, fileSize: 0x1000),
      Header(1, 6, MadeImage.data, fileSize: 0x1000, size: 0x2000),
    ]
    var tail = headers
    if !unwind.isEmpty {
      draft.bytes += [UInt8](repeating: 0, count: -draft.bytes.count & 15)
      tail.append(Header(0x6474_E550, 4, draft.end, fileSize: 8))
      draft.bytes += [1, 0x1B, 0xFF, 0xFF] + MadeImage.little(4, 4) + unwind
    }
    draft.bytes += [UInt8](repeating: 0, count: -draft.bytes.count & 15)
    let dynamicAt = draft.end
    let room = (draft.dynamic.count + 16) * 16
    draft.headers.append(
      Header(1, 4, MadeImage.tables, fileSize: UInt64(draft.bytes.count + room)))
    draft.headers.append(Header(2, 4, dynamicAt, fileSize: UInt64(room), alignment: 8))
    draft.headers += tail
    draft.elf = header()
    adjust(&draft)
    return assemble(draft, dynamicAt: Int(dynamicAt - MadeImage.tables), room)
  }

  private func assemble(_ draft: Draft, dynamicAt: Int, _ room: Int) -> [UInt8] {
    var file = draft.elf
    if file[56] == 0, file[57] == 0 { file[56] = UInt8(draft.headers.count) }
    for header in draft.headers {
      file += MadeImage.little(UInt64(header.type), 4) + MadeImage.little(UInt64(header.flags), 4)
      for field in [
        header.offset, header.address, header.address, header.fileSize, header.size,
        header.alignment,
      ] { file += MadeImage.little(field, 8) }
    }
    file += [UInt8](repeating: 0, count: 0x1000 - file.count)
    file += [0x48, 0x8D, 0x05, 0xF9, 0xFF, 0xFF, 0xFF]
    file += [UInt8](repeating: 0xC3, count: 0x2000 - file.count)
    file += words.flatMap { MadeImage.little($0, 8) }
    file += [UInt8](repeating: 0, count: 0x3000 - file.count)
    var tables = draft.bytes + [UInt8](repeating: 0, count: room)
    for (index, entry) in draft.dynamic.prefix(room / 16).enumerated() {
      let bytes =
        MadeImage.little(UInt64(bitPattern: entry.tag), 8) + MadeImage.little(entry.value, 8)
      tables.replaceSubrange(dynamicAt + index * 16..<dynamicAt + index * 16 + 16, with: bytes)
    }
    file += tables
    patch(&file)
    return file
  }

  private func header() -> [UInt8] {
    var header: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    header += MadeImage.little(UInt64(kind), 2) + MadeImage.little(62, 2) + MadeImage.little(1, 4)
    header += MadeImage.little(0, 8) + MadeImage.little(64, 8) + MadeImage.little(0, 8)
    header += MadeImage.little(0, 4) + MadeImage.little(64, 2) + MadeImage.little(56, 2)
    return header + MadeImage.little(0, 2) + MadeImage.little(64, 2) + MadeImage.little(0, 4)
  }

  /// One bucket, a filter that lets everything through, one chain.
  private func gnuHash() -> [UInt32] {
    let chain = symbols.dropFirst().enumerated().map { index, symbol -> UInt32 in
      // One whose name lies outside has the hash of none.
      let name = strings.dropFirst(Int(symbol.name)).prefix { $0 != 0 }
      let hash = name.reduce(5381 as UInt32) { $0 &* 33 &+ UInt32($1) }
      return hash & ~1 | (index == symbols.count - 2 ? 1 : 0)
    }
    return [1, 1, 1, 0, .max, .max, chain.isEmpty ? 0 : 1] + chain
  }

  private static func encode(_ symbol: Symbol) -> [UInt8] {
    little(UInt64(symbol.name), 4) + [symbol.info, 0] + little(UInt64(symbol.section), 2)
      + little(symbol.value, 8) + little(symbol.size, 8)
  }

  private static func encode(_ relocation: Relocation) -> [UInt8] {
    little(relocation.offset, 8) + little(UInt64(relocation.type), 4)
      + little(UInt64(relocation.symbol), 4) + little(UInt64(bitPattern: relocation.addend), 8)
  }

  package static func little(_ value: UInt64, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
  }
}
