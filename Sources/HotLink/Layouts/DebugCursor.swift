// Reading debug data forwards: nothing a file claims can make a read trap or leave its area.
internal import LoaderEngine

/// A place in an area, moving forward. Past the end it reads zeros and is `failed`.
struct DebugCursor {
  let base: UnsafeRawPointer
  var at: Int
  let end: Int
  var failed = false

  init(_ area: DebugData.Area, at: Int, end: Int? = nil) {
    base = area.base
    self.end = min(end ?? area.count, area.count)
    self.at = max(0, min(at, self.end))
    failed = at < 0 || at > self.end
  }

  @inline(__always)
  mutating func take<T: BitwiseCopyable & FixedWidthInteger>(_ type: T.Type) -> UInt64 {
    guard end &- at >= MemoryLayout<T>.size else { return fail() }
    defer { at &+= MemoryLayout<T>.size }
    return UInt64(truncatingIfNeeded: (base + at).loadUnaligned(as: T.self))
  }

  mutating func fail() -> UInt64 {
    failed = true
    at = end
    return 0
  }

  @inline(__always)
  mutating func skip(_ count: Int) {
    guard count >= 0, count <= end &- at else {
      _ = fail()
      return
    }
    at &+= count
  }

  @inline(__always)
  mutating func unsigned() -> UInt64 {
    guard at < end else { return fail() }
    let byte = base.load(fromByteOffset: at, as: UInt8.self)
    guard byte & 0x80 != 0 else {
      at &+= 1
      return UInt64(byte)
    }
    return longUnsigned()
  }

  @inline(never)
  private mutating func longUnsigned() -> UInt64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while at < end {
      let byte = base.load(fromByteOffset: at, as: UInt8.self)
      at &+= 1
      if shift < 64 { result |= UInt64(byte & 0x7F) << shift }
      if byte & 0x80 == 0 { return result }
      shift &+= 7
    }
    return fail()
  }

  /// Moves behind a NUL.
  @inline(__always)
  mutating func skipText() {
    while at < end {
      let byte = base.load(fromByteOffset: at, as: UInt8.self)
      at &+= 1
      if byte == 0 { return }
    }
  }

  mutating func signed() -> Int64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while at < end {
      let byte = base.load(fromByteOffset: at, as: UInt8.self)
      at &+= 1
      if shift < 64 { result |= UInt64(byte & 0x7F) << shift }
      shift &+= 7
      if byte & 0x80 == 0 {
        if shift < 64, byte & 0x40 != 0 { result |= UInt64.max << shift }
        return Int64(bitPattern: result)
      }
    }
    return Int64(bitPattern: fail())
  }

  mutating func word(_ size: Int) -> UInt64 {
    switch size {
    case 1: take(UInt8.self)
    case 2: take(UInt16.self)
    case 4: take(UInt32.self)
    case 8: take(UInt64.self)
    default: fail()
    }
  }
}
