// Addresses of functions taken inside one section. Without -ffunction-sections a compiler leaves no
// relocation there: `lea callback(%rip), %rdi` is final in the object. Each such `lea` of a function's
// start is redirected to the stub, so that a callback stored now calls tomorrow's body; one that names
// other code keeps this text alive and is reported.
internal import CLoaderSupport
internal import Glibc

extension LinkedSet {
  /// Whether code of an object has a displacement that reads as such a reference and has no relocation: few have.
  func hasBareReferences(_ linked: LinkedObject) -> Bool {
    var lists: RelocationLists?
    for section in linked.roles.indices where linked.roles[section] == .text {
      guard let bytes = linked.object.contents(ofSection: section), bytes.count > 7,
        linked.places[section] != nil, linked.pieces.isWhole(section)
      else { continue }
      let code = UnsafeRawBufferPointer(start: bytes.base, count: bytes.count)
      var relocated: RelocatedPlaces?
      var at = 0
      while let hit = BareReferences.next(in: code, from: at) {
        at = hit.field
        guard hit.target >= 0, hit.target < bytes.count, hit.target != hit.field - 3 else {
          continue
        }
        let relocations = lists ?? RelocationLists(linked.object)
        lists = relocations
        var places = relocated ?? RelocatedPlaces(linked.object, relocations[section])
        let isRelocated = places.hold(UInt64(hit.field))
        relocated = places
        if !isRelocated { return true }
      }
    }
    return false
  }

