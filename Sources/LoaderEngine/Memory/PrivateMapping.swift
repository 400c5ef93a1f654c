// An image in address space of its own: reserved in one piece, given back in one piece. The file and the
// anonymous back end fill it in different ways; what follows (sealing, unmapping) is the same for both.
// Linux: mmap(2), mprotect(2), munmap(2).
internal import CLoaderSupport
internal import Glibc

/// One reserved stretch of address space, and the image in it.
final class PrivateMapping: ImageMapping, @unchecked Sendable {
  // Sound: written only while it is made; afterwards only read, and unmapped in deinit.
  let range: AddressRange
  let base: UnsafeMutableRawPointer
  private(set) var writableRanges: [WritableRange] = []
  /// Runs that get another protection by `seal`.
  private var unsealed: [PageRun] = []
  private let name: String
  private let usesHugePages: Bool

  /// Sets address space aside, with nothing behind it or with a first mapping over all of it.
  ///
  /// - Parameters:
  ///   - bias: where in the image the stretch lies that is to begin at a multiple of `alignment`.
  ///   - first: protection and file of the first mapping; nil: PROT_NONE.
  /// - Throws: `LinkError.system`; `EEXIST` when the fixed address is taken.
  init(
    reserving request: MappingRequest, alignment: UInt64, bias: UInt64 = 0,
    first: (protection: Int32, flags: Int32, descriptor: Int32, offset: UInt64)? = nil,
    usesHugePages: Bool = false
  ) throws(LinkError) {
    name = request.source.name
    self.usesHugePages = usesHugePages
    let flags = first?.flags ?? (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
    let protection = first?.protection ?? PROT_NONE
    let descriptor = first?.descriptor ?? -1
    let offset = off_t(first?.offset ?? 0)
    let size = Int(request.size)
    let got: UnsafeMutableRawPointer?
    if let fixed = request.fixedAddress {
      let place = UnsafeMutableRawPointer(bitPattern: UInt(fixed.value))
      got = hl_map_fixed_noreplace(place, size, protection, flags, descriptor, offset)
    } else if alignment <= pageSize {
      got = mmap(nil, size, protection, flags, descriptor, offset)
    } else {
      got = PrivateMapping.reserve(size, alignment, bias)
      if let got, got != MAP_FAILED, first != nil,
        mmap(got, size, protection, flags | MAP_FIXED, descriptor, offset) == MAP_FAILED
      {
        let error = SystemError("mmap", name)
        munmap(got, size)
        throw LinkError(file: name, .system(error))
      }
    }
    guard let got, got != MAP_FAILED else {
      throw LinkError(file: name, .system(SystemError("mmap", name)))
    }
    base = got
    range = AddressRange(start: Address(UnsafeRawPointer(got)), size: request.size)
  }

  deinit { munmap(base, Int(range.size)) }

  /// Reserves more than is needed, and gives the edges back.
  private static func reserve(_ size: Int, _ alignment: UInt64, _ bias: UInt64)
    -> UnsafeMutableRawPointer?
  {
    let whole = size + Int(alignment - pageSize)
    guard
      let got = mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      got != MAP_FAILED
    else { return MAP_FAILED }
    let low = UInt64(UInt(bitPattern: got))
    let before = Int(aligned(low &+ bias, to: alignment) &- bias &- low)
    if before > 0 { munmap(got, before) }
    let after = whole - before - size
    if after > 0 { munmap(got + before + size, after) }
    return got + before
  }

  /// The protection a page gets in the end.
  static func protection(_ kind: PageKind) -> Int32 {
    switch kind {
    case .hole: PROT_NONE
    case .constants, .readOnlyAfterRelocation: PROT_READ
    case .text: PROT_READ | PROT_EXEC
    case .data: PROT_READ | PROT_WRITE
    }
  }

  func protect(_ offset: UInt64, _ size: UInt64, _ protection: Int32) throws(LinkError) {
    guard size > 0 else { return }
    guard mprotect(base + Int(offset), Int(size), protection) == 0 else {
      throw LinkError(file: name, .system(SystemError("mprotect", name)))
    }
  }

  /// Lays another mapping over a part.
  func replace(
    _ offset: UInt64, _ size: UInt64, _ protection: Int32, _ flags: Int32, _ descriptor: Int32,
    _ fileOffset: UInt64
  ) throws(LinkError) {
    guard size > 0 else { return }
    let got = mmap(
      base + Int(offset), Int(size), protection, flags | MAP_FIXED, descriptor, off_t(fileOffset))
    guard got != MAP_FAILED else {
      throw LinkError(file: name, .system(SystemError("mmap", name)))
    }
  }

  /// Notes what the linker may write, and what sealing has to do. Its last step before it is handed out.
  func finish(_ request: MappingRequest, _ runs: [PageRun]) {
    for segment in request.segments where request.writes(segment) {
      writableRanges.append(
        WritableRange(
          offset: segment.offset, size: segment.size, place: base + Int(segment.offset)))
    }
    unsealed = runs.filter { $0.kind != .data && request.writes($0.kind) }
  }

  var hugePageBytes: UInt64 { usesHugePages ? HugePages.granted(in: range) : 0 }

  func seal() throws(LinkError) {
    for run in unsealed {
      try protect(run.start, run.size, PrivateMapping.protection(run.kind))
    }
  }
}
