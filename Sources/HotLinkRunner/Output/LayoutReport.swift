// The text and JSON of changed layouts: what changed, both layouts side by side, and the ways forward.
import HotLink

enum LayoutReport {
  // MARK: text

  /// The whole of a refusal.
  static func text(_ refusal: LayoutRefusal) -> String {
    var lines: [String] = []
    var shown: [LayoutDifference] = []
    for change in refusal.changes { lines += describe(change, as: "error: ", &shown) }
    if let obstacle = refusal.obstacle {
      lines.append("  --layout=\(refusal.policy.rawValue) cannot be followed: \(text(obstacle))")
    }
    lines += help(refusal)
    return lines.joined(separator: "\n")
  }

  /// Without the layouts: what `--json` has as `reason`.
  static func summary(_ refusal: LayoutRefusal) -> String {
    var lines: [String] = []
    for change in refusal.changes {
      lines.append((lines.isEmpty ? "error: " : "") + headline(change))
      lines.append("in " + change.unit)
      lines += change.differences.prefix(8).map { sentence($0, of: change) }
    }
    if let obstacle = refusal.obstacle {
      lines.append("--layout=\(refusal.policy.rawValue) cannot be followed: \(text(obstacle))")
    }
    return (lines + help(refusal)).joined(separator: "\n")
  }

  /// A type behind pointers that was let pass.
  static func warning(_ change: LayoutChange) -> [String] {
    var shown: [LayoutDifference] = []
    return describe(change, as: "warning: ", &shown)
  }

  static func blind(_ unit: BlindUnit) -> String {
    let why =
      switch unit.reason {
      case .noDebugData: "it was compiled without -g"
      case .splitDebugData: "its debug data is in another file (-gsplit-dwarf)"
      case .unreadableDebugData: "its debug data cannot be read"
      }
    return "\(short(unit.unit)): layouts not compared, \(why); only sizes and symbols were"
  }

  /// - Parameter shown: differences whose layouts have been printed.
  private static func describe(
    _ change: LayoutChange, as kind: String, _ shown: inout [LayoutDifference]
  ) -> [String] {
    var lines = [kind + headline(change), "  in \(change.unit)"]
    switch change.subject {
    case .function(let callers):
      if change.oldType != change.newType {
        lines += ["  old: \(change.oldType)", "  new: \(change.newType)"]
      }
      lines.append("  called from: \(callers.joined(separator: ", "))")
    case .heap(let keeper, let unit):
      lines.append("  kept by '\(keeper)' in \(unit)")
    case .passed(let function, let unit):
      lines.append("  passed to '\(function)' in \(unit)")
    case .variable, .closure, .swiftType: break
    }
    var own: [LayoutDifference] = []
    for difference in change.differences {
      func hasSameLayouts(_ other: LayoutDifference) -> Bool {
        other.old == difference.old && other.new == difference.new
      }
      guard !own.contains(where: hasSameLayouts) else { continue }
      own.append(difference)
      if shown.contains(where: hasSameLayouts) {
        lines.append("  \(difference.old.name): as above")
        continue
      }
      shown.append(difference)
      for other in change.differences where hasSameLayouts(other) {
        lines.append("  " + sentence(other, of: change))
      }
      if !difference.old.rows.isEmpty || !difference.new.rows.isEmpty {
        lines += table(difference.old, difference.new)
      }
    }
    return lines
  }

  private static func headline(_ change: LayoutChange) -> String {
    let type =
      change.oldType == change.newType ? change.oldType : "\(change.oldType) → \(change.newType)"
    switch change.subject {
    case .variable:
      return change.isBehindPointer
        ? "the layout of what '\(change.name)' points to changed: \(type)"
        : "the layout of '\(change.name)' changed: \(type)"
    case .closure: return "what stored closures capture changed: \(change.name)"
    case .function:
      return "the signature of '\(change.name)' changed under callers that were not rebuilt"
    case .heap: return "the layout of objects that are kept changed: \(change.name)"
    case .passed:
      return
        "the layout of '\(change.name)' changed, and a unit that it is passed to was not rebuilt"
    case .swiftType: return "the layout of a Swift type changed: \(change.name)"
    }
  }

