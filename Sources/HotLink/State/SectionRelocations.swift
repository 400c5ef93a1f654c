// The relocations of an object's data, by section: tells literals from tables of pointers, and those
// from jump tables.
internal import CLoaderSupport
internal import LoaderEngine

struct SectionRelocations {
  /// The relocations of one section, in the order of their offsets. Compilers write them so: only others are copied.
  private enum List {
    case table(RecordTable<Relocation>)
    case sorted([Relocation])

    var count: Int {
      switch self {
      case .table(let table): table.count
      case .sorted(let list): list.count
      }
    }

    subscript(index: Int) -> Relocation {
      switch self {
      case .table(let table): table[index]
      case .sorted(let list): list[index]
      }
    }

    /// The first at or behind an offset.
    func index(from offset: UInt64) -> Int {
      var low = 0
      var high = count
      while low < high {
        let middle = (low + high) / 2
        if self[middle].r_offset < offset { low = middle + 1 } else { high = middle }
      }
      return low
    }

    init(_ tables: [RecordTable<Relocation>]) {
      LinkSteps.add(tables.reduce(tables.count) { $0 + $1.count })
      if tables.count == 1, List.isInOrder(tables[0]) {
        self = .table(tables[0])
      } else {
        let all = tables.flatMap { table in (0..<table.count).map { table[$0] } }
        self = .sorted(all.sorted { $0.r_offset < $1.r_offset })
      }
    }

    private static func isInOrder(_ table: RecordTable<Relocation>) -> Bool {
      (1..<max(table.count, 1)).allSatisfy { table[$0 - 1].r_offset <= table[$0].r_offset }
    }
  }

  private let object: ObjectFile?
  private var lists: [Int: List] = [:]

  private init() { object = nil }
  static let none = SectionRelocations()

  init(_ object: ObjectFile) {
    self.object = object
    var tables: [Int: [RecordTable<Relocation>]] = [:]
    for section in object.relocationSections {
      let target = Int(object.sections[section].info)
      guard object.sections[target].isAllocated, !object.sections[target].isExecutable else {
        continue
      }
      tables[target, default: []].append(object.relocations(inSection: section))
    }
    lists = tables.mapValues { List($0) }
  }

  /// Where in its list the relocations of a stretch stand.
  private func items(_ section: Int, _ offset: UInt64, _ size: UInt64) -> (List, Range<Int>)? {
    guard let list = lists[section] else { return nil }
    let from = list.index(from: offset)
    return (list, from..<max(from, list.index(from: offset &+ size)))
  }

  func isEmpty(_ section: Int, _ offset: UInt64, _ size: UInt64) -> Bool {
    items(section, offset, size)?.1.isEmpty ?? true
  }

  /// Whether every relocation there aims at code.
  func aimAtCode(_ section: Int, _ offset: UInt64, _ size: UInt64) -> Bool {
    guard let object, let (list, range) = items(section, offset, size) else { return true }
    return range.allSatisfy { index in
      let symbol = list[index].symbol
      guard symbol < object.symbols.count, case .section(let aim) = object.place(ofSymbol: symbol)
      else { return false }
      return object.sections[aim].isExecutable
    }
  }

  /// Whether the relocations fill the stretch but for padding of less than 16 bytes.
  func cover(_ section: Int, _ offset: UInt64, _ size: UInt64) -> Bool {
    guard let (list, range) = items(section, offset, size) else { return size < 16 }
    let covered = range.reduce(UInt64(0)) { sum, index in
      sum + (X86_64.row(list[index].type).map { UInt64($0.field.width) } ?? 0)
    }
    return covered + 16 > size
  }

  /// The symbol of the only relocation of a section.
  func onlySymbol(_ section: Int) -> Int? {
    guard let object, let list = lists[section], list.count == 1,
      list[0].symbol < object.symbols.count
    else { return nil }
    return list[0].symbol
  }
}
