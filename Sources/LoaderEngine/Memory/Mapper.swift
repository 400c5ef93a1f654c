// How an image gets its memory is a policy: the arena's warm pages, private maps of the file, anonymous
// (huge) pages, or whatever a caller brings. A mapper gives memory and protections; it knows nothing of
// symbols or relocations. gABI chapter 5, “Program Loading”; Linux: mmap(2), mprotect(2).

/// What an image needs.
public struct MappingRequest: Sendable {
  public var source: ImageSource
  /// Address space from the first page to the end of the last, bytes; a multiple of the page size.
  public var size: UInt64
  /// The largest `p_align` of a segment, at least the page size.
  public var alignment: UInt64
  /// Where it must lie: for ET_EXEC. Anything else there is an error (Linux: `MAP_FIXED_NOREPLACE`).
  public var fixedAddress: Address?
  public var segments: [LoadSegment]
  /// Whole pages that become read-only when the image is sealed (GNU: PT_GNU_RELRO), as offsets.
  public var readOnlyAfterRelocation: Range<UInt64>
  /// Segments without `write` are written too before sealing (gABI: DT_TEXTREL).
  public var relocatesText: Bool

  public init(
    source: ImageSource, size: UInt64, alignment: UInt64, fixedAddress: Address? = nil,
    segments: [LoadSegment], readOnlyAfterRelocation: Range<UInt64> = 0..<0,
    relocatesText: Bool = false
  ) {
    self.source = source
    self.size = size
    self.alignment = alignment
    self.fixedAddress = fixedAddress
    self.segments = segments
    self.readOnlyAfterRelocation = readOnlyAfterRelocation
    self.relocatesText = relocatesText
  }
}

/// Where the linker writes a stretch of an image before it is sealed. The run-time address is another
/// thing: the same bytes may be seen through two views.
public struct WritableRange: @unchecked Sendable, BitwiseCopyable {
  /// Bytes from the image's first page.
  public var offset: UInt64
  /// Size in bytes.
  public var size: UInt64
  public var place: UnsafeMutableRawPointer

  public init(offset: UInt64, size: UInt64, place: UnsafeMutableRawPointer) {
    self.offset = offset
    self.size = size
    self.place = place
  }
}

/// An image in memory. Dropping the last reference gives the memory back.
public protocol ImageMapping: AnyObject, Sendable {
  /// Where it runs.
  var range: AddressRange { get }
  /// What may be written until `seal`: all bytes of all writable segments (with `relocatesText`: of all
  /// segments), ascending, without overlap.
  var writableRanges: [WritableRange] { get }
  /// Bytes that the kernel backs by huge pages, as far as known.
  var hugePageBytes: UInt64 { get }
  /// Gives every page its final protection. No page is writable and executable, before or after.
  func seal() throws(LinkError)
}

extension ImageMapping {
  public var hugePageBytes: UInt64 { 0 }
}

/// Gives images their memory.
public protocol Mapper: AnyObject, Sendable {
  /// Maps an image: its bytes are there, zero-filled up to each segment's size, and readable at their
  /// run-time addresses; what must be written can be written through `writableRanges`.
  ///
  /// - Throws: `LinkError`; nothing stays mapped then.
  func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping
}
