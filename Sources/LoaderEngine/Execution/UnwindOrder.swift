// The order of an unwind table. libgcc sorts a registered table at the first throw: 50,000 records take 1.5 ms when
// they are in the order of their code, ten times that when they are not. So they are brought into order when they are
// linked, and records of code that was not linked are left out. LSB 5.0, “Exception Frames”.

/// Records of a proven table, by place.
struct UnwindOrder {
  private struct Record {
    private let place: UInt32
    private let length: UInt32
    private let commonNumber: UInt32
    var offset: Int { Int(place) }
    var size: Int { Int(length) }
    /// The number of the record of the CIE that it names; its own for a CIE.
    var common: Int { Int(commonNumber) }
    /// Where its code begins; 0 for code that was not linked.
    let begin: UInt64
    let isCommon: Bool

    init(offset: Int, size: Int, common: Int, begin: UInt64, isCommon: Bool) {
      place = UInt32(truncatingIfNeeded: offset)
      length = UInt32(truncatingIfNeeded: size)
      commonNumber = UInt32(truncatingIfNeeded: common)
      self.begin = begin
      self.isCommon = isCommon
    }
  }

  private let bytes: UnsafeRawBufferPointer
  private var records: [Record] = []
  /// Fields that count from their own place; nil: the first of each FDE, in four bytes.
  private let fields: [(offset: Int, encoding: UInt8)]?
  private let end: Int

  /// Reads a table that `UnwindTable.validate` has found sound.
  ///
  /// - Parameters:
  ///   - text: where its code runs.
  ///   - isPlain: as it was found to be: it need not be asked where its fields are.
  /// - Returns: nil when its records are written in a way that is not known here: it then stays as it is.
  init?(
    _ bytes: UnsafeRawBufferPointer, at start: Address, text: AddressRange, end: Int,
    isPlain: Bool
  ) {
    guard bytes.count <= UInt32.max else { return nil }
    var table = UnwindTable(bytes, at: start, text: text)
    if isPlain {
      fields = nil
    } else {
      guard (try? table.validate(upTo: end)) != nil else { return nil }
      fields = table.relativeFields
    }
    self.bytes = bytes
    self.end = end
    records.reserveCapacity(end / UnwindOrder.usualSize)
    var at = 0
    var commons: [Int: Int] = [:]
    // Of the CIE that the last one named.
    var (commonAt, commonNumber) = (-1, 0)
    while at < end {
      let size = 4 + Int(word(at))
      let id = Int(word(at + 4))
      if id == 0 {
        commons[at] = records.count
        records.append(
          Record(offset: at, size: size, common: records.count, begin: 0, isCommon: true))
      } else {
        let common = at + 4 - id
        if common != commonAt {
          guard isPlain || table.isOrdinary(common), let number = commons[common] else {
            return nil
          }
          (commonAt, commonNumber) = (common, number)
        }
        let raw = Int32(bitPattern: word(at + 8))
        let begin =
          raw == 0 ? 0 : UInt64(bitPattern: Int64(raw)) &+ start.value &+ UInt64(at + 8)
        records.append(
          Record(offset: at, size: size, common: commonNumber, begin: begin, isCommon: false))
      }
      at += size
    }
  }

  /// Bytes of a record: of most, no less.
  private static let usualSize = 32

