// How much of everything a link of some objects can need at most, before anything is linked: what
// `hotlink check --base` sets aside. Archive members that nobody needs count, too; they cost addresses only.
internal import CLoaderSupport

extension ArenaLayout {
  /// - Parameter merges: strings and constants are merged, which takes them to places of their own.
  package init(base: Address, objects: [ObjectFile], merges: Bool) {
    self.init(base: base)
    var symbols: UInt64 = 64
    var merged: UInt64 = 0
    for object in objects {
      symbols &+= UInt64(object.symbols.count)
      let roles = SectionRole.all(of: object)
      for section in roles.indices { count(object.sections[section], roles[section], &merged) }
      for index in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: index) == .common {
        let symbol = object.symbols[index]
        grow(
          &data, DataRoom.capacity(min(symbol.st_size, .max >> 1)), min(symbol.st_value, 1 << 40))
      }
    }
    if merges && merged > 0 { constants = ArenaLayout.sum(constants, 3 &* merged &+ (64 << 10)) }
    // The linker's own object that registers Swift's records.
    let swift = objects.contains { object in
      object.sections.indices.contains { object.name(ofSection: $0).hasPrefix("swift5_") }
    }
    if swift {
      text += 64 << 10
      constants += 64 << 10
      data += 64 << 10
    }
    // A header where somebody asks for one; `_init` and `_fini`; a first byte of data.
    text = ArenaLayout.sum(text, 192)
    constants = ArenaLayout.sum(constants, 64)
    data = ArenaLayout.sum(data, 32)
    got = symbols * 48 + 4096
    let cells = SlotTable.cells(for: symbols)
    slotBanks = 4096 + cells * 16
    stubs = cells * X86_64.cellSize
  }

  private mutating func count(_ section: Section, _ role: SectionRole, _ merged: inout UInt64) {
    switch role {
    case .ignored, .threadData, .threadBSS: break
    case .text: grow(&text, section.size, section.alignment)
    case .data, .bss:
      grow(&data, DataRoom.capacity(section.size), section.alignment)
    case .encapsulated:
      grow(&data, section.size, section.alignment)
      grow(&constants, section.size, section.alignment)
    case .mergedStrings, .mergedConstants:
      merged = ArenaLayout.sum(merged, ArenaLayout.sum(section.size, 64 &* section.alignment))
      grow(&constants, section.size, section.alignment)
    default: grow(&constants, section.size, section.alignment)
    }
  }

  /// Twice its alignment: for its place in a stretch, and for that of the stretch.
  private func grow(_ part: inout UInt64, _ size: UInt64, _ alignment: UInt64) {
    part = ArenaLayout.sum(part, ArenaLayout.sum(size, 2 &* max(alignment, 16)))
  }

  private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (sum, overflows) = a.addingReportingOverflow(b)
    return overflows || sum > 1 << 62 ? 1 << 62 : sum
  }
}
