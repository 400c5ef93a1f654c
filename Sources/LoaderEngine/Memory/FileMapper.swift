// Private maps of the file, page by page, as ld.so makes them: nothing is read before it is used, and
// pages that nobody writes to are shared by all processes. For big libraries. The file must not be
// overwritten while it is mapped: a program then runs what stands there (PITFALLS: overwriting a mapped
// file). gABI chapter 5, “Program Loading”; Linux: mmap(2).
internal import CLoaderSupport
internal import Glibc

/// Maps images from their files.
///
/// Where a file cannot be mapped the bytes are read into anonymous pages instead: there is no descriptor,
/// the image stands at an odd offset inside a bigger file, or two segments share a page of memory.
public final class FileMapper: Mapper {
  public init() {}

  /// Maps an image. System calls: one for each segment, one for a `.bss`, one for each hole; three more
  /// when it must be aligned to more than a page.
  ///
  /// - Throws: `LinkError.system` (`EEXIST` when the fixed address is taken), `LinkError.malformed`,
  ///   `LinkError.unsupported` for a page that would be writable and executable.
  public func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    try request.validate()
    let runs = try request.runs()
    guard let file = request.source.mappable,
      let first = request.segments.first(where: { $0.size > 0 }),
      FileMapper.isMappable(request, from: file.start), first.offset < pageSize
    else { return try AnonymousMapper.fill(request, runs, hugePages: .none) }

    // The first segment's mapping reserves the space of all.
    let mapping = try PrivateMapping(
      reserving: request, alignment: request.alignment,
      first: (
        FileMapper.firstProtection(first, request), MAP_PRIVATE, file.descriptor,
        file.start + (first.fileOffset & ~(pageSize - 1))
      ))
    for segment in request.segments where segment.size > 0 {
      let protection = FileMapper.firstProtection(segment, request)
      let filePages = segment.pages.lowerBound..<FileMapper.endOfFilePages(segment)
      if segment.offset != first.offset {
        try mapping.replace(
          filePages.lowerBound, filePages.upperBound - filePages.lowerBound, protection,
          MAP_PRIVATE, file.descriptor, file.start + (segment.fileOffset & ~(pageSize - 1)))
      }
      try mapping.replace(
        filePages.upperBound, segment.pages.upperBound - filePages.upperBound, protection,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      FileMapper.clearTail(of: segment, upTo: filePages.upperBound, in: mapping, protection)
      if protection != FileMapper.protectionWhenMapped(segment, request) {
        try mapping.protect(
          segment.pages.lowerBound, segment.pages.upperBound - segment.pages.lowerBound,
          FileMapper.protectionWhenMapped(segment, request))
      }
    }
    for run in runs where run.kind == .hole {
      try mapping.protect(run.start, run.size, PROT_NONE)
    }
    mapping.finish(request, runs)
    return mapping
  }

  /// Whether pages of memory are pages of the file.
  private static func isMappable(_ request: MappingRequest, from start: UInt64) -> Bool {
    var end: UInt64 = 0
    for segment in request.segments where segment.size > 0 {
      let pages = segment.pages
      guard pages.lowerBound >= end else { return false }
      guard (start &+ segment.fileOffset &- segment.offset) & (pageSize - 1) == 0 else {
        return false
      }
      end = pages.upperBound
    }
    return true
  }

  private static func endOfFilePages(_ segment: LoadSegment) -> UInt64 {
    guard segment.fileSize > 0 else { return segment.pages.lowerBound }
    return aligned(segment.offset + segment.fileSize, to: pageSize)
  }

  /// While it is filled: writable if it will be written before sealing, or has a tail to be cleared.
  private static func firstProtection(_ segment: LoadSegment, _ request: MappingRequest) -> Int32 {
    guard segment.isVisible else { return PROT_NONE }
    if segment.size > segment.fileSize { return PROT_READ | PROT_WRITE }
    return protectionWhenMapped(segment, request)
  }

  private static func protectionWhenMapped(_ segment: LoadSegment, _ request: MappingRequest)
    -> Int32
  {
    guard segment.isVisible else { return PROT_NONE }
    if request.writes(segment) { return PROT_READ | PROT_WRITE }
    return segment.access.contains(.execute) ? PROT_READ | PROT_EXEC : PROT_READ
  }

  /// The last page of the file's part holds what follows in the file: memory beyond it is zero.
  private static func clearTail(
    of segment: LoadSegment, upTo end: UInt64, in mapping: PrivateMapping, _ protection: Int32
  ) {
    guard segment.size > segment.fileSize, protection & PROT_WRITE != 0 else { return }
    let start = segment.offset + segment.fileSize
    guard start < end else { return }
    memset(mapping.base + Int(start), 0, Int(end - start))
  }
}
