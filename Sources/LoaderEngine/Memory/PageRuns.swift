// From segments, which are bytes, to page runs, which are what protections apply to. A mapper works on
// runs: pages in a row that are treated alike, holes included. gABI chapter 5, “Program Header”; the
// claims of a request are checked here once more, because a caller may have made it by hand.

/// What becomes of a page.
package enum PageKind: UInt32, Hashable, Sendable, BitwiseCopyable {
  /// Of no segment (or of one without rights): PROT_NONE.
  case hole
  case constants
  case text
  /// Read-only once the image is sealed (GNU: PT_GNU_RELRO).
  case readOnlyAfterRelocation
  case data
}

/// Pages in a row of one kind, as bytes from the image's first page.
package struct PageRun: Hashable, Sendable, BitwiseCopyable {
  package var kind: PageKind
  package var start: UInt64
  package var end: UInt64

  package var size: UInt64 { end - start }
}

package let pageSize: UInt64 = 4096

extension LoadSegment {
  @inline(__always) var end: UInt64 { offset + size }
  /// Where its first page begins, and where its last one ends.
  @inline(__always) var pages: Range<UInt64> {
    offset & ~(pageSize - 1)..<aligned(end, to: pageSize)
  }
  /// Whether its bytes can be seen at all.
  @inline(__always) var isVisible: Bool { size > 0 && !access.isEmpty }

  @inline(__always) fileprivate var kind: PageKind {
    if access.contains(.write) { return .data }
    if access.contains(.execute) { return .text }
    return access.isEmpty ? .hole : .constants
  }
}

extension MappingRequest {
  /// Proves what the rest of the room relies on: segments ascend inside `size`, their bytes lie in the
  /// source, nothing is writable and executable, sizes are whole pages.
  ///
  /// - Throws: `LinkError.malformed` naming the segment; `LinkError.unsupported` for writable text.
  package func validate() throws(LinkError) {
    guard size > 0, size & (pageSize - 1) == 0, size < 1 << 46,
      alignment >= pageSize, alignment & (alignment - 1) == 0, alignment < 1 << 46
    else { throw refusal(0, "size 0x\(hex(size)), alignment 0x\(hex(alignment))") }
    var end: UInt64 = 0
    for index in segments.indices {
      let segment = segments[index]
      guard segment.offset >= end, segment.offset <= size, segment.size <= size - segment.offset
      else { throw refusal(segment.fileOffset, "segment \(index) leaves its place in the image") }
      // Memory that no file fills stands nowhere in the file: its offset is that in its page.
      guard segment.fileSize <= segment.size,
        segment.fileSize == 0 && segment.fileOffset < pageSize
          || segment.fileOffset <= source.size
            && segment.fileSize <= source.size - segment.fileOffset
      else { throw refusal(segment.fileOffset, "segment \(index) leaves the file") }
      guard !segment.access.isSuperset(of: [.write, .execute]) else { throw writableText() }
      end = segment.offset + segment.size
    }
    let relro = readOnlyAfterRelocation
    guard relro.lowerBound & (pageSize - 1) == 0, relro.upperBound & (pageSize - 1) == 0,
      relro.upperBound <= size
    else { throw refusal(relro.lowerBound, "what becomes read-only is not whole pages") }
    if let fixedAddress {
      guard fixedAddress.value & (pageSize - 1) == 0, fixedAddress.value < 1 << 47 - size
      else { throw refusal(0, "address \(fixedAddress)") }
    }
  }

  /// Visits all runs from the first page to the last, in ascending order and without a gap. The
  /// request is valid.
  ///
  /// - Throws: `LinkError.unsupported` when two segments share a page that would be writable and
  ///   executable.
  @inline(__always)
  package func forEachRun(_ body: (PageRun) -> Void) throws(LinkError) {
    // Grows until the kind changes; then it is handed out.
    var open = PageRun(kind: .hole, start: 0, end: 0)
    func give(_ kind: PageKind, upTo end: UInt64) {
      guard end > open.end else { return }
      if kind != open.kind {
        if open.size > 0 { body(open) }
        open = PageRun(kind: kind, start: open.end, end: open.end)
      }
      open.end = end
    }
    let relro = readOnlyAfterRelocation
    func take(_ kind: PageKind, upTo end: UInt64) {
      guard kind == .data, !relro.isEmpty else { return give(kind, upTo: end) }
      give(.data, upTo: min(end, relro.lowerBound))
      if open.end >= relro.lowerBound {
        give(.readOnlyAfterRelocation, upTo: min(end, relro.upperBound))
      }
      give(.data, upTo: end)
    }
    // The last segment's last page waits: the next segment may begin on it.
    var waiting: (page: UInt64, kind: PageKind)?
    for segment in segments where segment.size > 0 {
      var kind = segment.kind
      let pages = segment.pages
      if let last = waiting {
        if last.page == pages.lowerBound {
          let shared = try union(last.kind, kind)
          if pages.upperBound == last.page + pageSize {
            kind = shared
          } else {
            take(shared, upTo: last.page + pageSize)
          }
        } else {
          take(last.kind, upTo: last.page + pageSize)
        }
      }
      let lastPage = pages.upperBound - pageSize
      if pages.lowerBound > open.end { give(.hole, upTo: pages.lowerBound) }
      take(kind, upTo: lastPage)
      waiting = (lastPage, kind)
    }
    if let last = waiting { take(last.kind, upTo: last.page + pageSize) }
    give(.hole, upTo: size)
    if open.size > 0 { body(open) }
  }

  /// All runs.
  package func runs() throws(LinkError) -> [PageRun] {
    var result: [PageRun] = []
    try forEachRun { result.append($0) }
    return result
  }

  /// Whether the linker writes to pages of a kind before sealing.
  @inline(__always) package func writes(_ kind: PageKind) -> Bool {
    switch kind {
    case .hole: false
    case .constants, .text: relocatesText
    case .readOnlyAfterRelocation, .data: true
    }
  }

  /// Whether the linker may write to a segment before sealing.
  @inline(__always) package func writes(_ segment: LoadSegment) -> Bool {
    segment.isVisible && (relocatesText || segment.access.contains(.write))
  }

  private func union(_ first: PageKind, _ second: PageKind) throws(LinkError) -> PageKind {
    switch (first, second) {
    case (.text, .data), (.data, .text): throw writableText()
    case (.hole, let other), (let other, .hole), (.constants, let other), (let other, .constants):
      return other
    case (.text, _): return .text
    case (.data, _), (.readOnlyAfterRelocation, _): return .data
    }
  }

  private func writableText() -> LinkError {
    LinkError(
      file: source.name,
      .unsupported(
        what: "a page that is writable and executable",
        help: "link it without -N and without --omagic, with -z separate-code"))
  }

  private func refusal(_ offset: UInt64, _ detail: String) -> LinkError {
    LinkError(
      file: source.name,
      .malformed(structure: "program headers", offset: offset, detail: detail))
  }

  private func hex(_ value: UInt64) -> String { String(value, radix: 16) }
}
