// A back end as a caller would write one: in a target without package access, so that the compiler
// proves that the public protocol is enough. Its images lie in a memfd that is mapped shared, and it counts.
import Glibc
public import LoaderEngine
import Synchronization

/// Places images in a shared memfd of their own.
public final class SharedMemoryMapper: Mapper {
  /// Images that are mapped now, and that were mapped ever.
  public struct Counts: Sendable, Equatable {
    public var now = 0
    public var ever = 0

    public init(now: Int = 0, ever: Int = 0) {
      self.now = now
      self.ever = ever
    }
  }

  private let state = Mutex(Counts())
  public init() {}
  public var counts: Counts { state.withLock { $0 } }

  public func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    let image = try SharedImage(request, owner: self)
    state.withLock {
      $0.now += 1
      $0.ever += 1
    }
    return image
  }

  fileprivate func forget() { state.withLock { $0.now -= 1 } }
}

private final class SharedImage: ImageMapping, @unchecked Sendable {
  let range: AddressRange
  private(set) var writableRanges: [WritableRange] = []
  private let base: UnsafeMutableRawPointer
  private let request: MappingRequest
  private let owner: SharedMemoryMapper

  init(_ request: MappingRequest, owner: SharedMemoryMapper) throws(LinkError) {
    self.request = request
    self.owner = owner
    let size = Int(request.size)
    let name = "/callers-mapper-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    let descriptor = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0o600)
    shm_unlink(name)
    defer { close(descriptor) }
    guard request.alignment <= 4096, request.fixedAddress == nil, ftruncate(descriptor, size) == 0,
      let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      base != MAP_FAILED
    else {
      throw LinkError(
        file: request.source.name,
        .system(SystemError(call: "mmap", subject: "shared memory", code: errno)))
    }
    self.base = base
    range = AddressRange(start: Address(UInt64(UInt(bitPattern: base))), size: request.size)
    for segment in request.segments {
      try request.source.read(
        at: segment.fileOffset, into: base + Int(segment.offset), count: Int(segment.fileSize))
      guard segment.access.contains(.write) || request.relocatesText else { continue }
      writableRanges.append(
        WritableRange(
          offset: segment.offset, size: segment.size, place: base + Int(segment.offset)))
    }
  }

  deinit {
    munmap(base, Int(range.size))
    owner.forget()
  }

  func seal() throws(LinkError) {
    for segment in request.segments where !segment.access.contains(.write) {
      let execute = segment.access.contains(.execute) ? PROT_EXEC : 0
      let start = Int(segment.offset) & ~4095
      let end = (Int(segment.offset + segment.size) + 4095) & ~4095
      guard mprotect(base + start, end - start, PROT_READ | execute) == 0 else {
        throw LinkError(
          file: request.source.name,
          .system(SystemError(call: "mprotect", subject: "shared memory", code: errno)))
      }
    }
    let relro = request.readOnlyAfterRelocation
    mprotect(base + Int(relro.lowerBound), relro.count, PROT_READ)
  }
}
