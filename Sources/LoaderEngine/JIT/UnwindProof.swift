// The unwind tables of a set, once they are relocated: proven, and brought into the order of their code. They are read
// and written by nothing else of the link, so that this can be done beside it.

/// Proves the unwind tables of a set.
final class UnwindProof: @unchecked Sendable {
  // Sound: one thread runs it, and is joined before the answer is read.
  private let set: LinkedSet
  private let texts: [AddressRange]
  private let ranges: [AddressRange]
  private let sortsAll: Bool
  private(set) var defect: LinkError?

  init(_ set: LinkedSet) {
    self.set = set
    texts = set.groups.map { $0.text?.range ?? AddressRange(start: Address(0), size: 0) }
    ranges = set.unwindRanges
    sortsAll = set.options.deadStripRoots != nil
  }

  func run() {
    for index in texts.indices where defect == nil && ranges[index].size > 8 {
      prove(ranges[index], texts[index])
    }
  }

  private func prove(_ range: AddressRange, _ text: AddressRange) {
    let bytes = UnsafeRawBufferPointer(
      start: set.space.arena.place(range.start, .constants), count: Int(range.size))
    var table = UnwindTable(bytes, at: range.start, text: text)
    do {
      let end = try table.validate()
      if !table.isInOrder, range.size > LinkedSet.sortedTable || sortsAll {
        sort(
          range.start,
          UnwindOrder(bytes, at: range.start, text: text, end: end, isPlain: table.isPlain))
      }
    } catch {
      let address = range.start.value + UInt64(error.offset)
      let owner = set.objects.last { linked in
        linked.roles.indices.contains {
          linked.roles[$0] == .unwind && linked.addresses[$0] <= address
        }
      }
      defect = LinkError(
        file: owner?.object.name ?? "",
        .malformed(structure: ".eh_frame", offset: UInt64(error.offset), detail: error.detail))
    }
  }

  private func sort(_ start: Address, _ order: UnwindOrder?) {
    guard let sorted = order?.sorted() else { return }
    sorted.withUnsafeBytes { source in
      if let from = source.baseAddress {
        set.space.arena.place(start, .constants).copyMemory(from: from, byteCount: source.count)
      }
    }
  }
}
