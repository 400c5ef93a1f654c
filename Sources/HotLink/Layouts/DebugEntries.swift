// Debugging information entries of an object, read in place: units, abbreviations, attributes. DWARF 4 and 5,
// chapters 2 and 7. Every read is proven to lie inside its area; what is damaged ends the reading of its
// unit and is noted, never trapped.
internal import LoaderEngine

/// The entries of an object.
final class DebugEntries {
  /// A namespace, type or function, and where it ends.
  struct Scope {
    var start: Int
    var end: Int
    /// Index of the one around it; -1: none.
    var parent: Int32
    var unit: Int32
  }

  let data: DebugData
  private(set) var units: [DebugUnitHeader] = []
  private(set) var scopes: [Scope] = []
  /// Offsets of entries: variables with a place, variables that are only declared, functions with code, and
  /// structures, classes and unions.
  private(set) var variables: [Int] = []
  private(set) var declarations: [Int] = []
  private(set) var functions: [Int] = []
  private(set) var records: [Int] = []
  /// Base classes, with the record that has them.
  private(set) var bases: [(record: Int, entry: Int)] = []
  /// The debug data is in another file (`-gsplit-dwarf`).
  private(set) var isSplit = false
  /// Something could not be read, at this offset.
  private(set) var damage: Int?
  private var attributes: [DebugAttribute] = []
  private var abbreviations: [[DebugAbbreviation]] = []
  private var tables: [UInt64: Int] = [:]
  /// Parts of fixed-size entries: offset behind the code, and bytes.
  private var keptParts: [(offset: Int, count: Int)] = []
  /// Equal for objects whose debug data says the same but for lines and addresses of code.
  private(set) var fingerprint: DebugFingerprint
  private var typeUnits: [UInt64: Int] = [:]

  init(_ data: DebugData) {
    self.data = data
    fingerprint = DebugFingerprint(data)
    readUnits()
    for index in units.indices {
      readBases(index)
      scan(index)
    }
  }

  // MARK: units

  private func readUnits() {
    var at = 0
    while at < data.info.count {
      var cursor = DebugCursor(data.info, at: at)
      var length = cursor.take(UInt32.self)
      var offsetSize = 4
      if length == 0xFFFF_FFFF {
        offsetSize = 8
        length = cursor.take(UInt64.self)
      }
      let body = cursor.at
      guard !cursor.failed, length > 0, length <= UInt64(data.info.count - body) else {
        if length != 0 { damage = damage ?? at }
        return
      }
      let end = body + Int(length)
      let version = UInt16(truncatingIfNeeded: cursor.take(UInt16.self))
      var unit = DebugUnitHeader(
        start: at, end: end, version: version, offsetSize: offsetSize, addressSize: 8)
      var kind: UInt64 = at >= data.typesStart ? 2 : 1
      let table: UInt64
      if version >= 5 {
        kind = cursor.take(UInt8.self)
        unit.addressSize = Int(cursor.take(UInt8.self))
        table = cursor.word(offsetSize)
      } else {
        table = cursor.word(offsetSize)
        unit.addressSize = Int(cursor.take(UInt8.self))
      }
      if kind == 2 || kind == 6 {  // DW_UT_type, DW_UT_split_type
        unit.signature = cursor.take(UInt64.self)
        unit.typeOffset = at &+ Int(clamping: cursor.word(offsetSize))
      } else if kind == 4 || kind == 5 {  // DW_UT_skeleton, DW_UT_split_compile
        isSplit = true
        cursor.skip(8)
      }
      unit.firstEntry = cursor.at
      if (2...5).contains(version), !cursor.failed, unit.addressSize == 8,
        let index = readTable(table, &unit)
      {
        unit.table = index
        if let signature = unit.signature { typeUnits[signature] = units.count }
        units.append(unit)
      } else {
        damage = damage ?? at
      }
      at = end
    }
  }

