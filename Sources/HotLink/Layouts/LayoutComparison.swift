// Old types against new ones, by structure: what lies where and is called what. Names of types do not count,
// those of members do. What is incomplete on one side is no difference: compilers emit a type in one unit only.
internal import LoaderEngine

/// Compares types of two tables.
struct LayoutComparison {
  let old: TypeTable
  let new: TypeTable
  private var pairs: TypePairs
  var steps: [Step] = []
  /// Steps behind pointers, which come after all others.
  private var behind: [Int] = []
  private var found: [Found] = []
  /// Stop at pointers: as a caller and a called function must agree.
  let staysByValue: Bool
  /// At most so many differences are told.
  private static let most = 64

  /// A pair of types on the way from the root.
  struct Step {
    var old: TypeIndex
    var new: TypeIndex
    /// Index of the step it was reached from; -1: the root.
    var parent: Int
    var link: Link
    var isBehindPointer: Bool
  }

  enum Link {
    case root, pointee, element, result
    case member(NameView?)
    case parameter(Int)
    /// What an object may be.
    case derived(NameView?)
  }

  struct Found {
    var step: Int
    var part: LayoutDifference.Part
    var name: NameView?
    var what: What
    /// The pair itself differs, not one of its parts.
    var isWhole = false
    /// Names of types are made only when they are told.
    enum What {
      case done(LayoutDifference.What)
      case retyped(TypeIndex, TypeIndex)
    }
  }

  init(_ old: TypeTable, _ new: TypeTable, staysByValue: Bool = false) {
    self.old = old
    self.new = new
    self.staysByValue = staysByValue
    pairs = TypePairs(count: old.nodes.count)
  }

  /// All differences between two types, those that are not behind pointers first; empty: none.
  ///
  /// - Parameter growsAtEnd: an array may have another length: its elements stay where they are.
  mutating func differences(
    _ oldType: TypeIndex, _ newType: TypeIndex, growsAtEnd: Bool = false
  ) -> [LayoutDifference] {
    var before = oldType
    var after = newType
    if growsAtEnd { (before, after) = elements(before, after) }
    guard !pairs.areEqual(old.resolved(before), new.resolved(after)) else { return [] }
    steps.removeAll(keepingCapacity: true)
    behind.removeAll(keepingCapacity: true)
    found = []
    pairs.begin()
    visit(before, after, parent: -1, before == oldType ? .root : .element, false)
    var at = 0
    var atBehind = 0
    while found.count < LayoutComparison.most {
      if at < steps.count {
        if steps[at].isBehindPointer { behind.append(at) } else { compare(at) }
        at += 1
      } else if atBehind < behind.count {
        let step = steps[behind[atBehind]]
        // What is also there by value has been compared as that.
        if !pairs.isByValue(step.old, step.new) { compare(behind[atBehind]) }
        atBehind += 1
      } else {
        break
      }
    }
    guard !found.isEmpty else {
      for step in steps { pairs.noteEqual(step.old, step.new) }
      return []
    }
    return found.map(tell)
  }

  /// The elements of two arrays that differ in their first dimension only.
  private func elements(_ a: TypeIndex, _ b: TypeIndex) -> (TypeIndex, TypeIndex) {
    let (before, after) = (old[old.resolved(a)], new[new.resolved(b)])
    guard before.shape == .array, after.shape == .array,
      before.members.count == after.members.count,
      old.members(of: before).dropFirst().map(\.offset)
        == new.members(of: after).dropFirst().map(\.offset)
    else { return (a, b) }
    return (before.target, after.target)
  }

  private mutating func visit(
    _ a: TypeIndex, _ b: TypeIndex, parent: Int, _ link: Link, _ isBehindPointer: Bool
  ) {
    let (before, after) = (old.resolved(a), new.resolved(b))
    guard pairs.visit(before, after, isBehindPointer: isBehindPointer) else { return }
    steps.append(
      Step(
        old: before, new: after, parent: parent, link: link, isBehindPointer: isBehindPointer))
  }

  private mutating func note(
    _ step: Int, _ part: LayoutDifference.Part, _ name: NameView?, _ what: LayoutDifference.What
  ) {
    found.append(Found(step: step, part: part, name: name, what: .done(what)))
  }

  // MARK: one pair

