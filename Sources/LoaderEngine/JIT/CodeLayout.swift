// The code of objects that live together: text in input order, then what only that code uses, with the
// unwind table last, because a zero word ends it.
internal import CLoaderSupport
internal import Glibc

extension LinkedSet {
  func layOutCode(of members: [Int]) throws(LinkError) -> TextGroup {
    var text = Cursor()
    var tied = Cursor()
    var placed: [(object: Int, section: Int, offset: UInt64, isText: Bool)] = []
    for index in members {
      let linked = objects[index]
      for section in linked.roles.indices where isOpen(index, section) {
        let header = linked.object.sections[section]
        switch linked.roles[section] {
        case .text where linked.isStartFragment(section):
          placed.append((index, section, StartFragment.take(header, from: &text), true))
        case .text: placed.append((index, section, text.take(header.size, header.alignment), true))
        // Tables of initialisers are read by us, but a program may have given them names.
        case .tied, .initArray, .finiArray, .preinitArray, .constructors, .destructors:
          placed.append((index, section, tied.take(header.size, header.alignment), false))
        default: break
        }
      }
      for (section, pieces) in requests(index) {
        for piece in pieces {
          guard case .tied = piece.home else { continue }
          tiedPieces[PieceKey(object: index, section: section, offset: piece.offset)] =
            tied.take(piece.size, linked.object.sections[section].alignment)
        }
      }
    }
    // The unwind table last and without gaps: a zero word ends it.
    tied.align(8)
    let unwindStart = tied.end
    var hasUnwind = false
    for index in members {
      let linked = objects[index]
      for section in linked.roles.indices where linked.roles[section] == .unwind {
        let size = unwindSize(linked, section)
        guard size > 0 else {
          linked.roles[section] = .ignored
          continue
        }
        hasUnwind = true
        placed.append((index, section, tied.take(size, 4), false))
      }
    }
    if hasUnwind { _ = tied.take(8, 4) }
    let textMemory = try allocate(.text, text, forGroup: true)
    let tiedMemory = try allocate(.constants, tied, forGroup: true)
    for item in placed {
      let memory = item.isText ? textMemory : tiedMemory
      guard let memory else { continue }
      put(item.object, item.section, memory.range.start &+ item.offset, memory.kind)
      if item.isText, objects[item.object].isStartFragment(item.section) {
        StartFragment.frame(objects[item.object], item.section, in: space.arena)
      }
    }
    if let tiedMemory {
      for index in members { assignTied(index, tiedMemory.range.start) }
      if hasUnwind {
        let start = tiedMemory.range.start &+ unwindStart
        memset(
          space.arena.place(tiedMemory.range.end, .constants) - 8, 0, 8)
        unwindRanges.append(AddressRange(start: start, size: tied.end - unwindStart))
      } else {
        unwindRanges.append(AddressRange(start: Address(0), size: 0))
      }
    } else {
      unwindRanges.append(AddressRange(start: Address(0), size: 0))
    }
    return TextGroup(space.arena, text: textMemory, tied: tiedMemory)
  }

  private func assignTied(_ index: Int, _ base: Address) {
    for (key, offset) in tiedPieces where key.object == index {
      tiedAddresses[key] = (base &+ offset).value
    }
  }

  /// Size of an `.eh_frame` without the zero word that would end the table.
  func unwindSize(_ linked: LinkedObject, _ section: Int) -> UInt64 {
    guard let bytes = linked.object.contents(ofSection: section) else { return 0 }
    var at: UInt64 = 0
    while let length = bytes.load(UInt32.self, at: at), length != 0 {
      guard length != 0xFFFF_FFFF, at + 4 + UInt64(length) <= UInt64(bytes.count) else { break }
      at += 4 + UInt64(length)
    }
    return at
  }
}