  private func readTable(_ offset: UInt64, _ unit: inout DebugUnitHeader) -> Int? {
    let key = offset << 8 | UInt64(unit.version) << 4 | UInt64(unit.offsetSize)
    if let known = tables[key] { return known }
    guard offset < UInt64(data.abbreviations.count) else { return nil }
    var cursor = DebugCursor(data.abbreviations, at: Int(offset))
    var table: [DebugAbbreviation] = []
    while true {
      let code = cursor.unsigned()
      guard !cursor.failed else { return nil }
      if code == 0 { break }
      let tag = UInt16(truncatingIfNeeded: cursor.unsigned())
      let hasChildren = cursor.take(UInt8.self) != 0
      let first = attributes.count
      var size = 0
      let firstKept = keptParts.count
      var facts = AttributeFacts()
      while true {
        let name = UInt16(truncatingIfNeeded: cursor.unsigned())
        let form = UInt16(truncatingIfNeeded: cursor.unsigned())
        guard !cursor.failed else { return nil }
        if name == 0 && form == 0 { break }
        let implicit = form == DebugForm.implicitConst ? cursor.signed() : 0
        attributes.append(DebugAttribute(name: name, form: form, implicit: implicit))
        facts.note(name, form)
        let width = DebugForm.size(form, unit)
        if size >= 0, width > 0, DebugFingerprint.counts(name) {
          if keptParts.count > firstKept, let last = keptParts.last,
            last.offset + last.count == size
          {
            keptParts[keptParts.count - 1].count += width
          } else {
            keptParts.append((size, width))
          }
        }
        size = size < 0 || width < 0 ? -1 : size + width
      }
      // Compilers number them from 1; a gap of any size would be the file's claim on our memory.
      guard code <= UInt64(table.count) + 64 else { return nil }
      while UInt64(table.count) < code {
        table.append(
          DebugAbbreviation(
            tag: 0, hasChildren: false, interest: .none, first: 0, count: 0, size: 0))
      }
      table[Int(code) - 1] = DebugAbbreviation(
        tag: tag, hasChildren: hasChildren, interest: facts.interest(tag, hasChildren),
        first: Int32(truncatingIfNeeded: first),
        count: Int32(truncatingIfNeeded: attributes.count - first),
        size: Int32(truncatingIfNeeded: size),
        kept: Span32(
          first: Int32(truncatingIfNeeded: firstKept),
          count: Int32(truncatingIfNeeded: keptParts.count - firstKept)))
    }
    abbreviations.append(table)
    tables[key] = abbreviations.count - 1
    return abbreviations.count - 1
  }

  private func readBases(_ index: Int) {
    var cursor = DebugCursor(data.info, at: units[index].firstEntry, end: units[index].end)
    guard let abbreviation = abbreviation(&cursor, index) else { return }
    for number in 0..<Int(abbreviation.count) {
      let attribute = attributes[Int(abbreviation.first) + number]
      let value = read(attribute, &cursor, units[index])
      switch attribute.name {
      case 0x72: units[index].stringBase = Int(clamping: value.number)
      case 0x73, 0x2133: units[index].addressBase = Int(clamping: value.number)
      case 0x13: units[index].language = UInt16(truncatingIfNeeded: value.number)
      case 0x76, 0x2130: isSplit = true  // DW_AT_dwo_name, DW_AT_GNU_dwo_name
      default: break
      }
    }
  }

  // MARK: one pass over all entries

