// Virtual addresses of an image as pointers into memory that holds its segments, and only there: every
// table the dynamic section names goes through this door. What it hands out is proven to lie inside one
// segment; reading through it is then safe whatever the file claims.

/// The segments of an image in memory: its own mapping, or the bytes of its file.
package struct SegmentView: @unchecked Sendable {
  package struct Part: BitwiseCopyable {
    /// Virtual address of its first byte.
    package var start: UInt64
    /// Bytes that are there.
    package var size: UInt64
    /// How many of them the file fills: behind them is zero, and no table.
    package var filled: UInt64
    package var base: UnsafeRawPointer
    package var access: SegmentAccess

    package init(
      start: UInt64, size: UInt64, filled: UInt64, base: UnsafeRawPointer, access: SegmentAccess
    ) {
      self.start = start
      self.size = size
      self.filled = filled
      self.base = base
      self.access = access
    }
  }

  package let parts: [Part]

  package init(_ parts: [Part]) { self.parts = parts }

  /// An image in memory, whose first page runs at `start`.
  package init(_ headers: ImageHeaders, mappedAt start: Address) {
    var parts: [Part] = []
    parts.reserveCapacity(headers.segments.count)
    for segment in headers.segments {
      guard let base = (start &+ segment.offset).pointer else { continue }
      parts.append(
        Part(
          start: headers.base + segment.offset, size: segment.size, filled: segment.fileSize,
          base: base, access: segment.access))
    }
    self.parts = parts
  }

  /// An image that is not mapped, by the bytes of its file. They must outlive the view.
  package init(_ headers: ImageHeaders, in contents: FileContents) {
    parts = headers.segments.map { segment in
      Part(
        start: headers.base + segment.offset, size: segment.fileSize, filled: segment.fileSize,
        base: contents.base + Int(segment.fileOffset), access: segment.access)
    }
  }

  /// The part that an address lies in.
  @inline(__always)
  package func part(of address: UInt64) -> Part? {
    for part in parts where address &- part.start < part.size { return part }
    return nil
  }

  /// `size` bytes at a virtual address; nil when they do not lie inside one part.
  package func pointer(_ address: UInt64, _ size: UInt64) -> UnsafeRawPointer? {
    for part in parts {
      let offset = address &- part.start
      if offset <= part.size, size <= part.size - offset { return part.base + Int(offset) }
    }
    return nil
  }

  /// A pointer to a virtual address, and how many bytes of the file stand there and behind it in its part.
  package func tail(_ address: UInt64) -> (pointer: UnsafeRawPointer, count: UInt64)? {
    for part in parts where address &- part.start < part.filled {
      return (part.base + Int(address - part.start), part.filled - (address - part.start))
    }
    return nil
  }

  /// Whether code may be called at a virtual address.
  package func isExecutable(_ address: UInt64) -> Bool {
    part(of: address)?.access.contains(.execute) ?? false
  }
}
