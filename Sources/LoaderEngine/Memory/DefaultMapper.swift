// Which back end an image gets when nobody says otherwise: what is small or in memory goes into the arena,
// where mapping is a copy; a big file is mapped, so that only the pages that are used are ever read.

/// Chooses a back end by the image's size and source.
public final class DefaultMapper: Mapper {
  /// For who has no wishes: one arena for the process.
  public static let shared = DefaultMapper()

  /// Images of files with more bytes than this are mapped from the file.
  public let mostCopied: UInt64
  private let arena: ArenaMapper
  private let file = FileMapper()
  private let anonymous = AnonymousMapper()

  /// - Parameters:
  ///   - mostCopied: images of files with more bytes in their segments than this are mapped from the
  ///     file. Such a file must not be overwritten while it is mapped.
  ///   - hardened: see `ArenaMapper.init`.
  ///   - limits: how much memory the arena may take.
  public init(
    mostCopied: UInt64 = 1 << 20, hardened: Bool = false,
    limits: ArenaMapper.Limits = ArenaMapper.Limits()
  ) {
    self.mostCopied = mostCopied
    arena = ArenaMapper(limits: limits, hardened: hardened)
  }

  /// Maps an image: at a fixed address or a big file by `FileMapper`, all else by `ArenaMapper`, and what
  /// does not fit there by `FileMapper` or, from memory, by `AnonymousMapper`.
  ///
  /// - Throws: as the back ends do.
  public func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    if request.fixedAddress != nil { return try file.map(request) }
    let isFile = request.source.mappable != nil
    if !isFile || copies(request), let image = try arena.mapIfPossible(request) { return image }
    return isFile ? try file.map(request) : try anonymous.map(request)
  }

  /// Whether the bytes in the file are few enough to be copied. The claims are not proven yet.
  private func copies(_ request: MappingRequest) -> Bool {
    var rest = mostCopied
    for segment in request.segments {
      guard segment.fileSize <= rest else { return false }
      rest -= segment.fileSize
    }
    return true
  }
}
