// Where the data of a changed unit goes: what the old version has stays where it is, the rest gets new
// memory. Decided by name, per variable; by section only to keep a section that did not move whole.
//
//     whole   every variable that was there before lies at one distance from its old place, and new
//             ones fit behind: the section stays, and references need not be told apart
//     pieces  otherwise each variable goes where its old self is
internal import CLoaderSupport
internal import LoaderEngine

/// Placements and carries for one changed unit. Handed on from step to step: a class, because copies of so many fields
/// are felt at thousands of units (J4.set).
final class StatePlan {
  private(set) var placements: [Int: SectionPlacement] = [:]
  private(set) var carries: [Carry] = []
  private(set) var rooms: [Int: UInt64] = [:]
  /// Mutable variables without an old self, by symbol index.
  var newVariables: Set<Int> = []
  /// Variables that were constants so far: those lie where nothing can be written.
  private var unlocked: Set<Int> = []
  /// Constants that got another address.
  private(set) var movedConstants: [String] = []
  var removed: [String] = []
  /// Variables of the old version that have a new self, by symbol index there.
  private(set) var matched: [Bool]
  /// Variables that stay without a look at their values: thread-local ones.
  private var keptInPlace: [(symbol: String, fate: Verdict.Fate)] = []
  var carriedNew: Set<Int> = []
  let images = InitialImages()

  let object: ObjectFile
  let unit: String
  let old: UnitVersion?
  let roles: [SectionRole]
  private let symbols: SymbolsBySection
  private let ordinals: LocalOrdinals
  private var twins: VariableTwins?
  private let elsewhere: (NameView) -> Variable?
  private let isReadOnly: (UInt64) -> Bool
  let relocations: SectionRelocations
  private let records: SwiftRecords
  /// Variables whose type changed: their values are not carried as they are.
  let decisions: LayoutDecisions
  /// Names under which local variables and functions are known, where that is not their own.
  let identities: [Int: String]
  let policies: UnitPolicies
  private var tied = TiedParts()
  /// Variables that leave their place.
  var moves: [StateMove] = []
  /// Memory of variables that are initialised anew.
  var ended: [AddressRange] = []

  /// - Parameters:
  ///   - discarded: sections of groups that another unit supplies.
  ///   - isReload: something of the old generation is being replaced; otherwise all is new.
  ///   - unkept: constant sections that must not be kept in pieces (an ambiguous reference).
  ///   - isReadOnly: whether the program cannot write at an address.
  ///   - elsewhere: global data that another changed unit had in the old generation.
  init(
    _ object: ObjectFile, unit: String, old: UnitVersion?, discarded: Set<Int>, unkept: Set<Int>,
    isReload: Bool, decisions: LayoutDecisions, policies: UnitPolicies = UnitPolicies(),
    identities: [Int: String] = [:], isReadOnly: @escaping (UInt64) -> Bool,
    elsewhere: @escaping (NameView) -> Variable?
  ) throws {
    self.object = object
    self.unit = unit
    self.old = old
    self.elsewhere = elsewhere
    self.isReadOnly = isReadOnly
    self.decisions = decisions
    self.policies = policies
    self.identities = identities
    roles = isReload ? SectionRole.all(of: object) : []
    symbols = isReload ? SymbolsBySection(object) : .none
    let ordinals = isReload ? LocalOrdinals(object) : .none
    self.ordinals = ordinals
    twins = isReload ? old.map { VariableTwins(object, ordinals, identities, old: $0) } : nil
    matched = [Bool](repeating: false, count: isReload ? old?.object.symbols.count ?? 0 : 0)
    relocations = isReload ? SectionRelocations(object) : .none
    records = SwiftRecords(old: old?.object)
    guard isReload else { return }
    for section in roles.indices where roles[section].holdsData && !discarded.contains(section) {
      try plan(section, isUnkept: unkept.contains(section))
    }
    if let old {
      noteRemoved(old)
      joinParts(old)
    }
  }

  // MARK: one section

