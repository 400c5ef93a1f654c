// Addresses of functions taken inside one section. Without -ffunction-sections a compiler leaves no
// relocation there: `lea callback(%rip), %rdi` is final in the object. Each such `lea` of a function's
// start is redirected to the stub, so that a callback stored now calls tomorrow's body; one that names
// other code keeps this text alive and is reported.
internal import CLoaderSupport
internal import Glibc

extension LinkedSet {
  func redirectBareReferences(_ linked: LinkedObject) throws(LinkError) {
    var symbols: SymbolsBySection?
    for section in linked.roles.indices where linked.roles[section] == .text {
      guard let bytes = linked.object.contents(ofSection: section), bytes.count > 7,
        let place = linked.places[section], linked.pieces[section] == nil
      else { continue }
      let code = UnsafeRawBufferPointer(start: bytes.base, count: bytes.count)
      var at = 0
      while let hit = BareReferences.next(in: code, from: at) {
        at = hit.field
        let target = hit.target
        guard target >= 0, target < bytes.count else { continue }
        if symbols == nil { symbols = SymbolsBySection(linked.object) }
        guard let list = symbols?[section] else { continue }
        let finder = FunctionFinder(linked.object, list)
        guard let home = finder.containing(UInt64(hit.field)),
          !BareReferences.isRelocated(linked.object, section, hit.field),
          BareReferences.isInstruction(code, hit, from: Int(home.start))
        else { continue }
        let offset = UInt64(target)
        guard let function = finder.starting(at: offset) else {
          if offset < home.start || offset >= home.end { linked.codeEscapes = true }
          continue
        }
        let name = linked.object.name(ofSymbol: function)
        if function < linked.object.firstGlobal, FunctionNames.isPart(name) {
          if FunctionNames.suspends(name) { linked.codeEscapes = true }
          continue
        }
        let stub: UInt64
        if function >= linked.object.firstGlobal {
          stub = space.slots.stub(try space.slots.slot(of: linked.globalID(function))).value
        } else {
          stub = space.slots.stub(try localSlot(linked, function)).value
        }
        let from = linked.addresses[section] &+ UInt64(hit.field) &+ 4
        guard let delta = Int32(exactly: Int64(bitPattern: stub &- from)) else {
          linked.codeEscapes = true
          linked.immovable.append(name.string)
          continue
        }
        (place + hit.field).storeBytes(of: delta, as: Int32.self)
      }
    }
  }
}

enum BareReferences {
  struct Hit {
    /// Offset of the 32-bit displacement.
    var field: Int
    /// Offset the instruction computes the address of.
    var target: Int
  }

  /// The next bytes that read as `lea disp32(%rip), %r64`.
  static func next(in code: UnsafeRawBufferPointer, from start: Int) -> Hit? {
    guard let base = code.baseAddress else { return nil }
    var at = start + 1
    while at + 6 <= code.count {
      guard let found = memchr(base + at, 0x8D, code.count - 5 - at) else { return nil }
      let offset = Int(bitPattern: found) - Int(bitPattern: base)
      let rex = code[offset - 1]
      if (rex == 0x48 || rex == 0x4C) && code[offset + 1] & 0xC7 == 0x05 {
        let displacement = Int(base.loadUnaligned(fromByteOffset: offset + 2, as: Int32.self))
        return Hit(field: offset + 2, target: offset + 6 + displacement)
      }
      at = offset + 1
    }
    return nil
  }

  static func isRelocated(_ object: ObjectFile, _ section: Int, _ field: Int) -> Bool {
    for list in object.relocationSections where Int(object.sections[list].info) == section {
      let relocations = object.relocations(inSection: list)
      // Sorted by offset, as every assembler writes them; otherwise one by one.
      var low = 0
      var high = relocations.count
      while low < high {
        let middle = (low + high) / 2
        if relocations[middle].r_offset < UInt64(field) { low = middle + 1 } else { high = middle }
      }
      if low < relocations.count, relocations[low].r_offset == UInt64(field) { return true }
      for index in 0..<relocations.count where relocations[index].r_offset == UInt64(field) {
        return true
      }
    }
    return false
  }

  /// Whether an instruction really ends behind the displacement: the bytes could be another's.
  static func isInstruction(_ code: UnsafeRawBufferPointer, _ hit: Hit, from start: Int) -> Bool {
    let found = InstructionWalker().instruction(
      covering: UInt64(hit.field), from: UInt64(start), in: code)
    return found?.upperBound == UInt64(hit.field + 4)
      && found?.lowerBound == UInt64(hit.field - 3)
  }
}

/// The functions of a section by place.
struct FunctionFinder {
  private let object: ObjectFile
  private let sorted: [Int]

  init(_ object: ObjectFile, _ symbols: [Int]) {
    self.object = object
    sorted = symbols.filter { object.symbols[$0].isFunction }.sorted {
      (object.symbols[$0].st_value, -$0) < (object.symbols[$1].st_value, -$1)
    }
  }

  /// The function that begins at `offset`, a global one before a local one.
  func starting(at offset: UInt64) -> Int? {
    sorted.first { object.symbols[$0].st_value == offset }
  }

  func containing(_ offset: UInt64) -> (start: UInt64, end: UInt64)? {
    guard let found = sorted.last(where: { object.symbols[$0].st_value <= offset }) else {
      return nil
    }
    let extent = object.extent(ofSymbol: found)
    return (extent.lowerBound, extent.upperBound)
  }
}
