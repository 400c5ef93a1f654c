// Writable sections, as a linker's image has them: what has first bytes, then what begins as zero, then COMMON.
// Each piece of state gets room to grow where it is. Sections of one name that a runtime walks lie together.
internal import CLoaderSupport

extension LinkedSet {
  func layOutData() throws(LinkError) {
    // Later ones come and go one by one: each has memory that it can give back.
    if !options.isPermanent { try layOutSingly() }
    var cursor = Cursor()
    var placed: [(object: Int, section: Int, offset: UInt64)] = []
    if options.isPermanent { takeState(.data, &cursor, &placed) }
    let dataEnd = cursor.end
    if options.isPermanent { takeState(.bss, &cursor, &placed) }
    let commons = takeCommons(&cursor)
    let end = cursor.end
    // Every image has a first byte: symbols stand there also when nothing else does.
    if options.isPermanent { cursor.end = max(cursor.end, 1) }
    guard let memory = try allocate(.data, cursor) else { return }
    let start = memory.range.start
    for (index, section, offset) in placed { put(index, section, start &+ offset, .data) }
    for (index, symbol, offset) in commons {
      objects[index].commons[symbol] = (start &+ offset).value
    }
    bounds.data = AddressRange(start: start, size: dataEnd)
    bounds.zeroes = AddressRange(start: start &+ dataEnd, size: end - dataEnd)
  }

  private func layOutSingly() throws(LinkError) {
    for (index, linked) in objects.enumerated() {
      for section in linked.roles.indices
      where linked.roles[section].isState && isOpen(index, section) {
        let header = linked.object.sections[section]
        let memory = try take(
          .data, header.size, max(header.alignment, 16), grows: header.size > 0)
        put(index, section, memory, .data)
      }
    }
  }

  private func takeState(
    _ role: SectionRole, _ cursor: inout Cursor,
    _ placed: inout [(object: Int, section: Int, offset: UInt64)]
  ) {
    for (index, linked) in objects.enumerated() {
      for section in linked.placementOrder
      where linked.roles[section] == role && isOpen(index, section) {
        let header = linked.object.sections[section]
        // A claimed size may be any number: past what can be counted, nothing is added any more, and
        // the whole is refused where it is allocated.
        guard cursor.end < 1 << 62, header.size < 1 << 62 else {
          cursor.end = 1 << 62
          continue
        }
        let room = header.size == 0 ? 0 : DataRoom.capacity(header.size)
        placed.append((index, section, cursor.take(room, max(header.alignment, 16))))
      }
    }
  }

  /// COMMON symbols of the objects that won them: as large and as aligned as the largest asks for.
  private func takeCommons(_ cursor: inout Cursor) -> [(
    object: Int, symbol: Int, offset: UInt64
  )] {
    var placed: [(object: Int, symbol: Int, offset: UInt64)] = []
    for (index, linked) in objects.enumerated() where linked.object.hasCommons {
      let object = linked.object
      for symbol in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: symbol) == .common {
        let id = linked.globalID(symbol)
        guard let winner = draft[id], winner.isCommon, winner.unit == linked.unit else { continue }
        if let kept = options.keptCommons[id] {
          linked.commons[symbol] = kept
          continue
        }
        guard cursor.end < 1 << 62, winner.size < 1 << 62 else {
          cursor.end = 1 << 62
          continue
        }
        let alignment = LinkedSet.alignment(commonAlignments[id] ?? object.symbols[symbol].st_value)
        placed.append(
          (index, symbol, cursor.take(DataRoom.capacity(winner.size), max(alignment, 16))))
      }
    }
    return placed
  }

  /// A claimed alignment as one that can be: a power of two, at most 4 GiB.
  private static func alignment(_ claimed: UInt64) -> UInt64 {
    guard claimed > 1 else { return 1 }
    guard claimed <= 1 << 32 else { return 1 << 32 }
    return 1 << (63 - UInt64(claimed.leadingZeroBitCount))
  }

  func layOutEncapsulated() throws(LinkError) {
    var byName: [String: [(Int, Int)]] = [:]
    for (index, linked) in objects.enumerated() {
      for section in linked.placementOrder
      where linked.roles[section] == .encapsulated && isOpen(index, section) {
        byName[linked.object.name(ofSection: section).string, default: []].append((index, section))
      }
    }
    for (name, members) in byName.sorted(by: { $0.key < $1.key }) {
      var cursor = Cursor()
      var placed: [(Int, Int, UInt64)] = []
      var isWritable = false
      for (index, section) in members {
        let header = objects[index].object.sections[section]
        isWritable = isWritable || header.isWritable
        placed.append((index, section, cursor.take(header.size, header.alignment)))
      }
      let size = cursor.end
      cursor.end = max(cursor.end, 1)
      let kind: Arena.Kind = isWritable ? .data : .constants
      guard let memory = try allocate(kind, cursor) else { continue }
      for (index, section, offset) in placed {
        put(index, section, memory.range.start &+ offset, kind)
      }
      encapsulated[name] = AddressRange(start: memory.range.start, size: size)
    }
  }
}
