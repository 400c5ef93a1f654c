// What becomes of bytes of a changed unit that no symbol names: padding, literals, jump tables.
internal import LoaderEngine

extension StatePlan {
  /// Unnamed constants, the same at the same offset as before.
  func isUnchanged(_ section: Int, _ atom: Atom, _ found: [Variable?]) -> Bool {
    guard let old, roles[section] == .constant,
      let twin = found.lazy.compactMap({ $0?.section }).first, twin >= 0,
      old.linked.pieces[twin] == nil,
      relocations.isEmpty(section, atom.offset, atom.size),
      let now = object.contents(ofSection: section)?.slice(atom.offset, atom.size),
      let before = old.object.contents(ofSection: twin)?.slice(atom.offset, atom.size)
    else { return false }
    return now.isSame(as: before)
  }

  func isPadding(_ section: Int, _ atom: Atom) -> Bool {
    guard relocations.isEmpty(section, atom.offset, atom.size) else { return false }
    guard let bytes = object.contents(ofSection: section)?.slice(atom.offset, atom.size) else {
      return true
    }
    return bytes.count < 64 && bytes.array.allSatisfy { $0 == 0 }
  }

  /// Where bytes go that no symbol names: literals are interned, jump tables go with the code.
  func home(ofUnnamed atom: Atom, _ section: Int, _ kind: Arena.Kind) -> PieceRequest.Home? {
    if kind == .data { return isPadding(section, atom) ? nil : .fresh(.data) }
    if relocations.isEmpty(section, atom.offset, atom.size) { return .interned }
    guard relocations.aimAtCode(section, atom.offset, atom.size),
      relocations.cover(section, atom.offset, atom.size)
    else { return .fresh(.constants) }
    return .tied
  }
}
