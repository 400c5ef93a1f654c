// Values of an old layout in a new one, member by member, by name: for types whose bytes are all there is to them.
// What is new keeps its initial value; what is gone is dropped.
internal import Glibc
internal import LoaderEngine

/// How the bytes of an old type become those of a new one.
indirect enum FieldMigration {
  /// Bytes as they are.
  case copy(Int)
  /// A number of another width or kind.
  case number(from: NumberFormat, to: NumberFormat)
  /// An enumerator by its name. Values without one stay.
  case enumerator([Int64: Int64], from: NumberFormat, to: NumberFormat)
  case fields([Field])
  case elements(Int, from: Int, to: Int, FieldMigration)

  /// A member on its way. Bits from the start of the type.
  struct Field {
    var from: Int
    var to: Int
    /// Bits of bit fields; 0: whole bytes.
    var fromBits = 0
    var toBits = 0
    var isSigned = false
    var migration: FieldMigration
  }

  struct NumberFormat: Equatable {
    enum Kind { case signed, unsigned, floating, boolean }
    var kind: Kind
    var size: Int
  }

  /// Carries it out.
  ///
  /// - Parameters:
  ///   - old: the old bytes, all of them.
  ///   - new: holds the new type's initial value.
  func perform(_ old: UnsafeRawPointer, _ new: UnsafeMutableRawPointer) {
    switch self {
    case .copy(let count): memcpy(new, old, count)
    case .number(let from, let to): to.write(from.read(old), to: new)
    case .enumerator(let values, let from, let to):
      guard case .integer(let value) = from.read(old) else { return }
      to.write(.integer(values[value] ?? value), to: new)
    case .fields(let fields):
      for field in fields {
        if field.fromBits > 0 || field.toBits > 0 {
          field.performBits(old, new)
        } else {
          field.migration.perform(old + field.from / 8, new + field.to / 8)
        }
      }
    case .elements(let count, let from, let to, let each):
      for index in 0..<count { each.perform(old + index * from, new + index * to) }
    }
  }
}

extension FieldMigration.Field {
  fileprivate func performBits(_ old: UnsafeRawPointer, _ new: UnsafeMutableRawPointer) {
    let width = min(fromBits == 0 ? 64 : fromBits, 64)
    var value: UInt64 = 0
    for bit in 0..<min(width, fromBits == 0 ? toBits : width) {
      let at = from + bit
      if old.load(fromByteOffset: at / 8, as: UInt8.self) >> UInt8(at % 8) & 1 != 0 {
        value |= 1 << UInt64(bit)
      }
    }
    if isSigned, width < 64, value >> UInt64(width - 1) & 1 != 0 {
      value |= UInt64.max << UInt64(width)
    }
    for bit in 0..<min(toBits == 0 ? fromBits : toBits, 64) {
      let at = to + bit
      var byte = new.load(fromByteOffset: at / 8, as: UInt8.self)
      let mask = UInt8(1) << UInt8(at % 8)
      byte = value >> UInt64(bit) & 1 != 0 ? byte | mask : byte & ~mask
      new.storeBytes(of: byte, toByteOffset: at / 8, as: UInt8.self)
    }
  }
}

extension FieldMigration.NumberFormat {
  enum Value {
    case integer(Int64)
    case natural(UInt64)
    case floating(Double)
  }

  fileprivate func read(_ place: UnsafeRawPointer) -> Value {
    if kind == .floating {
      return .floating(
        size == 4
          ? Double(place.loadUnaligned(as: Float.self)) : place.loadUnaligned(as: Double.self))
    }
    var word: UInt64 = 0
    memcpy(&word, place, size)
    guard kind == .signed else {
      return kind == .boolean || size < 8 ? .integer(Int64(word)) : .natural(word)
    }
    let unused = UInt64(64 - 8 * size)
    return .integer(Int64(bitPattern: word << unused) >> Int64(unused))
  }

