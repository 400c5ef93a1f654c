// The one file of this room that reads raw memory. A `Bytes` is a range proven to lie inside its
// `FileContents`; every read below is proven to lie inside that range, and records are copied out
// unaligned, so nothing a file claims can make a read trap or leave the range.
internal import CLoaderSupport
internal import Glibc

/// A proven range of a file.
package struct Bytes: @unchecked Sendable {
  package let contents: FileContents
  package let base: UnsafeRawPointer
  package let count: Int

  package init(_ contents: FileContents) {
    self.contents = contents
    base = contents.base
    count = contents.count
  }

  private init(contents: FileContents, base: UnsafeRawPointer, count: Int) {
    self.contents = contents
    self.base = base
    self.count = count
  }

  /// The part at `offset`, or nil when it does not lie inside.
  package func slice(_ offset: UInt64, _ size: UInt64) -> Bytes? {
    guard offset <= UInt64(count), size <= UInt64(count) - offset else { return nil }
    return Bytes(contents: contents, base: base + Int(offset), count: Int(size))
  }

  /// A record at `offset`, or nil when it does not lie inside.
  package func load<T: BitwiseCopyable>(_ type: T.Type = T.self, at offset: UInt64) -> T? {
    let size = UInt64(MemoryLayout<T>.size)
    guard offset <= UInt64(count), size <= UInt64(count) - offset else { return nil }
    return (base + Int(offset)).loadUnaligned(as: T.self)
  }

  /// Whether two hold the same.
  package func isSame(as other: Bytes) -> Bool {
    count == other.count && memcmp(base, other.base, count) == 0
  }

  /// A number that tells contents apart: 64 bits, not against an adversary. Four sums side by side: one would
  /// wait for each product before the next.
  package var hash: UInt64 {
    func word(_ at: Int) -> UInt64 { base.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
    func mix(_ state: UInt64, _ word: UInt64) -> UInt64 {
      let product = (state ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
      return product.high ^ product.low
    }
    var state = 0x9E37_79B9_7F4A_7C15 ^ UInt64(count)
    var at = 0
    if count >= 32 {
      var (second, third, fourth) = (~state, state &+ 1, ~state &- 1)
      while at &+ 32 <= count {
        state = mix(state, word(at))
        second = mix(second, word(at &+ 8))
        third = mix(third, word(at &+ 16))
        fourth = mix(fourth, word(at &+ 24))
        at &+= 32
      }
      state = mix(mix(mix(state, second), third), fourth)
    }
    while at + 8 <= count {
      state = mix(state, word(at))
      at += 8
    }
    while at < count {
      state = (state ^ UInt64(base.load(fromByteOffset: at, as: UInt8.self))) &* 0x100_0000_01B3
      at += 1
    }
    return state ^ (state >> 29)
  }

  /// For C readers that ask for `char *` and write nothing.
  var readOnlyStart: UnsafeMutablePointer<CChar> {
    UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: CChar.self)
  }

  package var array: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: base, count: count)) }
}

/// A proven table of fixed-size records.
package struct RecordTable<Record: BitwiseCopyable>: @unchecked Sendable {
  private let base: UnsafeRawPointer?
  package let count: Int
  private let contents: FileContents?

  package static var empty: RecordTable { RecordTable() }

  private init() {
    base = nil
    count = 0
    contents = nil
  }

  /// The records that fill `bytes`; nil when a partial record is left over.
  package init?(_ bytes: Bytes) {
    let stride = MemoryLayout<Record>.stride
    guard bytes.count % stride == 0 else { return nil }
    base = bytes.base
    count = bytes.count / stride
    contents = bytes.contents
  }

  @inline(__always)
  package subscript(index: Int) -> Record {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index outside a table")
    // A table with records has a base.
    return (base.unsafelyUnwrapped + index &* MemoryLayout<Record>.stride)
      .loadUnaligned(as: Record.self)
  }
}

