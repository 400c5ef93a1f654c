// Objects made of other objects by replacing bytes of equal length: thousands of different ones without
// thousands of compilers.

enum Bytes {
  /// Replaces each occurrence of a text by another of the same length.
  static func replacing(_ old: String, with new: String, in bytes: [UInt8]) -> [UInt8] {
    replacing(Array(old.utf8), with: Array(new.utf8), in: bytes)
  }

  static func replacing(_ old: [UInt8], with new: [UInt8], in bytes: [UInt8]) -> [UInt8] {
    precondition(old.count == new.count && !old.isEmpty)
    var result = bytes
    var at = 0
    while at + old.count <= result.count {
      if result[at] == old[0], result[at..<(at + old.count)].elementsEqual(old) {
        result.replaceSubrange(at..<(at + old.count), with: new)
        at += old.count
      } else {
        at += 1
      }
    }
    return result
  }
}
