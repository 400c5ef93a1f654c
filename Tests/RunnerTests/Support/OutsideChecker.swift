// A checker of linkers as somebody outside would write it: it has the objects, and what a link says of addresses,
// bytes, GOT and stubs. It computes every relocation again (psABI AMD64, table 4.9) and compares. Nothing of the
// engine is used.
import Foundation

struct OutsideChecker {
  let link: CheckedLink
  /// What does not hold.
  private(set) var faults: [String] = []
  /// Relocations that were computed again, by type.
  private(set) var proven: [Int: Int] = [:]
  private(set) var rewritten = 0

  private var sections: [String: [Int: CheckedLink.Section]] = [:]
  private var globals: [String: CheckedLink.Symbol] = [:]
  private var outside: [String: UInt64] = [:]
  private var unknown: Set<String> = []
  private var stubs: [String: UInt64] = [:]
  private var localStubs: [String: UInt64] = [:]
  private var entries: [UInt64: CheckedLink.Entry] = [:]

  init(_ link: CheckedLink) {
    self.link = link
    for section in link.sections { sections[section.image, default: [:]][section.index] = section }
    for symbol in link.symbols where symbol.binding != "local" { globals[symbol.name] = symbol }
    for item in link.defines { outside[item.symbol] = item.address }
    for item in link.imports {
      if let address = item.address {
        outside[item.symbol] = address
      } else {
        unknown.insert(item.symbol)
      }
    }
    for stub in link.stubs {
      if let image = stub.image, let index = stub.index {
        localStubs["\(image) \(index)"] = stub.address
      } else {
        stubs[stub.symbol] = stub.address
      }
    }
    for entry in link.got { entries[entry.address] = entry }
  }

  /// Where the symbol of a relocation may be, in this link.
  private struct Meaning {
    var addresses: [UInt64] = []
    var stub: UInt64?
    var size: UInt64?
    /// Nothing is said about it, and that is right: undefined and allowed, or only behind a stub.
    var isFree = false
  }

  mutating func check(_ path: String) throws {
    let object = try ElfBytes(path)
    let placed = sections[path] ?? [:]
    var linked: [Int: [UInt8]] = [:]
    var touched: [Int: Set<Int>] = [:]
    for (index, section) in placed where section.nobits != true {
      linked[index] = section.contents
      let original = object.sections[index]
      if linked[index]?.count != original.size, original.name != ".eh_frame" {
        faults.append(
          "\(path) \(section.name): \(linked[index]?.count ?? 0) bytes of \(original.size)")
      }
    }
    for section in object.sections
    where section.isAllocated && section.size > 0 && section.hasBytes
      && placed[section.index] == nil
    {
      let isInGroup = section.flags & 0x200 != 0
      let isExcluded = section.flags & 0x8000_0000 != 0
      let isEndMark =
        section.name == ".eh_frame" || section.name.hasPrefix(".swift")
        || section.name == ".note.gnu.property"
      if !isInGroup && !isExcluded && !isEndMark {
        faults.append("\(path): \(section.name) is nowhere")
      }
    }
    for relocation in object.relocations {
      guard let section = placed[relocation.section], let bytes = linked[relocation.section] else {
        continue
      }
      let width = ElfBytes.width(relocation.type)
      let at = Int(relocation.offset)
      // Behind the end of an unwind table nothing is placed.
      guard at + width <= bytes.count else { continue }
      let original = object.contents(object.sections[relocation.section])
      let changed = verify(relocation, object, path, section, bytes, Array(original))
      touched[relocation.section, default: []].formUnion(changed)
    }
    // An address that the assembler had computed, of a function in its own section, is now that of its stub.
    for change in link.relaxed where change.image == path && change.form == "stub" {
      guard let section = placed[change.section], let bytes = linked[change.section] else {
        continue
      }
      let at = Int(change.offset)
      let delta = Int64(Int32(truncatingIfNeeded: Int64(bytes[at..<at + 4].number)))
      let target = address(section, change.offset) &+ 4 &+ UInt64(bitPattern: delta)
      if link.stubs.contains(where: { $0.address == target }) {
        touched[change.section, default: []].formUnion(at..<at + 4)
        rewritten += 1
      } else {
        faults.append("\(path) \(section.name)+\(at): leads to no stub")
      }
    }
    // What no relocation names is as the compiler left it.
    for (index, bytes) in linked {
      let original = Array(object.contents(object.sections[index]))
      let known = touched[index] ?? []
      for at in bytes.indices where bytes[at] != original[at] && !known.contains(at) {
        faults.append("\(path) \(object.sections[index].name)+\(at): changed without a relocation")
        break
      }
    }
  }

