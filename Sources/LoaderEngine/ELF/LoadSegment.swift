// The parts of an image that are loaded, as values: what a mapper is given and what proofs refer to.
// gABI, chapter 5, “Program Header”.

/// What a segment's pages allow (gABI: `p_flags`).
public struct SegmentAccess: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let execute = SegmentAccess(rawValue: 1)
  public static let write = SegmentAccess(rawValue: 2)
  public static let read = SegmentAccess(rawValue: 4)
}

/// One PT_LOAD of an image. Proven by the loader before a mapper sees it: segments are in ascending order
/// and do not overlap, their bytes lie in the source, offset and file offset are congruent modulo the page.
public struct LoadSegment: Hashable, Sendable, BitwiseCopyable {
  /// Bytes from the image's first page.
  public var offset: UInt64
  /// Size in memory, bytes; what goes beyond `fileSize` is zero.
  public var size: UInt64
  /// Where its bytes begin in the source; of one without any, the offset in the page.
  public var fileOffset: UInt64
  public var fileSize: UInt64
  public var access: SegmentAccess

  public init(
    offset: UInt64, size: UInt64, fileOffset: UInt64, fileSize: UInt64, access: SegmentAccess
  ) {
    self.offset = offset
    self.size = size
    self.fileOffset = fileOffset
    self.fileSize = fileSize
    self.access = access
  }
}
