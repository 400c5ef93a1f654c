// Fourth step of a link: bytes are copied and every relocation applied. A relocation writes through a
// pair (writable place, run-time address), never through one pointer.
//
// Here it is decided, reference by reference, what a function's name means: a call inside one object
// goes to the body beside it (gcc's -fipa-ra lets such a caller keep values in registers that a stub
// would use); a call from elsewhere, and every address taken, goes to the stub.
internal import CLoaderSupport
internal import Glibc

extension LinkedSet {
  func fixUp() throws(LinkError) {
    space.arena.waitUntilReady()
    let proof = UnwindProof(self)
    let unwind = fixUpPlainly(.unwindTables)
    // Nothing is left of them, nearly always: they are proven while the rest is fixed up.
    let isBeside =
      objects.count > LinkedSet.groupingLimit && unwind.allSatisfy { $0.leftovers.isEmpty }
    let others = fixUpPlainly(.others, beside: isBeside ? proof : nil)
    // Code first: what does not fit in it says where the whole must lie.
    try fixUp(others)
    try fixUp(unwind)
    try refuseConflicts()
    if !missing.isEmpty {
      let symbols = missingSymbols()
      guard options.allowUndefined else {
        throw LinkError(file: symbols[0].sites.first?.file ?? "", .undefined(symbols))
      }
      undefined = symbols
    }
    if !isBeside { proof.run() }
    if let defect = proof.defect { throw defect }
  }

  private func fixUp(_ rest: [PlainRest]) throws(LinkError) {
    for (index, rest) in rest.enumerated() {
      let linked = objects[index]
      if !rest.leftovers.isEmpty {
        var fix = FixUp(self, linked, index)
        for leftover in rest.leftovers { try fix.apply(leftover) }
      }
      if rest.isBare { try redirectBareReferences(linked) }
    }
  }

  /// Everything that is wrong with the symbols of the set, at once.
  private func refuseConflicts() throws(LinkError) {
    guard !duplicates.isEmpty || !discardedReferences.isEmpty else { return }
    var conflicts = LinkError.SymbolConflicts()
    conflicts.duplicates = duplicates
    conflicts.discarded = discardedReferences
    if !options.allowUndefined { conflicts.undefined = missingSymbols() }
    throw LinkError(
      file: duplicates.first?.second.file ?? discardedReferences.first?.site.file ?? "",
      .conflicts(conflicts))
  }
}

/// Applies the relocations of one object that are not plain, section by section.
struct FixUp {
  let set: LinkedSet
  let space: LinkSpace
  let linked: LinkedObject
  let got: GlobalOffsetTable
  let targets: Column<Target>
  let rows = RowTable.shared
  let isDirect: Bool
  let isWatched: Bool
  let references: SectionReferences
  private var plain: PlainFixUp
  // Of the section:
  var section = 0
  var role = SectionRole.ignored
  var size: UInt64 = 0
  var start: UInt64 = 0
  var place: UnsafeMutableRawPointer?
  var pieces: PieceTable?
  var code: UnsafeRawPointer
  var relaxes = false

  init(_ set: LinkedSet, _ linked: LinkedObject, _ index: Int) {
    self.set = set
    space = set.space
    got = set.space.got
    self.linked = linked
    targets = set.targets[index]
    references = SectionReferences(linked)
    plain = PlainFixUp(set, linked, index)
    isDirect = set.options.bindsDirectly
    isWatched = set.options.observer?.seesRelocations ?? false
    code = UnsafeRawPointer(set.space.arena.place(set.space.got.start, .data))
  }

  mutating func apply(_ leftover: Leftover) throws(LinkError) {
    begin(Int(linked.object.sections[leftover.section].info))
    let relocations = linked.object.relocations(inSection: leftover.section)
    if leftover.relocations.isEmpty {
      LinkSteps.add(relocations.count)
      for index in 0..<relocations.count { try apply(relocations[index]) }
    } else {
      for index in leftover.relocations {
        let relocation = relocations[Int(index)]
        // GOT entries are there by now for most of those that go through the table.
        if plain.apply(relocation) {
          linked.relocationCount &+= 1
        } else {
          try apply(relocation)
        }
      }
    }
  }

