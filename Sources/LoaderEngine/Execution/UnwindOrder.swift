// The order of an unwind table. libgcc sorts a registered table at the first throw: 50,000 records take 1.5 ms when
// they are in the order of their code, ten times that when they are not. So they are brought into order when they are
// linked, and records of code that was not linked are left out. LSB 5.0, “Exception Frames”.

/// Records of a proven table, by place.
struct UnwindOrder {
  private struct Record {
    var offset: Int
    var size: Int
    /// Of the CIE that it names; its own offset for a CIE.
    var common: Int
    /// Where its code begins; 0 for code that was not linked.
    var begin: UInt64
    var isCommon: Bool
  }

  private let bytes: UnsafeRawBufferPointer
  private var records: [Record] = []
  /// Fields that count from their own place.
  private let fields: [(offset: Int, encoding: UInt8)]
  private let end: Int
  private(set) var isSorted = true

  /// Reads a table that `UnwindTable.validate` has found sound.
  ///
  /// - Parameter text: where its code runs.
  /// - Returns: nil when its records are written in a way that is not known here: it then stays as it is.
  init?(_ bytes: UnsafeRawBufferPointer, at start: Address, text: AddressRange, end: Int) {
    var table = UnwindTable(bytes, at: start, text: text)
    guard (try? table.validate(upTo: end)) != nil else { return nil }
    self.bytes = bytes
    self.end = end
    fields = table.relativeFields
    var at = 0
    var latest: UInt64 = 0
    while at < end {
      let size = 4 + Int(word(at))
      let id = Int(word(at + 4))
      if id == 0 {
        records.append(Record(offset: at, size: size, common: at, begin: 0, isCommon: true))
      } else {
        let common = at + 4 - id
        guard table.isOrdinary(common) else { return nil }
        let raw = Int32(bitPattern: word(at + 8))
        let begin =
          raw == 0 ? 0 : UInt64(bitPattern: Int64(raw)) &+ start.value &+ UInt64(at + 8)
        isSorted = isSorted && raw != 0 && begin >= latest
        latest = begin
        records.append(
          Record(offset: at, size: size, common: common, begin: begin, isCommon: false))
      }
      at += size
    }
  }

  private func word(_ at: Int) -> UInt32 {
    guard at >= 0, at + 4 <= bytes.count else { return 0 }
    return bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)
  }

  /// The same table in order, as long as the old one; behind its last record it is zero. nil when a field
  /// does not fit any more.
  func sorted() -> [UInt8]? {
    let commons = records.filter { $0.isCommon }
    let functions = records.filter { !$0.isCommon && $0.begin != 0 }.sorted {
      ($0.begin, $0.offset) < ($1.begin, $1.offset)
    }
    var copy = [UInt8](repeating: 0, count: bytes.count)
    var moved: [Int: Int] = [:]
    moved.reserveCapacity(records.count)
    var to = 0
    for record in commons + functions {
      moved[record.offset] = to
      to += record.size
    }
    var fits = true
    copy.withUnsafeMutableBytes { copy in
      for record in commons + functions {
        guard let place = moved[record.offset] else { continue }
        copy[place..<place + record.size].copyBytes(
          from: bytes[record.offset..<record.offset + record.size])
        guard !record.isCommon, let common = moved[record.common] else { continue }
        copy.storeBytes(of: UInt32(place + 4 - common), toByteOffset: place + 4, as: UInt32.self)
      }
      var next = 0
      for (offset, encoding) in fields {
        while next + 1 < records.count, records[next + 1].offset <= offset { next += 1 }
        guard let place = moved[records[next].offset] else { continue }
        let delta = Int64(place - records[next].offset)
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
}
