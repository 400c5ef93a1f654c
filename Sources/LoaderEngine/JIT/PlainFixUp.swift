// The first half of fixing up: what touches nothing but the object itself. Its bytes are copied, and relocations that
// are like most (a symbol that is there, a formula that needs no table) are applied; the others are noted for `FixUp`,
// which may make slots, GOT entries and errors. So objects are done side by side (`Workers`), and what they leave, in
// the order of the objects. docs/decisions/0039.
internal import CLoaderSupport
internal import Glibc

/// Relocations of one section that are still to be applied, in order.
struct Leftover {
  /// The relocation section.
  var section: Int
  /// Positions in it; empty: all.
  var relocations: [Int32]
}

/// What is left of an object.
struct PlainRest {
  var leftovers: [Leftover]
  var touchesUnwind: Bool
  /// Whether its code must be searched for bare references.
  var isBare: Bool
}

extension LinkedSet {
  /// Objects that are done by one thread before another may take the next.
  private static let objectsAtATime = 16

  /// - Returns: what is left, by object.
  func fixUpPlainly() -> [PlainRest] {
    let count = objects.count
    let looksForBare = !options.bindsDirectly
    return [PlainRest](unsafeUninitializedCapacity: count) {
      buffer, initialized in
      guard let results = buffer.baseAddress else { return }
      // Sound: each object is done by one thread, and the array is there until all are done.
      nonisolated(unsafe) let places = results
      Workers.share(count, by: LinkedSet.objectsAtATime) { part in
        for index in part {
          let linked = objects[index]
          copyContents(linked)
          var fix = PlainFixUp(self, linked, index)
          let left = fix.apply()
          (places + index).initialize(
            to: PlainRest(
              leftovers: left,
              touchesUnwind: left.contains {
                linked.roles[Int(linked.object.sections[$0.section].info)] == .unwind
              },
              isBare: looksForBare && hasBareReferences(linked)))
        }
      }
      initialized = count
    }
  }

  private func copyContents(_ linked: LinkedObject) {
    for section in linked.roles.indices where linked.roles[section] != .ignored {
      guard let bytes = linked.object.contents(ofSection: section) else { continue }
      if let table = linked.pieces[section] {
        for piece in table.pieces {
          guard let place = piece.place, let part = bytes.slice(piece.offset, piece.size) else {
            continue
          }
          memcpy(place, part.base, part.count)
        }
      } else if let place = linked.places[section] {
        let isUnwind = linked.roles[section] == .unwind
        memcpy(place, bytes.base, isUnwind ? Int(unwindSize(linked, section)) : bytes.count)
      }
    }
  }
}

/// The rows of x86-64, flat.
struct RowTable: Sendable {
  let formulas: Column<Formula?>
  let fields: Column<Field>

  static let shared = RowTable()

  private init() {
    formulas = Column(repeating: nil, count: X86_64.typeCount)
    fields = Column(repeating: .none, count: X86_64.typeCount)
    for type in 0..<X86_64.typeCount {
      guard let row = X86_64.row(UInt32(type)) else { continue }
      formulas[type] = row.formula
      fields[type] = row.field
    }
  }
}

/// Applies the plain relocations of one object, section by section.
struct PlainFixUp {
  private let set: LinkedSet
  private let linked: LinkedObject
  private let index: Int
  private let got: GlobalOffsetTable
  private let targets: Column<Target>
  private let rows = RowTable.shared
  private let isDirect: Bool
  private let isWatched: Bool
  private let relaxation: LinkOptions.Relaxation
  // Of the section:
  private var role = SectionRole.ignored
  private var relaxes = false
  private var start: UInt64 = 0
  private var size: UInt64 = 0
  // nil: none of its relocations is plain.
  private var place: UnsafeMutableRawPointer?
  private var code: UnsafeRawPointer?

