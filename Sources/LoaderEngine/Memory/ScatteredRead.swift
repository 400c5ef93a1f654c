// Reading the segments of a file to where they are mapped: one system call for all of them, because they stand one
// behind the other in the file, nearly. Linux: preadv(2).
internal import Glibc

/// Parts of an image on their way to several places.
struct ScatteredRead {
  private struct Part {
    var offset: UInt64
    var place: UnsafeMutableRawPointer
    var count: Int
    var end: UInt64 { offset + UInt64(count) }
  }

  private let source: ImageSource
  private let file: (descriptor: Int32, start: UInt64)?
  private var parts: [Part] = []

  /// What lies between two parts goes here, and is never looked at.
  private nonisolated(unsafe) static let sink = UnsafeMutableRawPointer.allocate(
    byteCount: Int(pageSize), alignment: 64)
  /// Two vectors each; Linux takes 1,024.
  private static let mostParts = 64

  init(_ source: ImageSource) {
    self.source = source
    file = source.mappable
  }

  /// Copies `count` bytes from `offset` to `place`, now or in `finish`. The part lies inside the source.
  mutating func read(at offset: UInt64, into place: UnsafeMutableRawPointer, count: Int)
    throws(LinkError)
  {
    guard count > 0 else { return }
    guard file != nil, source.borrow(at: offset, count: count) == nil else {
      return try source.read(at: offset, into: place, count: count)
    }
    if parts.isEmpty { parts.reserveCapacity(8) }
    parts.append(Part(offset: offset, place: place, count: count))
  }

  /// Everything is in its place after this.
  ///
  /// - Throws: what reading the source throws.
  mutating func finish() throws(LinkError) {
    var first = 0
    while first < parts.count {
      var next = first + 1
      while next < parts.count, next - first < ScatteredRead.mostParts,
        parts[next].offset >= parts[next - 1].end,
        parts[next].offset - parts[next - 1].end <= pageSize
      {
        next += 1
      }
      if next - first == 1 || !readAtOnce(parts[first..<next]) {
        // One by one: whoever reads them tells what is wrong.
        for part in parts[first..<next] {
          try source.read(at: part.offset, into: part.place, count: part.count)
        }
      }
      first = next
    }
    parts = []
  }

  /// - Returns: false when not all of it was read.
  private func readAtOnce(_ parts: ArraySlice<Part>) -> Bool {
    guard let file, let start = parts.first?.offset, let end = parts.last?.end else { return false }
    return withUnsafeTemporaryAllocation(of: iovec.self, capacity: parts.count * 2) { vectors in
      var (count, at) = (0, start)
      func add(_ place: UnsafeMutableRawPointer, _ size: Int) {
        vectors.initializeElement(at: count, to: iovec(iov_base: place, iov_len: size))
        count += 1
      }
      for part in parts {
        if part.offset > at { add(ScatteredRead.sink, Int(part.offset - at)) }
        add(part.place, part.count)
        at = part.end
      }
      let got = preadv(
        file.descriptor, vectors.baseAddress, Int32(count), off_t(file.start + start))
      return got == Int(end - start)
    }
  }
}