  fileprivate func write(_ value: Value, to place: UnsafeMutableRawPointer) {
    switch kind {
    case .floating:
      let number: Double =
        switch value {
        case .integer(let integer): Double(integer)
        case .natural(let natural): Double(natural)
        case .floating(let floating): floating
        }
      if size == 4 {
        place.storeBytes(of: Float(number), as: Float.self)
      } else {
        place.storeBytes(of: number, as: Double.self)
      }
    case .signed, .unsigned, .boolean:
      var word: UInt64 =
        switch value {
        case .integer(let integer): UInt64(bitPattern: integer)
        case .natural(let natural): natural
        case .floating: 0
        }
      if kind == .boolean { word = word == 0 ? 0 : 1 }
      memcpy(place, &word, size)
    }
  }
}

/// Finds out how one type becomes another.
struct FieldMigrationPlan {
  let old: TypeTable
  let new: TypeTable
  /// Objects behind pointers may have changed: the caller takes that on itself.
  var toleratesHeap = false

  /// - Parameter room: bytes of the old and of the new variable: no member may reach beyond.
  /// - Throws: `LayoutObstacle` when only the program's own code can do it.
  func migration(
    _ oldType: TypeIndex, _ newType: TypeIndex, room: (old: UInt64, new: UInt64)
  ) throws(Obstacle) -> FieldMigration {
    guard old.size(of: oldType) <= room.old, new.size(of: newType) <= room.new else {
      throw Obstacle(
        reason: .noConversion(
          member: "", from: old.name(of: oldType), to: new.name(of: newType)))
    }
    return try migration(oldType, newType, member: "", depth: 0)
  }

  struct Obstacle: Error {
    var reason: LayoutObstacle
  }

  private func migration(
    _ oldType: TypeIndex, _ newType: TypeIndex, member: String, depth: Int
  ) throws(Obstacle) -> FieldMigration {
    let (a, b) = (old.resolved(oldType), new.resolved(newType))
    let (before, after) = (old[a], new[b])
    func none() -> Obstacle {
      Obstacle(
        reason: .noConversion(
          member: member, from: old.name(of: oldType), to: new.name(of: newType)))
    }
    guard depth < 64 else { throw none() }
    switch (before.shape, after.shape) {
    case (.enumeration, .enumeration):
      var values: [Int64: Int64] = [:]
      for one in old.members(of: before) {
        let twin = new.members(of: after).first { LayoutComparison.haveSameName($0, one) }
        if let twin, twin.offset != one.offset { values[one.offset] = twin.offset }
      }
      guard let from = format(before, isOld: true), let to = format(after, isOld: false),
        to.size >= from.size
      else {
        throw none()
      }
      return .enumerator(values, from: from, to: to)
    case (.integer, _), (.boolean, _), (.floating, _), (.enumeration, _):
      guard let from = format(before, isOld: true), let to = format(after, isOld: false) else {
        throw none()
      }
      if from == to { return .copy(from.size) }
      // What could lose something is the program's decision.
      guard to.kind == .floating || to.kind == .boolean || to.size >= from.size,
        from.kind != .floating || (to.kind == .floating && to.size >= from.size)
      else { throw none() }
      return .number(from: from, to: to)
    case (.array, .array):
      let (counts, newCounts) = (counts(before, old), counts(after, new))
      guard counts.dropFirst().elementsEqual(newCounts.dropFirst()), let first = counts.first,
        let newFirst = newCounts.first
      else { throw none() }
      let inner = counts.dropFirst().reduce(1, &*)
      let sizes = (old.size(of: before.target), new.size(of: after.target))
      let each = try migration(before.target, after.target, member: member + "[]", depth: depth + 1)
      return .elements(
        Int(clamping: min(first, newFirst) &* inner), from: Int(clamping: sizes.0),
        to: Int(clamping: sizes.1), each)
    case (.record, .record):
      return try record(before, after, member: member, depth: depth)
    case (.union, .union), (.other, .other), (.pointer, .pointer), (.memberPointer, .memberPointer):
      var comparison = LayoutComparison(old, new)
      let differences = comparison.differences(oldType, newType)
      if differences.isEmpty || (toleratesHeap && differences.allSatisfy(\.isBehindPointer)) {
        return .copy(Int(clamping: before.size))
      }
      if differences.allSatisfy(\.isBehindPointer) { throw Obstacle(reason: .behindPointer) }
      throw none()
    default: throw none()
    }
  }

