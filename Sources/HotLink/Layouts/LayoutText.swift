// A type's parts as a report has them: names, offsets and sizes instead of references into a table.
internal import LoaderEngine

/// Types as facts for reports.
enum LayoutText {
  /// A name without the inline namespace of libstdc++'s newer strings and lists.
  static func plain(_ name: String) -> String {
    name.hasPrefix("std::__cxx11::") ? "std::" + name.dropFirst(14) : name
  }

  static func layout(_ index: TypeIndex, _ table: TypeTable) -> TypeLayout {
    let node = table[table.resolved(index)]
    var rows: [TypeLayout.Row] = []
    switch node.shape {
    case .record, .union, .enumeration:
      let functions = VirtualFunctions.introduced(table.resolved(index), table)
      for member in table.members(of: node)
      where member.kind != .virtualFunction && member.kind != .content {
        rows.append(row(member, table))
      }
      rows += functions.map { row($0, table) }
    default: break
    }
    return TypeLayout(name: table.name(of: index), size: table.size(of: index), rows: rows)
  }

  private static func row(_ member: TypeMember, _ table: TypeTable) -> TypeLayout.Row {
    let name = member.name?.string ?? ""
    switch member.kind {
    case .enumerator:
      return TypeLayout.Row(
        kind: .enumerator, offset: member.offset, bits: nil, size: 0, type: "", name: name)
    case .virtualFunction:
      return TypeLayout.Row(
        kind: .virtualFunction, offset: member.offset, bits: nil, size: 8, type: "virtual",
        name: name + "()")
    case .tablePointer:
      return TypeLayout.Row(
        kind: .tablePointer, offset: member.offset / 8, bits: nil, size: 8, type: "", name: "(vptr)"
      )
    default:
      let isBase = member.kind == .base || member.kind == .virtualBase
      let bits =
        member.bitSize > 0
        ? TypeLayout.Bits(
          first: Int(((member.offset % 8) + 8) % 8), count: Int(clamping: member.bitSize)) : nil
      return TypeLayout.Row(
        kind: isBase ? (member.kind == .base ? .base : .virtualBase) : .member,
        offset: member.offset < 0 ? -1 : member.offset / 8, bits: bits,
        size: table.size(of: member.type), type: table.name(of: member.type), name: name)
    }
  }
}

extension TypeMember.Kind {
  /// How a difference of such a part is told.
  var part: LayoutDifference.Part {
    switch self {
    case .base, .virtualBase: .base
    case .virtualFunction: .virtualFunction
    case .enumerator: .enumerator
    default: .member
    }
  }
}
