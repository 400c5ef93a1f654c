// The symbol table of a debugger's image: every named function and variable at its run-time address.
internal import CLoaderSupport

/// Symbols and their names, local ones first as ELF wants them.
struct DebugSymbols {
  private(set) var locals: [Elf64_Sym] = [Elf64_Sym()]
  private(set) var globals: [Elf64_Sym] = []
  private(set) var names: [UInt8] = [0]
  private let places: SectionPlaces

  init(_ places: SectionPlaces) { self.places = places }

  var count: Int { locals.count + globals.count }

  mutating func add(_ units: [DebugUnit]) {
    for unit in units {
      unit.forEachNamed { found in
        add(
          "", found.name, "", address: found.address, size: found.size,
          type: found.isCode ? UInt8(STT_FUNC) : UInt8(STT_OBJECT), isLocal: found.isLocal)
      }
    }
  }

  /// - Parameters:
  ///   - prefix: written before the name.
  ///   - suffix: written behind it.
  mutating func add(
    _ prefix: StaticString, _ name: NameView, _ suffix: StaticString, address: UInt64, size: UInt64,
    type: UInt8,
    isLocal: Bool
  ) {
    var symbol = Elf64_Sym()
    symbol.st_name = UInt32(truncatingIfNeeded: names.count)
    symbol.st_info = UInt8(isLocal ? STB_LOCAL : STB_GLOBAL) << 4 | type
    symbol.st_shndx = places.index(of: address)
    symbol.st_value = address
    symbol.st_size = size
    prefix.withUTF8Buffer { names.append(contentsOf: $0) }
    names.append(contentsOf: UnsafeRawBufferPointer(start: name.base, count: name.count))
    suffix.withUTF8Buffer { names.append(contentsOf: $0) }
    names.append(0)
    if isLocal { locals.append(symbol) } else { globals.append(symbol) }
  }
}

/// Stretches of memory as sections of an image: sorted, apart, few.
struct SectionPlaces {
  /// A section of an image that only says where something is.
  struct Place {
    var range: AddressRange
    var isCode: Bool
  }

  private(set) var places: [Place] = []
  /// Number of the first of them in the section table.
  static let firstIndex: UInt16 = 1
  /// More would only cost a debugger time.
  private static let most = 200

  init(_ places: [Place] = []) { self.places = places }

  init(_ units: [DebugUnit]) {
    for isCode in [true, false] {
      var ranges: [AddressRange] = []
      for unit in units { unit.appendRanges(ofCode: isCode, to: &ranges) }
      ranges.sort { $0.start < $1.start }
      var joined: [AddressRange] = []
      // Functions of one object lie together, but for alignment; variables lie in few stretches.
      for gap: UInt64 in [64, 4096, 1 << 20, 1 << 30] {
        joined = SectionPlaces.joined(ranges, gap)
        if joined.count <= SectionPlaces.most { break }
      }
      places += joined.map { Place(range: $0, isCode: isCode) }
    }
    places.sort { $0.range.start < $1.range.start }
  }

  private static func joined(_ ranges: [AddressRange], _ gap: UInt64) -> [AddressRange] {
    var joined: [AddressRange] = []
    for range in ranges {
      guard let last = joined.last, range.start.value <= last.end.value &+ gap else {
        joined.append(range)
        continue
      }
      let end = max(last.end.value, range.end.value)
      joined[joined.count - 1].size = end - last.start.value
    }
    return joined
  }

  /// The section that an address lies in, or SHN_ABS.
  func index(of address: UInt64) -> UInt16 {
    var low = 0
    var high = places.count
    while low < high {
      let middle = (low + high) / 2
      if places[middle].range.start.value <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0, address <= places[low - 1].range.end.value else { return 0xFFF1 }
    return SectionPlaces.firstIndex + UInt16(low - 1)
  }
}