  private func plan(_ section: Int, isUnkept: Bool) throws {
    let role = roles[section]
    let map = DataMap(object, section: section, symbols: symbols[section])
    let name = object.name(ofSection: section)
    if role == .encapsulated {
      if SwiftRuntime.isRecordList(name) {
        if old != nil, records.contains(object, section, relocations) {
          placements[section] = .omitted
        }
        return
      }
      if !name.hasPrefix("swift5_") { return try planTable(section, name) }
    }
    guard old != nil || map.atoms.contains(where: { find($0, isState: role.isState) != nil }) else {
      return markNew(section, map)
    }
    let found = map.atoms.map { find($0, isState: role.isState) }
    if role.isThreadLocal { return try planThreadLocal(section, map, found) }
    if isUnkept { return markMoved(map, found) }
    if keepIdentical(section, map) { return }
    if try keepWhole(section, map, found) { return }
    let isNew = !found.contains { $0 != nil }
    if isNew, role.isState { return markNew(section, map) }
    if isNew, holdsRecords(map) { return }
    try keepPieces(section, map, found)
  }

  private func find(_ atom: Atom, isState: Bool) -> Variable? {
    guard let symbol = atom.symbol else { return nil }
    guard let known = known(symbol, isState: isState) else { return nil }
    guard isState, isReadOnly(known.address) else { return known }
    unlocked.insert(symbol)
    return nil
  }

  private func known(_ symbol: Int, isState: Bool) -> Variable? {
    if let variable = twins?.find(symbol) {
      matched[variable.symbol] = true
      return variable
    }
    let key = VariableKey(
      name: identities[symbol] ?? object.name(ofSymbol: symbol).string,
      ordinal: symbol < object.firstGlobal ? ordinals[symbol] : 0,
      isThreadLocal: object.symbols[symbol].isThreadLocal)
    if let variable = old?.variables[key] {
      matched[variable.symbol] = true
      return variable
    }
    // State moves between files with its address, and so do C++'s records. Swift's stay with theirs:
    // they are tied to what lies beside them.
    guard symbol >= object.firstGlobal, isState || key.name.hasPrefix("_ZT") else { return nil }
    return elsewhere(object.name(ofSymbol: symbol))
  }

  private func markNew(_ section: Int, _ map: DataMap) {
    guard roles[section].isState || roles[section].isThreadLocal else { return }
    for atom in map.atoms { if let symbol = atom.symbol { newVariables.insert(symbol) } }
  }

  private func markMoved(_ map: DataMap, _ found: [Variable?]) {
    for (atom, variable) in zip(map.atoms, found) where variable != nil {
      if let symbol = atom.symbol { movedConstants.append(object.name(ofSymbol: symbol).string) }
    }
  }

  /// A table between `__start_` and `__stop_`: all of it must stay in one stretch.
  private func planTable(_ section: Int, _ name: NameView) throws {
    guard let old else { return }
    let before = old.object.sections.indices.filter {
      old.linked.roles[$0] == .encapsulated && old.object.name(ofSection: $0) == name
    }
    guard let twin = before.first, before.count == 1,
      old.object.sections[twin].size == object.sections[section].size
    else {
      throw StateRefusal(
        unit: unit, symbol: name.string,
        reason: .tableResized(
          from: before.reduce(0) { $0 + old.object.sections[$1].size },
          to: object.sections[section].size))
    }
    let base = old.linked.addresses[twin]
    let image = images.make(section, size: object.sections[section].size)
    placements[section] = .whole(address: base, place: image)
    carries.append(
      Carry(
        kind: object.sections[section].isWritable ? .state : .constant, unit: unit,
        symbol: name.string, address: base, size: object.sections[section].size,
        oldSize: object.sections[section].size, image: image.map { UnsafeRawPointer($0) },
        oldImage: old.images[twin].map { UnsafeRawPointer($0) }))
  }

  private func planThreadLocal(_ section: Int, _ map: DataMap, _ found: [Variable?]) throws {
    let named = zip(map.atoms, found).filter { $0.0.symbol != nil }
    if named.allSatisfy({ $0.1 == nil }) { return markNew(section, map) }
    let bases = Set(named.map { atom, variable in variable.map { $0.address &- atom.offset } })
    guard bases.count == 1, let base = bases.first ?? nil,
      named.allSatisfy({ $0.1?.size == $0.0.size })
    else {
      throw StateRefusal(
        unit: unit, symbol: object.name(ofSection: section).string, reason: .threadLocalLayout)
    }
    placements[section] = .whole(address: base, place: nil)
    for (atom, variable) in named {
      guard let symbol = atom.symbol, let variable else { continue }
      keptInPlace.append((name(symbol), threadFate(section, atom, variable)))
    }
  }