  private func record(
    _ before: TypeNode, _ after: TypeNode, member: String, depth: Int
  ) throws(Obstacle) -> FieldMigration {
    for (node, table) in [(before, old), (after, new)] {
      guard node.isPlain, isPlain(node, table) else {
        throw Obstacle(reason: .notPlain(type: table.qualifiedName(node) ?? "struct"))
      }
    }
    var fields: [FieldMigration.Field] = []
    let targets = new.members(of: after)
    for one in old.members(of: before) where one.kind == .field || one.kind == .base {
      let twin = targets.first { other in
        guard one.kind == other.kind else { return false }
        if one.kind == .base {
          return old[old.resolved(one.type)].name.map { name in
            new[new.resolved(other.type)].name.map { $0 == name } ?? false
          } ?? false
        }
        if one.name == nil { return other.name == nil && one.offset == other.offset }
        return LayoutComparison.haveSameName(one, other)
      }
      guard let twin else { continue }
      // GATE: no member beyond its structure, whatever the file claims.
      guard fits(one, before, old), fits(twin, after, new) else {
        throw Obstacle(
          reason: .noConversion(
            member: member, from: old.name(of: one.type), to: new.name(of: twin.type)))
      }
      let name = member + (member.isEmpty ? "" : ".") + (one.name?.string ?? "")
      let each = try migration(one.type, twin.type, member: name, depth: depth + 1)
      let isSigned = format(old[old.resolved(one.type)], isOld: true)?.kind == .signed
      if one.bitSize != twin.bitSize, one.bitSize == 0 || twin.bitSize == 0 {
        guard format(old[old.resolved(one.type)], isOld: true) != nil else { continue }
      }
      var field = FieldMigration.Field(
        from: Int(clamping: one.offset), to: Int(clamping: twin.offset), migration: each)
      if one.bitSize > 0 || twin.bitSize > 0 {
        field.fromBits = Int(clamping: one.bitSize > 0 ? one.bitSize : old.size(of: one.type) &* 8)
        field.toBits = Int(clamping: twin.bitSize > 0 ? twin.bitSize : new.size(of: twin.type) &* 8)
        field.isSigned = isSigned
      }
      fields.append(field)
    }
    return .fields(fields)
  }

  /// No table of virtual functions, no virtual base, no reference.
  private func isPlain(_ node: TypeNode, _ table: TypeTable) -> Bool {
    table.members(of: node).allSatisfy { member in
      switch member.kind {
      case .tablePointer, .virtualFunction, .virtualBase: false
      case .field: table[table.resolved(member.type)].shape != .reference
      default: true
      }
    }
  }

  private func fits(_ member: TypeMember, _ node: TypeNode, _ table: TypeTable) -> Bool {
    guard member.offset >= 0 else { return false }
    let start = UInt64(member.offset)
    let size = table.size(of: member.type)
    if member.bitSize > 0 {
      return size <= 8 && member.bitSize <= 64 && start <= node.size &* 8
        && member.bitSize <= node.size &* 8 &- start
    }
    return start / 8 <= node.size && size <= node.size - start / 8 && start % 8 == 0
  }

  private func counts(_ node: TypeNode, _ table: TypeTable) -> [Int64] {
    table.members(of: node).map { max($0.offset, 0) }
  }

  private func format(_ node: TypeNode, isOld: Bool) -> FieldMigration.NumberFormat? {
    guard [1, 2, 4, 8].contains(node.size) else { return nil }
    let size = Int(node.size)
    switch node.shape {
    case .boolean: return FieldMigration.NumberFormat(kind: .boolean, size: size)
    case .floating:
      return size >= 4 ? FieldMigration.NumberFormat(kind: .floating, size: size) : nil
    case .integer:
      let isSigned = node.encoding == 0x05 || node.encoding == 0x06
      return FieldMigration.NumberFormat(kind: isSigned ? .signed : .unsigned, size: size)
    case .enumeration:
      let table = isOld ? old : new
      let hasNegative = table.members(of: node).contains { $0.offset < 0 }
      return FieldMigration.NumberFormat(kind: hasNegative ? .signed : .unsigned, size: size)
    default: return nil
    }
  }
}