/// A NUL-terminated name inside a file or image that outlives it.
package struct NameView: @unchecked Sendable {
  package let base: UnsafeRawPointer
  package let count: Int

  package init(base: UnsafeRawPointer, count: Int) {
    self.base = base
    self.count = count
  }

  package init(_ literal: StaticString) {
    self.init(base: UnsafeRawPointer(literal.utf8Start), count: literal.utf8CodeUnitCount)
  }

  package var string: String {
    String(decoding: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self)
  }

  package subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < count)
    return base.load(fromByteOffset: index, as: UInt8.self)
  }

  package func hasPrefix(_ prefix: StaticString) -> Bool {
    count >= prefix.utf8CodeUnitCount
      && memcmp(base, prefix.utf8Start, prefix.utf8CodeUnitCount) == 0
  }

  package func hasSuffix(_ suffix: StaticString) -> Bool {
    let size = suffix.utf8CodeUnitCount
    return count >= size && memcmp(base + (count - size), suffix.utf8Start, size) == 0
  }

  package func contains(_ part: StaticString) -> Bool {
    hl_find(base, count, part.utf8Start, part.utf8CodeUnitCount) != nil
  }

  package static func == (left: NameView, right: StaticString) -> Bool {
    left.count == right.utf8CodeUnitCount && memcmp(left.base, right.utf8Start, left.count) == 0
  }

  package static func == (left: NameView, right: NameView) -> Bool {
    left.count == right.count && memcmp(left.base, right.base, left.count) == 0
  }

  package func dropFirst(_ amount: Int) -> NameView {
    precondition(amount <= count)
    return NameView(base: base + amount, count: count - amount)
  }
}

/// A string table whose last byte is known to be NUL.
package struct StringTable: Sendable {
  private let bytes: Bytes?

  package static var empty: StringTable { StringTable(bytes: nil) }
  private init(bytes: Bytes?) { self.bytes = bytes }

  /// nil when the table does not end in NUL, so that a string could run out of it.
  package init?(_ bytes: Bytes) {
    if bytes.count == 0 {
      self.bytes = nil
    } else {
      guard (bytes.base + (bytes.count - 1)).load(as: UInt8.self) == 0 else { return nil }
      self.bytes = bytes
    }
  }

  /// Size in bytes.
  package var count: Int { bytes?.count ?? 0 }

  /// The string at `offset`; nil when that lies outside.
  @inline(__always)
  package func name(at offset: UInt32) -> NameView? {
    guard let bytes, Int(offset) < bytes.count else {
      return offset == 0 ? NameView("") : nil
    }
    let start = bytes.base + Int(offset)
    return NameView(base: start, count: strlen(start.assumingMemoryBound(to: CChar.self)))
  }

  /// Whether the string at `offset` is this one; it is not measured.
  package func isString(at offset: UInt32, _ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard let bytes, Int(offset) + count < bytes.count else { return false }
    // A literal ends in NUL, too.
    return memcmp(bytes.base + Int(offset), text.utf8Start, count + 1) == 0
  }

  /// Whether the strings at two offsets are the same. One outside its table is the same as none.
  package func isString(at offset: UInt32, sameAs other: StringTable, at position: UInt32) -> Bool {
    guard let own = bytes, let others = other.bytes, Int(offset) < own.count,
      Int(position) < others.count
    else { return false }
    // Both end inside their tables, whose last byte is NUL.
    return strcmp(
      (own.base + Int(offset)).assumingMemoryBound(to: CChar.self),
      (others.base + Int(position)).assumingMemoryBound(to: CChar.self)) == 0
  }

  /// Whether the string at `offset` begins so; it is not measured.
  package func begins(at offset: UInt32, with prefix: StaticString) -> Bool {
    let count = prefix.utf8CodeUnitCount
    guard let bytes, Int(offset) + count <= bytes.count else { return false }
    return memcmp(bytes.base + Int(offset), prefix.utf8Start, count) == 0
  }
}