  private func scan(_ index: Int) {
    let unit = units[index]
    let table = abbreviations[unit.table]
    let attributes = attributes
    let keptParts = keptParts
    var print = fingerprint
    defer { fingerprint = print }
    var cursor = DebugCursor(data.info, at: unit.firstEntry, end: unit.end)
    // Scopes that are open; -1 for entries that are none.
    var open: [Int32] = []
    var around: Int32 = -1
    while cursor.at < cursor.end {
      let offset = cursor.at
      let code = cursor.unsigned()
      print.mix(code)
      if code == 0 {
        guard let closed = open.popLast() else { continue }
        if closed >= 0 {
          scopes[Int(closed)].end = offset
          around = scopes[Int(closed)].parent
        }
        if open.isEmpty { break }
        continue
      }
      guard code <= UInt64(table.count), table[Int(code) - 1].tag != 0 else {
        damage = damage ?? offset
        return
      }
      let abbreviation = table[Int(code) - 1]
      let start = cursor.at
      if abbreviation.size >= 0 {
        cursor.skip(Int(abbreviation.size))
        guard !cursor.failed else { break }
        for part in keptParts[abbreviation.kept.range] {
          print.mix(cursor, from: start + part.offset, to: start + part.offset + part.count)
        }
      } else {
        let first = Int(abbreviation.first)
        for number in first..<(first + Int(abbreviation.count)) {
          let from = cursor.at
          DebugForm.skip(attributes[number].form, &cursor, unit)
          if DebugFingerprint.counts(attributes[number].name) {
            print.mix(cursor, from: from, to: cursor.at)
          }
        }
      }
      var isScope = false
      switch abbreviation.interest {
      case .none: break
      case .scope: isScope = true
      case .record:
        records.append(offset)
        isScope = true
      case .variable: variables.append(offset)
      case .declaration: declarations.append(offset)
      case .base: if around >= 0 { bases.append((scopes[Int(around)].start, offset)) }
      case .function:
        functions.append(offset)
        isScope = true
      }
      guard abbreviation.hasChildren else { continue }
      if isScope {
        scopes.append(Scope(start: offset, end: unit.end, parent: around, unit: Int32(index)))
        around = Int32(truncatingIfNeeded: scopes.count - 1)
        open.append(around)
      } else {
        open.append(-1)
      }
    }
    if cursor.failed { damage = damage ?? unit.start }
  }

  private func skip(
    _ abbreviation: DebugAbbreviation, _ cursor: inout DebugCursor, _ unit: DebugUnitHeader
  ) {
    guard abbreviation.size < 0 else { return cursor.skip(Int(abbreviation.size)) }
    for number in 0..<Int(abbreviation.count) {
      DebugForm.skip(attributes[Int(abbreviation.first) + number].form, &cursor, unit)
    }
  }

  private func abbreviation(_ cursor: inout DebugCursor, _ unit: Int) -> DebugAbbreviation? {
    let code = cursor.unsigned()
    let table = abbreviations[units[unit].table]
    guard code > 0, code <= UInt64(table.count) else { return nil }
    return table[Int(code) - 1]
  }

  // MARK: one entry

  /// The unit that holds an offset.
  func unit(at offset: Int) -> Int? {
    var low = 0
    var high = units.count
    while low < high {
      let middle = (low + high) / 2
      if units[middle].start <= offset { low = middle + 1 } else { high = middle }
    }
    return low > 0 && offset >= units[low - 1].firstEntry && offset < units[low - 1].end
      ? low - 1 : nil
  }

  /// The innermost scope around an entry; -1: none.
  func scope(around offset: Int) -> Int {
    var low = 0
    var high = scopes.count
    while low < high {
      let middle = (low + high) / 2
      if scopes[middle].start < offset { low = middle + 1 } else { high = middle }
    }
    var index = low - 1
    while index >= 0, scopes[index].end <= offset { index = Int(scopes[index].parent) }
    return index
  }

  /// The entry at an offset; nil when there is none.
  func entry(at offset: Int) -> DebugEntry? {
    guard offset >= 0, let index = unit(at: offset) else { return nil }
    return entry(at: offset, index)
  }

