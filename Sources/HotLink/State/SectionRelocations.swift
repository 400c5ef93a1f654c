// The relocations of an object's data, by section: tells literals from tables of pointers, and those
// from jump tables.
internal import CLoaderSupport
internal import LoaderEngine

struct SectionRelocations {
  private struct Item {
    var offset: UInt64
    var width: UInt64
    var aimsAtCode: Bool
    var symbol: Int
    var addend: Int64
  }
  private var lists: [Int: [Item]] = [:]

  private init() {}
  static let none = SectionRelocations()

  init(_ object: ObjectFile) {
    for list in object.relocationSections {
      let target = Int(object.sections[list].info)
      let section = object.sections[target]
      guard section.isAllocated, !section.isExecutable else { continue }
      let relocations = object.relocations(inSection: list)
      var items: [Item] = []
      items.reserveCapacity(relocations.count)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        guard relocation.symbol < object.symbols.count else { continue }
        var aimsAtCode = false
        if case .section(let aim) = object.place(ofSymbol: relocation.symbol) {
          aimsAtCode = object.sections[aim].isExecutable
        }
        let width = X86_64.row(relocation.type).map { UInt64($0.field.width) } ?? 0
        items.append(
          Item(
            offset: relocation.r_offset, width: width, aimsAtCode: aimsAtCode,
            symbol: relocation.symbol, addend: relocation.r_addend))
      }
      lists[target, default: []].append(contentsOf: items.sorted { $0.offset < $1.offset })
    }
  }

  private func items(_ section: Int, _ offset: UInt64, _ size: UInt64) -> ArraySlice<Item> {
    guard let list = lists[section] else { return [] }
    let from = SectionRelocations.index(in: list, from: offset)
    return list[from..<max(from, SectionRelocations.index(in: list, from: offset &+ size))]
  }

  /// The first at or behind an offset.
  private static func index(in list: [Item], from offset: UInt64) -> Int {
    var low = 0
    var high = list.count
    while low < high {
      let middle = (low + high) / 2
      if list[middle].offset < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func isEmpty(_ section: Int, _ offset: UInt64, _ size: UInt64) -> Bool {
    items(section, offset, size).isEmpty
  }

  /// Whether every relocation there aims at code.
  func aimAtCode(_ section: Int, _ offset: UInt64, _ size: UInt64) -> Bool {
    items(section, offset, size).allSatisfy(\.aimsAtCode)
  }

  /// Whether the relocations fill the stretch but for padding of less than 16 bytes.
  func cover(_ section: Int, _ offset: UInt64, _ size: UInt64) -> Bool {
    items(section, offset, size).reduce(0) { $0 + $1.width } + 16 > size
  }

  /// The symbol of the only relocation of a section.
  func onlySymbol(_ section: Int) -> Int? {
    guard let list = lists[section], list.count == 1 else { return nil }
    return list[0].symbol
  }
}