  private func word(_ at: Int) -> UInt32 {
    guard at >= 0, at + 4 <= bytes.count else { return 0 }
    return bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)
  }

  /// The same table in order, as long as the old one; behind its last record it is zero. nil when a field
  /// does not fit any more.
  func sorted() -> [UInt8]? {
    // By record, where it goes; −1: nowhere.
    var moved = [Int](repeating: -1, count: records.count)
    let commons = records.indices.filter { records[$0].isCommon }
    var to = 0
    for index in commons + inOrder() {
      moved[index] = to
      to += records[index].size
    }
    var fits = true
    let copy = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, initialized in
      let copy = UnsafeMutableRawBufferPointer(buffer)
      guard let into = copy.baseAddress, let from = bytes.baseAddress else { return }
      (into + to).initializeMemory(as: UInt8.self, repeating: 0, count: copy.count - to)
      initialized = bytes.count
      // A record lies inside the table that was proven, and what was copied is no longer than that.
      for (index, record) in records.enumerated() where moved[index] >= 0 {
        let place = moved[index]
        (into + place).copyMemory(from: from + record.offset, byteCount: record.size)
        guard !record.isCommon else { continue }
        copy.storeBytes(
          of: UInt32(place + 4 - moved[record.common]), toByteOffset: place + 4, as: UInt32.self)
      }
      var next = 0
      guard let fields else { return moveBegins(in: copy, moved, &fits) }
      for (offset, encoding) in fields {
        while next + 1 < records.count, records[next + 1].offset <= offset { next += 1 }
        guard moved[next] >= 0 else { continue }
        let delta = Int64(moved[next] - records[next].offset)
        let at = offset + Int(delta)
        switch encoding & 0x0F {
        case 0x0B, 0x03:
          let value = Int64(bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)) - delta
          guard let narrow = Int32(exactly: value) else {
            fits = false
            return
          }
          copy.storeBytes(of: narrow, toByteOffset: at, as: Int32.self)
        case 0x00, 0x04, 0x0C:
          let value = bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self) &- delta
          copy.storeBytes(of: value, toByteOffset: at, as: Int64.self)
        default: fits = false
        }
      }
    }
    return fits ? copy : nil
  }

  /// Counts where the code of each record begins from its new place.
  private func moveBegins(
    in copy: UnsafeMutableRawBufferPointer, _ moved: [Int], _ fits: inout Bool
  ) {
    for (index, record) in records.enumerated() where !record.isCommon && moved[index] >= 0 {
      let at = record.offset + 8
      let value =
        Int64(bytes.loadUnaligned(fromByteOffset: at, as: Int32.self))
        - Int64(moved[index] - record.offset)
      guard let narrow = Int32(exactly: value) else {
        fits = false
        return
      }
      copy.storeBytes(of: narrow, toByteOffset: moved[index] + 8, as: Int32.self)
    }
  }

  /// The records of functions by the place of their code; equal ones as they were. Compilers write those of one
  /// section in order and those of `.text.unlikely` between them: each is added to the run that ends just before
  /// it, and the few runs are merged. Sorting took ten times as long (J4.set).
  private func inOrder() -> [Int] {
    var runs: [[Int]] = []
    var ends: [UInt64] = []
    for (index, record) in records.enumerated() where !record.isCommon && record.begin != 0 {
      var best = -1
      for run in ends.indices where ends[run] <= record.begin {
        if best < 0 || ends[run] > ends[best] { best = run }
      }
      if best < 0 {
        guard runs.count < UnwindOrder.mostRuns else { return sortedRecords() }
        best = runs.count
        runs.append([])
        ends.append(0)
      }
      runs[best].append(index)
      ends[best] = record.begin
    }
    guard var merged = runs.first else { return [] }
    for run in runs.dropFirst() { merged = merge(merged, run) }
    return merged
  }

  private static let mostRuns = 8

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (records[left].begin, left) < (records[right].begin, right)
  }

  private func sortedRecords() -> [Int] {
    records.indices.filter { !records[$0].isCommon && records[$0].begin != 0 }.sorted(by: isBefore)
  }

  private func merge(_ left: [Int], _ right: [Int]) -> [Int] {
    var merged: [Int] = []
    merged.reserveCapacity(left.count + right.count)
    var (i, j) = (0, 0)
    while i < left.count, j < right.count {
      if isBefore(right[j], left[i]) {
        merged.append(right[j])
        j += 1
      } else {
        merged.append(left[i])
        i += 1
      }
    }
    return merged + left[i...] + right[j...]
  }
}
