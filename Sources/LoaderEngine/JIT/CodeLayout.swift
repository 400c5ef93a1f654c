// The code of objects that live together: text in input order, then what only that code uses, with the
// unwind table last, because a zero word ends it.
internal import CLoaderSupport
internal import Glibc

extension LinkedSet {
  func layOutCode(of members: [Int]) throws(LinkError) -> TextGroup {
    var text = Cursor()
    var tied = Cursor()
    var placed: [(object: Int, section: Int, offset: UInt64, isText: Bool)] = []
    var fragments = CodeFragments()
    let hasHeader = options.isPermanent && wantsHeader
    if hasHeader { _ = text.take(UInt64(MemoryLayout<Elf64_Ehdr>.size), 16) }
    let tables = layOutTables(of: members, &tied, &placed)
    for index in members {
      let linked = objects[index]
      for section in linked.placementOrder where isOpen(index, section) {
        let header = linked.object.sections[section]
        switch linked.roles[section] {
        case .text where SectionRole.isFragment(linked.object, section):
          fragments.add(linked, index, section)
        case .text: placed.append((index, section, text.take(header.size, header.alignment), true))
        case .tied:
          placed.append((index, section, tied.take(header.size, header.alignment), false))
        default: break
        }
      }
      for (section, pieces) in requests(index) {
        for piece in pieces {
          guard case .tied = piece.home else { continue }
          tiedPieces[PieceKey(object: index, section: section, offset: piece.offset)] =
            tied.take(piece.size, linked.object.sections[section].alignment)
        }
      }
    }
    fragments.layOut(&text) { placed.append(($0, $1, $2, true)) }
    // The unwind table last and without gaps: a zero word ends it.
    tied.align(8)
    let unwindStart = tied.end
    var hasUnwind = false
    for index in members {
      let linked = objects[index]
      for section in linked.placementOrder where linked.roles[section] == .unwind {
        let size = linked.unwindSize(section)
        guard size > 0 else {
          linked.roles[section] = .ignored
          continue
        }
        hasUnwind = true
        placed.append((index, section, tied.take(size, 4), false))
      }
    }
    if hasUnwind { _ = tied.take(8, 4) }
    let textMemory = try allocate(.text, text, forGroup: true)
    let tiedMemory = try allocate(.constants, tied, forGroup: true)
    if let start = textMemory?.range.start {
      fragments.write(start, space.arena)
      startCode[groups.count] = fragments.start.map { start &+ $0 }
      endCode[groups.count] = fragments.end.map { start &+ $0 }
      if hasHeader { LinkedSet.writeHeader(at: space.arena.place(start, .text)) }
    }
    noteBounds(textMemory, text.end, tiedMemory, tables, hasHeader)
    for item in placed {
      let memory = item.isText ? textMemory : tiedMemory
      guard let memory else { continue }
      put(item.object, item.section, memory.range.start &+ item.offset, memory.kind)
    }
    if let tiedMemory {
      for (key, offset) in tiedPieces {
        tiedAddresses[key] = (tiedMemory.range.start &+ offset).value
      }
      if hasUnwind {
        let start = tiedMemory.range.start &+ unwindStart
        memset(
          space.arena.place(tiedMemory.range.end, .constants) - 8, 0, 8)
        unwindRanges.append(AddressRange(start: start, size: tied.end - unwindStart))
      } else {
        unwindRanges.append(AddressRange(start: Address(0), size: 0))
      }
    } else {
      unwindRanges.append(AddressRange(start: Address(0), size: 0))
    }
    tiedPieces = [:]
    return TextGroup(space.arena, text: textMemory, tied: tiedMemory)
  }

  /// Tables of initialisers first, those of one kind together and by priority. They are read by us, but a
  /// program may ask where they begin.
  ///
  /// - Returns: for each kind, where in the tied memory it begins and ends.
  private func layOutTables(
    of members: [Int], _ tied: inout Cursor,
    _ placed: inout [(object: Int, section: Int, offset: UInt64, isText: Bool)]
  ) -> [SectionRole: Range<UInt64>] {
    var sections: [(role: SectionRole, priority: Int, object: Int, section: Int)] = []
    for index in members {
      let linked = objects[index]
      for section in linked.placementOrder
      where linked.roles[section].isInitialiserTable && isOpen(index, section) {
        let priority = InitialiserOrder.priority(linked.object.name(ofSection: section))
        sections.append((linked.roles[section], priority, index, section))
      }
    }
    sections.sort {
      ($0.role.rawValue, $0.priority, $0.object, $0.section)
        < ($1.role.rawValue, $1.priority, $1.object, $1.section)
    }
    var ranges: [SectionRole: Range<UInt64>] = [:]
    for (role, _, index, section) in sections {
      let header = objects[index].object.sections[section]
      let offset = tied.take(header.size, max(header.alignment, 8))
      placed.append((index, section, offset, false))
      ranges[role] = (ranges[role]?.lowerBound ?? offset)..<(offset + header.size)
    }
    return ranges
  }

  private func noteBounds(
    _ text: Allocation?, _ size: UInt64, _ tied: Allocation?,
    _ tables: [SectionRole: Range<UInt64>], _ hasHeader: Bool
  ) {
    guard groups.isEmpty else { return }
    let start = text?.range.start ?? space.arena.stubs.end
    bounds.text = AddressRange(start: start, size: size)
    if hasHeader, text != nil { bounds.header = start }
    let base = tied?.range.start ?? start
    func range(_ role: SectionRole) -> AddressRange {
      let range = tables[role] ?? 0..<0
      return AddressRange(start: base &+ range.lowerBound, size: UInt64(range.count))
    }
    bounds.preinitArray = range(.preinitArray)
    bounds.initArray = range(.initArray)
    bounds.finiArray = range(.finiArray)
  }
}
