// Where thread-local variables of objects go. What fits lies in the static block, which every model of access
// reaches. A set that has more keeps there what is accessed from the thread pointer; variables that are only asked for
// by __tls_get_addr or a descriptor get a module of their own. psABI AMD64, “Thread-Local Storage”.
internal import CLoaderSupport

/// Thread-local modules of linked objects. An address in one is its number and an offset: offsets from the
/// thread pointer are negative, so the two cannot be mixed up. Its owner serialises.
package final class ThreadModules: @unchecked Sendable {
  private var modules: [UInt64: ThreadLocalModule] = [:]
  private var next: UInt64 = 0
  private var isKept = false

  init() {}

  /// A number for a module that is being linked.
  func number() -> UInt64 {
    next += 1
    return next
  }

  func add(_ module: ThreadLocalModule, _ number: UInt64) { modules[number] = module }

  /// Linked code outlives the space: its variables stay.
  package func keepForever() {
    guard !isKept else { return }
    isKept = true
    _ = Unmanaged.passRetained(self)
  }

  /// The module that an address lies in; nil for an offset from the thread pointer.
  subscript(address: UInt64) -> ThreadLocalModule? { modules[address >> 32] }

  static func isInModule(_ address: UInt64) -> Bool { address != 0 && address >> 32 < 1 << 30 }
}

extension LinkedSet {
  /// Above this, variables leave the static block that need not be in it.
  private static let roomy: UInt64 = 8 << 10

  func layOutThreadStorage() throws(LinkError) {
    var placed: [ThreadSection] = []
    var total: UInt64 = 0
    for role in [SectionRole.threadData, .threadBSS] {
      for (index, linked) in objects.enumerated() {
        for section in linked.roles.indices
        where linked.roles[section] == role && isOpen(index, section) {
          placed.append(ThreadSection(object: index, section: section))
          total = total.addingReportingOverflow(linked.object.sections[section].size).partialValue
        }
      }
    }
    guard !placed.isEmpty else { return }
    // As a linker's PT_TLS: what has bytes, then what is zero.
    if space.arena.isImaginary {
      var cursor = Cursor()
      for place in placed {
        _ = cursor.take(
          objects[place.object].object.sections[place.section].size, alignment(place))
      }
      space.threadStorage.reserve(cursor.end, alignment: cursor.alignment)
      for place in placed { try layOutFixed(place) }
      return
    }
    if total > LinkedSet.roomy {
      let fixed = ThreadAccess(self, placed).fixed
      try layOutModule(placed.filter { !fixed.contains($0) })
      placed = placed.filter { fixed.contains($0) }
    }
    // The most aligned first: nothing is lost between them.
    for place in placed.enumerated().sorted(by: { left, right in
      let (a, b) = (alignment(left.element), alignment(right.element))
      return a == b ? left.offset < right.offset : a > b
    }).map(\.element) {
      try layOutFixed(place)
    }
  }

  private func alignment(_ place: ThreadSection) -> UInt64 {
    objects[place.object].object.sections[place.section].alignment
  }

  private func layOutFixed(_ place: ThreadSection) throws(LinkError) {
    let linked = objects[place.object]
    let header = linked.object.sections[place.section]
    let offset: UInt64
    do {
      offset = try space.threadStorage.allocate(header.size, alignment: header.alignment)
    } catch {
      throw LinkError(file: linked.object.name, error.reason)
    }
    threadAllocations.append((offset, header.size))
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(max(header.size, 1)), alignment: 64)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    threadImages.append((offset, bytes))
    linked.addresses[place.section] = offset
    linked.places[place.section] = bytes.baseAddress
  }

  /// A block that each thread gets when it first asks for one of its variables.
  private func layOutModule(_ placed: [ThreadSection]) throws(LinkError) {
    guard !placed.isEmpty else { return }
    var cursor = Cursor()
    var offsets: [UInt64] = []
    var imageEnd: UInt64 = 0
    for place in placed {
      let header = objects[place.object].object.sections[place.section]
      guard cursor.end < 1 << 31, header.size < 1 << 31 else {
        throw LinkError(
          file: objects[place.object].object.name,
          .noSpace(what: "thread-local storage", requested: header.size))
      }
      offsets.append(cursor.take(header.size, header.alignment))
      if !header.isNoBits { imageEnd = cursor.end }
    }
    var image = AddressRange(start: Address(0), size: 0)
    if imageEnd > 0 {
      var imageCursor = Cursor()
      _ = imageCursor.take(imageEnd, cursor.alignment)
      guard let memory = try allocate(.constants, imageCursor) else { return }
      image = AddressRange(start: memory.range.start, size: imageEnd)
    }
    let number = space.threadModules.number()
    let module = try ThreadLocalModule(
      name: objects[placed[0].object].object.name, size: cursor.end, alignment: cursor.alignment,
      image: image)
    space.threadModules.add(module, number)
    for (place, offset) in zip(placed, offsets) {
      let linked = objects[place.object]
      linked.addresses[place.section] = number << 32 | offset
      if linked.roles[place.section] == .threadData {
        linked.places[place.section] = space.arena.place(image.start &+ offset, .constants)
      }
    }
  }
}

