// Numbers in a row, as files for little-endian machines have them: for the few small ELF files that we make
// ourselves, an object of jumps and a library that asks the process's loader for something.

package struct LittleEndianBytes: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func put(_ more: [UInt8]) { bytes += more }
  package mutating func put16(_ values: UInt16...) { for value in values { append(value) } }
  package mutating func put32(_ values: UInt32...) { for value in values { append(value) } }
  package mutating func put64(_ values: UInt64...) { for value in values { append(value) } }

  private mutating func append(_ value: some FixedWidthInteger) {
    for byte in 0..<(value.bitWidth / 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> (byte * 8)))
    }
  }
}
