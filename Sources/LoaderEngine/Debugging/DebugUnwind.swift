// The unwind tables of several objects as one `.eh_frame` that only a debugger reads: without the zero
// word that ends each of them, and counted from an address of its own.
internal import CLoaderSupport
internal import Glibc

struct DebugUnwind {
  private struct Part {
    var unit: Int
    var section: Int
    var offset: UInt64
    var bytes: Bytes
  }

  private var parts: [Part] = []
  private(set) var size: UInt64 = 0

  init(_ units: [DebugUnit]) {
    for (index, unit) in units.enumerated() {
      let linked = unit.linked
      for section in linked.roles.indices where linked.roles[section] == .unwind {
        guard let bytes = linked.object.contents(ofSection: section),
          let records = bytes.slice(0, DebugUnwind.extent(of: bytes)), records.count > 0
        else { continue }
        parts.append(Part(unit: index, section: section, offset: size, bytes: records))
        size += UInt64(records.count)
      }
    }
  }

  /// Writes the records, and has each part relocated.
  func write(
    to place: UnsafeMutableRawPointer, address: UInt64,
    _ relocate: (
      _ unit: Int, _ section: Int, _ place: UnsafeMutableRawPointer, _ size: UInt64,
      _ address: UInt64
    ) -> Void
  ) {
    for part in parts {
      let start = place + Int(part.offset)
      memcpy(start, part.bytes.base, part.bytes.count)
      relocate(part.unit, part.section, start, UInt64(part.bytes.count), address &+ part.offset)
    }
  }

  /// Bytes before the zero word.
  private static func extent(of bytes: Bytes) -> UInt64 {
    var at: UInt64 = 0
    while let length = bytes.load(UInt32.self, at: at), length != 0, length != 0xFFFF_FFFF,
      at + 4 + UInt64(length) <= UInt64(bytes.count)
    {
      at += 4 + UInt64(length)
    }
    return at
  }
}
