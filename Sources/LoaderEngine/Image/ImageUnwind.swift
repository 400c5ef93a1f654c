// An image's unwind table becomes known to the unwinder: exceptions pass through its frames, backtrace() sees
// them. The table is found by `.eh_frame_hdr` and proven before it is handed over, because libgcc believes
// every byte of it. One without an end mark (linked without crtend.o) is copied behind one.
// LSB 5.0, “Exception Frames”.
internal import CLoaderSupport
internal import Glibc

extension MappedImage {
  /// Registers the unwind table, after relocation. An image without one can be run, not thrown through.
  ///
  /// - Throws: `LinkError.malformed` for a table that would lead the unwinder astray.
  func registerUnwindTable() throws(LinkError) {
    guard let header = headers.unwindHeader, let start = unwindTable(header) else { return }
    guard let tail = provider.view.tail(start) else {
      throw refuse(start, "lies outside the loaded segments")
    }
    let bytes = UnsafeRawBufferPointer(start: tail.pointer, count: Int(tail.count))
    let defect: UnwindTable.Defect
    do throws(UnwindTable.Defect) {
      var table = UnwindTable(bytes, at: address(start), text: mapping.range)
      try table.validate(middle: middleRecord(header, start))
      unwindRegistration = UnwindRegistration(address(start))
      return
    } catch {
      defect = error
    }
    guard let end = unmarkedEnd(header, start, bytes) else {
      throw refuse(start &+ UInt64(defect.offset), defect.detail)
    }
    var table = UnwindTable(bytes, at: address(start), text: mapping.range)
    do throws(UnwindTable.Defect) {
      try table.validate(upTo: end)
    } catch {
      throw refuse(start &+ UInt64(error.offset), error.detail)
    }
    guard let copy = NearbyPages(end + 4, near: mapping.range),
      let moved = table.terminated(count: end, at: copy.start), copy.fill(moved)
    else {
      throw LinkError(
        file: name, .noSpace(what: "an unwind table near its image", requested: UInt64(end + 4)))
    }
    unwindRegistration = UnwindRegistration(copy.start)
    unwindCopy = copy
  }

  private func refuse(_ at: UInt64, _ detail: String) -> LinkError {
    LinkError(file: name, .malformed(structure: ".eh_frame", offset: at, detail: detail))
  }

  /// Virtual address of `.eh_frame`, as its header has it; nil when the header does not tell.
  private func unwindTable(_ header: Range<UInt64>) -> UInt64? {
    guard header.count >= 8, let bytes = provider.view.pointer(header.lowerBound, 8),
      bytes.load(as: UInt8.self) == 1
    else { return nil }
    let encoding = bytes.load(fromByteOffset: 1, as: UInt8.self)
    guard encoding == 0x1B else { return nil }  // pcrel, sdata4: all linkers
    let distance = bytes.loadUnaligned(fromByteOffset: 4, as: Int32.self)
    return header.lowerBound &+ 4 &+ UInt64(bitPattern: Int64(distance))
  }

  /// The header's list of all FDEs, sorted by place: two words of 32 bits each, counted from the header. nil: it has none.
  private func sortedList(_ header: Range<UInt64>) -> (rows: UnsafeRawPointer, count: Int)? {
    guard let list = provider.view.pointer(header.lowerBound, 12), header.count >= 12,
      list.load(fromByteOffset: 2, as: UInt8.self) == 0x03,
      list.load(fromByteOffset: 3, as: UInt8.self) == 0x3B
    else { return nil }
    let count = UInt64(list.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    guard count > 0, let rows = provider.view.pointer(header.lowerBound &+ 12, count * 8) else {
      return nil
    }
    return (rows, Int(count))
  }

  /// Offset of the FDE of the function in the middle, as the header has it, which need not be true.
  private func middleRecord(_ header: Range<UInt64>, _ start: UInt64) -> Int? {
    guard let (rows, count) = sortedList(header), count >= 64 else { return nil }
    let distance = rows.loadUnaligned(fromByteOffset: count / 2 * 8 + 4, as: Int32.self)
    return Int(exactly: header.lowerBound &+ UInt64(bitPattern: Int64(distance)) &- start)
  }

  /// Where a table ends that has no end mark behind its last record: known from the header's sorted list of
  /// all FDEs. nil: it has one, or the header has no list.
  private func unmarkedEnd(
    _ header: Range<UInt64>, _ start: UInt64, _ table: UnsafeRawBufferPointer
  )
    -> Int?
  {
    guard let (rows, count) = sortedList(header) else { return nil }
    var last = Int32.min
    for row in 0..<count {
      last = max(last, rows.loadUnaligned(fromByteOffset: row * 8 + 4, as: Int32.self))
    }
    let record = header.lowerBound &+ UInt64(bitPattern: Int64(last)) &- start
    guard record < UInt64(table.count), UInt64(table.count) - record >= 4 else { return nil }
    let length = UInt64(table.loadUnaligned(fromByteOffset: Int(record), as: UInt32.self))
    let end = record + 4 + length
    guard end <= UInt64(table.count), end < 1 << 31 else { return nil }
    // An end mark may be further on: records without functions follow the last one, rarely.
    if end + 4 <= UInt64(table.count),
      table.loadUnaligned(fromByteOffset: Int(end), as: UInt32.self) == 0
    {
      return nil
    }
    return Int(end)
  }
}

/// Pages that 32-bit displacements lead to from all of an image, and back; unmapped when dropped.
final class NearbyPages: @unchecked Sendable {
  let start: Address
  private let size: Int

  /// nil when all address space in reach is taken.
  init?(_ size: Int, near range: AddressRange) {
    let size = (size + 4095) & ~4095
    let kind = MAP_PRIVATE | MAP_ANONYMOUS
    let access = PROT_READ | PROT_WRITE
    self.size = size
    let reach = (UInt64(1) << 31) &- UInt64(size) &- range.size
    guard range.size < 1 << 30, size < 1 << 30 else { return nil }
    func isNear(_ place: UInt64) -> Bool {
      place < range.start.value
        ? range.start.value - place < reach : place - range.start.value < reach
    }
    // The kernel's own choice is near, unless a process is full of reservations.
    let hint = UnsafeMutableRawPointer(bitPattern: UInt(range.end.value))
    if let got = mmap(hint, size, access, kind, -1, 0), got != MAP_FAILED {
      guard !isNear(UInt64(UInt(bitPattern: got))) else {
        start = Address(UnsafeRawPointer(got))
        return
      }
      munmap(got, size)
    }
    let step: UInt64 = 4 << 20
    for distance in stride(from: step, to: reach, by: UInt64.Stride(step)) {
      let (above, below) = (range.end.value &+ distance, range.start.value &- distance)
      for place in [below & ~0xFFF, above & ~0xFFF] where isNear(place) {
        guard let at = UnsafeMutableRawPointer(bitPattern: UInt(place)),
          let got = hl_map_fixed_noreplace(at, size, access, kind, -1, 0), got != MAP_FAILED
        else { continue }
        start = Address(UnsafeRawPointer(got))
        return
      }
    }
    return nil
  }

  /// Writes the pages and makes them read-only.
  func fill(_ bytes: [UInt8]) -> Bool {
    guard bytes.count <= size, let place = UnsafeMutableRawPointer(bitPattern: UInt(start.value))
    else { return false }
    bytes.withUnsafeBytes { source in
      if let from = source.baseAddress { place.copyMemory(from: from, byteCount: source.count) }
    }
    return mprotect(place, size, PROT_READ) == 0
  }

  deinit { munmap(UnsafeMutableRawPointer(bitPattern: UInt(start.value)), size) }
}
