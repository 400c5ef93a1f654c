// The one place that writes relocated words into an image. A place is proven to lie inside a writable part of
// it, whole; the parts may be apart in memory (two views), so a word that crosses from one to the next is
// written byte by byte.
internal import Glibc

/// Writes into the writable parts of an image that is being relocated.
package struct ImageWriter {
  private let ranges: [WritableRange]
  private let base: UInt64
  private var current: WritableRange

  // Never written: a range of size zero.
  private nonisolated(unsafe) static let nowhere = UnsafeMutableRawPointer.allocate(
    byteCount: 8, alignment: 8)

  /// - Parameter includingText: also what is writable only until the image is sealed.
  package init(_ image: MappedImage, includingText: Bool = false) {
    let segments = image.headers.segments
    var ranges = image.mapping.writableRanges
    if !includingText, !image.provider.entries.relocatesText {
      ranges.removeAll { range in
        !segments.contains {
          $0.access.contains(.write) && $0.offset <= range.offset
            && range.offset < $0.offset + $0.size
        }
      }
    }
    self.ranges = ranges
    base = image.headers.base
    current =
      ranges.first ?? WritableRange(offset: 0, size: 0, place: ImageWriter.nowhere)
  }

  /// Where `width` bytes at a virtual address can be written; nil when they do not lie in one part.
  @inline(__always)
  package mutating func place(_ address: UInt64, _ width: UInt64) -> UnsafeMutableRawPointer? {
    let offset = address &- base &- current.offset
    if current.size >= width, offset <= current.size &- width { return current.place + Int(offset) }
    return find(address, width)
  }

  private mutating func find(_ address: UInt64, _ width: UInt64) -> UnsafeMutableRawPointer? {
    for range in ranges where range.size >= width {
      let offset = address &- base &- range.offset
      if offset <= range.size - width {
        current = range
        return range.place + Int(offset)
      }
    }
    return nil
  }

  /// The part that was written last: the virtual address of its first byte, its size, and where it is.
  @inline(__always)
  var window: (start: UInt64, size: UInt64, place: UnsafeMutableRawPointer) {
    (base &+ current.offset, current.size, current.place)
  }

  /// Writes 64 bits at a virtual address; false when it is not writable.
  @inline(__always)
  mutating func write(_ value: UInt64, at address: UInt64) -> Bool {
    if let place = place(address, 8) {
      place.storeBytes(of: value, as: UInt64.self)
      return true
    }
    return writeAcross(value, at: address, 8)
  }

  /// Reads 64 bits at a writable virtual address.
  @inline(__always)
  mutating func read(_ address: UInt64) -> UInt64? {
    if let place = place(address, 8) { return place.loadUnaligned(as: UInt64.self) }
    var value: UInt64 = 0
    for byte in 0..<UInt64(8) {
      guard let place = place(address &+ byte, 1) else { return nil }
      value |= UInt64(place.load(as: UInt8.self)) << (byte * 8)
    }
    return value
  }

  /// Writes a field's bytes one by one, over the edge of a part.
  mutating func writeAcross(_ value: UInt64, at address: UInt64, _ width: UInt64) -> Bool {
    for byte in 0..<width where place(address &+ byte, 1) == nil { return false }
    for byte in 0..<width {
      place(address &+ byte, 1)?.storeBytes(
        of: UInt8(truncatingIfNeeded: value >> (byte * 8)), as: UInt8.self)
    }
    return true
  }

  /// Copies `count` bytes to a virtual address; false when not all of it is writable.
  package mutating func copy(_ source: UnsafeRawPointer, to address: UInt64, count: UInt64) -> Bool
  {
    if let place = place(address, count) {
      memmove(place, source, Int(count))
      return true
    }
    for byte in 0..<count where place(address &+ byte, 1) == nil { return false }
    for byte in 0..<count {
      place(address &+ byte, 1)?.storeBytes(
        of: source.load(fromByteOffset: Int(byte), as: UInt8.self), as: UInt8.self)
    }
    return true
  }
}