  func redirectBareReferences(_ linked: LinkedObject) throws(LinkError) {
    var symbols: SymbolsBySection?
    var lists: RelocationLists?
    for section in linked.roles.indices where linked.roles[section] == .text {
      guard let bytes = linked.object.contents(ofSection: section), bytes.count > 7,
        let place = linked.places[section], linked.pieces[section] == nil
      else { continue }
      let code = UnsafeRawBufferPointer(start: bytes.base, count: bytes.count)
      var finder: FunctionFinder?
      var walk = BareReferences.Walk()
      var relocated: RelocatedPlaces?
      var at = 0
      while let hit = BareReferences.next(in: code, from: at) {
        at = hit.field
        let target = hit.target
        // An instruction that takes its own address counts from it: position-independent code of the
        // large model finds the GOT so.
        guard target >= 0, target < bytes.count, target != hit.field - 3 else { continue }
        let relocations = lists ?? RelocationLists(linked.object)
        lists = relocations
        // As nearly all have.
        var places = relocated ?? RelocatedPlaces(linked.object, relocations[section])
        let isRelocated = places.hold(UInt64(hit.field))
        relocated = places
        if isRelocated { continue }
        let known = symbols ?? SymbolsBySection(linked.object)
        symbols = known
        let functions =
          finder ?? FunctionFinder(linked.object, known[section], relocations[section])
        finder = functions
        guard let home = functions.containing(UInt64(hit.field)),
          !functions.isRelocated(UInt64(hit.field)), !functions.countsFrom(UInt64(target)),
          walk.isInstruction(code, hit, in: home.start)
        else { continue }
        let offset = UInt64(target)
        guard let function = functions.starting(at: offset) else {
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
        if options.notesRelaxations {
          relaxations.append(
            Relaxed(
              unit: linked.unit, section: section, offset: UInt64(hit.field), change: .stub))
        }
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

  /// Goes through code once, in order.
  struct Walk {
    private let walker = InstructionWalker()
    private var function = UInt64.max
    private var start: UInt64 = 0

    /// Whether an instruction really ends behind the displacement: the bytes could be another's.
    ///
    /// - Parameter home: where the function around it begins.
    mutating func isInstruction(
      _ code: UnsafeRawBufferPointer, _ hit: Hit, in home: UInt64
    ) -> Bool {
      if function != home || start > hit.field {
        function = home
        start = home
      }
      guard let found = walker.instruction(covering: UInt64(hit.field), from: start, in: code)
      else { return false }
      start = found.lowerBound
      return found.upperBound == UInt64(hit.field + 4) && start == UInt64(hit.field - 3)
    }
  }
}

/// The relocation sections of each section of an object.
struct RelocationLists {
  private let all: [Int]
  // One more than the place of a section's first list in `all`, and of the list that follows each.
  private var first: [Int32]
  private var following: [Int32]

  init(_ object: ObjectFile) {
    all = object.relocationSections
    LinkSteps.add(all.count)
    first = [Int32](repeating: 0, count: object.sections.count)
    following = [Int32](repeating: 0, count: all.count)
    for position in all.indices.reversed() {
      let section = Int(object.sections[all[position]].info)
      following[position] = first[section]
      first[section] = Int32(position + 1)
    }
  }

  subscript(section: Int) -> [Int] {
    var found: [Int] = []
    var next = first.indices.contains(section) ? first[section] : 0
    while next != 0 {
      found.append(all[Int(next) - 1])
      next = following[Int(next) - 1]
    }
    return found
  }
}

/// Where relocations stand in a section, for who asks in ascending order: one walk over them beside another.
struct RelocatedPlaces {
  private let table: RecordTable<Elf64_Rela>
  private var next = 0

  /// - Parameter lists: the relocation sections of the section.
  init(_ object: ObjectFile, _ lists: [Int]) {
    table = lists.first.map { object.relocations(inSection: $0) } ?? .empty
    LinkSteps.add(table.count)
  }

  /// Whether a relocation stands at an offset; false also where that was not seen, because they are in no
  /// order or in several lists.
  mutating func hold(_ offset: UInt64) -> Bool {
    while next < table.count {
      let place = table[next].r_offset
      if place >= offset { return place == offset }
      next += 1
    }
    return false
  }
}

/// The functions of a section by place, and where relocations stand in it.
struct FunctionFinder {
  private let starts: [UInt64]
  private let ends: [UInt64]
  private let symbols: [Int]
  /// Offsets of relocations, ascending.
  private let relocated: [UInt64]

  /// Labels that code finds the GOT from: R_X86_64_GOTPC64 counts from them.
  private let labels: Set<UInt64>

  /// - Parameter lists: the relocation sections of the section.
  init(_ object: ObjectFile, _ candidates: [Int], _ lists: [Int]) {
    LinkSteps.add(candidates.count)
    // Of several at one place the global one is the identity; it stands behind the local ones.
    let sorted = candidates.filter { object.symbols[$0].isFunction }.sorted {
      (object.symbols[$0].st_value, $0) < (object.symbols[$1].st_value, $1)
    }
    symbols = sorted
    starts = sorted.map { object.symbols[$0].st_value }
    ends = sorted.map { object.extent(ofSymbol: $0).upperBound }
    var labels: Set<UInt64> = []
    var offsets: [UInt64] = []
    var isAscending = true
    for list in lists {
      let relocations = object.relocations(inSection: list)
      LinkSteps.add(relocations.count)
      offsets.reserveCapacity(offsets.count + relocations.count)
      for index in 0..<relocations.count {
        let offset = relocations[index].r_offset
        isAscending = isAscending && offsets.last.map { $0 <= offset } ?? true
        offsets.append(offset)
        if relocations[index].type == X86_64.gotDistance {
          labels.insert(offset &- UInt64(bitPattern: relocations[index].r_addend))
        }
      }
    }
    self.labels = labels
    relocated = isAscending ? offsets : offsets.sorted()
  }

  func isRelocated(_ offset: UInt64) -> Bool {
    var low = 0
    var high = relocated.count
    while low < high {
      let middle = (low + high) / 2
      if relocated[middle] < offset { low = middle + 1 } else { high = middle }
    }
    return low < relocated.count && relocated[low] == offset
  }

  /// Whether code at `offset` is where position-independent code of the large model counts from: the
  /// address of itself, and not that of a function.
  func countsFrom(_ offset: UInt64) -> Bool { labels.contains(offset) }

  /// The function that begins at `offset`.
  func starting(at offset: UInt64) -> Int? {
    last(upTo: offset).flatMap { starts[$0] == offset ? symbols[$0] : nil }
  }

  func containing(_ offset: UInt64) -> (start: UInt64, end: UInt64)? {
    last(upTo: offset).map { (starts[$0], ends[$0]) }
  }

  private func last(upTo offset: UInt64) -> Int? {
    var low = 0
    var high = starts.count
    while low < high {
      let middle = (low + high) / 2
      if starts[middle] <= offset { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? low - 1 : nil
  }
}
