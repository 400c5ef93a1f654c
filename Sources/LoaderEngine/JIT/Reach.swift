// What is done about a relocation beyond its plain formula: an instruction that need not load an address from
// the GOT is rewritten, and a call that does not reach its target goes through a stub. Both as linkers do.
internal import CLoaderSupport

extension FixUp {
  /// Turns a load of an address into a computation of it, where that is allowed and fits
  /// (psABI AMD64, section B.2).
  ///
  /// - Parameters:
  ///   - spot: where the field is written.
  ///   - p: where it runs.
  /// - Returns: false when the relocation is to be applied as it stands.
  mutating func relax(
    _ relocation: Relocation, at spot: UnsafeMutableRawPointer, _ p: UInt64
  ) throws(LinkError) -> Bool {
    guard relocation.r_addend == -4, X86_64.loadForm(relocation.type) != nil else { return false }
    let target = targets[relocation.symbol]
    guard target.flags.isDisjoint(with: [.missing, .discarded, .null, .section, .threadLocal])
    else { return false }
    if set.options.relaxation == .functions {
      // The entry of a function that another file may replace the process's own by is followed, too.
      guard target.flags.contains(.function), !target.flags.contains(.host) else { return false }
    }
    let s: UInt64
    if target.id == .none, target.flags.contains(.function), !isDirect {
      s = space.slots.stub(try set.localSlot(linked, relocation.symbol)).value
    } else if !target.flags.contains(.own),
      X86_64.isIndirectBranch(relocation.type, field: spot, offset: relocation.r_offset)
    {
      // Others' label without a type is called by its stub, though its address is its own.
      s = target.body
    } else {
      s = target.reference
    }
    guard
      let change = X86_64.relax(
        relocation.type, field: spot, offset: relocation.r_offset, size: size, s: s, p: p)
    else { return false }
    if set.options.notesRelaxations {
      set.relaxations.append(
        LinkedSet.Relaxed(
          unit: linked.unit, section: section, offset: relocation.r_offset, change: change))
    }
    return true
  }

  /// A value that does not fit its field: a call goes through a stub, anything else is refused.
  mutating func reach(
    _ relocation: Relocation, _ formula: Formula, _ value: UInt64,
    at spot: UnsafeMutableRawPointer, _ p: UInt64
  ) throws(LinkError) {
    let target = targets[relocation.symbol]
    let isCall =
      role == .text
      && (formula == .branch
        || (formula == .pcRelative && X86_64.isBranch(code, relocation.r_offset)))
    guard isCall, !target.flags.contains(.section),
      target.id != .none || target.flags.contains(.function)
    else { return try refuse(relocation, value) }
    let slot: SlotIndex
    if target.id == .none {
      slot = try set.localSlot(linked, relocation.symbol)
    } else {
      slot = try space.slots.slot(of: target.id)
      if set.farCalls.insert(target.id).inserted {
        set.slotChanges.append(SlotTable.Change(slot, target.body))
      }
    }
    let stub = space.slots.stub(slot).value
    let detour = stub &+ UInt64(bitPattern: relocation.r_addend) &- p
    let field = rows.fields[Int(relocation.type)]
    guard stub != target.body, field.write(detour, at: spot) else {
      return try refuse(relocation, value)
    }
  }
}