  /// `players[].mana is new, at +8`.
  private static func sentence(_ difference: LayoutDifference, of change: LayoutChange) -> String {
    let what = subject(difference, of: change)
    func place(_ bits: Int64) -> String {
      switch difference.part {
      case .virtualFunction: return "slot \(bits)"
      case .enumerator: return "\(bits)"
      default: return bits % 8 == 0 ? "+\(bits / 8)" : "+\(bits / 8) bit \(bits % 8)"
      }
    }
    switch difference.what {
    case .added: return "\(what) is new"
    case .removed: return "\(what) is gone"
    case .moved(let from, let to):
      return difference.part == .enumerator
        ? "\(what) was \(from) and is \(to)" : "\(what) moved from \(place(from)) to \(place(to))"
    case .retyped(let from, let to): return "\(what) was \(from) and is \(to)"
    case .bitsChanged(let from, let to): return "\(what) had \(bits(from)) and has \(bits(to))"
    case .resized(let from, let to): return "\(what) had \(from) bytes and has \(to)"
    case .elements(let from, let to): return "\(what) had \(from) elements and has \(to)"
    }
  }

  private static func bits(_ count: UInt64) -> String {
    count == 0 ? "whole bytes" : "\(count) bits"
  }

  private static func subject(_ difference: LayoutDifference, of change: LayoutChange) -> String {
    let root: String =
      switch change.subject {
      case .variable, .function: change.name
      case .closure, .heap, .passed, .swiftType: ""
      }
    var path = root + difference.path
    if root.isEmpty, path.hasPrefix(".") { path.removeFirst() }
    if path.isEmpty { path = change.name }
    switch difference.part {
    case .base: return "base class \(difference.name) of \(difference.old.name)"
    case .virtualFunction: return "virtual function \(difference.name)() of \(difference.old.name)"
    case .enumerator: return "enumerator \(difference.name)"
    case .type:
      if case .resized = difference.what { return difference.old.name }
      return path
    case .member, .parameter, .result: return path
    }
  }

  private static func text(_ obstacle: LayoutObstacle) -> String {
    switch obstacle {
    case .notPlain(let type): "only its own code can copy \(type)"
    case .behindPointer: "objects that pointers lead to cannot be found"
    case .splitByCompiler: "the optimiser has split it into several variables"
    case .threadLocal: "each thread has its own"
    case .noConversion(let member, let from, let to):
      "\(member.isEmpty ? "it" : member) has no conversion from \(from) to \(to)"
    case .noVariable: "it is not one variable"
    case .usedByOthers(let units):
      "not rebuilt, and with the old layout: \(units.joined(separator: ", "))"
    case .definedElsewhere(let unit): "the variable belongs to \(unit), which was not rebuilt"
    case .definedByProcess: "a library of the process has the variable, and goes on as it was"
    }
  }

  private static func help(_ refusal: LayoutRefusal) -> [String] {
    guard let change = refusal.changes.first else { return [] }
    switch change.subject {
    case .function:
      return ["  help: rebuild the callers, undo the change, or restart"]
    case .passed:
      return ["  help: rebuild that unit too, undo the change, or restart"]
    case .closure, .swiftType, .heap:
      var text = "  help: undo the change, or restart"
      if change.isBehindPointer { text += "; --heap-layout=warn accepts it" }
      return [text]
    case .variable: break
    }
    if case .usedByOthers? = refusal.obstacle { return ["  help: rebuild them too"] }
    if case .definedElsewhere? = refusal.obstacle { return ["  help: rebuild that unit too"] }
    if case .definedByProcess? = refusal.obstacle { return ["  help: undo the change, or restart"] }
    let hook = hookName(change.name)
    var lines = [
      "  help: undo the change, or restart; or choose what becomes of '\(change.name)':",
      "    --layout=\(change.name)=reset    it gets its initial value",
    ]
    if change.isBehindPointer {
      lines.append("    --heap-layout=warn    accept it: objects that exist keep the old layout")
    } else {
      lines.append("    --layout=\(change.name)=migrate    members are carried over by name")
    }
    lines.append(
      "    void \(hook)(const void *old, size_t old_size, void *new, size_t new_size)"
        + "    in the new code, as extern \"C\"")
    return lines
  }