  private func address(_ section: CheckedLink.Section, _ offset: UInt64) -> UInt64 {
    guard let pieces = section.pieces, !pieces.isEmpty else { return section.address &+ offset }
    let piece = pieces.last { $0.offset <= offset } ?? pieces[0]
    return piece.address &+ (offset &- piece.offset)
  }

  private func meaning(_ index: Int, _ addend: Int64, _ object: ElfBytes, _ path: String) -> Meaning
  {
    let symbol = object.symbols[index]
    var meaning = Meaning()
    meaning.size = symbol.size
    if symbol.section == 0xFFF1, symbol.binding == 0 {
      meaning.addresses = [symbol.value]
    } else if symbol.binding == 0, index != 0 {
      guard let section = sections[path]?[symbol.section] else {
        meaning.addresses = [0]
        meaning.isFree = true
        return meaning
      }
      if symbol.type == 3, let pieces = section.pieces, !pieces.isEmpty {
        // A section in pieces: the addend says which, up to the length of the rest of an instruction.
        meaning.addresses = (0...12).map { (bias: Int64) -> UInt64 in
          let offset = UInt64(bitPattern: addend &+ bias)
          return address(section, offset) &- offset
        }
      } else {
        meaning.addresses = [address(section, symbol.value)]
      }
      meaning.stub = localStubs["\(path) \(index)"]
      if symbol.type == 3, section.flags.contains("x") {
        // A function by section and offset is the function: its stub, where addresses are those of stubs.
        for (number, other) in object.symbols.enumerated()
        where other.section == symbol.section && (other.type == 2 || other.type == 10) {
          let stub = other.binding == 0 ? localStubs["\(path) \(number)"] : stubs[other.name]
          let isMeant = addend == Int64(other.value) || addend &+ 4 == Int64(other.value)
          if let stub, isMeant { meaning.addresses.append(stub &- other.value) }
        }
      }
      if symbol.type == 10, let stub = meaning.stub ?? stubs[symbol.name] {
        meaning.addresses = [stub]
      }
    } else if let found = globals[symbol.name] {
      meaning.addresses = [found.address]
      meaning.size = found.size
      meaning.stub = stubs[symbol.name]
    } else if let found = outside[symbol.name] {
      meaning.addresses = [found]
      meaning.stub = stubs[symbol.name]
    } else if unknown.contains(symbol.name) {
      meaning.stub = stubs[symbol.name]
      meaning.isFree = true
    } else if link.undefined.contains(symbol.name) {
      meaning.isFree = true
    } else if symbol.binding == 2 || index == 0 {
      meaning.addresses = [0]
      meaning.stub = stubs[symbol.name]
    }
    return meaning
  }

  /// - Returns: the bytes that the relocation accounts for.
  private mutating func verify(
    _ relocation: ElfBytes.Relocation, _ object: ElfBytes, _ path: String,
    _ section: CheckedLink.Section, _ bytes: [UInt8], _ original: [UInt8]
  ) -> Range<Int> {
    let at = Int(relocation.offset)
    let width = ElfBytes.width(relocation.type)
    guard width > 0 else { return at..<at }
    let a = UInt64(bitPattern: relocation.addend)
    let p = address(section, relocation.offset)
    let meaning = meaning(relocation.symbol, relocation.addend, object, path)
    let got = link.gotStart
    let shift = UInt64(64 - width * 8)
    let raw = bytes[at..<at + width].number
    let value = UInt64(bitPattern: Int64(bitPattern: raw << shift) >> Int64(shift))
    let stub = meaning.stub.map { [$0] } ?? []
    func same(_ other: UInt64) -> Bool { other << shift == raw << shift }
    var holds: Bool
    switch relocation.type {
    case 1, 10, 11, 12, 14:
      holds = (meaning.addresses + stub).contains { same($0 &+ a) }
    case 2, 13, 15, 24, 39:
      holds = (meaning.addresses + stub).contains { same($0 &+ a &- p) }
    case 4, 40: holds = (meaning.addresses + stub).contains { same($0 &+ a &- p) }
    case 25, 31: holds = (meaning.addresses + stub).contains { same($0 &+ a &- got) }
    case 26, 29: holds = same(got &+ a &- p)
    case 32, 33: holds = meaning.size.map { same($0 &+ a) } ?? false
    case 18, 23: holds = meaning.addresses.contains { same($0 &+ a) }
    case 17, 21: holds = meaning.addresses.contains { same($0 &- link.tlsBlock &+ a) }
    case 3, 27, 30:
      holds = leads(value &- a &+ got, "address", relocation, object, path, meaning)
    case 9, 28: holds = leads(value &- a &+ p, "address", relocation, object, path, meaning)
    case 41, 42, 43, 46, 49:
      if let range = rewrite(relocation.type, at, p, bytes, original, meaning) {
        proven[relocation.type, default: 0] += 1
        rewritten += 1
        return range
      }
      holds = leads(value &- a &+ p, "address", relocation, object, path, meaning)
    case 22, 44, 47, 50:
      holds = leads(value &- a &+ p, "tls_offset", relocation, object, path, meaning)
    case 19: holds = leads(value &- a &+ p, "tls_gd", relocation, object, path, meaning)
    case 20: holds = leads(value &- a &+ p, "tls_ld", relocation, object, path, meaning)
    case 34, 45, 48, 51:
      holds = leads(value &- a &+ p, "tls_desc", relocation, object, path, meaning)
    default: holds = false
    }
    holds =
      holds || (meaning.isFree && meaning.addresses.contains(0))
      || link.undefined.contains(object.symbols[relocation.symbol].name)
    if holds {
      proven[relocation.type, default: 0] += 1
    } else {
      faults.append(
        "\(path) \(section.name)+0x\(String(at, radix: 16)): type \(relocation.type) of"
          + " '\(object.symbols[relocation.symbol].name)' + \(relocation.addend):"
          + " 0x\(String(value, radix: 16)), meanings \(meaning)")
    }
    return at..<at + width
  }

