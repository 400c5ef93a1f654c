// An object of functions that only jump to others, made in memory: what a compiler's driver adds to a link when it
// links itself. gABI, chapter 4; psABI AMD64, R_X86_64_PLT32.
internal import CLoaderSupport
internal import LoaderEngine

enum JumpObject {
  struct Function {
    var name: String
    /// What it jumps to; nil: it returns 0.
    var target: String?
  }

  /// The file.
  static func bytes(_ functions: [Function]) -> [UInt8] {
    var strings: [UInt8] = [0]
    func name(_ text: String) -> UInt32 {
      defer { strings += Array(text.utf8) + [0] }
      return UInt32(strings.count)
    }
    var text = LittleEndianBytes()
    var relocations = LittleEndianBytes()
    var symbols = LittleEndianBytes()
    var undefined = LittleEndianBytes()
    var targets = 0
    symbols.put64(0, 0, 0)
    for (index, function) in functions.enumerated() {
      symbols.put32(name(function.name))
      symbols.put([UInt8(STB_GLOBAL) << 4 | UInt8(STT_FUNC), 0])
      symbols.put16(1)
      symbols.put64(UInt64(text.bytes.count), 16)
      if let target = function.target {
        relocations.put64(
          UInt64(index * 16 + 1), UInt64(1 + functions.count + targets) << 32 | 4,
          UInt64(bitPattern: -4))
        undefined.put32(name(target))
        undefined.put([UInt8(STB_GLOBAL) << 4, 0])
        undefined.put16(0)
        undefined.put64(0, 0)
        targets += 1
      }
      // jmp target, or xor %eax, %eax; ret
      text.put(function.target == nil ? [0x31, 0xC0, 0xC3, 0xCC, 0xCC] : [0xE9, 0, 0, 0, 0])
      text.put([UInt8](repeating: 0xCC, count: 11))
    }
    symbols.put(undefined.bytes)

    let start: UInt64 = 64
    let relocationStart = start + UInt64(text.bytes.count)
    let symbolStart = relocationStart + UInt64(relocations.bytes.count)
    let stringStart = symbolStart + UInt64(symbols.bytes.count)
    let names = [".text", ".rela.text", ".symtab", ".strtab"].map(name)
    let end = (stringStart + UInt64(strings.count) + 7) & ~7

    var file = LittleEndianBytes()
    file.put([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    file.put16(1, 62)  // ET_REL, EM_X86_64
    file.put32(1)
    file.put64(0, 0, end)
    file.put32(0)
    file.put16(64, 0, 0, 64, 5, 4)
    file.put(text.bytes + relocations.bytes + symbols.bytes + strings)
    while file.bytes.count < Int(end) { file.put([0]) }
    func section(
      _ name: UInt32, _ type: UInt32, _ flags: UInt64, _ place: Range<UInt64>, _ link: UInt32,
      _ info: UInt32, _ alignment: UInt64, _ record: UInt64
    ) {
      file.put32(name, type)
      file.put64(flags, 0, place.lowerBound, place.upperBound - place.lowerBound)
      file.put32(link, info)
      file.put64(alignment, record)
    }
    section(0, 0, 0, 0..<0, 0, 0, 0, 0)
    section(names[0], 1, 6, start..<relocationStart, 0, 0, 16, 0)
    section(names[1], 4, 0x40, relocationStart..<symbolStart, 3, 1, 8, 24)
    section(names[2], 2, 0, symbolStart..<stringStart, 4, 1, 8, 24)
    section(names[3], 3, 0, stringStart..<(stringStart + UInt64(strings.count)), 0, 0, 1, 0)
    return file.bytes
  }
}
