// Constants of a sealed image that must change: vtables of objects that live, at the safe point. The pages are
// writable for the moment of the write and never executable. Linux: mprotect(2).
internal import Glibc

/// Pages that are read-only.
package enum ProtectedPages {
  /// Copies bytes over read-only ones, eight at a time where both are aligned, so that a reader never sees half
  /// a pointer.
  ///
  /// - Parameters:
  ///   - source: as many readable bytes as `target` has.
  ///   - target: data of a sealed image, on pages without code.
  ///   - areReadOnly: whether those pages are; otherwise they are written as they are.
  /// - Returns: false when the pages cannot be made writable; nothing is written then.
  @discardableResult
  package static func write(from source: Address, to target: AddressRange, areReadOnly: Bool)
    -> Bool
  {
    let first = target.start.value & ~(pageSize - 1)
    let end = (target.end.value + pageSize - 1) & ~(pageSize - 1)
    // Sound: both stretches belong to images that the caller keeps mapped; the pages are private ones.
    guard let from = source.pointer,
      let pages = UnsafeMutableRawPointer(bitPattern: UInt(first)),
      !areReadOnly || mprotect(pages, Int(end - first), PROT_READ | PROT_WRITE) == 0
    else { return false }
    let place = pages + Int(target.start.value - first)
    var at = 0
    let count = Int(target.size)
    while at < count {
      if count - at >= 8, (target.start.value &+ UInt64(at)) & 7 == 0 {
        let word = from.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        if place.load(fromByteOffset: at, as: UInt64.self) != word {
          place.storeBytes(of: word, toByteOffset: at, as: UInt64.self)
        }
        at += 8
      } else {
        place.storeBytes(
          of: from.load(fromByteOffset: at, as: UInt8.self), toByteOffset: at, as: UInt8.self)
        at += 1
      }
    }
    return !areReadOnly || mprotect(pages, Int(end - first), PROT_READ) == 0
  }
}
