// Sections `.init` and `.fini` hold pieces of two functions that a linker puts together between the pieces that crti.o and
// crtn.o have of them. Here each piece becomes a function of its own. System V ABI, “Special Sections”; libcrypto.a
// finds out that way what the processor can do.
internal import CLoaderSupport
internal import Glibc

enum StartFragment {
  /// `endbr64; sub $8, %rsp`: the stack is aligned inside, as it is in crti.o's.
  private static let prologue: [UInt8] = [0xF3, 0x0F, 0x1E, 0xFA, 0x48, 0x83, 0xEC, 0x08]
  /// `add $8, %rsp; ret`
  private static let epilogue: [UInt8] = [0x48, 0x83, 0xC4, 0x08, 0xC3]

  /// Room for a piece and what is put around it.
  ///
  /// - Returns: where the section begins.
  static func take(_ header: Section, from text: inout LinkedSet.Cursor) -> UInt64 {
    let lead = max(16, header.alignment)
    return text.take(lead + header.size + UInt64(epilogue.count), lead) + lead
  }

  /// Puts the rest of a function around a placed piece.
  static func frame(_ linked: LinkedObject, _ section: Int, in arena: Arena) {
    let start = Address(linked.addresses[section])
    let size = linked.object.sections[section].size
    memcpy(arena.place(start, .text) - prologue.count, prologue, prologue.count)
    memcpy(arena.place(start &+ size, .text), epilogue, epilogue.count)
    let function = start.value - UInt64(prologue.count)
    if linked.object.name(ofSection: section) == ".init" {
      linked.startFragment = function
    } else {
      linked.endFragment = function
    }
  }
}

extension LinkedObject {
  /// Whether a section is a piece of `_init` or `_fini`. Those of crti.o begin these functions themselves,
  /// and do not end.
  func isStartFragment(_ section: Int) -> Bool {
    let name = object.name(ofSection: section)
    guard name == ".init" || name == ".fini", object.sections[section].isExecutable else {
      return false
    }
    return !(0..<object.symbols.count).contains {
      object.place(ofSymbol: $0) == .section(section) && object.symbols[$0].isFunction
    }
  }
}
