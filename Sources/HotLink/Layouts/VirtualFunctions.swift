// The shape of a class's table of virtual functions, from its members and those of its base classes: Itanium C++
// ABI, 2.5.2.
internal import LoaderEngine

/// The virtual functions of a class, without those that only override.
enum VirtualFunctions {
  /// New slots of a class, in their order: an override changes what a slot holds, not the table's shape.
  static func introduced(_ type: TypeIndex, _ table: TypeTable) -> [TypeMember] {
    let own = table.members(of: table[type]).filter { $0.kind == .virtualFunction }
    guard !own.isEmpty else { return [] }
    var inherited: [TypeMember] = []
    var pending = bases(type, table)
    var seen: Set<TypeIndex> = []
    while let base = pending.popLast() {
      guard seen.insert(base).inserted else { continue }
      inherited += table.members(of: table[base]).filter { $0.kind == .virtualFunction }
      pending += bases(base, table)
    }
    return own.filter { one in
      !inherited.contains { isOverride(one, of: $0) }
    }.sorted { $0.offset < $1.offset }
  }

  /// Whether a base class is only declared.
  static func hasUnknownBase(_ type: TypeIndex, _ table: TypeTable) -> Bool {
    var pending = bases(type, table)
    var seen: Set<TypeIndex> = []
    while let base = pending.popLast() {
      if table[base].shape == .incomplete { return true }
      if seen.insert(base).inserted { pending += bases(base, table) }
    }
    return false
  }

  private static func bases(_ type: TypeIndex, _ table: TypeTable) -> [TypeIndex] {
    table.members(of: table[type]).filter { $0.kind == .base || $0.kind == .virtualBase }
      .map { table.resolved($0.type) }
  }

  private static func isOverride(_ one: TypeMember, of other: TypeMember) -> Bool {
    if let name = one.name, let base = other.name, name.hasPrefix("~"), base.hasPrefix("~") {
      return true
    }
    return LayoutComparison.haveSameName(one, other) && haveSameParameters(one, other)
  }

  static func haveSameParameters(_ a: TypeMember, _ b: TypeMember) -> Bool {
    guard let one = a.signature, let other = b.signature else { return true }
    return one == other
  }
}