  /// Turns to a section.
  private mutating func begin(_ section: Int) {
    self.section = section
    plain.begin(section)
    role = linked.roles[section]
    relaxes = role == .text && set.options.relaxation != .none
    let contents = linked.object.contents(ofSection: section)
    size =
      role == .unwind
      ? linked.unwindSize(section) : linked.object.sections[section].size
    start = linked.addresses[section]
    place = linked.places[section]
    pieces = linked.pieces[section]
    code = contents?.base ?? UnsafeRawPointer(set.space.arena.place(set.space.got.start, .data))
  }

  private mutating func apply(_ relocation: Elf64_Rela) throws(LinkError) {
    let type = Int(relocation.type)
    guard type < X86_64.typeCount, let formula = rows.formulas.proven(type) else {
      throw unsupported(relocation)
    }
    let field = rows.fields.proven(type)
    // Behind a zero word the unwinder reads nothing, and nothing was placed.
    if role == .unwind && relocation.r_offset >= size { return }
    // GATE: no unchecked offset past here.
    guard relocation.r_offset <= size, UInt64(field.width) <= size - relocation.r_offset,
      relocation.symbol < targets.count
    else {
      throw LinkError(
        file: linked.object.name,
        .malformed(
          structure: "relocation in \(linked.object.name(ofSection: section).string)",
          offset: relocation.r_offset, detail: "leaves its section or names no symbol"))
    }
    if formula == .none || formula == .descriptorCall { return }
    var to = place
    var at = start &+ relocation.r_offset
    if let pieces {
      guard let piece = pieces.find(relocation.r_offset), let base = piece.place else { return }
      // GATE: nor outside its piece, behind which lies something else.
      let inside = relocation.r_offset - piece.offset
      guard inside <= piece.size, UInt64(field.width) <= piece.size - inside else {
        throw LinkError(
          file: linked.object.name,
          .malformed(
            structure: "relocation in \(linked.object.name(ofSection: section).string)",
            offset: relocation.r_offset, detail: "reaches from one variable into another"))
      }
      to = base - Int(piece.offset)
      at = piece.address &+ (relocation.r_offset &- piece.offset)
    }
    guard let to else { return }
    linked.relocationCount &+= 1
    let spot = to + Int(relocation.r_offset)
    // Who watches sees relocations as they stand.
    if formula == .gotEntryRelative, relaxes, !isWatched, try relax(relocation, at: spot, at) {
      return
    }
    var value = try compute(relocation, formula, at)
    if isWatched, let known = value { value = decide(relocation, known, at: at) }
    guard let value else { return }
    if !field.write(value, at: spot) {
      try reach(relocation, formula, value, at: spot, at)
    }
    if isWatched { tell(relocation, value, at: at) }
  }

  /// The value of a relocation; nil when nothing is to be written.
  @inline(__always)
  private mutating func compute(_ relocation: Elf64_Rela, _ formula: Formula, _ p: UInt64)
    throws(LinkError) -> UInt64?
  {
    let target = targets[relocation.symbol]
    let a = UInt64(bitPattern: relocation.r_addend)
    if !target.flags.isDisjoint(with: [.missing, .discarded, .null, .inModule]) {
      return try computeAbsent(relocation, formula, target, p)
    }
    let s = try meaning(relocation, formula, target)
    let got = space.got.start.value
    switch formula {
    case .none, .descriptorCall: return nil
    case .absolute: return s &+ a
    case .pcRelative, .branch: return s &+ a &- p
    case .fromGOT, .branchFromGOT: return s &+ a &- got
    case .gotRelative: return got &+ a &- p
    case .size: return sizeOfSymbol(relocation.symbol, target) &+ a
    case .gotEntryRelative:
      return try entry(relocation, .address, s) &+ a &- p
    case .gotEntryOffset:
      return try entry(relocation, .address, s) &+ a &- got
    case .threadOffset: return s &+ a
    case .threadOffsetEntry: return try entry(relocation, .threadOffset, s) &+ a &- p
    case .moduleOffset: return moduleOffset(s) &+ a
    case .generalDynamic: return try entry(relocation, .moduleOffset, s) &+ a &- p
    case .localDynamic: return try entry(relocation, .moduleOffset, nil) &+ a &- p
    case .descriptor: return try entry(relocation, .descriptor, s) &+ a &- p
    }
  }