/// A thread-local section of a set.
struct ThreadSection: Hashable {
  var object: Int
  var section: Int
}

/// How the variables of a set are accessed, over all its objects.
struct ThreadAccess {
  /// Sections that hold a variable which somebody reaches from the thread pointer.
  private(set) var fixed: Set<ThreadSection> = []

  init(_ set: LinkedSet, _ sections: [ThreadSection]) {
    var owners: [SymbolID: ThreadSection] = [:]
    let known = Set(sections)
    for (index, linked) in set.objects.enumerated() {
      let object = linked.object
      for symbol in object.firstGlobal..<object.symbols.count
      where object.symbols[symbol].isThreadLocal {
        guard case .section(let section) = object.place(ofSymbol: symbol),
          set.draft[linked.globalID(symbol)]?.unit == linked.unit
        else { continue }
        owners[linked.globalID(symbol)] = ThreadSection(object: index, section: section)
      }
    }
    var local: Set<Int> = []
    for (index, linked) in set.objects.enumerated() {
      let object = linked.object
      for list in object.relocationSections {
        let target = Int(object.sections[list].info)
        guard object.sections[target].isAllocated, linked.roles[target] != .ignored else {
          continue
        }
        let relocations = object.relocations(inSection: list)
        for position in 0..<relocations.count {
          let relocation = relocations[position]
          guard let formula = X86_64.row(relocation.type)?.formula else { continue }
          switch formula {
          case .localDynamic: local.insert(index)
          case .descriptor
          where relocation.symbol < object.symbols.count
            && object.name(ofSymbol: relocation.symbol) == "_TLS_MODULE_BASE_":
            local.insert(index)
          case .threadOffset, .threadOffsetEntry:
            let symbol = relocation.symbol
            guard symbol < object.symbols.count else { continue }
            if symbol >= object.firstGlobal, let owner = owners[linked.globalID(symbol)] {
              fixed.insert(owner)
            } else if case .section(let section) = object.place(ofSymbol: symbol) {
              fixed.insert(ThreadSection(object: index, section: section))
            }
          default: break
          }
        }
      }
    }
    // Local-dynamic code counts all variables of its object from one place.
    let bound = Set(fixed.map(\.object)).intersection(local)
    for section in sections where bound.contains(section.object) { fixed.insert(section) }
    fixed.formIntersection(known)
  }
}

extension FixUp {
  /// A reference to a variable in a module of its own.
  func computeInModule(
    _ relocation: Elf64_Rela, _ formula: Formula, _ target: Target, _ p: UInt64
  ) throws(LinkError) -> UInt64? {
    let a = UInt64(bitPattern: relocation.r_addend)
    let offset = target.body & 0xFFFF_FFFF
    guard let module = space.threadModules[target.body] else {
      throw needsStaticBlock(relocation)
    }
    switch formula {
    case .generalDynamic: return try pair(relocation, target, module, offset).value &+ a &- p
    case .localDynamic:
      let id = space.names.intern("\u{1}module\u{1}\(module.id)")
      let (entry, isNew) = try space.got.entry(id, .moduleOffset)
      if isNew { space.got.set(entry, word: 0, module.id) }
      return entry.value &+ a &- p
    case .moduleOffset: return offset &+ a
    case .descriptor:
      // Its argument is the pair that general-dynamic access would use.
      let index = try pair(relocation, target, module, offset)
      let (entry, _) = try space.got.entry(entryName(relocation, target), .descriptor)
      space.got.set(entry, word: 0, Address(hl_tls_descriptor_dynamic()).value)
      space.got.set(entry, word: 1, index.value)
      return entry.value &+ a &- p
    case .size: return linked.object.symbols[relocation.symbol].st_size &+ a
    default: throw needsStaticBlock(relocation)
    }
  }

  private func pair(
    _ relocation: Elf64_Rela, _ target: Target, _ module: ThreadLocalModule, _ offset: UInt64
  ) throws(LinkError) -> Address {
    let (entry, _) = try space.got.entry(entryName(relocation, target), .moduleOffset)
    space.got.set(entry, word: 0, module.id)
    space.got.set(entry, word: 1, offset)
    return entry
  }

  private func entryName(_ relocation: Elf64_Rela, _ target: Target) -> SymbolID {
    if target.id != .none { return target.id }
    return space.localID(
      unit: linked.unit, name: linked.object.name(ofSymbol: relocation.symbol).string,
      ordinal: relocation.symbol)
  }
}