  private mutating func compare(_ index: Int) {
    let step = steps[index]
    let (before, after) = (old[step.old], new[step.new])
    if before.shape == .incomplete || after.shape == .incomplete { return }
    let behind = step.isBehindPointer
    switch (before.shape, after.shape) {
    case (.nothing, .nothing): break
    // Bits mean the same, as in a conversion of the language.
    case (.integer, .integer), (.enumeration, .integer), (.integer, .enumeration):
      if before.size != after.size { retyped(index) }
    case (.boolean, .boolean), (.floating, .floating):
      if before.size != after.size { retyped(index) }
    case (.other, .other):
      if before.size != after.size || before.encoding != after.encoding { retyped(index) }
    case (.pointer, .pointer), (.reference, .reference), (.pointer, .reference),
      (.reference, .pointer), (.memberPointer, .memberPointer):
      if before.size != after.size { return retyped(index) }
      // A pointer to anything says nothing about it.
      if old[old.resolved(before.target)].shape == .nothing
        || new[new.resolved(after.target)].shape == .nothing
      {
        return
      }
      if staysByValue { return comparePointees(index, before, after) }
      visit(before.target, after.target, parent: index, .pointee, true)
    case (.array, .array):
      compareCounts(index, before, after)
      visit(before.target, after.target, parent: index, .element, behind)
    case (.function, .function):
      visit(before.target, after.target, parent: index, .result, behind)
      let (left, right) = (old.members(of: before), new.members(of: after))
      if left.count != right.count { return retyped(index) }
      for (number, pair) in zip(left, right).enumerated() {
        visit(pair.0.type, pair.1.type, parent: index, .parameter(number), behind)
      }
    case (.enumeration, .enumeration): compareEnumerators(index, before, after)
    case (.record, .record), (.union, .union): compareMembers(index, before, after)
    default: retyped(index)
    }
  }

  private mutating func compareCounts(_ index: Int, _ before: TypeNode, _ after: TypeNode) {
    let (left, right) = (before.members.range, after.members.range)
    let isSame =
      left.count == right.count
      && zip(left, right).allSatisfy { old.members[$0].offset == new.members[$1].offset }
    guard !isSame else { return }
    if left.count == 1, right.count == 1 {
      let counts = (old.members[left.lowerBound].offset, new.members[right.lowerBound].offset)
      whole(index, .done(.elements(from: counts.0, to: counts.1)))
    } else {
      retyped(index)
    }
  }

  private mutating func retyped(_ index: Int) {
    whole(index, .retyped(steps[index].old, steps[index].new))
  }

  private mutating func whole(_ index: Int, _ what: Found.What) {
    let step = steps[index]
    // Told as a change of the member that has the type.
    let (part, name): (LayoutDifference.Part, NameView?) =
      switch step.link {
      case .member(let name): (.member, name)
      case .parameter: (.parameter, nil)
      case .result: (.result, nil)
      case .root, .pointee, .element, .derived: (.type, nil)
      }
    found.append(Found(step: index, part: part, name: name, what: what, isWhole: true))
  }

  /// Of a signature: a pointer to a number or to something of another kind.
  private mutating func comparePointees(_ index: Int, _ before: TypeNode, _ after: TypeNode) {
    let (a, b) = (old[old.resolved(before.target)], new[new.resolved(after.target)])
    switch (a.shape, b.shape) {
    case (.incomplete, _), (_, .incomplete), (.record, .record), (.union, .union),
      (.function, .function), (.array, _), (_, .array), (.enumeration, .integer),
      (.integer, .enumeration), (.enumeration, .enumeration):
      return
    case _ where a.shape == b.shape && a.size == b.size: return
    default: retyped(index)
    }
  }

  private mutating func compareEnumerators(_ index: Int, _ before: TypeNode, _ after: TypeNode) {
    if before.size != after.size {
      note(index, .type, nil, .resized(from: before.size, to: after.size))
    }
    let (left, right) = (old.members(of: before), new.members(of: after))
    // New ones at the end, or in a gap: every value that may be kept means what it meant.
    for (position, one) in left.enumerated() {
      let other = right.startIndex + position
      if other < right.endIndex, LayoutComparison.haveSameName(right[other], one),
        right[other].offset == one.offset
      {
        continue
      }
      guard let twin = right.first(where: { LayoutComparison.haveSameName($0, one) }) else {
        note(index, .enumerator, one.name, .removed)
        continue
      }
      if twin.offset != one.offset {
        note(index, .enumerator, one.name, .moved(from: one.offset, to: twin.offset))
      }
    }
  }

  private mutating func compareMembers(_ index: Int, _ before: TypeNode, _ after: TypeNode) {
    let behind = steps[index].isBehindPointer
    if !old.derived.isEmpty { compareDerived(index) }
    let count = found.count
    if !matchInOrder(index, before, after, behind) {
      matchByName(index, old.members(of: before), new.members(of: after), behind)
    }
    if found.count == count, before.size != after.size {
      note(index, .type, nil, .resized(from: before.size, to: after.size))
    }
  }