  /// Whether an address is that of a GOT entry for the symbol, of that kind, which holds the right word.
  private func leads(
    _ place: UInt64, _ kind: String, _ relocation: ElfBytes.Relocation, _ object: ElfBytes,
    _ path: String, _ meaning: Meaning
  ) -> Bool {
    guard let entry = entries[place], entry.kind == kind else { return false }
    let symbol = object.symbols[relocation.symbol]
    if kind != "tls_ld" {
      guard entry.symbol == symbol.name else { return false }
      if let image = entry.image {
        guard image == path, entry.index == relocation.symbol else { return false }
      }
    }
    guard let value = entry.value else {
      return meaning.isFree || unknown.contains(symbol.name)
        || link.imports.contains { $0.symbol == symbol.name }
    }
    switch kind {
    case "tls_gd": return meaning.addresses.contains { $0 &- link.tlsBlock == value }
    case "tls_ld": return value == 0
    default: return (meaning.addresses + (meaning.stub.map { [$0] } ?? [])).contains(value)
    }
  }

  /// psABI AMD64, section B.2: an instruction that loaded from the GOT and does no more.
  ///
  /// - Returns: its bytes, when it was rewritten and computes what it should.
  private func rewrite(
    _ type: Int, _ at: Int, _ p: UInt64, _ bytes: [UInt8], _ original: [UInt8], _ meaning: Meaning
  ) -> Range<Int>? {
    let targets = meaning.addresses + (meaning.stub.map { [$0] } ?? [])
    func signed(_ range: Range<Int>) -> UInt64 {
      UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: Int64(bytes[range].number))))
    }
    let before = (original[at - 2], original[at - 1])
    let after = (bytes[at - 2], bytes[at - 1])
    let field = signed(at..<at + 4)
    if before == (0xFF, 0x15), after == (0x67, 0xE8) {
      return targets.contains { $0 &- (p &+ 4) == field } ? at - 2..<at + 4 : nil
    }
    if before == (0xFF, 0x25), after.0 == 0xE9, bytes[at + 3] == 0x90 {
      return targets.contains { $0 &- (p &+ 3) == signed(at - 1..<at + 3) } ? at - 2..<at + 4 : nil
    }
    if before.0 == 0x8B, after.0 == 0x8D, before.1 == after.1 {
      return targets.contains { $0 &- (p &+ 4) == field } ? at - 2..<at + 4 : nil
    }
    // An operation on a number: the register moves from ModRM.reg to ModRM.rm, prefixes with it.
    let register = before.1 >> 3 & 7
    let operation: (UInt8, UInt8)? =
      switch before.0 {
      case 0x8B: (0xC7, 0xC0 | register)
      case 0x85: (0xF7, 0xC0 | register)
      case 0x03, 0x0B, 0x13, 0x1B, 0x23, 0x2B, 0x33, 0x3B: (0x81, 0xC0 | before.0 & 0x38 | register)
      default: nil
      }
    guard let operation, operation == after, targets.contains(field) else { return nil }
    if type == 41 { return at - 2..<at + 4 }
    let mask: UInt8 = type == 42 ? 0x04 : 0x44
    let (old, new) = (original[at - 3], bytes[at - 3])
    return new == old & ~mask | (old & mask) >> 2 ? at - 3..<at + 4 : nil
  }
}
