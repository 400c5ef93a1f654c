// Second step of a link: every section gets a place. Code of many objects lies together in input order,
// constants together, data with room to grow; what the reload runtime placed stays where it says.
internal import CLoaderSupport
internal import Glibc

extension LinkedSet {
  /// Above this many objects all code goes into one group with one unwind registration; below, each
  /// object has its own and is recycled alone.
  static let groupingLimit = 64

  func layOut() throws(LinkError) {
    applyPlacements()
    if options.isRemovable { handle = try take(.data, 8, 8, grows: false) }
    if options.isPermanent || objects.count > LinkedSet.groupingLimit {
      groupOfObject = [Int](repeating: 0, count: objects.count)
      groups.append(try layOutCode(of: Array(objects.indices)))
    } else {
      for index in objects.indices {
        groupOfObject.append(groups.count)
        groups.append(try layOutCode(of: [index]))
      }
    }
    try layOutConstants()
    try layOutEncapsulated()
    try layOutData()
    try layOutThreadStorage()
    try defineAddresses()
  }

  private func applyPlacements() {
    for (index, linked) in objects.enumerated() {
      for (section, placement) in inputs[index].placements {
        if case .whole(let address, let place) = placement, linked.roles[section] != .ignored {
          linked.addresses[section] = address
          linked.places[section] = place
        }
      }
    }
  }

  func isOpen(_ index: Int, _ section: Int) -> Bool {
    inputs[index].placements[section] == nil
  }

  func requests(_ index: Int) -> [(section: Int, pieces: [PieceRequest])] {
    inputs[index].placements.compactMap { section, placement in
      guard case .pieces(let pieces) = placement, objects[index].roles[section] != .ignored
      else { return nil }
      return (section, pieces)
    }.sorted { $0.section < $1.section }
  }

  // MARK: constants and data

  private func layOutConstants() throws(LinkError) {
    var cursor = Cursor()
    var placed: [(Int, Int, UInt64)] = []
    for (index, linked) in objects.enumerated() {
      for section in linked.placementOrder where isOpen(index, section) {
        let header = linked.object.sections[section]
        switch linked.roles[section] {
        case .constant:
          placed.append((index, section, cursor.take(header.size, header.alignment)))
        case .mergedStrings where !options.mergesConstants,
          .mergedConstants where !options.mergesConstants:
          placed.append((index, section, cursor.take(header.size, header.alignment)))
        case .mergedStrings: try internStrings(linked, section)
        case .mergedConstants: try internRecords(linked, section)
        default: break
        }
      }
    }
    guard let memory = try allocate(.constants, cursor) else { return try layOutPieces() }
    for (index, section, offset) in placed {
      put(index, section, memory.range.start &+ offset, .constants)
    }
    try layOutPieces()
  }

  private func internStrings(_ linked: LinkedObject, _ section: Int) throws(LinkError) {
    guard let bytes = linked.object.contents(ofSection: section) else { return }
    let alignment = linked.object.sections[section].alignment
    let width = Int(linked.object.sections[section].entrySize)
    var pieces: [Piece] = []
    var at = 0
    while at < bytes.count {
      let length = LinkedSet.length(ofStringAt: bytes.base + at, bytes.count - at, width)
      let address = try constants.intern(bytes.base + at, length, alignment: alignment)
      pieces.append(
        Piece(offset: UInt64(at), size: UInt64(length), address: address.value, place: nil))
      at = (at + length + Int(alignment) - 1) & ~(Int(alignment) - 1)
    }
    linked.pieces[section] = PieceTable(pieces)
  }

  /// Bytes of a string with its terminator, at most `rest`.
  private static func length(ofStringAt start: UnsafeRawPointer, _ rest: Int, _ width: Int) -> Int {
    guard width > 1 else {
      return memchr(start, 0, rest).map {
        Int(bitPattern: $0) - Int(bitPattern: start) + 1
      } ?? rest
    }
    var end = 0
    while end < rest {
      let character = start + end
      end += width
      let isEnd =
        width == 2
        ? character.loadUnaligned(as: UInt16.self) == 0
        : character.loadUnaligned(as: UInt32.self) == 0
      if isEnd { break }
    }
    return end
  }

  private func internRecords(_ linked: LinkedObject, _ section: Int) throws(LinkError) {
    guard let bytes = linked.object.contents(ofSection: section) else { return }
    let header = linked.object.sections[section]
    let size = Int(header.entrySize)
    var pieces: [Piece] = []
    for at in stride(from: 0, to: bytes.count, by: size) {
      let address = try constants.intern(
        bytes.base + at, size, alignment: min(header.alignment, 64))
      pieces.append(
        Piece(offset: UInt64(at), size: UInt64(size), address: address.value, place: nil))
    }
    linked.pieces[section] = PieceTable(pieces)
  }

