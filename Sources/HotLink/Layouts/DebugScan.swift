// One pass over all entries of an object's debug data: where variables, functions, types and scopes are, and a number
// over what is said about types. What is damaged ends the reading of its unit and is noted, never trapped.
internal import LoaderEngine

/// What a pass over all entries finds.
struct DebugScan {
  /// A namespace, type or function, and where it ends.
  struct Scope {
    var start: Int
    var end: Int
    /// Index of the one around it; -1: none.
    var parent: Int32
    var unit: Int32
  }

  private(set) var scopes: [Scope] = []
  /// Offsets of entries: variables with a place, variables that are only declared, functions with code, and
  /// structures, classes and unions.
  private(set) var variables: [Int] = []
  private(set) var declarations: [Int] = []
  private(set) var functions: [Int] = []
  private(set) var records: [Int] = []
  /// Base classes, with the record that has them.
  private(set) var bases: [(record: Int, entry: Int)] = []
  /// Something could not be read, at this offset.
  private(set) var damage: Int?
  /// Equal for objects whose debug data says the same but for lines and addresses of code.
  private(set) var fingerprint: DebugFingerprint

  init(_ data: DebugData, _ units: DebugUnits) {
    fingerprint = DebugFingerprint(capacity: data.info.count)
    damage = units.damage
    for index in units.headers.indices { scan(index, data, units) }
    fingerprint.finish(data.info.count)
  }

  /// Scopes that are open.
  private struct Open {
    /// Index of the scope; -1: it is none.
    var scope: Int32
    /// It counts for the fingerprint.
    var counts: Bool
    /// A function with code, or an inlined one.
    var isCode: Bool
  }

  private mutating func scan(_ index: Int, _ data: DebugData, _ units: DebugUnits) {
    let unit = units.headers[index]
    var print = fingerprint
    fingerprint = DebugFingerprint()
    defer { fingerprint = print }
    var cursor = DebugCursor(data.info, at: unit.firstEntry, end: unit.end)
    var open: [Open] = []
    var around: Int32 = -1
    var depthInCode = 0
    while cursor.at < cursor.end {
      let offset = cursor.at
      let code = cursor.unsigned()
      if code == 0 {
        guard let closed = open.popLast() else { continue }
        if closed.counts { print.mix(0) }
        if closed.isCode { depthInCode -= 1 }
        if closed.scope >= 0 {
          scopes[Int(closed.scope)].end = offset
          around = scopes[Int(closed.scope)].parent
        }
        if open.isEmpty { break }
        continue
      }
      guard code <= UInt64(UInt32(bitPattern: unit.abbreviations.count)) else {
        damage = damage ?? offset
        return
      }
      var abbreviation = units.abbreviations[Int(unit.abbreviations.first) &+ Int(code) &- 1]
      guard abbreviation.tag != 0 else {
        damage = damage ?? offset
        return
      }
      if abbreviation.interest == .variable,
        DebugScan.isOnStack(abbreviation, cursor, unit.widths, data, units)
      {
        abbreviation.interest = .none
      }
      let counts =
        abbreviation.print != 0 && (depthInCode == 0 || !DebugScan.isLocal(abbreviation, open))
      if counts {
        print.note(entry: offset, abbreviation.print)
        DebugScan.count(abbreviation, &cursor, &print, index, unit.start, data, units)
      } else {
        DebugScan.pass(abbreviation, &cursor, unit.widths, units)
      }
      guard !cursor.failed else { break }
      if abbreviation.interest != .none { note(abbreviation.interest, offset, around) }
      guard abbreviation.hasChildren else { continue }
      let isCode = abbreviation.interest == .function || abbreviation.tag == 0x1D
      if isCode { depthInCode += 1 }
      switch abbreviation.interest {
      case .scope, .record, .function:
        scopes.append(Scope(start: offset, end: unit.end, parent: around, unit: Int32(index)))
        around = Int32(truncatingIfNeeded: scopes.count - 1)
        open.append(Open(scope: around, counts: counts, isCode: isCode))
      default: open.append(Open(scope: -1, counts: counts, isCode: isCode))
      }
    }
    if cursor.failed { damage = damage ?? unit.start }
  }