  /// `S`: the stub, the body, kept data or new data.
  @inline(__always)
  private mutating func meaning(
    _ relocation: Elf64_Rela, _ formula: Formula, _ target: Target
  ) throws(LinkError) -> UInt64 {
    if role == .unwind || (role == .tied && !isPiecewise(relocation, target)) {
      return target.body
    }
    if target.flags.contains(.section) {
      return try sectionMeaning(relocation, formula, target)
    }
    guard !target.flags.isDisjoint(with: [.function, .part]) else { return target.reference }
    let isCall =
      role == .text
      && (formula == .branch
        || (formula == .pcRelative && X86_64.isBranch(code, relocation.r_offset)))
    if isCall { return target.body }
    if isDirect { return target.reference }
    if target.flags.contains(.part) {
      linked.codeEscapes =
        linked.codeEscapes
        || FunctionNames.suspends(
          linked.object.name(ofSymbol: relocation.symbol))
      return target.body
    }
    if target.id == .none {
      return space.slots.stub(try set.localSlot(linked, relocation.symbol)).value
    }
    return target.reference
  }

  /// Whether a reference by section and offset leads into one whose variables lie apart. Tables of handlers have such,
  /// too: clang keeps the addresses of types that are caught in unnamed words of `.data`.
  private func isPiecewise(_ relocation: Elf64_Rela, _ target: Target) -> Bool {
    guard target.flags.contains(.section),
      case .section(let aim) = linked.object.place(ofSymbol: relocation.symbol)
    else { return false }
    return linked.pieces[aim] != nil
  }

  /// A reference by section and offset: the compiler's way to name what is local.
  private mutating func sectionMeaning(
    _ relocation: Elf64_Rela, _ formula: Formula, _ target: Target
  ) throws(LinkError) -> UInt64 {
    guard case .section(let aim) = linked.object.place(ofSymbol: relocation.symbol) else {
      return target.body
    }
    let isPiecewise = !linked.pieces.isWhole(aim)
    let isCode = linked.roles[aim] == .text && !isDirect
    guard isPiecewise || isCode else { return target.body }
    if isCode && role == .text && X86_64.isBranch(code, relocation.r_offset) { return target.body }
    if isCode {
      guard
        let offset = references.codeTarget(
          relocation, formula, from: section, isText: role == .text)
      else { return target.body }
      if let function = references.function(in: aim, at: offset) {
        let name = linked.object.name(ofSymbol: function)
        if FunctionNames.isPart(name) {
          linked.codeEscapes = linked.codeEscapes || FunctionNames.suspends(name)
          return target.body
        }
        let stub: UInt64
        if function >= linked.object.firstGlobal {
          stub = targets[function].reference
        } else {
          stub = space.slots.stub(try set.localSlot(linked, function)).value
        }
        return stub &- offset
      }
      if role != .text && role != .tied { linked.codeEscapes = true }
      return target.body
    }
    let bias = try references.bias(relocation, formula, from: section, role: role)
    let offset = UInt64(bitPattern: relocation.r_addend) &+ bias
    guard let table = linked.pieces[aim], let index = table.index(of: offset) else {
      return target.body
    }
    let piece = table.pieces[index]
    // A relative word in data names a record's start; so does swiftc, which walks no variable by its end.
    let isExact = linked.object.isSwift || (role != .text && formula == .pcRelative)
    if piece.offset == offset, index > 0, bias <= 4, !isExact {
      try checkBoundary(relocation, table.pieces[index - 1], piece, aim)
    }
    return piece.address &+ (offset &- piece.offset) &- offset
  }

  /// `end of a` and `start of b` are one offset in the object, but two places after a reload moved one
  /// of them. Which is meant cannot be told from an address computation.
  private func checkBoundary(
    _ relocation: Elf64_Rela, _ before: Piece, _ after: Piece, _ aim: Int
  ) throws(LinkError) {
    guard before.offset + before.size == after.offset,
      before.address &+ before.size != after.address,
      before.size > 8 || !linked.roles[aim].isState,
      linked.roles[aim] != .mergedStrings, linked.roles[aim] != .mergedConstants,
      role != .text
        || code.load(fromByteOffset: max(0, Int(relocation.r_offset) - 2), as: UInt8.self) == 0x8D
    else { return }
    throw LinkError(
      file: linked.object.name,
      .ambiguous(
        site(relocation), section: aim,
        candidates: [before.offset, after.offset].map {
          linked.object.name(ofSection: aim).string + "+0x" + String($0, radix: 16)
        }))
  }

  /// `Z`: the size of the definition, which another object may have.
  private func sizeOfSymbol(_ symbol: Int, _ target: Target) -> UInt64 {
    let own = linked.object.symbols[symbol].st_size
    return target.id == .none ? own : set.draft[target.id]?.size ?? own
  }
}
