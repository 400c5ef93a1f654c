// Relocation sections in their three encodings as one: records with addends. SHT_RELA is read in place;
// SHT_REL keeps its addends in the fields (gABI, “Relocation”); SHT_CREL packs differences into LEB128
// (LLVM's proposal to the gABI, “compact relocations”), with or without addends.
internal import CLoaderSupport

/// Where the addend of a relocation stands that has none of its own; given by the architecture.
package struct ImplicitAddends: Sendable {
  /// Bytes of the field of a relocation type; 0 for a type that is unknown or has none.
  package var width: @Sendable (UInt32) -> Int

  package init(width: @escaping @Sendable (UInt32) -> Int) { self.width = width }

  /// As many bits as the field has, sign-extended, whatever the field is checked for when it is written;
  /// 0 where it lies outside, which is found when the relocation is applied.
  fileprivate func addend(_ type: UInt32, _ offset: UInt64, in contents: Bytes?) -> Int64 {
    guard let contents else { return 0 }
    switch width(type) {
    case 1: return contents.load(Int8.self, at: offset).map(Int64.init) ?? 0
    case 2: return contents.load(Int16.self, at: offset).map(Int64.init) ?? 0
    case 4: return contents.load(Int32.self, at: offset).map(Int64.init) ?? 0
    case 8: return contents.load(Int64.self, at: offset) ?? 0
    default: return 0
    }
  }
}

enum RelocationTables {
  /// LLVM's number of the section type.
  static let compact: UInt32 = 0x4000_0014

  /// SHT_REL as records with addends.
  static func implicit(
    _ records: RecordTable<Elf64_Rel>, of contents: Bytes?, _ addends: ImplicitAddends
  ) throws(LinkError) -> RecordTable<Elf64_Rela> {
    try made(records.count) { index in
      let record = records[index]
      let type = UInt32(truncatingIfNeeded: record.r_info)
      return Elf64_Rela(
        r_offset: record.r_offset, r_info: record.r_info,
        r_addend: addends.addend(type, record.r_offset, in: contents))
    }
  }

  /// SHT_CREL as records with addends; nil when the encoding is broken.
  static func compact(_ bytes: Bytes, of contents: Bytes?, _ addends: ImplicitAddends)
    throws(LinkError) -> RecordTable<Elf64_Rela>?
  {
    var reader = LEB128(bytes)
    guard let header = reader.unsigned() else { return nil }
    let count = header >> 3
    let hasAddends = header & 4 != 0
    let flagBits: UInt64 = hasAddends ? 3 : 2
    let shift = header & 3
    // Each record takes a byte at least.
    guard count <= UInt64(bytes.count) else { return nil }
    var (offset, symbol, type, addend): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var isBroken = false
    let table = try made(Int(count)) { _ in
      guard !isBroken, let first = reader.byte() else {
        isBroken = true
        return Elf64_Rela()
      }
      offset &+= UInt64(first) >> flagBits
      if first >= 0x80 {
        // The bits behind the first byte's; its own continuation bit was counted above.
        guard let rest = reader.unsigned() else {
          isBroken = true
          return Elf64_Rela()
        }
        offset = offset &+ rest << (7 - flagBits) &- 0x80 >> flagBits
      }
      func add(_ flag: UInt8, _ value: inout UInt64) {
        guard first & flag != 0 else { return }
        guard let delta = reader.signed() else {
          isBroken = true
          return
        }
        value = value &+ UInt64(bitPattern: delta)
      }
      add(1, &symbol)
      add(2, &type)
      if hasAddends { add(4, &addend) }
      let kind = UInt32(truncatingIfNeeded: type)
      let place = offset << shift
      return Elf64_Rela(
        r_offset: place, r_info: (symbol & 0xFFFF_FFFF) << 32 | UInt64(kind),
        r_addend: hasAddends
          ? Int64(bitPattern: addend) : addends.addend(kind, place, in: contents))
    }
    return isBroken ? nil : table
  }

  private static func made(_ count: Int, _ record: (Int) -> Elf64_Rela) throws(LinkError)
    -> RecordTable<Elf64_Rela>
  {
    let stride = MemoryLayout<Elf64_Rela>.stride
    let contents = try FileContents(filling: count * stride) { memory in
      for index in 0..<count {
        memory.storeBytes(of: record(index), toByteOffset: index * stride, as: Elf64_Rela.self)
      }
    }
    return RecordTable(Bytes(contents)) ?? .empty
  }
}

/// Numbers of variable length (DWARF 5, section 7.6); nil behind the end, or when one has more than 64 bits.
struct LEB128 {
  private let bytes: Bytes
  private var at: UInt64 = 0

  init(_ bytes: Bytes) { self.bytes = bytes }

  mutating func byte() -> UInt8? {
    guard let byte = bytes.load(UInt8.self, at: at) else { return nil }
    at += 1
    return byte
  }

  mutating func unsigned() -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = byte() {
      guard shift < 64 else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    return nil
  }

  mutating func signed() -> Int64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = byte() {
      guard shift < 64 else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      shift += 7
      if byte & 0x80 == 0 {
        if byte & 0x40 != 0, shift < 64 { value |= UInt64.max << shift }
        return Int64(bitPattern: value)
      }
    }
    return nil
  }
}
