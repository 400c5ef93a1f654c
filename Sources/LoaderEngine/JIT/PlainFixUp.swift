// The first half of fixing up: what touches nothing but the object itself. Its bytes are copied, and relocations that
// are like most (a symbol that is there, a formula that needs no table) are applied; the others are noted for `FixUp`,
// which may make slots, GOT entries and errors. So objects are done side by side (`Workers`), and what they leave, in
// the order of the objects. Unwind tables go first: they are proven and sorted while the rest is done.
// docs/decisions/0039.
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
  /// Whether its code must be searched for bare references.
  var isBare: Bool
}

/// Sections that are fixed up together.
enum FixUpPart {
  /// They come first, because they are proven and sorted as a whole.
  case unwindTables
  case others

  func contains(_ role: SectionRole) -> Bool {
    role != .ignored && (role == .unwind) == (self == .unwindTables)
  }
}

extension LinkedSet {
  /// Objects that are done by one thread before another may take the next.
  private static let objectsAtATime = 16

  /// - Parameter proof: done meanwhile, by the thread that takes the first share.
  /// - Returns: what is left, by object.
  func fixUpPlainly(_ what: FixUpPart, beside proof: UnwindProof? = nil) -> [PlainRest] {
    let count = objects.count
    let looksForBare = !options.bindsDirectly && what == .others
    let ahead = proof == nil ? 0 : LinkedSet.objectsAtATime
    return [PlainRest](unsafeUninitializedCapacity: count) {
      buffer, initialized in
      guard let results = buffer.baseAddress else { return }
      // Sound: each object is done by one thread, and the array is there until all are done.
      nonisolated(unsafe) let places = results
      Workers.share(ahead + count, by: LinkedSet.objectsAtATime) { part in
        if part.lowerBound < ahead { return proof?.run() ?? () }
        for index in part.lowerBound - ahead..<part.upperBound - ahead {
          let linked = objects[index]
          copyContents(linked, of: what)
          var fix = PlainFixUp(self, linked, index)
          (places + index).initialize(
            to: PlainRest(
              leftovers: fix.apply(what), isBare: looksForBare && hasBareReferences(linked)))
        }
      }
      initialized = count
    }
  }

  private func copyContents(_ linked: LinkedObject, of what: FixUpPart) {
    for section in linked.roles.indices where what.contains(linked.roles[section]) {
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
        memcpy(place, bytes.base, isUnwind ? Int(linked.unwindSize(section)) : bytes.count)
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
  let linked: LinkedObject
  private let got: GlobalOffsetTable
  private let targets: Column<Target>
  private let rows = RowTable.shared
  let isDirect: Bool
  private let isWatched: Bool
  private let relaxation: LinkOptions.Relaxation
  // Of the section:
  private(set) var section = 0
  private(set) var role = SectionRole.ignored
  private var relaxes = false
  private var start: UInt64 = 0
  private var size: UInt64 = 0
  // nil: none of its relocations is plain.
  private var place: UnsafeMutableRawPointer?
  private(set) var code: UnsafeRawPointer?
  /// The pieces of the section that was referred to last.
  var pieces: (section: Int, table: PieceTable?) = (-1, nil)

  init(_ set: LinkedSet, _ linked: LinkedObject, _ index: Int) {
    self.set = set
    self.linked = linked
    got = set.space.got
    targets = set.targets[index]
    isDirect = set.options.bindsDirectly
    isWatched = set.options.observer?.seesRelocations ?? false
    relaxation = set.options.relaxation
  }

  /// - Returns: what is left.
  mutating func apply(_ what: FixUpPart) -> [Leftover] {
    var left: [Leftover] = []
    let object = linked.object
    LinkSteps.add(linked.roles.count + object.relocationSections.count)
    for section in object.relocationSections {
      let target = Int(object.sections[section].info)
      guard object.sections[target].isAllocated, what.contains(linked.roles[target]) else {
        continue
      }
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
    self.section = section
    role = linked.roles[section]
    relaxes = role == .text && relaxation != .none
    start = linked.addresses[section]
    size =
      role == .unwind
      ? linked.unwindSize(section) : linked.object.sections[section].size
    code = linked.object.contents(ofSection: section)?.base
    place = linked.pieces.isWhole(section) && !isWatched ? linked.places[section] : nil
  }

  private mutating func apply(_ relocations: RecordTable<Elf64_Rela>) -> [Int32] {
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
  mutating func apply(_ relocation: Elf64_Rela) -> Bool {
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

  /// The value of a relocation that is like most. nil: `FixUp.compute` must say. The same decisions as there, nearly
  /// without calls (J4.set).
  @inline(__always)
  private mutating func plainValue(_ relocation: Elf64_Rela, _ formula: Formula, _ p: UInt64)
    -> UInt64?
  {
    let target = targets.proven(relocation.symbol)
    guard target.flags.isDisjoint(with: [.missing, .discarded, .null, .inModule, .part]) else {
      return nil
    }
    var s = target.reference
    if !target.flags.isDisjoint(with: [.section, .function]) {
      if role == .unwind {
        s = target.body
      } else if target.flags.contains(.section) {
        s = target.body
        if !target.flags.contains(.wholeSection) {
          guard let found = sectionMeaning(relocation, formula, target) else { return nil }
          s = found
        }
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
      // One that holds something else is of a link that was thrown away, or is to change with this one.
      guard target.id != .none, let entry = got.existingEntry(target.id),
        got.value(entry) == target.reference
      else { return nil }
      return entry.value &+ a &- p
    default: return nil
    }
  }
}
