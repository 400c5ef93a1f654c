// A linked `.eh_frame` is handed to the unwinder, which believes every byte of it: one bad record, and the
// next throw anywhere in the process crashes. So it is read once as the unwinder will, before it is
// registered. LSB 5.0, “Exception Frames”; DWARF 5, 6.4.1.

/// Proves a linked unwind table.
struct UnwindTable {
  /// What is wrong, and at which offset of the table.
  struct Defect: Error {
    var offset: Int
    var detail: String
  }

  private let bytes: UnsafeRawBufferPointer
  /// Run-time address of the first byte.
  private let start: UInt64
  private let text: AddressRange
  /// Ascending.
  private var entries: [(offset: Int, entry: CommonEntry)] = []
  // Of the CIE that was met or named last: the next FDE names it too, nearly always.
  private var latest = CommonEntry()
  private var latestOffset = Int.min
  /// Fields that count from their own place, when asked for: whoever copies the table moves them.
  private(set) var relativeFields: [(offset: Int, encoding: UInt8)] = []
  private var notesFields = false
  /// Whether nothing counts from its own place but where the code of each FDE begins.
  private(set) var isPlain = true
  /// Whether every record's code was linked and begins behind that of the one before.
  private(set) var isInOrder = true
  /// Where in the text.
  private var latestBegin: UInt64 = 0

  /// How the FDEs of a CIE are written.
  private struct CommonEntry {
    var address: UInt8 = 0
    /// 0xFF: none.
    var handlers: UInt8 = 0xFF
    var hasData = false
  }

  /// - Parameters:
  ///   - bytes: the table with its closing zero word, relocated.
  ///   - text: where its code runs.
  init(_ bytes: UnsafeRawBufferPointer, at start: Address, text: AddressRange) {
    self.bytes = bytes
    self.start = start.value
    self.text = text
  }

  /// - Parameters:
  ///   - end: where the table ends that has no end mark; its fields are then noted.
  ///   - middle: where one of the records near its middle may begin. A hint: what is proven is the same.
  /// - Returns: where its records end.
  @discardableResult
  mutating func validate(upTo end: Int? = nil, middle: Int? = nil) throws(Defect) -> Int {
    notesFields = end != nil
    var at = 0
    while true {
      if end == nil { at = try passOrdinary(at, middle) }
      if at == end { return at }
      guard let length = word(at) else { throw Defect(offset: at, detail: "no end mark") }
      if length == 0 { return at }
      let body = at + 4
      guard length != 0xFFFF_FFFF, length >= 4, Int(length) <= bytes.count - body else {
        throw Defect(offset: at, detail: "record of \(length) bytes leaves the table")
      }
      let end = body + Int(length)
      guard let id = word(body) else { throw Defect(offset: at, detail: "truncated record") }
      if id == 0 {
        latest = try commonEntry(body + 4, end)
        latestOffset = at
        entries.append((at, latest))
      } else {
        let offset = body - Int(id)
        if offset != latestOffset {
          guard let entry = entry(at: offset) else {
            throw Defect(offset: at, detail: "its CIE does not exist")
          }
          latest = entry
          latestOffset = offset
        }
        try frameEntry(body + 4, end, latest)
      }
      at = end
    }
  }

  /// Proves FDEs of the CIE that was named last, as long as they are of the kind that compilers emit.
  ///
  /// - Returns: where the first other record begins.
  private mutating func passOrdinary(_ start: Int, _ middle: Int?) throws(Defect) -> Int {
    guard latest.address == 0x1B, latestOffset >= 0, latestOffset < start,
      let records = OrdinaryRecords(bytes, at: self.start, text: text, of: latestOffset)
    else { return start }
    var progress = OrdinaryRecords.Progress(at: UInt64(start), begin: latestBegin)
    records.pass(&progress, middle: middle)
    isInOrder = isInOrder && progress.isInOrder
    latestBegin = progress.begin
    let at = Int(truncatingIfNeeded: progress.at)
    if progress.isDefect { throw Defect(offset: at + 8, detail: "FDE for code outside its object") }
    return at
  }

  /// Whether the FDEs of a CIE tell places in four bytes, counted from where they stand.
  func isOrdinary(_ offset: Int) -> Bool { entry(at: offset)?.address == 0x1B }

