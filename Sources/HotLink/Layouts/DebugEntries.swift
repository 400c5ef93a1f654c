// Debugging information entries, read in place: single ones, on demand. DWARF 4 and 5, chapters 2 and 7. Every
// read is proven to lie inside its area.
internal import LoaderEngine

/// The entries of an object.
final class DebugEntries {
  let data: DebugData
  let units: DebugUnits
  let scan: DebugScan

  init(_ data: DebugData) {
    self.data = data
    units = DebugUnits(data)
    scan = DebugScan(data, units)
  }

  /// The unit that holds an offset; -1: none.
  func unit(at offset: Int) -> Int {
    let headers = units.headers
    var low = 0
    var high = headers.count
    while low < high {
      let middle = (low &+ high) / 2
      if headers[middle].start <= offset { low = middle &+ 1 } else { high = middle }
    }
    guard low > 0, offset >= headers[low - 1].firstEntry, offset < headers[low - 1].end else {
      return -1
    }
    return low - 1
  }

  /// The innermost scope around an entry; -1: none.
  func scope(around offset: Int) -> Int {
    let scopes = scan.scopes
    var low = 0
    var high = scopes.count
    while low < high {
      let middle = (low &+ high) / 2
      if scopes[middle].start < offset { low = middle &+ 1 } else { high = middle }
    }
    var index = low - 1
    while index >= 0, scopes[index].end <= offset { index = Int(scopes[index].parent) }
    return index
  }

  /// The entry at an offset; nil when there is none.
  func entry(at offset: Int) -> DebugEntry? {
    guard offset >= 0 else { return nil }
    let index = unit(at: offset)
    guard index >= 0 else { return nil }
    var entry = DebugEntry()
    return read(&entry, at: offset, index) ? entry : nil
  }

  /// Whether `read` keeps an attribute.
  static func reads(_ name: UInt16) -> Bool {
    switch name {
    case 0x01, 0x02, 0x03, 0x0B, 0x0C, 0x0D, 0x11, 0x13, 0x1C, 0x2F, 0x31, 0x34, 0x36, 0x37, 0x38,
      0x3C, 0x3E, 0x3F, 0x47, 0x49, 0x4C, 0x4D, 0x69, 0x6B, 0x6E, 0x72, 0x73, 0x76, 0x2007, 0x2130,
      0x2133:
      true
    default: false
    }
  }

  /// - Parameter entry: as made by its initialiser.
  /// - Returns: false where there is none.
  fileprivate func read(_ entry: inout DebugEntry, at offset: Int, _ index: Int) -> Bool {
    let unit = units.headers[index]
    var cursor = DebugCursor(data.info, at: offset, end: unit.end)
    guard let abbreviation = units.abbreviation(&cursor, unit) else { return false }
    entry.offset = offset
    entry.unit = Int32(truncatingIfNeeded: index)
    entry.tag = abbreviation.tag
    entry.hasChildren = abbreviation.hasChildren
    for number in abbreviation.steps.range {
      let step = units.steps[number]
      if step.name == 0, step.width >= 0 {
        cursor.skip(Int(step.width))
        continue
      }
      let value = DebugForm.read(step.form, step.implicit, &cursor, unit.widths)
      switch step.name {
      case 0x01: entry.sibling = units.reference(value, index)
      case 0x02, 0x11, 0x38: entry.location = value
      case 0x03: entry.name = value
      case 0x0B: entry.byteSize = Int64(bitPattern: value.number)
      case 0x0C: entry.bitOffset = Int64(bitPattern: value.number)
      case 0x0D: entry.bitSize = Int64(bitPattern: value.number)
      case 0x1C, 0x4D: entry.constant = value
      case 0x2F: entry.upperBound = value
      case 0x31: entry.origin = units.reference(value, index)
      case 0x34: entry.isArtificial = value.number != 0
      case 0x36: entry.isPassedByReference = value.number == 4  // DW_CC_pass_by_reference
      case 0x37: entry.elementCount = value
      case 0x3C: entry.isDeclaration = value.number != 0
      case 0x3E: entry.encoding = UInt8(truncatingIfNeeded: value.number)
      case 0x3F: entry.isExternal = value.number != 0
      case 0x47:
        entry.origin = units.reference(value, index)
        entry.hasSpecification = true
      case 0x49: entry.type = units.reference(value, index)
      case 0x4C: entry.isVirtual = value.number != 0
      case 0x69:
        // DW_AT_signature: the definition is in a type unit.
        if entry.type < 0 { entry.type = units.reference(value, index) }
      case 0x6B: entry.dataBitOffset = Int64(bitPattern: value.number)
      case 0x6E, 0x2007: entry.linkageName = value
      default: break
      }
    }
    entry.next = cursor.at
    return !cursor.failed
  }

  // MARK: children

  /// The children of an entry, in order.
  func children(of parent: DebugEntry) -> Children {
    Children(
      entries: self, unit: Int(parent.unit), at: parent.hasChildren ? parent.next : Int.max)
  }

  /// Gives the children of an entry, one after the other.
  struct Children {
    fileprivate let entries: DebugEntries
    fileprivate let unit: Int
    fileprivate var at: Int

    /// - Parameter child: gets the next one.
    /// - Returns: false behind the last.
    mutating func next(_ child: inout DebugEntry) -> Bool {
      child = DebugEntry()
      let end = entries.units.headers[unit].end
      guard at < end, entries.read(&child, at: at, unit) else { return false }
      at = child.hasChildren ? entries.end(of: child) : child.next
      return true
    }
  }

  /// Where the entry behind one and all it holds begins.
  private func end(of entry: DebugEntry) -> Int {
    let unit = units.headers[Int(entry.unit)]
    if entry.sibling > entry.offset, entry.sibling < unit.end { return entry.sibling }
    var cursor = DebugCursor(data.info, at: entry.next, end: unit.end)
    var depth = 1
    while depth > 0, cursor.at < cursor.end {
      let code = cursor.unsigned()
      if code == 0 {
        depth -= 1
        continue
      }
      guard code <= UInt64(UInt32(bitPattern: unit.abbreviations.count)) else { return unit.end }
      let abbreviation = units.abbreviations[Int(unit.abbreviations.first) &+ Int(code) &- 1]
      skip(abbreviation, &cursor, unit)
      if abbreviation.hasChildren { depth += 1 }
    }
    return cursor.at
  }

  private func skip(
    _ abbreviation: DebugAbbreviation, _ cursor: inout DebugCursor, _ unit: DebugUnitHeader
  ) {
    guard abbreviation.size < 0 else { return cursor.skip(Int(abbreviation.size)) }
    for number in abbreviation.steps.range {
      let step = units.steps[number]
      if step.width >= 0 {
        cursor.skip(Int(step.width))
      } else {
        DebugForm.skip(step.form, &cursor, unit.widths)
      }
    }
  }
}
