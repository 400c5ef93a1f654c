// A mapper that notices who leaves an image: no access at all around it, marks between the end of a segment
// and the end of its page, and segments that nobody may write compared with their file when asked.
import CLoaderSupport
import Glibc
import LoaderEngine

/// Maps images between guard pages.
final class GuardedMapper: Mapper, @unchecked Sendable {
  // Children use it on one thread.
  private(set) var latest: GuardedImage?
  private(set) var mapped = 0

  func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    try request.validate()
    let image = try GuardedImage(request)
    latest = image
    mapped += 1
    return image
  }

  /// Checks what was mapped last, and lets go of it.
  func inspect() -> String? {
    defer { latest = nil }
    return latest?.damage()
  }
}

final class GuardedImage: ImageMapping, @unchecked Sendable {
  private static let guardSize = 1 << 16
  private static let mark: UInt8 = 0xA5
  let range: AddressRange
  private(set) var writableRanges: [WritableRange] = []
  private let whole: UnsafeMutableRawPointer
  private let wholeSize: Int
  private let base: UnsafeMutableRawPointer
  private let request: MappingRequest
  private let runs: [PageRun]

  init(_ request: MappingRequest) throws(LinkError) {
    self.request = request
    runs = try request.runs()
    let size = Int(request.size)
    let margin = GuardedImage.guardSize
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    wholeSize = size + 2 * margin + Int(request.alignment)
    func failure(_ call: String) -> LinkError {
      LinkError(
        file: request.source.name,
        .system(SystemError(call: call, subject: "guarded image", code: errno)))
    }
    let got: UnsafeMutableRawPointer?
    if let fixed = request.fixedAddress {
      got = hl_map_fixed_noreplace(
        UnsafeMutableRawPointer(bitPattern: UInt(fixed.value) &- UInt(margin)), wholeSize,
        PROT_NONE, flags, -1, 0)
    } else {
      got = mmap(nil, wholeSize, PROT_NONE, flags, -1, 0)
    }
    guard let got, got != MAP_FAILED else { throw failure("mmap") }
    whole = got
    let low = UInt64(UInt(bitPattern: got + margin))
    let start =
      request.fixedAddress?.value ?? (low + request.alignment - 1) & ~(request.alignment - 1)
    base = got + (margin + Int(start - low))
    range = AddressRange(start: Address(start), size: request.size)
    for run in runs where run.kind != .hole {
      mprotect(base + Int(run.start), Int(run.size), PROT_READ | PROT_WRITE)
    }
    forEachMargin { place, count in memset(place, Int32(GuardedImage.mark), count) }
    for segment in request.segments where segment.isSeen {
      do {
        try request.source.read(
          at: segment.fileOffset, into: base + Int(segment.offset), count: Int(segment.fileSize))
      } catch {
        munmap(whole, wholeSize)
        throw error
      }
      guard segment.access.contains(.write) || request.relocatesText else { continue }
      writableRanges.append(
        WritableRange(
          offset: segment.offset, size: segment.size, place: base + Int(segment.offset)))
    }
    if !request.relocatesText { protect { $0 != .data && $0 != .readOnlyAfterRelocation } }
  }

  deinit { munmap(whole, wholeSize) }

  func seal() throws(LinkError) { protect { $0 != .data } }

  private func protect(_ kinds: (PageKind) -> Bool) {
    for run in runs where kinds(run.kind) {
      let protection =
        switch run.kind {
        case .hole: PROT_NONE
        case .constants, .readOnlyAfterRelocation: PROT_READ
        case .text: PROT_READ | PROT_EXEC
        case .data: PROT_READ | PROT_WRITE
        }
      mprotect(base + Int(run.start), Int(run.size), protection)
    }
  }

  /// What lies in a segment's first and last page without being of it.
  private func forEachMargin(_ body: (UnsafeMutableRawPointer, Int) -> Void) {
    for segment in request.segments where segment.isSeen {
      let start = Int(segment.offset)
      let end = Int(segment.offset + segment.size)
      body(base + start & ~4095, start & 4095)
      body(base + end, (4096 - end & 4095) & 4095)
    }
  }

  /// What was written that nobody may write; nil: nothing.
  func damage() -> String? {
    var found: String?
    forEachMargin { place, count in
      for index in 0..<count
      where place.load(fromByteOffset: index, as: UInt8.self) != GuardedImage.mark {
        found = "a byte outside the segments, at offset \(place + index - base)"
      }
    }
    for segment in request.segments
    where segment.isSeen && !segment.access.contains(.write) && !request.relocatesText {
      guard
        let bytes = request.source.borrow(at: segment.fileOffset, count: Int(segment.fileSize))
      else { continue }
      if memcmp(bytes, base + Int(segment.offset), Int(segment.fileSize)) != 0 {
        found = "a segment that is not writable, at offset \(segment.offset)"
      }
    }
    return found
  }
}

extension LoadSegment {
  fileprivate var isSeen: Bool { size > 0 && !access.isEmpty }
}

/// Lends bytes that end where a page without access begins: reading beyond them is fatal.
final class GuardedReader: ImageReader, @unchecked Sendable {
  private let whole: UnsafeMutableRawPointer
  private let room: Int
  private var count = 0

  /// - Parameter room: the most bytes it will hold.
  init(room: Int) throws {
    self.room = (room + 4095) & ~4095
    guard
      let got = mmap(
        nil, self.room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      got != MAP_FAILED
    else { throw LinkError(file: "", .system(SystemError("mmap", "guarded bytes"))) }
    whole = got
    mprotect(got + self.room, 4096, PROT_NONE)
  }

  deinit { munmap(whole, room + 4096) }

  /// Takes other bytes. No image of the ones before may be in the making.
  func hold(_ bytes: [UInt8]) {
    precondition(bytes.count <= room)
    count = bytes.count
    bytes.withUnsafeBytes { source in
      if let from = source.baseAddress {
        (whole + (room - count)).copyMemory(from: from, byteCount: count)
      }
    }
  }

  var size: UInt64 { UInt64(count) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard offset <= size else { return 0 }
    let amount = min(buffer.count, count - Int(offset))
    buffer.baseAddress?.copyMemory(from: whole + (room - count + Int(offset)), byteCount: amount)
    return amount
  }

  func borrow(at offset: UInt64, count: Int) -> UnsafeRawPointer? {
    UnsafeRawPointer(whole + (room - self.count + Int(offset)))
  }
}