  private func entry(at offset: Int, _ index: Int) -> DebugEntry? {
    let unit = units[index]
    var cursor = DebugCursor(data.info, at: offset, end: unit.end)
    guard let abbreviation = abbreviation(&cursor, index) else { return nil }
    var entry = DebugEntry()
    entry.offset = offset
    entry.unit = index
    entry.tag = abbreviation.tag
    entry.hasChildren = abbreviation.hasChildren
    for number in 0..<Int(abbreviation.count) {
      let attribute = attributes[Int(abbreviation.first) + number]
      let value = read(attribute, &cursor, unit)
      switch attribute.name {
      case 0x01: entry.sibling = reference(value, unit)
      case 0x02: entry.location = value
      case 0x03: entry.name = value
      case 0x0B: entry.byteSize = Int64(bitPattern: value.number)
      case 0x0C: entry.bitOffset = Int64(bitPattern: value.number)
      case 0x0D: entry.bitSize = Int64(bitPattern: value.number)
      case 0x11: entry.lowPC = value
      case 0x16: entry.discriminant = value  // DW_AT_discr_value
      case 0x1C: entry.constant = value
      case 0x2F: entry.upperBound = value
      case 0x31: entry.origin = reference(value, unit)
      case 0x34: entry.isArtificial = value.number != 0
      case 0x36: entry.isPassedByReference = value.number == 4  // DW_CC_pass_by_reference
      case 0x37: entry.elementCount = value
      case 0x38: entry.memberLocation = value
      case 0x3C: entry.isDeclaration = value.number != 0
      case 0x3E: entry.encoding = UInt8(truncatingIfNeeded: value.number)
      case 0x3F: entry.isExternal = value.number != 0
      case 0x47:
        entry.origin = reference(value, unit)
        entry.hasSpecification = true
      case 0x49: entry.type = reference(value, unit)
      case 0x4C: entry.isVirtual = value.number != 0
      case 0x4D: entry.slot = value
      case 0x69:
        // DW_AT_signature: the definition is in a type unit.
        if entry.type < 0 { entry.type = reference(value, unit) }
      case 0x6B: entry.dataBitOffset = Int64(bitPattern: value.number)
      case 0x6E, 0x2007: entry.linkageName = value
      default: break
      }
    }
    guard !cursor.failed else { return nil }
    entry.next = cursor.at
    return entry
  }

  /// Calls `body` with each child of an entry, in order.
  func forEachChild(of parent: DebugEntry, _ body: (DebugEntry) -> Void) {
    guard parent.hasChildren else { return }
    let unit = units[parent.unit]
    var at = parent.next
    while at < unit.end, let child = entry(at: at, parent.unit) {
      body(child)
      at = end(of: child, unit)
    }
  }

  /// Where the entry behind one and all it holds begins.
  private func end(of entry: DebugEntry, _ unit: DebugUnitHeader) -> Int {
    guard entry.hasChildren else { return entry.next }
    if entry.sibling > entry.offset, entry.sibling < unit.end { return entry.sibling }
    var cursor = DebugCursor(data.info, at: entry.next, end: unit.end)
    var depth = 1
    while depth > 0, cursor.at < cursor.end {
      let code = cursor.unsigned()
      if code == 0 {
        depth -= 1
        continue
      }
      let table = abbreviations[unit.table]
      guard code <= UInt64(table.count) else { return unit.end }
      skip(table[Int(code) - 1], &cursor, unit)
      if table[Int(code) - 1].hasChildren { depth += 1 }
    }
    return cursor.at
  }

  // MARK: values

  private func reference(_ value: DebugValue, _ unit: DebugUnitHeader) -> Int {
    switch value.form {
    case 0x11...0x15: return unit.start &+ Int(clamping: value.number)  // DW_FORM_ref…
    case 0x10: return Int(clamping: value.number)  // DW_FORM_ref_addr
    // DW_FORM_ref_sig8
    case 0x20: return typeUnits[value.number].map { units[$0].typeOffset } ?? -1
    default: return -1
    }
  }

  private func read(
    _ attribute: DebugAttribute, _ cursor: inout DebugCursor, _ unit: DebugUnitHeader
  ) -> DebugValue {
    DebugForm.read(attribute.form, attribute.implicit, &cursor, unit)
  }
}
