// Anonymous pages that the image's bytes are read into: for memory, for readers, for images at odd
// offsets, and for big programs whose text and data are to lie on huge pages (files of most file systems
// have none). Linux: mmap(2), madvise(2), Documentation/admin-guide/mm/transhuge.rst, hugetlbpage.rst.
internal import CLoaderSupport
internal import Glibc

/// Which pages an image lies on.
public enum HugePagePolicy: Hashable, Sendable {
  /// Pages of 4 KiB.
  case none
  /// The kernel's own choice of 2 MiB pages (Linux: `MADV_HUGEPAGE`).
  case transparent
  /// Pages of 2 MiB set aside by the administrator (Linux: `MAP_HUGETLB`, `vm.nr_hugepages`); transparent
  /// ones where there are none left.
  case explicit
}

/// Reads images into anonymous memory.
public final class AnonymousMapper: Mapper {
  /// Which pages images lie on. Only stretches of at least 2 MiB that are treated alike get huge ones.
  public let hugePages: HugePagePolicy

  /// - Parameter hugePages: which pages images lie on.
  public init(hugePages: HugePagePolicy = .none) { self.hugePages = hugePages }

  /// Maps an image: text is written first and switched to executable then, at once, or by sealing when the
  /// image relocates its text.
  ///
  /// - Throws: `LinkError.system` (`EEXIST` when the fixed address is taken), `LinkError.malformed`,
  ///   `LinkError.unsupported` for a page that would be writable and executable, or what reading throws.
  public func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    try request.validate()
    return try AnonymousMapper.fill(request, try request.runs(), hugePages: hugePages)
  }

  static func fill(_ request: MappingRequest, _ runs: [PageRun], hugePages: HugePagePolicy)
    throws(LinkError) -> PrivateMapping
  {
    let huge = hugePages == .none ? nil : HugePages(runs, alignment: request.alignment)
    let mapping = try PrivateMapping(
      reserving: request, alignment: max(request.alignment, huge == nil ? 0 : HugePages.size),
      bias: huge?.bias ?? 0,
      first: (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      usesHugePages: huge != nil)
    hl_name_mapping(mapping.base, Int(request.size), "hotlink image")
    if huge != nil { try HugePages.ask(hugePages, for: runs, in: mapping) }
    for segment in request.segments where segment.isVisible && segment.fileSize > 0 {
      let place = mapping.base + Int(segment.offset)
      if huge == nil { populate(segment, in: mapping) }
      try request.source.read(
        at: segment.fileOffset, into: place, count: Int(segment.fileSize))
    }
    for run in runs where run.kind != .data && !request.writes(run.kind) {
      try mapping.protect(run.start, run.size, PrivateMapping.protection(run.kind))
    }
    mapping.finish(request, runs)
    return mapping
  }

  /// One call instead of a fault for each page that is about to be written.
  private static func populate(_ segment: LoadSegment, in mapping: PrivateMapping) {
    let start = segment.pages.lowerBound
    let end = aligned(segment.offset + segment.fileSize, to: pageSize)
    guard end - start > pageSize else { return }
    _ = hl_populate(mapping.base + Int(start), Int(end - start), 1)
  }
}
