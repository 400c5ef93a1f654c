// A unit that is gone takes what is its own with it: its finalisers and the handlers it registered run while its code is
// still there, then its variables give their memory back. Constants stay, as ever: objects that live may point at them.
internal import LoaderEngine

extension Program {
  /// Runs what removed units do at their end: handlers, newest first, then `.fini_array`. Before anything is
  /// switched over.
  func endRemoved(_ prepared: PreparedReload) {
    guard !prepared.removedUnits.isEmpty else { return }
    var kept: Set<Address> = []
    prepared.set.table.forEach { _, definition in
      if definition.kind == .data { kept.insert(Address(definition.address)) }
    }
    let units = prepared.removedUnits
    for unit in units.sorted(by: { position(of: $0) > position(of: $1) }) {
      guard let version = unit.version else { continue }
      let text = version.linked.textRange
      LinkedCode.runExitHandlers { function, argument, caller in
        // A variable that another unit has taken over lives on.
        !kept.contains(argument)
          && (text.contains(caller) || text.contains(function) || self.owns(function, version))
      }
      let entries = version.linked.finalisers(space.arena)
      run(Array(entries.reversed()), from: Set(entries.map(\.priority)).sorted(by: >))
    }
  }

  /// Whether an address is what others know a function of a unit by.
  private func owns(_ function: Address, _ version: UnitVersion) -> Bool {
    guard let slot = space.slots.slot(at: function) else { return false }
    if version.linked.localSlots.values.contains(slot) { return true }
    return generation.table[space.slots.symbol(of: slot)]?.unit == version.linked.unit
  }

  /// Gives back the variables of versions that are gone, unless another unit has taken them over.
  func releaseData(of versions: [UnitVersion]) {
    guard !versions.isEmpty else { return }
    var living: [UInt64] = []
    generation.table.forEach { _, definition in
      if definition.kind == .data { living.append(definition.address) }
    }
    living.sort()
    for version in versions {
      for range in version.dataRanges where !holds(living, range) {
        space.arena.release(Allocation(range: range, kind: .data))
      }
    }
  }

  private func holds(_ sorted: [UInt64], _ range: AddressRange) -> Bool {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < range.start.value { low = middle + 1 } else { high = middle }
    }
    return low < sorted.count && sorted[low] < range.end.value
  }
}

extension UnitVersion {
  /// The memory of its variables, with the room they had.
  fileprivate var dataRanges: [AddressRange] {
    var ranges: [AddressRange] = []
    for section in linked.roles.indices where linked.roles[section].isState {
      let size = object.sections[section].size
      if let table = linked.pieces[section] {
        for piece in table.pieces where piece.size > 0 {
          ranges.append(
            AddressRange(
              start: Address(piece.address), size: images.rooms[piece.address] ?? piece.size))
        }
      } else if size > 0, linked.addresses[section] != 0 {
        ranges.append(
          AddressRange(
            start: Address(linked.addresses[section]),
            size: rooms[section] ?? DataRoom.capacity(size)))
      }
    }
    return ranges
  }
}
