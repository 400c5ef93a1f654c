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
    fingerprint = DebugFingerprint(data)
    damage = units.damage
    for index in units.headers.indices { scan(index, data, units) }
  }

  private mutating func scan(_ index: Int, _ data: DebugData, _ units: DebugUnits) {
    let unit = units.headers[index]
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
      guard code <= UInt64(UInt32(bitPattern: unit.abbreviations.count)) else {
        damage = damage ?? offset
        return
      }
      let abbreviation = units.abbreviations[Int(unit.abbreviations.first) &+ Int(code) &- 1]
      guard abbreviation.tag != 0 else {
        damage = damage ?? offset
        return
      }
      pass(abbreviation, &cursor, &print, unit, units)
      guard !cursor.failed else { break }
      if abbreviation.interest != .none { note(abbreviation.interest, offset, around) }
      guard abbreviation.hasChildren else { continue }
      switch abbreviation.interest {
      case .scope, .record, .function:
        scopes.append(Scope(start: offset, end: unit.end, parent: around, unit: Int32(index)))
        around = Int32(truncatingIfNeeded: scopes.count - 1)
        open.append(around)
      default: open.append(-1)
      }
    }
    if cursor.failed { damage = damage ?? unit.start }
  }

  /// Moves behind an entry's attributes.
  @inline(__always)
  private func pass(
    _ abbreviation: DebugAbbreviation, _ cursor: inout DebugCursor,
    _ print: inout DebugFingerprint, _ unit: DebugUnitHeader, _ units: DebugUnits
  ) {
    let start = cursor.at
    if abbreviation.size >= 0 {
      cursor.skip(Int(abbreviation.size))
      guard !cursor.failed else { return }
      for index in abbreviation.kept.range {
        let part = units.keptParts[index]
        print.mix(cursor, from: start &+ part.offset, to: start &+ part.offset &+ part.count)
      }
      return
    }
    for index in abbreviation.steps.range {
      let step = units.steps[index]
      let from = cursor.at
      if step.width >= 0 {
        cursor.skip(Int(step.width))
      } else {
        DebugForm.skip(step.form, &cursor, unit)
      }
      if step.counts { print.mix(cursor, from: from, to: cursor.at) }
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
