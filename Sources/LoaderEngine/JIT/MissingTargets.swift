// References that cannot be bound as they stand: to nothing, to what was left out, or out of range. Each is
// given a meaning that is safe, noted with its place, or refused.
internal import CLoaderSupport

extension FixUp {
  /// Undefined, undefined weak, or in a section that was not linked.
  func computeAbsent(
    _ relocation: Elf64_Rela, _ formula: Formula, _ target: Target, _ p: UInt64
  ) throws(LinkError) -> UInt64? {
    let a = UInt64(bitPattern: relocation.r_addend)
    if target.flags.contains(.inModule) {
      return try computeInModule(relocation, formula, target, p)
    }
    if target.flags.contains(.discarded) {
      // As ld: tables about code may name what is gone, nobody else may.
      if target.flags.contains(.elsewhere), role != .unwind, role != .tied {
        noteDiscarded(relocation)
      }
      return 0  // libgcc passes over an FDE whose location is zero
    }
    if target.flags.contains(.null) {
      switch formula {
      case .gotEntryRelative: return try nullEntry(relocation, target) &+ a &- p
      case .gotEntryOffset:
        return try nullEntry(relocation, target) &+ a &- space.got.start.value
      // An offset of zero from the thread pointer: it is never looked at (ld does the same).
      case .threadOffsetEntry, .generalDynamic, .descriptor:
        return try entry(relocation, formula.use, 0) &+ a &- p
      case .absolute, .threadOffset, .moduleOffset, .size: return a
      case .gotRelative: return space.got.start.value &+ a &- p
      case .fromGOT, .branchFromGOT: return a &- space.got.start.value
      case .branch where isDirect: return a &- p
      case .branch:
        // The code tests its address first; a call that is made all the same is reported.
        return space.slots.stub(try space.slots.slot(of: target.id)).value &+ a &- p
      default: return a &- p
      }
    }
    let isCall =
      role == .text
      && (formula == .branch
        || (formula == .gotEntryRelative && X86_64.isIndirectBranch(code, relocation.r_offset))
        || (formula == .pcRelative && X86_64.isBranch(code, relocation.r_offset)))
    guard isCall, set.options.deferUndefinedCalls, !set.options.allowUndefined else {
      set.noteMissing(target.id, site(relocation))
      return nil
    }
    let slot = try space.slots.slot(of: target.id)
    if set.deferred.insert(target.id).inserted { set.deferredCalls.append(target.id) }
    let stub = space.slots.stub(slot).value
    if formula == .gotEntryRelative { return try entry(relocation, .address, stub) &+ a &- p }
    return stub &+ a &- p
  }

  /// The entry of an undefined weak symbol: zero, also when it was defined before.
  func nullEntry(_ relocation: Elf64_Rela, _ target: Target) throws(LinkError) -> UInt64 {
    let entry = try entry(relocation, .address, 0)
    if space.got.value(Address(entry)) != 0 { set.gotChanges.append((Address(entry), 0)) }
    return entry
  }

  private func noteDiscarded(_ relocation: Elf64_Rela) {
    guard case .section(let section) = linked.object.place(ofSymbol: relocation.symbol) else {
      return
    }
    set.discardedReferences.append(
      LinkError.Discarded(
        site: site(relocation), symbol: aim(of: relocation),
        section: linked.object.name(ofSection: section).string))
  }

  // MARK: refusals

  func site(_ relocation: Elf64_Rela) -> LinkError.Site {
    LinkError.Site(
      file: linked.object.name, section: linked.object.name(ofSection: section).string,
      offset: relocation.r_offset,
      relocation: X86_64.row(relocation.type).map { "\($0.name)" } ?? "type \(relocation.type)")
  }

  /// What a relocation refers to, in words: a symbol, or a section and an offset.
  func aim(of relocation: Elf64_Rela) -> String {
    let name = linked.object.name(ofSymbol: relocation.symbol).string
    guard name.isEmpty,
      case .section(let section) = linked.object.place(ofSymbol: relocation.symbol)
    else { return name }
    return linked.object.name(ofSection: section).string + "+\(relocation.r_addend)"
  }

  func needsStaticBlock(_ relocation: Elf64_Rela) -> LinkError {
    LinkError(
      file: linked.object.name,
      .unsupported(
        what: "'\(linked.object.name(ofSymbol: relocation.symbol).string)' of the host has no"
          + " fixed place in threads",
        help: "compile the unit with -fPIC"))
  }

  func refuse(_ relocation: Elf64_Rela, _ value: UInt64) throws(LinkError) {
    let target = targets[relocation.symbol]
    let name = aim(of: relocation)
    if target.flags.contains(.host) {
      throw LinkError(
        file: linked.object.name,
        .outOfReach(
          site(relocation), symbol: name, address: target.body,
          value: Int64(bitPattern: value)))
    }
    throw LinkError(
      file: linked.object.name,
      .overflow(site(relocation), symbol: name, value: Int64(bitPattern: value)))
  }

  func unsupported(_ relocation: Elf64_Rela) -> LinkError {
    let place =
      "in section \(linked.object.name(ofSection: section).string) at"
      + " +0x\(String(relocation.r_offset, radix: 16))"
    guard let known = X86_64.notation(relocation.type) else {
      return LinkError(
        file: linked.object.name,
        .unsupported(
          what: "relocation type \(relocation.type) \(place)",
          help: "no compiler for x86-64 puts it into an object"))
    }
    return LinkError(
      file: linked.object.name,
      .unsupported(
        what: "\(known.name) \(place)",
        help: "it is for the dynamic linker: only shared objects and programs hold it"))
  }
}

extension Formula {
  /// What a GOT entry that it refers to holds.
  fileprivate var use: GlobalOffsetTable.Use {
    switch self {
    case .threadOffsetEntry: .threadOffset
    case .generalDynamic: .moduleOffset
    case .descriptor: .descriptor
    default: .address
    }
  }
}