  init(_ set: LinkedSet, _ linked: LinkedObject, _ index: Int) {
    self.set = set
    self.linked = linked
    self.index = index
    got = set.space.got
    targets = set.targets[index]
    isDirect = set.options.bindsDirectly
    isWatched = set.options.observer?.seesRelocations ?? false
    relaxation = set.options.relaxation
  }

  /// - Returns: what is left.
  mutating func apply() -> [Leftover] {
    var left: [Leftover] = []
    let object = linked.object
    LinkSteps.add(linked.roles.count + object.relocationSections.count)
    for section in object.relocationSections {
      let target = Int(object.sections[section].info)
      guard object.sections[target].isAllocated, linked.roles[target] != .ignored else { continue }
      begin(target)
      guard place != nil else {
        left.append(Leftover(section: section, relocations: []))
        continue
      }
      let rest = apply(object.relocations(inSection: section))
      if !rest.isEmpty { left.append(Leftover(section: section, relocations: rest)) }
    }
    return left
  }

  /// Turns to a section.
  mutating func begin(_ section: Int) {
    role = linked.roles[section]
    relaxes = role == .text && relaxation != .none
    start = linked.addresses[section]
    size =
      role == .unwind
      ? set.unwindSize(linked, section) : linked.object.sections[section].size
    code = linked.object.contents(ofSection: section)?.base
    place = linked.pieces.isWhole(section) && !isWatched ? linked.places[section] : nil
  }

  private func apply(_ relocations: RecordTable<Elf64_Rela>) -> [Int32] {
    var left: [Int32] = []
    var applied = 0
    LinkSteps.add(relocations.count)
    for index in 0..<relocations.count {
      let relocation = relocations[index]
      if apply(relocation) {
        applied &+= 1
      } else if role != .unwind || relocation.r_offset < size {
        left.append(Int32(truncatingIfNeeded: index))
      }
    }
    linked.relocationCount &+= applied
    return left
  }

  /// - Returns: whether it was applied; what was not, `FixUp` decides, or refuses.
  @inline(__always)
  func apply(_ relocation: Elf64_Rela) -> Bool {
    let type = Int(relocation.type)
    guard let place, type < X86_64.typeCount, let formula = rows.formulas.proven(type) else {
      return false
    }
    let field = rows.fields.proven(type)
    // GATE: no unchecked offset past here.
    guard relocation.r_offset <= size, UInt64(field.width) <= size - relocation.r_offset,
      relocation.symbol < targets.count,
      let value = plainValue(relocation, formula, start &+ relocation.r_offset)
    else { return false }
    return field.write(value, at: place + Int(truncatingIfNeeded: relocation.r_offset))
  }

  /// The value of a relocation that is like most. nil: `FixUp.compute` must say. The same decisions as there, in a
  /// loop without calls (J4.set).
  @inline(__always)
  private func plainValue(_ relocation: Elf64_Rela, _ formula: Formula, _ p: UInt64) -> UInt64? {
    let target = targets.proven(relocation.symbol)
    guard target.flags.isDisjoint(with: [.missing, .discarded, .null, .inModule, .part]) else {
      return nil
    }
    var s = target.reference
    if !target.flags.isDisjoint(with: [.section, .function]) {
      if role == .unwind {
        s = target.body
      } else if target.flags.contains(.section) {
        guard target.flags.contains(.wholeSection) else { return nil }
        s = target.body
      } else if role == .tied {
        s = target.body
      } else if role == .text, formula == .branch || formula == .pcRelative,
        formula == .branch || (code.map { X86_64.isBranch($0, relocation.r_offset) } ?? false)
      {
        s = target.body
      } else if target.id == .none, !isDirect {
        return nil
      }
    }
    let a = UInt64(bitPattern: relocation.r_addend)
    switch formula {
    case .absolute: return s &+ a
    case .pcRelative, .branch: return s &+ a &- p
    case .gotEntryRelative:
      if relaxes {
        if relaxation == .all || target.flags.contains(.function) { return nil }
      }
      guard target.id != .none, let entry = got.existingEntry(target.id) else { return nil }
      return entry.value &+ a &- p
    default: return nil
    }
  }
}