  private static func hookName(_ name: String) -> String {
    "hotlink_migrate_"
      + String(
        name.replacing("::", with: "__").map {
          $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_"
        })
  }

  private static func short(_ unit: String) -> String {
    unit.split(separator: "/").last.map(String.init) ?? unit
  }

  // MARK: both layouts side by side

  private static func table(_ old: TypeLayout, _ new: TypeLayout) -> [String] {
    var cells: [(mark: String, left: String, right: String)] = []
    let columns = widths(old.rows + new.rows)
    func cell(_ row: TypeLayout.Row) -> String { text(row, columns) }
    var at = 0
    var other = 0
    func isIn(_ rows: [TypeLayout.Row], _ row: TypeLayout.Row) -> Bool {
      rows.contains { isSame($0, row) }
    }
    while at < old.rows.count || other < new.rows.count {
      let left = at < old.rows.count ? old.rows[at] : nil
      let right = other < new.rows.count ? new.rows[other] : nil
      if let left, let right, isSame(left, right) {
        cells.append((left == right ? " " : "~", cell(left), cell(right)))
        at += 1
        other += 1
      } else if let right, left == nil || !isIn(Array(old.rows[at...]), right) {
        // New, or moved here from further up.
        cells.append((isIn(old.rows, right) ? "~" : "+", "", cell(right)))
        other += 1
      } else if let left {
        cells.append((isIn(new.rows, left) ? "~" : "-", cell(left), ""))
        at += 1
      }
    }
    let titles = (
      "old: \(old.name), \(old.size) bytes", "new: \(new.name), \(new.size) bytes"
    )
    let width = max(titles.0.count, cells.map(\.left.count).max() ?? 0)
    func line(_ mark: String, _ left: String, _ right: String) -> String {
      var text = "  \(mark) \(left.padded(to: width)) | \(right)"
      while text.last == " " { text.removeLast() }
      return text
    }
    return [line(" ", titles.0, titles.1)] + cells.map { line($0.mark, $0.left, $0.right) }
  }

  private static func isSame(_ a: TypeLayout.Row, _ b: TypeLayout.Row) -> Bool {
    a.kind == b.kind && a.name == b.name
      && (a.kind != .base && a.kind != .virtualBase && !a.name.isEmpty || a.type == b.type)
  }

  private static func widths(_ rows: [TypeLayout.Row]) -> (offset: Int, size: Int, type: Int) {
    (
      rows.map { place($0).count }.max() ?? 0, rows.map { size($0).count }.max() ?? 0,
      rows.map(\.type.count).max() ?? 0
    )
  }

  private static func text(_ row: TypeLayout.Row, _ widths: (offset: Int, size: Int, type: Int))
    -> String
  {
    var text = place(row).padded(to: widths.offset)
    if widths.size > 0 { text += "  " + size(row).padded(to: widths.size, left: true) }
    if widths.type > 0 { text += "  " + row.type.padded(to: widths.type) }
    text += "  " + row.name
    while text.last == " " { text.removeLast() }
    return text
  }

  private static func place(_ row: TypeLayout.Row) -> String {
    switch row.kind {
    case .virtualFunction: row.offset < 0 ? "slot" : "slot \(row.offset)"
    case .enumerator: row.offset < 0 && row.type.isEmpty == false ? "" : "= \(row.offset)"
    default: row.offset < 0 ? "+?" : "+\(row.offset)" + (row.bits.map { ".\($0.first)" } ?? "")
    }
  }

  private static func size(_ row: TypeLayout.Row) -> String {
    if let bits = row.bits { return "\(bits.count) bit" + (bits.count == 1 ? "" : "s") }
    return row.size == 0 ? "" : "\(row.size)"
  }

  // MARK: JSON

