// Address space handed out first-fit and taken back. Free ranges are kept sorted and merged, so that
// space freed by a retired generation is whole again.

/// First-fit allocation of addresses inside one region. Touches no memory.
package struct RangeAllocator {
  private var free: [AddressRange]
  package let region: AddressRange
  /// Bytes handed out now.
  package private(set) var used: UInt64 = 0

  package init(_ region: AddressRange) {
    self.region = region
    free = [region]
  }

  /// A range of `size` bytes whose start is a multiple of `alignment`; nil when none is free.
  package mutating func allocate(_ size: UInt64, alignment: UInt64) -> AddressRange? {
    let size = max(size, 1)
    for index in free.indices {
      let range = free[index]
      let start = aligned(range.start.value, to: alignment)
      let skipped = start &- range.start.value
      guard skipped < range.size, size <= range.size - skipped else { continue }
      let rest = range.size - skipped - size
      let tail = AddressRange(start: Address(start &+ size), size: rest)
      switch (skipped, rest) {
      case (0, 0): free.remove(at: index)
      case (0, _): free[index] = tail
      case (_, 0): free[index].size = skipped
      default:
        free[index].size = skipped
        free.insert(tail, at: index + 1)
      }
      used += size
      return AddressRange(start: Address(start), size: size)
    }
    return nil
  }

  /// Takes back a range that `allocate` gave.
  package mutating func release(_ range: AddressRange) {
    precondition(range.start >= region.start && range.end <= region.end, "not from this region")
    used -= range.size
    var low = 0
    var high = free.count
    while low < high {
      let middle = (low + high) / 2
      if free[middle].start < range.start { low = middle + 1 } else { high = middle }
    }
    free.insert(range, at: low)
    if low + 1 < free.count, free[low].end == free[low + 1].start {
      free[low].size += free[low + 1].size
      free.remove(at: low + 1)
    }
    if low > 0, free[low - 1].end == free[low].start {
      free[low - 1].size += free[low].size
      free.remove(at: low)
    }
  }
}