  private mutating func compareDerived(_ index: Int) {
    let step = steps[index]
    guard let before = old.derived[step.old], let after = new.derived[step.new] else { return }
    for one in before {
      guard let name = old[one].name,
        let twin = after.first(where: { new[$0].name.map { $0 == name } ?? false })
      else { continue }
      visit(one, twin, parent: index, .derived(name), true)
    }
  }

  /// The common case: the same members at the same places.
  private mutating func matchInOrder(
    _ index: Int, _ before: TypeNode, _ after: TypeNode, _ behind: Bool
  ) -> Bool {
    guard before.members.count == after.members.count else { return false }
    let distance = Int(after.members.first) &- Int(before.members.first)
    for position in before.members.range {
      let (a, b) = (old.members[position], new.members[position &+ distance])
      guard a.kind == b.kind, a.offset == b.offset, a.bitSize == b.bitSize,
        LayoutComparison.haveSameName(a, b),
        a.kind != .virtualFunction || VirtualFunctions.haveSameParameters(a, b)
      else { return false }
    }
    for position in before.members.range {
      follow(index, old.members[position], new.members[position &+ distance], behind)
    }
    return true
  }

  private mutating func follow(_ index: Int, _ a: TypeMember, _ b: TypeMember, _ behind: Bool) {
    switch a.kind {
    case .field, .base, .virtualBase: visit(a.type, b.type, parent: index, .member(a.name), behind)
    case .content: visit(a.type, b.type, parent: index, .element, true)
    default: break
    }
  }

  private mutating func matchByName(
    _ index: Int, _ left: ArraySlice<TypeMember>, _ right: ArraySlice<TypeMember>, _ behind: Bool
  ) {
    let step = steps[index]
    let before = VirtualFunctions.introduced(step.old, old)
    let after = VirtualFunctions.introduced(step.new, new)
    // Without its base classes, an override and a new function look the same.
    let isVague =
      VirtualFunctions.hasUnknownBase(step.old, old)
      || VirtualFunctions.hasUnknownBase(step.new, new)
    let leftParts = left.filter { $0.kind != .virtualFunction } + before
    let rightParts = right.filter { $0.kind != .virtualFunction } + after
    var used: Set<Int> = []
    var pairs: [(TypeMember, TypeMember)] = []
    for one in leftParts {
      let twin = rightParts.indices.first { position in
        !used.contains(position) && isSame(one, rightParts[position])
      }
      guard let twin else {
        if isVague, one.kind == .virtualFunction { continue }
        note(index, one.kind.part, partName(one, old), .removed)
        continue
      }
      used.insert(twin)
      pairs.append((one, rightParts[twin]))
    }
    for (position, other) in rightParts.enumerated() where !used.contains(position) {
      if isVague, other.kind == .virtualFunction { continue }
      note(index, other.kind.part, partName(other, new), .added)
    }
    for (one, other) in pairs {
      let part = one.kind.part
      if one.bitSize != other.bitSize {
        note(
          index, part, partName(one, old), .bitsChanged(from: one.bitSize, to: other.bitSize))
      }
      if one.offset != other.offset {
        note(index, part, partName(one, old), .moved(from: one.offset, to: other.offset))
      }
      follow(index, one, other, behind)
    }
  }

  /// Whether two parts are one that may have moved.
  private func isSame(_ a: TypeMember, _ b: TypeMember) -> Bool {
    guard a.kind == b.kind else { return false }
    switch a.kind {
    case .base, .virtualBase:
      return old[old.resolved(a.type)].name.map { one in
        new[new.resolved(b.type)].name.map { $0 == one } ?? false
      } ?? false
    case .virtualFunction:
      return LayoutComparison.haveSameName(a, b) && VirtualFunctions.haveSameParameters(a, b)
    case .field where a.name == nil && b.name == nil:
      // Anonymous unions: by place.
      return a.offset == b.offset
    default: return LayoutComparison.haveSameName(a, b)
    }
  }

  private func partName(_ member: TypeMember, _ table: TypeTable) -> NameView? {
    switch member.kind {
    case .base, .virtualBase: table[table.resolved(member.type)].name
    default: member.name
    }
  }

  static func haveSameName(_ a: TypeMember, _ b: TypeMember) -> Bool {
    // The pointer to the table is named after the class.
    if a.kind == .tablePointer { return true }
    return a.hasSameName(as: b)
  }
}
