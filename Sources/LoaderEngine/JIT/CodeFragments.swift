// `_init` and `_fini`: functions that a linker puts together from the `.init` and `.fini` sections of all objects.
// With crti.o and crtn.o among them these begin and end it; otherwise we do. System V ABI, “Special Sections”.
internal import Glibc

/// The fragments of one group of objects, in link order.
struct CodeFragments {
  private struct Part {
    var object: Int
    var section: Int
    var size: UInt64
    var alignment: UInt64
  }
  private struct Function {
    var parts: [Part] = []
    /// An object has the entry, `_init`, and another the way out.
    var isWhole = false
    var offset: UInt64?
    var size: UInt64 = 0
  }

  private var functions = [Function(), Function()]

  /// Offsets of the functions in their text; nil where no object has a piece of one.
  var start: UInt64? { functions[0].offset }
  var end: UInt64? { functions[1].offset }

  // endbr64; sub $8, %rsp … add $8, %rsp; ret
  private static let entry: [UInt8] = [0xF3, 0x0F, 0x1E, 0xFA, 0x48, 0x83, 0xEC, 0x08]
  private static let exit: [UInt8] = [0x48, 0x83, 0xC4, 0x08, 0xC3]

  mutating func add(_ linked: LinkedObject, _ index: Int, _ section: Int) {
    let which = linked.object.name(ofSection: section) == ".init" ? 0 : 1
    let header = linked.object.sections[section]
    functions[which].parts.append(
      Part(object: index, section: section, size: header.size, alignment: header.alignment))
    for symbol in linked.object.firstGlobal..<linked.object.symbols.count
    where linked.object.place(ofSymbol: symbol) == .section(section) {
      let name = linked.object.name(ofSymbol: symbol)
      if name == "_init" || name == "_fini" { functions[which].isWhole = true }
    }
  }

  mutating func layOut(
    _ text: inout LinkedSet.Cursor, place: (Int, Int, UInt64) -> Void
  ) {
    for which in functions.indices where !functions[which].parts.isEmpty {
      let start = text.take(0, 16)
      functions[which].offset = start
      if !functions[which].isWhole { _ = text.take(UInt64(CodeFragments.entry.count), 1) }
      for part in functions[which].parts {
        place(part.object, part.section, text.take(part.size, part.alignment))
      }
      if !functions[which].isWhole { _ = text.take(UInt64(CodeFragments.exit.count), 1) }
      functions[which].size = text.end - start
    }
  }

  /// Fills the gaps between fragments, through which control runs, and writes what they lack.
  func write(_ base: Address, _ arena: Arena) {
    for function in functions {
      guard let offset = function.offset, function.size > 0 else { continue }
      let place = arena.place(base &+ offset, .text)
      memset(place, 0x90, Int(function.size))
      guard !function.isWhole else { continue }
      memcpy(place, CodeFragments.entry, CodeFragments.entry.count)
      let exit = Int(function.size) - CodeFragments.exit.count
      memcpy(place + exit, CodeFragments.exit, CodeFragments.exit.count)
    }
  }
}
