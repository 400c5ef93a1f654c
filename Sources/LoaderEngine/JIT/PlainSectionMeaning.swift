// What a reference by section and offset means where nothing need be made to say it: no slot, no error. The same decisions
// as `FixUp.sectionMeaning`.
internal import CLoaderSupport

extension PlainFixUp {
  /// - Returns: nil when `FixUp` must say.
  mutating func sectionMeaning(
    _ relocation: Elf64_Rela, _ formula: Formula, _ target: Target
  ) -> UInt64? {
    guard case .section(let aim) = linked.object.place(ofSymbol: relocation.symbol) else {
      return target.body
    }
    guard linked.pieces.isWhole(aim) else { return piece(relocation, formula, target, aim) }
    guard role != .tied, linked.roles[aim] == .text, !isDirect else { return target.body }
    if role == .text {
      return code.map { X86_64.isBranch($0, relocation.r_offset) } ?? false ? target.body : nil
    }
    // Relative words that no symbol names are a table of jumps, never a function's address.
    guard formula == .pcRelative, !linked.object.isNamed[section] else { return nil }
    return target.body
  }

  private mutating func piece(
    _ relocation: Elf64_Rela, _ formula: Formula, _ target: Target, _ aim: Int
  ) -> UInt64? {
    if pieces.section != aim { pieces = (aim, linked.pieces[aim]) }
    guard let table = pieces.table else { return nil }
    var bias: UInt64 = 0
    if role == .text, formula == .pcRelative || formula == .branch {
      guard let code, let length = X86_64.lengthFromDisplacement(code, relocation.r_offset) else {
        return nil
      }
      bias = length
    }
    let offset = UInt64(bitPattern: relocation.r_addend) &+ bias
    guard let index = table.index(of: offset) else { return target.body }
    let piece = table.pieces[index]
    // The end of one piece and the start of the next: only where they lie so in memory, too, is it all one.
    if piece.offset == offset, index > 0 {
      let before = table.pieces[index - 1]
      guard before.address &+ before.size == piece.address else { return nil }
    }
    return piece.address &+ (offset &- piece.offset) &- offset
  }
}
