// Objects made of other objects by replacing bytes of equal length: thousands of different ones without
// thousands of compilers.
import Glibc

enum Bytes {
  /// Replaces each occurrence of a text by another of the same length.
  static func replacing(_ old: String, with new: String, in bytes: [UInt8]) -> [UInt8] {
    replacing(Array(old.utf8), with: Array(new.utf8), in: bytes)
  }

  static func replacing(_ old: [UInt8], with new: [UInt8], in bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    for place in places(of: old, in: bytes) { overwrite(&result, at: place, with: new) }
    return result
  }

  /// Where each occurrence begins.
  static func places(of text: [UInt8], in bytes: [UInt8]) -> [Int] {
    bytes.withUnsafeBytes { all in
      text.withUnsafeBytes { wanted in
        var found: [Int] = []
        guard let start = all.baseAddress, let pattern = wanted.baseAddress else { return found }
        // memchr for the first byte: a loop over each byte costs 20 ms a megabyte in a debug build.
        var at = 0
        while at + wanted.count <= all.count,
          let place = memchr(start + at, Int32(wanted[0]), all.count - wanted.count - at + 1)
        {
          at = start.distance(to: UnsafeRawPointer(place))
          if memcmp(start + at, pattern, wanted.count) == 0 {
            found.append(at)
            at += wanted.count
          } else {
            at += 1
          }
        }
        return found
      }
    }
  }

  static func overwrite(_ bytes: inout [UInt8], at place: Int, with new: [UInt8]) {
    bytes.replaceSubrange(place..<(place + new.count), with: new)
  }
}