  /// What a refusal adds to the event.
  static func members(_ refusal: Refusal) -> [(String, JSON)] {
    guard case .layout(let layout) = refusal.reason else { return [] }
    var members: [(String, JSON)] = [
      ("policy", .string(layout.policy.rawValue)),
      ("layouts", .array(layout.changes.map(json))),
    ]
    if let obstacle = layout.obstacle { members.append(("obstacle", .string(text(obstacle)))) }
    if refusal.needsRestart { members.append(("restart_needed", .bool(true))) }
    return members
  }

  static func json(_ change: LayoutChange) -> JSON {
    var members: [(String, JSON)] = []
    switch change.subject {
    case .variable: members.append(("kind", .string("variable")))
    case .closure: members.append(("kind", .string("closure")))
    case .swiftType: members.append(("kind", .string("swift_type")))
    case .passed(let function, let unit):
      members += [
        ("kind", .string("passed")), ("function", .string(function)),
        ("function_unit", .string(unit)),
      ]
    case .function(let callers):
      members += [("kind", .string("function")), ("callers", .strings(callers))]
    case .heap(let keeper, let unit):
      members += [
        ("kind", .string("heap")), ("keeper", .string(keeper)), ("keeper_unit", .string(unit)),
      ]
    }
    members += [
      ("unit", .string(change.unit)), ("name", .string(change.name)),
      ("symbol", .string(change.symbol)), ("old_type", .string(change.oldType)),
      ("new_type", .string(change.newType)), ("behind_pointer", .bool(change.isBehindPointer)),
      ("differences", .array(change.differences.map { json($0, of: change) })),
    ]
    return .object(members)
  }

  static func json(_ unit: BlindUnit) -> JSON {
    let reason =
      switch unit.reason {
      case .noDebugData: "no debug data"
      case .splitDebugData: "split debug data"
      case .unreadableDebugData: "unreadable debug data"
      }
    return .object([("unit", .string(unit.unit)), ("reason", .string(reason))])
  }

  private static func json(_ difference: LayoutDifference, of change: LayoutChange) -> JSON {
    var members: [(String, JSON)] = [
      ("path", .string(difference.path)), ("name", .string(difference.name)),
      ("text", .string(sentence(difference, of: change))),
    ]
    func facts(_ what: String, _ from: JSON, _ to: JSON) {
      members += [("change", .string(what)), ("from", from), ("to", to)]
    }
    switch difference.what {
    case .added: members.append(("change", .string("added")))
    case .removed: members.append(("change", .string("removed")))
    case .moved(let from, let to): facts("moved", .integer(from), .integer(to))
    case .retyped(let from, let to): facts("retyped", .string(from), .string(to))
    case .bitsChanged(let from, let to): facts("bits", .unsigned(from), .unsigned(to))
    case .resized(let from, let to): facts("resized", .unsigned(from), .unsigned(to))
    case .elements(let from, let to): facts("elements", .integer(from), .integer(to))
    }
    members += [
      ("behind_pointer", .bool(difference.isBehindPointer)), ("old", json(difference.old)),
      ("new", json(difference.new)),
    ]
    return .object(members)
  }

  private static func json(_ layout: TypeLayout) -> JSON {
    .object([
      ("name", .string(layout.name)), ("size", .unsigned(layout.size)),
      ("members", .array(layout.rows.map(json))),
    ])
  }

  private static func json(_ row: TypeLayout.Row) -> JSON {
    let kind =
      switch row.kind {
      case .member: "member"
      case .base: "base"
      case .virtualBase: "virtual base"
      case .tablePointer: "vptr"
      case .virtualFunction: "virtual function"
      case .enumerator: "enumerator"
      }
    var members: [(String, JSON)] = [
      ("kind", .string(kind)), ("offset", .integer(row.offset)), ("size", .unsigned(row.size)),
      ("type", .string(row.type)), ("name", .string(row.name)),
    ]
    if let bits = row.bits {
      members += [("bit", .count(bits.first)), ("bits", .count(bits.count))]
    }
    return .object(members)
  }
}

extension String {
  fileprivate func padded(to width: Int, left: Bool = false) -> String {
    let padding = String(repeating: " ", count: max(width - count, 0))
    return left ? padding + self : self + padding
  }
}