  /// Whether a variable's place is a register or relative to one.
  private static func isOnStack(
    _ abbreviation: DebugAbbreviation, _ cursor: DebugCursor, _ widths: DebugWidths,
    _ data: DebugData, _ units: DebugUnits
  ) -> Bool {
    var cursor = cursor
    for index in abbreviation.steps.range {
      let step = units.steps[index]
      if step.name == 0, step.width >= 0 {
        cursor.skip(Int(step.width))
        continue
      }
      let value = DebugForm.read(step.form, step.implicit, &cursor, widths)
      guard step.name == 0x02, value.count > 0 else { continue }
      var expression = DebugCursor(data.info, at: Int(clamping: value.number))
      // DW_OP_reg…, breg…, regx, fbreg, bregx
      return 0x50...0x92 ~= expression.take(UInt8.self)
    }
    return false
  }

  /// In a function with code: what lives on the stack only, and parameters of what was put into it.
  private static func isLocal(_ abbreviation: DebugAbbreviation, _ open: [Open]) -> Bool {
    switch abbreviation.tag {
    case DebugTag.variable: abbreviation.interest == .none
    case DebugTag.parameter, DebugTag.unspecifiedParameters: open.last?.counts == false
    default: false
    }
  }

  /// Moves behind the attributes of an entry that does not count.
  private static func pass(
    _ abbreviation: DebugAbbreviation, _ cursor: inout DebugCursor, _ widths: DebugWidths,
    _ units: DebugUnits
  ) {
    guard abbreviation.size < 0 else { return cursor.skip(Int(abbreviation.size)) }
    for index in abbreviation.steps.range {
      let step = units.steps[index]
      if step.width >= 0 {
        cursor.skip(Int(step.width))
      } else {
        DebugForm.skip(step.form, &cursor, widths)
      }
    }
  }

  /// Moves behind the attributes of an entry that counts.
  private static func count(
    _ abbreviation: DebugAbbreviation, _ cursor: inout DebugCursor,
    _ print: inout DebugFingerprint, _ unit: Int, _ start: Int, _ data: DebugData,
    _ units: DebugUnits
  ) {
    let (base, end) = (cursor.base, cursor.end)
    var at = cursor.at
    for index in abbreviation.parts.range {
      let part = units.parts[index]
      let width = Int(part.width)
      guard width <= end &- at else {
        _ = cursor.fail()
        return
      }
      switch part.action {
      case .skip: at &+= width
      case .word:
        let word: UInt64 =
          switch width {
          case 1: UInt64(base.load(fromByteOffset: at, as: UInt8.self))
          case 2: UInt64(base.loadUnaligned(fromByteOffset: at, as: UInt16.self))
          case 4: UInt64(base.loadUnaligned(fromByteOffset: at, as: UInt32.self))
          default: base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
          }
        print.mix(word)
        at &+= width
      case .entry:
        let distance = base.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        print.note(reference: start &+ Int(distance))
        at &+= 4
      case .text:
        let offset = base.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        if let text = data.text(data.strings, UInt64(offset)) { print.mix(text) }
        at &+= 4
      case .ownText:
        let first = at
        while at < end, base.load(fromByteOffset: at, as: UInt8.self) != 0 { at &+= 1 }
        print.mix(cursor, from: first, to: at)
        at = min(at &+ 1, end)
      case .other:
        cursor.at = at
        let value = DebugForm.read(part.form, 0, &cursor, units.headers[unit].widths)
        if part.meaning == .bytes {
          print.mix(cursor, from: at, to: cursor.at)
        } else {
          note(value, part.meaning, &print, unit, data, units)
        }
        at = cursor.at
      }
    }
    if !cursor.failed { cursor.at = at }
  }

  private static func note(
    _ value: DebugValue, _ meaning: DebugFingerprint.Meaning, _ print: inout DebugFingerprint,
    _ unit: Int, _ data: DebugData, _ units: DebugUnits
  ) {
    switch meaning {
    case .text:
      if let text = data.text(value, units.headers[unit]) { print.mix(text) }
    case .entry:
      print.note(reference: units.reference(value, unit))
    case .place:
      print.note(place: value, data)
    case .nothing, .bytes: break
    }
  }

  private mutating func note(
    _ interest: DebugAbbreviation.Interest, _ offset: Int, _ around: Int32
  ) {
    switch interest {
    case .none, .scope: break
    case .record: records.append(offset)
    case .variable: variables.append(offset)
    case .declaration: declarations.append(offset)
    case .function: functions.append(offset)
    case .base: if around >= 0 { bases.append((scopes[Int(around)].start, offset)) }
    }
  }
}