  /// The CIE at an offset.
  private func entry(at offset: Int) -> CommonEntry? {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].offset < offset { low = middle + 1 } else { high = middle }
    }
    guard low < entries.count, entries[low].offset == offset else { return nil }
    return entries[low].entry
  }

  /// - Returns: how its FDEs encode addresses.
  private mutating func commonEntry(_ start: Int, _ end: Int) throws(Defect) -> CommonEntry {
    var reader = Reader(bytes: bytes, at: start, end: end)
    guard let version = reader.byte(), version == 1 || version == 3 else {
      throw Defect(offset: start, detail: "CIE of an unknown version")
    }
    var augmentation: [UInt8] = []
    while let letter = reader.byte(), letter != 0 { augmentation.append(letter) }
    guard reader.leb(), reader.leb(), version == 1 ? reader.byte() != nil : reader.leb() else {
      throw Defect(offset: start, detail: "truncated CIE")
    }
    guard let first = augmentation.first else {
      isPlain = false
      return CommonEntry()
    }
    guard first == UInt8(ascii: "z"), let size = reader.unsigned(),
      size <= UInt64(end - reader.at)
    else { throw Defect(offset: start, detail: "CIE with an unknown augmentation") }
    var entry = CommonEntry(hasData: true)
    var hasAddress = false
    for letter in augmentation.dropFirst() {
      switch letter {
      case UInt8(ascii: "R"), UInt8(ascii: "L"):
        guard let value = reader.byte() else {
          throw Defect(offset: start, detail: "truncated CIE")
        }
        if letter == UInt8(ascii: "R") { entry.address = value } else { entry.handlers = value }
        hasAddress = hasAddress || letter == UInt8(ascii: "R")
      case UInt8(ascii: "P"):
        // 0x50, aligned: the unwinder pads, which moves all that follows.
        guard let value = reader.byte(), let width = UnwindTable.width(value),
          value & 0x70 != 0x50
        else { throw Defect(offset: start, detail: "truncated CIE") }
        note(reader.at, value)
        guard reader.skip(width) else { throw Defect(offset: start, detail: "truncated CIE") }
      // libgcc looks for R no further than to these.
      case UInt8(ascii: "S") where hasAddress, UInt8(ascii: "B") where hasAddress: break
      default: throw Defect(offset: start, detail: "CIE with an unknown augmentation")
      }
    }
    isPlain =
      isPlain && entry.address == 0x1B && entry.handlers == 0xFF
      && !augmentation.contains(UInt8(ascii: "P"))
    let encoding = entry.address
    guard UnwindTable.width(encoding) != nil, encoding & 0x80 == 0,
      encoding & 0x70 == 0 || encoding & 0x70 == 0x10
    else { throw Defect(offset: start, detail: "unknown address encoding \(encoding)") }
    return entry
  }

  private mutating func note(_ offset: Int, _ encoding: UInt8) {
    if notesFields, encoding & 0x70 == 0x10 { relativeFields.append((offset, encoding)) }
  }

  private mutating func frameEntry(_ start: Int, _ end: Int, _ entry: CommonEntry) throws(Defect) {
    let encoding = entry.address
    guard let width = UnwindTable.width(encoding), start + 2 * width <= end else {
      throw Defect(offset: start, detail: "truncated FDE")
    }
    let raw = value(start, encoding)
    // The unwinder passes over a location of zero: code that was not linked.
    if raw == 0 {
      isInOrder = false
      return
    }
    let place = self.start &+ UInt64(start)
    let begin = encoding & 0x70 == 0x10 ? raw &+ place : raw
    let size = value(start + width, encoding & 0x0F)
    let offset = begin &- text.start.value
    guard offset <= text.size, size <= text.size - offset else {
      throw Defect(offset: start, detail: "FDE for code outside its object")
    }
    isInOrder = isInOrder && offset >= latestBegin
    latestBegin = offset
    guard notesFields else { return }
    note(start, encoding)
    guard entry.hasData, entry.handlers != 0xFF else { return }
    var reader = Reader(bytes: bytes, at: start + 2 * width, end: end)
    guard let length = reader.unsigned(), let handlers = UnwindTable.width(entry.handlers),
      length >= UInt64(handlers), reader.at + handlers <= end
    else { return }
    // Zero stays zero: no handlers.
    if value(reader.at, entry.handlers) != 0 { note(reader.at, entry.handlers) }
  }

  /// The same table with an end mark, to be placed elsewhere.
  ///
  /// - Parameters:
  ///   - count: bytes to copy; `validate(upTo:)` has found them sound.
  ///   - place: where the copy runs; `count` + 4 bytes.
  /// - Returns: nil when it lies too far from its code for its fields.
  func terminated(count: Int, at place: Address) -> [UInt8]? {
    var copy = [UInt8](bytes[..<count]) + [0, 0, 0, 0]
    let delta = place.value &- start
    let isMoved = copy.withUnsafeMutableBytes { copy in
      relativeFields.allSatisfy { offset, encoding in
        let moved = value(offset, encoding) &- delta
        switch UnwindTable.width(encoding) {
        case 4:
          guard let narrow = Int32(exactly: Int64(bitPattern: moved)) else { return false }
          copy.storeBytes(of: narrow, toByteOffset: offset, as: Int32.self)
        case 8: copy.storeBytes(of: moved, toByteOffset: offset, as: UInt64.self)
        default: return false
        }
        return true
      }
    }
    return isMoved ? copy : nil
  }

  private func word(_ at: Int) -> UInt32? {
    guard at >= 0, at + 4 <= bytes.count else { return nil }
    return bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)
  }

  private func value(_ at: Int, _ encoding: UInt8) -> UInt64 {
    switch encoding & 0x0F {
    case 0x02: UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self))
    case 0x03: UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    case 0x0A:
      UInt64(bitPattern: Int64(bytes.loadUnaligned(fromByteOffset: at, as: Int16.self)))
    case 0x0B:
      UInt64(bitPattern: Int64(bytes.loadUnaligned(fromByteOffset: at, as: Int32.self)))
    default: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    }
  }

  /// Bytes of an encoded pointer (DW_EH_PE_*); nil for one the unwinder cannot read.
  private static func width(_ encoding: UInt8) -> Int? {
    switch encoding & 0x0F {
    case 0x00, 0x04, 0x0C: 8
    case 0x02, 0x0A: 2
    case 0x03, 0x0B: 4
    default: nil
    }
  }

  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    var at: Int
    let end: Int

    mutating func byte() -> UInt8? {
      guard at < end else { return nil }
      defer { at += 1 }
      return bytes[at]
    }

    mutating func skip(_ count: Int) -> Bool {
      guard count <= end - at else { return false }
      at += count
      return true
    }

    mutating func leb() -> Bool { unsigned() != nil }

    mutating func unsigned() -> UInt64? {
      var result: UInt64 = 0
      var shift: UInt64 = 0
      while let next = byte() {
        if shift < 64 { result |= UInt64(next & 0x7F) << shift }
        if next & 0x80 == 0 { return result }
        shift += 7
      }
      return nil
    }
  }
}