  /// Threads go on with their values, and new ones begin as before: each has its own.
  private func threadFate(_ section: Int, _ atom: Atom, _ variable: Variable) -> Verdict.Fate {
    func first(_ object: ObjectFile?, _ section: Int, _ offset: UInt64) -> [UInt8] {
      // A COMMON one has no section, and begins as zero.
      let contents = section < 0 ? nil : object?.contents(ofSection: section)
      let bytes = contents?.slice(offset, atom.size)
      return bytes?.array ?? [UInt8](repeating: 0, count: Int(atom.size))
    }
    let source = first(object, section, atom.offset)
    let before = first(old?.object, variable.section, variable.offset)
    return source == before
      ? .kept
      : .keptOverEdit(value: Array(before.prefix(8)), source: Array(source.prefix(8)))
  }

  // MARK: whole

  /// Literals and names that no symbol marks: the same bytes stay where they are.
  private func keepIdentical(_ section: Int, _ map: DataMap) -> Bool {
    guard let old, !roles[section].isState, !object.sections[section].isWritable,
      !map.atoms.contains(where: { $0.symbol != nil }),
      let bytes = object.contents(ofSection: section),
      relocations.isEmpty(section, 0, object.sections[section].size)
    else { return false }
    let name = object.name(ofSection: section)
    for twin in old.object.sections.indices
    where old.object.name(ofSection: twin) == name && old.linked.roles[twin] == roles[section] {
      guard old.linked.pieces[twin] == nil, old.linked.addresses[twin] != 0,
        let before = old.object.contents(ofSection: twin), before.isSame(as: bytes)
      else { continue }
      placements[section] = .whole(address: old.linked.addresses[twin], place: nil)
      return true
    }
    return false
  }

  private func keepWhole(_ section: Int, _ map: DataMap, _ found: [Variable?]) throws
    -> Bool
  {
    var base: UInt64?
    var oldEnd: UInt64 = 0
    var roomEnd: UInt64 = 0
    for (atom, variable) in zip(map.atoms, found) {
      guard let variable else { continue }
      let mine = variable.address &- atom.offset
      if base != nil && base != mine { return false }
      base = mine
      guard atom.size <= variable.room else { return false }
      oldEnd = max(oldEnd, variable.address + max(variable.size, atom.size))
      roomEnd = max(roomEnd, variable.address + variable.room)
    }
    guard let base, base % object.sections[section].alignment == 0 else { return false }
    for (atom, variable) in zip(map.atoms, found) where variable == nil {
      guard atom.symbol != nil, roles[section].isState else {
        // Unnamed bytes: padding is harmless, anything else must not overwrite what is there.
        let isSame = isUnchanged(section, atom, found)
        guard isSame || isPadding(section, atom) else { return false }
        if isSame { roomEnd = max(roomEnd, base + atom.offset + atom.size) }
        continue
      }
      guard base + atom.offset >= oldEnd else { return false }
    }
    guard base + object.sections[section].size <= roomEnd else { return false }
    let image =
      roles[section] == .bss ? nil : images.make(section, size: object.sections[section].size)
    placements[section] = .whole(address: base, place: image)
    rooms[section] = roomEnd - base
    for (atom, variable) in zip(map.atoms, found) {
      guard let symbol = atom.symbol else { continue }
      try carry(section, atom, symbol, variable, at: base + atom.offset, image)
    }
    return true
  }

  // MARK: pieces

