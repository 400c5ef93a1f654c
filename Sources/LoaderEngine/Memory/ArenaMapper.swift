// The warm path: small images in memory that is mapped already. An image whose shape was seen before is
// mapped without a system call and without a page fault: its bytes are copied, and that is all (DESIGN
// section 3: a round of mapping costs 16 µs, a copy of 16 KiB 0.15 µs).
internal import Synchronization

/// Maps small images into an arena near the process's libraries.
///
/// What does not fit (a fixed address, a large image, a full arena, a system that denies executing a
/// memfd, a child after fork(2)) goes to another mapper.
public final class ArenaMapper: Mapper {
  private enum Space {
    case notYet
    case made(ArenaSpace)
    case denied
  }

  /// How much memory an arena may take.
  public struct Limits: Hashable, Sendable {
    /// Address space of the arena, in bytes.
    public var window: UInt64 = 256 << 20
    /// Memory of unloaded images that is kept for images to come, in bytes.
    public var kept: UInt64 = 64 << 20
    /// The largest image it takes, in bytes of address space.
    public var image: UInt64 = 16 << 20

    public init() {}
  }

  private let limits: Limits
  private let isHardened: Bool
  private let fallback: any Mapper
  private let space: Mutex<Space>

  /// Nothing is reserved before the first image.
  ///
  /// - Parameters:
  ///   - limits: how much memory it may take.
  ///   - hardened: the view that read-only pages are written through is inaccessible except between
  ///     `map` and `seal` of the image. Costs two to three system calls (mprotect) for each image.
  ///   - fallback: maps what does not fit.
  public convenience init(
    limits: Limits = Limits(), hardened: Bool = false, fallback: any Mapper = AnonymousMapper()
  ) {
    self.init(limits: limits, hardened: hardened, fallback: fallback, backing: .automatic)
  }

  package init(
    limits: Limits, hardened: Bool, fallback: any Mapper, backing: Arena.BackingChoice
  ) {
    self.limits = limits
    isHardened = hardened
    self.fallback = fallback
    space = Mutex(backing == .anonymous ? .denied : .notYet)
  }

  /// Maps an image.
  ///
  /// - Throws: `LinkError.malformed`, `LinkError.unsupported` for a page that would be writable and
  ///   executable, or what reading throws.
  public func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    if let image = try mapIfPossible(request) { return image }
    return try fallback.map(request)
  }

  /// Maps an image, unless it must go to another mapper.
  func mapIfPossible(_ request: MappingRequest) throws(LinkError) -> ArenaImage? {
    try request.validate()
    guard request.fixedAddress == nil, request.size <= limits.image,
      let shape = try ImageShape(request), let space = openSpace(),
      let slot = try space.take(shape, size: request.size, for: request.source.name)
    else { return nil }
    let image = ArenaImage(slot, of: space)
    try image.fill(request)
    return image
  }

  private func openSpace() -> ArenaSpace? {
    space.withLock { space in
      switch space {
      case .made(let made): return made
      case .denied: return nil
      case .notYet:
        let made = ArenaSpace(size: limits.window, keeping: limits.kept, isHardened: isHardened)
        space = made.map { .made($0) } ?? .denied
        return made
      }
    }
  }

  /// Bytes of address space in slots, and of those the bytes that no image uses now.
  package var usage: (used: UInt64, kept: UInt64) {
    space.withLock { space in
      guard case .made(let made) = space else { return (0, 0) }
      return (made.usedBytes, made.keptBytes)
    }
  }
}
