// `jit-PID.dump`: code with its bytes, times and lines, from which `perf inject --jit` makes an ELF file
// for each function (linux/tools/perf/Documentation/jitdump-specification.txt). perf finds the file
// because the process maps a page of it executable; its times are those of `perf record -k mono`.
internal import CLoaderSupport
internal import Glibc

/// The dump of this process. Space that is used again is told apart by the time.
package final class JitDump: ProfilerFile, @unchecked Sendable {
  private enum Record: UInt32 {
    case load = 0
    case lines = 2
    case close = 3
  }

  private let descriptor: Int32
  private let marker: UnsafeMutableRawPointer?
  private let lines: @Sendable (DebugImage) -> [SourceLine]
  private var nextIndex: UInt64 = 0

  /// - Parameters:
  ///   - directory: where the file is made.
  ///   - lines: reads the line table of an image, in the order of addresses.
  /// - Throws: `LinkError.system` when the file cannot be made.
  package init(in directory: String, lines: @escaping @Sendable (DebugImage) -> [SourceLine])
    throws(LinkError)
  {
    let path = "\(directory)/jit-\(getpid()).dump"
    descriptor = try ProfilerOutput.create(path)
    self.lines = lines
    var header = RecordBytes()
    header.word(0x4A69_5444)  // "JiTD", as this byte order writes it
    header.word(1)
    header.word(40)
    header.word(UInt32(EM_X86_64))
    header.word(0)
    header.word(UInt32(getpid()))
    header.long(JitDump.now())
    header.long(0)
    ProfilerOutput.write(header.bytes, to: descriptor)
    let page = mmap(nil, Int(pageSize), PROT_READ | PROT_EXEC, MAP_PRIVATE, descriptor, 0)
    guard let page, page != MAP_FAILED else {
      let error = SystemError("mmap", path)
      Glibc.close(descriptor)
      throw LinkError(file: path, .system(error))
    }
    marker = page
  }

  deinit {
    var end = RecordBytes()
    end.begin(Record.close.rawValue)
    end.finish()
    write(end.bytes)
    if let marker { munmap(marker, Int(pageSize)) }
    close(descriptor)
  }

  package func describe(_ units: [DebugUnit]) -> [UInt8] {
    guard !units.isEmpty else { return [] }
    // No address of the copied unwind table is used.
    let table = lines(DebugImage(units, unwindTable: Address(4096)))
    var records = RecordBytes()
    for unit in units {
      for item in unit.code { add(item, table, to: &records) }
    }
    return records.bytes
  }

  package func describe(_ code: [ListedCode]) -> [UInt8] {
    var records = RecordBytes()
    for item in code { add(item, [], to: &records) }
    return records.bytes
  }

  /// Stamps the records with the time and writes them.
  package func write(_ description: [UInt8]) {
    var records = description
    let time = JitDump.now()
    var at = 0
    while at + 16 <= records.count {
      let size = records.withUnsafeBytes {
        $0.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)
      }
      records.withUnsafeMutableBytes {
        $0.storeBytes(of: time, toByteOffset: at + 8, as: UInt64.self)
      }
      at += Int(size)
    }
    ProfilerOutput.write(records, to: descriptor)
  }

  private func add(_ item: ListedCode, _ table: [SourceLine], to records: inout RecordBytes) {
    guard let code = item.range.start.pointer else { return }
    // Lines come before the code they are about.
    let own = JitDump.lines(of: item.range, table)
    if !own.isEmpty {
      records.begin(Record.lines.rawValue)
      records.long(item.range.start.value)
      records.long(UInt64(own.count))
      for line in own {
        records.long(line.address)
        records.word(line.line)
        records.word(0)
        records.name(line.file)
      }
      records.finish()
    }
    records.begin(Record.load.rawValue)
    records.word(UInt32(getpid()))
    records.word(UInt32(hl_gettid()))
    records.long(item.range.start.value)
    records.long(item.range.start.value)
    records.long(item.range.size)
    records.long(nextIndex)
    nextIndex += 1
    records.bytes.append(
      contentsOf: UnsafeRawBufferPointer(start: item.name.base, count: item.name.count))
    item.suffix.withUTF8Buffer { records.bytes.append(contentsOf: $0) }
    records.bytes.append(0)
    records.bytes.append(
      contentsOf: UnsafeRawBufferPointer(start: code, count: Int(item.range.size)))
    records.finish()
  }

  /// The part of a sorted table that is about a range.
  private static func lines(of range: AddressRange, _ table: [SourceLine]) -> ArraySlice<SourceLine>
  {
    var low = 0
    var high = table.count
    while low < high {
      let middle = (low + high) / 2
      if table[middle].address < range.start.value { low = middle + 1 } else { high = middle }
    }
    var end = low
    while end < table.count, table[end].address < range.end.value { end += 1 }
    return table[low..<end]
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// Records one behind the other: kind, size, time, contents.
private struct RecordBytes {
  var bytes: [UInt8] = []
  private var start = 0

  mutating func begin(_ kind: UInt32) {
    start = bytes.count
    word(kind)
    word(0)
    long(0)
  }

  mutating func finish() {
    let size = UInt32(bytes.count - start)
    withUnsafeBytes(of: size) { source in
      for (index, byte) in source.enumerated() { bytes[start + 4 + index] = byte }
    }
  }

  mutating func word(_ value: UInt32) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
  }

  mutating func long(_ value: UInt64) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
  }

  mutating func name(_ text: String) {
    bytes.append(contentsOf: text.utf8)
    bytes.append(0)
  }
}