  private func layOutPieces() throws(LinkError) {
    for (index, linked) in objects.enumerated() {
      for (section, wanted) in requests(index) {
        let alignment = linked.object.sections[section].alignment
        var pieces: [Piece] = []
        for request in wanted {
          var piece = Piece(offset: request.offset, size: request.size, address: 0, place: nil)
          switch request.home {
          case .kept(let address, let place):
            piece.address = address
            piece.place = place
          case .interned:
            guard
              let bytes = linked.object.contents(ofSection: section)?
                .slice(request.offset, request.size)
            else { continue }
            piece.address = try constants.intern(
              bytes.base, bytes.count, alignment: pieceAlignment(request.offset, alignment)
            ).value
          case .tied:
            let key = PieceKey(object: index, section: section, offset: request.offset)
            piece.address = tiedAddresses[key] ?? 0
            piece.place = space.arena.place(Address(piece.address), .constants)
          case .fresh(let kind):
            let memory = try take(
              kind, request.size, pieceAlignment(request.offset, alignment), grows: true)
            piece.address = memory.value
            piece.place = space.arena.place(memory, kind)
          }
          pieces.append(piece)
        }
        linked.pieces[section] = PieceTable(pieces)
      }
    }
  }

  /// What alignment the byte at `offset` of a section can rely on.
  private func pieceAlignment(_ offset: UInt64, _ section: UInt64) -> UInt64 {
    offset == 0 ? section : min(section, offset & (~offset &+ 1))
  }

  // MARK: memory

  struct Cursor {
    var end: UInt64 = 0
    var alignment: UInt64 = 1

    mutating func take(_ size: UInt64, _ alignment: UInt64) -> UInt64 {
      end = aligned(end, to: alignment)
      self.alignment = max(self.alignment, alignment)
      defer { end += size }
      return end
    }
    mutating func align(_ alignment: UInt64) {
      end = aligned(end, to: alignment)
      self.alignment = max(self.alignment, alignment)
    }
  }

  func allocate(_ kind: Arena.Kind, _ cursor: Cursor, forGroup: Bool = false)
    throws(LinkError) -> Allocation?
  {
    guard cursor.end > 0 else { return nil }
    let memory = try space.arena.allocate(
      kind, cursor.end, alignment: max(cursor.alignment, 16))
    // Text and tied memory belongs to its group, which gives it back.
    if !forGroup { allocations.append(memory) }
    return memory
  }

  func take(_ kind: Arena.Kind, _ size: UInt64, _ alignment: UInt64, grows: Bool)
    throws(LinkError) -> Address
  {
    let room = grows && kind == .data ? DataRoom.capacity(size) : size
    let memory = try space.arena.allocate(kind, room, alignment: alignment)
    allocations.append(memory)
    return memory.range.start
  }

  func put(_ object: Int, _ section: Int, _ address: Address, _ kind: Arena.Kind) {
    objects[object].addresses[section] = address.value
    objects[object].places[section] =
      objects[object].object.sections[section].isNoBits && kind == .data
      ? nil : space.arena.place(address, kind)
  }

  /// Writes the addresses of all definitions of this set into the new table.
  private func defineAddresses() throws(LinkError) {
    slotsAhead?.wait()
    for linked in objects {
      let object = linked.object
      for index in object.firstGlobal..<object.symbols.count {
        let id = linked.globalID(index)
        guard var definition = draft[id], definition.unit == linked.unit,
          object.place(ofSymbol: index) != .undefined,
          let address = linked.address(ofSymbol: index)
        else { continue }
        definition.address = address
        // Bound directly, only a function that is chosen when the program starts needs a stub.
        if definition.kind == .function,
          !options.bindsDirectly || object.symbols[index].type == UInt8(STT_GNU_IFUNC)
        {
          let slot = try space.slots.slot(of: id)
          definition.slot = slot.value
          if object.symbols[index].type != UInt8(STT_GNU_IFUNC) {
            slotChanges.append(SlotTable.Change(slot, address))
          }
        }
        draft.define(id, definition)
      }
    }
    for (name, range) in encapsulated {
      for (prefix, address) in [("__start_", range.start), ("__stop_", range.end)] {
        let id = space.names.intern(prefix + name)
        if draft[id] != nil, !name.hasPrefix("swift5_") {
          throw LinkError(
            file: objects.first?.object.name ?? "",
            .unsupported(
              what: "new entries in '\(name)', which is walked from __start_\(name)",
              help: "restart the program"))
        }
        if draft[id] == nil {
          draft.define(
            id,
            Definition(
              address: address.value, size: 0, unit: .max, kind: .constant, isWeak: true))
        }
      }
    }
  }
}

/// How much room a piece of state is given, so that it can grow where it is.
package enum DataRoom {
  /// - Returns: bytes, at least `size`.
  package static func capacity(_ size: UInt64) -> UInt64 {
    // A claimed size may be any number: what does not fit is refused where it is allocated.
    guard size < 1 << 62 else { return size }
    if size >= 1 << 20 { return size + (64 << 10) }
    return aligned(size + max(16, min(size / 2, 4096)), to: 16)
  }
}

struct PieceKey: Hashable {
  var object: Int
  var section: Int
  var offset: UInt64
}
