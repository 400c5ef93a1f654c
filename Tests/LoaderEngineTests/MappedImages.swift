// Real requests out of real libraries, for the tests of the mappers: program headers are read here with a
// few lines of their own, the reader under test has no say in it.
import Foundation
import LoaderEngine
import SystemPackage
import TestFixtures

/// A shared object and what it must look like in memory.
struct SampleImage: Sendable, CustomStringConvertible {
  var name: String
  var bytes: [UInt8]
  var segments: [LoadSegment]
  var size: UInt64
  var alignment: UInt64
  var readOnlyAfterRelocation: Range<UInt64>
  var description: String { name }

  init(_ name: String, _ bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
    func word(_ offset: Int, _ width: Int) -> UInt64 {
      (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }
    segments = []
    size = 0
    alignment = 4096
    readOnlyAfterRelocation = 0..<0
    for index in 0..<(bytes.starts(with: [0x7F]) ? Int(word(56, 2)) : 0) {
      let at = Int(word(32, 8)) + index * 56
      let (address, memory) = (word(at + 16, 8), word(at + 40, 8))
      switch word(at, 4) {
      case 1:
        segments.append(
          LoadSegment(
            offset: address, size: memory, fileOffset: word(at + 8, 8), fileSize: word(at + 32, 8),
            access: SegmentAccess(rawValue: UInt32(word(at + 4, 4)))))
        size = (address + memory + 4095) & ~4095
        alignment = max(alignment, word(at + 48, 8))
      case 0x6474_E552:
        let (low, high) = (address & ~4095, (address + memory) & ~4095)
        readOnlyAfterRelocation = low < high ? low..<high : 0..<0
      default: break
      }
    }
  }

  func request(_ source: ImageSource, fixed: Address? = nil, relocatesText: Bool = false)
    -> MappingRequest
  {
    MappingRequest(
      source: source, size: size, alignment: alignment, fixedAddress: fixed, segments: segments,
      readOnlyAfterRelocation: readOnlyAfterRelocation, relocatesText: relocatesText)
  }

  /// What a page must allow, before and after sealing, as in /proc/self/maps; nil in holes.
  func permissions(ofPage page: UInt64, sealed: Bool, aliased: Bool) -> String {
    guard
      let segment = segments.first(where: {
        $0.offset & ~4095 <= page && page < $0.offset + $0.size
      })
    else { return "---p" }
    if segment.access.contains(.write) {
      let isRelro = readOnlyAfterRelocation.contains(page)
      return isRelro && (sealed || aliased) ? "r--p" : "rw-p"
    }
    return segment.access.contains(.execute) ? "r-xp" : "r--p"
  }

  /// What the bytes of a segment must be.
  func contents(of segment: LoadSegment) -> [UInt8] {
    let start = Int(segment.fileOffset)
    return bytes[start..<start + Int(segment.fileSize)]
      + [UInt8](repeating: 0, count: Int(segment.size - segment.fileSize))
  }

  static let small = fixture("small", smallSource)
  static let aligned64K = fixture("aligned-64K", smallSource, ["-Wl,-z,max-page-size=65536"])
  static let aligned2M = fixture(
    "aligned-2M", smallSource, ["-Wl,-z,max-page-size=2097152", "-Wl,-z,common-page-size=4096"])
  static let largeZero = fixture("large-bss", smallSource + "char big[3 << 20];\n")
  static let library = Result { try system("libz.so.1") }
  static let mathematics = Result { try system("libm.so.6") }

  static func all() throws -> [SampleImage] {
    try [small, aligned64K, aligned2M, largeZero, library, mathematics].map { try $0.get() }
  }

  private static let smallSource = """
    int initialised[40] = {1, 2, 3};
    char zeroed[5000];
    extern int outside(void);
    int (*const constant_pointers[600])(void) = { outside, outside };
    const char text_constant[] = "a constant";
    int answer(void) { return 42 + initialised[0] + zeroed[0]; }

    """

  static func fixture(_ name: String, _ source: String, _ flags: [String] = [])
    -> Result<SampleImage, any Error>
  {
    Result {
      let folder = Compiled.folder.appending(path: "mapper.\(getpid())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let input = folder.appending(path: "\(name).c")
      let output = folder.appending(path: "\(name).so")
      try Data(source.utf8).write(to: input)
      try Compiled.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,separate-code", "-Wl,-z,relro"]
          + flags + ["-o", output.path, input.path])
      return SampleImage(name, [UInt8](try Data(contentsOf: output)))
    }
  }

  private static func system(_ name: String) throws -> SampleImage {
    for folder in ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64"] {
      if let data = try? Data(contentsOf: URL(filePath: "\(folder)/\(name)")) {
        return SampleImage(name, [UInt8](data))
      }
    }
    throw CommandFailure(description: "no \(name)")
  }
}

/// Where a sample's bytes come from.
enum Supply: String, CaseIterable, Sendable {
  case file, memory, reader, lendingReader, partOfFile, oddPartOfFile

  /// Bytes before the image in the file.
  var offset: Int {
    switch self {
    case .partOfFile: 3 * 4096
    case .oddPartOfFile: 4096 + 24
    case .file, .memory, .reader, .lendingReader: 0
    }
  }

  func source(_ image: SampleImage) throws -> ImageSource {
    switch self {
    case .memory: return ImageSource(FileContents(image.bytes), name: image.name)
    case .reader: return ImageSource(ArrayReader(image.bytes, lends: false), name: image.name)
    case .lendingReader: return ImageSource(ArrayReader(image.bytes, lends: true), name: image.name)
    case .file, .partOfFile, .oddPartOfFile:
      let path = Compiled.folder.appending(
        path: "sample.\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
      ).path
      var whole = [UInt8](repeating: 0xEE, count: offset) + image.bytes
      if offset > 0 { whole += [UInt8](repeating: 0xEE, count: 5000) }
      try Data(whole).write(to: URL(filePath: path))
      defer { unlink(path) }
      return try ImageSource(
        opening: FilePath(path), offset: UInt64(offset), size: UInt64(image.bytes.count))
    }
  }
}

/// A caller's reader that hands out small pieces.
final class ArrayReader: ImageReader, @unchecked Sendable {
  private let storage: UnsafeMutableRawBufferPointer
  private let lends: Bool
  /// Reading from here on fails.
  private let failsFrom: UInt64

  init(_ bytes: [UInt8], lends: Bool, failsFrom: UInt64 = .max) {
    storage = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    storage.copyBytes(from: bytes)
    self.lends = lends
    self.failsFrom = failsFrom
  }

  deinit { storage.deallocate() }

  struct Failure: Error {}

  var size: UInt64 { UInt64(storage.count) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard offset < failsFrom else { throw Failure() }
    let part = storage.dropFirst(Int(offset)).prefix(min(buffer.count, 10_000))
    buffer.copyBytes(from: part)
    return part.count
  }

  func borrow(at offset: UInt64, count: Int) -> UnsafeRawPointer? {
    lends ? storage.baseAddress.map { UnsafeRawPointer($0 + Int(offset)) } : nil
  }
}