  private func keepPieces(_ section: Int, _ map: DataMap, _ found: [Variable?]) throws {
    try refuseMovedRecords(section, map, found)
    let role = roles[section]
    let kind: Arena.Kind =
      role.isState || (role == .encapsulated && object.sections[section].isWritable)
      ? .data : .constants
    let image =
      role == .bss ? nil : images.make(section, size: object.sections[section].size)
    var pieces: [PieceRequest] = []
    for (atom, variable) in zip(map.atoms, found) {
      guard let symbol = atom.symbol else {
        if let home = home(ofUnnamed: atom, section, kind) {
          pieces.append(PieceRequest(offset: atom.offset, size: atom.size, home: home))
        }
        continue
      }
      let name = object.name(ofSymbol: symbol).string
      if let variable, atom.size > variable.room, kind == .data, !IdentityNames.isIdentity(name),
        !decisions.replaces(symbol)
      {
        if leave(section, atom, symbol, variable) {
          pieces.append(PieceRequest(offset: atom.offset, size: atom.size, home: .fresh(kind)))
          continue
        }
        throw StateRefusal(
          unit: unit, symbol: name,
          reason: .noRoomToGrow(from: variable.size, to: atom.size, room: variable.room))
      }
      guard let variable, atom.size <= variable.room else {
        if let variable, !decisions.replaces(symbol) {
          try refuseShape(name, variable.size, atom.size)
          movedConstants.append(name)
        } else if variable == nil, kind == .data {
          newVariables.insert(symbol)
        }
        pieces.append(
          PieceRequest(offset: atom.offset, size: atom.size, home: .fresh(kind)))
        continue
      }
      pieces.append(
        PieceRequest(
          offset: atom.offset, size: atom.size,
          home: .kept(address: variable.address, place: image.map { $0 + Int(atom.offset) })))
      images.rooms[variable.address] = variable.room
      try carry(section, atom, symbol, variable, at: variable.address, image)
    }
    placements[section] = .pieces(pieces)
  }

  // MARK: carries

  private func carry(
    _ section: Int, _ atom: Atom, _ symbol: Int, _ variable: Variable?, at address: UInt64,
    _ image: UnsafeMutableRawPointer?
  ) throws {
    guard !decisions.replaces(symbol) else { return }
    let name = object.name(ofSymbol: symbol).string
    if let variable { try refuseShape(name, variable.size, atom.size) }
    let isConstant =
      roles[section] == .constant
      || (roles[section] == .encapsulated && !object.sections[section].isWritable)
    let kind: Carry.Kind
    if isConstant {
      kind = .constant
    } else if variable == nil {
      kind = .added
      newVariables.insert(symbol)
      carriedNew.insert(symbol)
    } else {
      kind = stateKind(name)
      if kind == .reset, let variable { end(variable, symbol) }
    }
    carries.append(
      Carry(
        kind: kind, unit: unit, symbol: name, address: address, size: atom.size,
        oldSize: variable?.size ?? 0,
        image: image.map { UnsafeRawPointer($0) + Int(atom.offset) },
        oldImage: variable.flatMap {
          old?.images[$0.section].map(UnsafeRawPointer.init)?.advanced(by: Int($0.offset))
        }))
  }

  /// Takes out what stays as it is.
  func takeKept() -> [Carry] {
    let kept = carries.filter(\.isKept)
    if !kept.isEmpty { carries.removeAll(where: \.isKept) }
    if !carries.isEmpty { tied = TiedParts(object, edited: carries, kept: kept) }
    return kept
  }

  /// What must be known of all of a variable's parts before the first of them is written.
  func holdTiedParts(_ arena: Arena) { tied.hold(&carries, arena) }

  /// Verdicts that need no look at memory.
  func remarks(_ unit: String) -> [Verdict] {
    keptInPlace.map { Verdict(unit: unit, symbol: $0.symbol, fate: $0.fate) }
      + movedConstants.map { Verdict(unit: unit, symbol: $0, fate: .moved) }
      + removed.map { Verdict(unit: unit, symbol: $0, fate: .removed) }
      + (old == nil
        ? []
        : newVariables.subtracting(carriedNew).map { ($0, name($0)) }.sorted { $0.1 < $1.1 }.map {
          Verdict(unit: unit, symbol: $0.1, fate: unlocked.contains($0.0) ? .moved : .added)
        })
  }

  func name(_ symbol: Int) -> String { object.name(ofSymbol: symbol).string }
}
