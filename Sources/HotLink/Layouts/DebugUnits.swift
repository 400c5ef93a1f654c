// The units of debug data and the shapes of their entries: what has to be known before entries can be read
// (DWARF 5, sections 7.5.1 and 7.5.3).

/// Headers of units, and abbreviations.
struct DebugUnits {
  private(set) var headers: [DebugUnitHeader] = []
  private(set) var abbreviations: [DebugAbbreviation] = []
  private(set) var steps: [DebugStep] = []
  private(set) var parts: [DebugPart] = []
  /// Units of types by their signatures.
  private(set) var typeUnits: [UInt64: Int] = [:]
  /// The debug data is in another file (`-gsplit-dwarf`).
  private(set) var isSplit = false
  /// Something could not be read, at this offset.
  private(set) var damage: Int?
  private var tables: [UInt64: Span32] = [:]

  init(_ data: DebugData) {
    // Offsets of entries are kept in 32 bits.
    guard data.info.count < Int(Int32.max) else {
      damage = 0
      return
    }
    readHeaders(data)
    for index in headers.indices { readFirstEntry(index, data) }
  }

  private mutating func readHeaders(_ data: DebugData) {
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
        start: at, end: end,
        widths: DebugWidths(version: version, offsetSize: UInt8(offsetSize)))
      var kind: UInt64 = at >= data.typesStart ? 2 : 1
      let table: UInt64
      if version >= 5 {
        kind = cursor.take(UInt8.self)
        unit.widths.addressSize = UInt8(truncatingIfNeeded: cursor.take(UInt8.self))
        table = cursor.word(offsetSize)
      } else {
        table = cursor.word(offsetSize)
        unit.widths.addressSize = UInt8(truncatingIfNeeded: cursor.take(UInt8.self))
      }
      var signature: UInt64?
      if kind == 2 || kind == 6 {  // DW_UT_type, DW_UT_split_type
        signature = cursor.take(UInt64.self)
        unit.typeOffset = at &+ Int(clamping: cursor.word(offsetSize))
      } else if kind == 4 || kind == 5 {  // DW_UT_skeleton, DW_UT_split_compile
        isSplit = true
        cursor.skip(8)
      }
      unit.firstEntry = cursor.at
      if (2...5).contains(version), !cursor.failed, unit.widths.addressSize == 8,
        let span = readTable(table, unit.widths, data)
      {
        unit.abbreviations = span
        if let signature { typeUnits[signature] = headers.count }
        headers.append(unit)
      } else {
        damage = damage ?? at
      }
      at = end
    }
  }

  private mutating func readTable(_ offset: UInt64, _ widths: DebugWidths, _ data: DebugData)
    -> Span32?
  {
    let key = offset << 8 | UInt64(widths.version) << 4 | UInt64(widths.offsetSize)
    if let known = tables[key] { return known }
    guard offset < UInt64(data.abbreviations.count) else { return nil }
    var cursor = DebugCursor(data.abbreviations, at: Int(offset))
    let start = abbreviations.count
    while true {
      let code = cursor.unsigned()
      guard !cursor.failed else { return nil }
      if code == 0 { break }
      // Compilers number them from 1; a gap of any size would be the file's claim on our memory.
      let count = abbreviations.count - start
      guard code <= UInt64(count) + 64, let abbreviation = readAbbreviation(&cursor, widths) else {
        return nil
      }
      while UInt64(abbreviations.count - start) < code { abbreviations.append(DebugAbbreviation()) }
      abbreviations[start + Int(code) - 1] = abbreviation
    }
    let span = Span32(
      first: Int32(truncatingIfNeeded: start),
      count: Int32(truncatingIfNeeded: abbreviations.count - start))
    tables[key] = span
    return span
  }

  private mutating func readAbbreviation(_ cursor: inout DebugCursor, _ widths: DebugWidths)
    -> DebugAbbreviation?
  {
    var abbreviation = DebugAbbreviation()
    abbreviation.tag = UInt16(truncatingIfNeeded: cursor.unsigned())
    abbreviation.hasChildren = cursor.take(UInt8.self) != 0
    let (first, firstPart) = (steps.count, parts.count)
    var size = 0
    var facts = AttributeFacts()
    var print = DebugFingerprint()
    let isVariable = abbreviation.tag == DebugTag.variable
    while true {
      let name = UInt16(truncatingIfNeeded: cursor.unsigned())
      let form = UInt16(truncatingIfNeeded: cursor.unsigned())
      guard !cursor.failed else { return nil }
      if name == 0 && form == 0 { break }
      let implicit = form == DebugForm.implicitConst ? cursor.signed() : 0
      facts.note(name, form)
      let width = DebugForm.size(form, widths)
      let meaning = DebugFingerprint.meaning(of: name, form, isVariable: isVariable)
      if meaning != .nothing {
        print.mix(UInt64(name) << 1 | 1)
        print.mix(UInt64(bitPattern: implicit))
      }
      note(meaning, form, width, widths, after: firstPart)
      size = size < 0 || width < 0 ? -1 : size + width
      note(
        DebugStep(
          name: DebugEntries.reads(name) ? name : 0, form: form, width: Int32(width),
          implicit: implicit), after: first)
    }
    abbreviation.interest = facts.interest(abbreviation.tag, abbreviation.hasChildren)
    abbreviation.size = Int32(truncatingIfNeeded: size)
    abbreviation.steps = Span32(
      first: Int32(truncatingIfNeeded: first),
      count: Int32(truncatingIfNeeded: steps.count - first))
    abbreviation.parts = Span32(
      first: Int32(truncatingIfNeeded: firstPart),
      count: Int32(truncatingIfNeeded: parts.count - firstPart))
    print.mix(UInt64(abbreviation.tag) << 8 | UInt64(abbreviation.interest.rawValue))
    print.mix(abbreviation.hasChildren ? 1 : 2)
    abbreviation.print = DebugFingerprint.isAboutTypes(abbreviation.tag) ? print.number | 1 : 0
    return abbreviation
  }

  /// Adds a part; those that say nothing about types are one.
  private mutating func note(
    _ meaning: DebugFingerprint.Meaning, _ form: UInt16, _ width: Int, _ widths: DebugWidths,
    after first: Int
  ) {
    var part = DebugPart(action: .other, meaning: meaning, form: form, width: Int32(width))
    switch meaning {
    case _ where width == 0: return
    case .nothing where width > 0:
      if parts.count > first, let last = parts.last, last.action == .skip, last.width < 1 << 20 {
        parts[parts.count - 1].width += part.width
        return
      }
      part.action = .skip
    case .bytes where [1, 2, 4, 8].contains(width): part.action = .word
    case .entry where form == 0x13: part.action = .entry
    case .text where form == 0x0E && widths.offsetSize == 4: part.action = .text
    case .text where form == 0x08: part.action = .ownText
    default: break
    }
    parts.append(part)
  }

  /// Adds a step; those that are passed over are one.
  private mutating func note(_ step: DebugStep, after first: Int) {
    if step.name == 0, step.width >= 0, steps.count > first, let last = steps.last, last.name == 0,
      last.width >= 0, last.width < 1 << 20
    {
      steps[steps.count - 1].width += step.width
    } else {
      steps.append(step)
    }
  }

  /// What the unit's own entry says about all others.
  private mutating func readFirstEntry(_ index: Int, _ data: DebugData) {
    let unit = headers[index]
    var cursor = DebugCursor(data.info, at: unit.firstEntry, end: unit.end)
    guard let abbreviation = abbreviation(&cursor, unit) else { return }
    for step in steps[abbreviation.steps.range] {
      guard step.name != 0 || step.width < 0 else {
        cursor.skip(Int(step.width))
        continue
      }
      let value = DebugForm.read(step.form, step.implicit, &cursor, unit.widths)
      switch step.name {
      case 0x72: headers[index].stringBase = Int(clamping: value.number)
      case 0x73, 0x2133: headers[index].addressBase = Int(clamping: value.number)
      case 0x13: headers[index].language = UInt16(truncatingIfNeeded: value.number)
      case 0x76, 0x2130: isSplit = true  // DW_AT_dwo_name, DW_AT_GNU_dwo_name
      default: break
      }
    }
  }

  /// The shape of the entry that begins at a cursor, which is moved behind its code; nil: there is none.
  @inline(__always)
  func abbreviation(_ cursor: inout DebugCursor, _ unit: DebugUnitHeader) -> DebugAbbreviation? {
    let code = cursor.unsigned()
    guard code &- 1 < UInt64(UInt32(bitPattern: unit.abbreviations.count)) else { return nil }
    return abbreviations[Int(unit.abbreviations.first) &+ Int(code) &- 1]
  }

  /// The entry that a value refers to; -1: none.
  @inline(__always)
  func reference(_ value: DebugValue, _ unit: Int) -> Int {
    switch value.form {
    case 0x11...0x15: return headers[unit].start &+ Int(clamping: value.number)  // DW_FORM_ref…
    case 0x10: return Int(clamping: value.number)  // DW_FORM_ref_addr
    case 0x20:  // DW_FORM_ref_sig8
      return typeUnits[value.number].map { headers[$0].typeOffset } ?? -1
    default: return -1
    }
  }
}
