// Ways to break a file, each with a number, so that a child process that dies over one can be told
// which it was. The layout is read with code of our own: the reader under test has no say in it.
import Foundation

/// One way to break some bytes.
package enum Mutation: Sendable, CustomStringConvertible {
  /// Only the first bytes are there.
  case truncated(to: Int)
  /// One bit is another.
  case flipped(byte: Int, bit: Int)
  /// A field holds a value that often breaks arithmetic.
  case replaced(offset: Int, width: Int, value: UInt64)
  /// Some bytes are others, by a seed.
  case corrupted(seed: UInt64)

  package func applied(to bytes: [UInt8]) -> [UInt8] {
    var copy = bytes
    switch self {
    case .truncated(let length): copy.removeLast(bytes.count - length)
    case .flipped(let byte, let bit): copy[byte] ^= 1 << UInt8(bit)
    case .replaced(let offset, let width, let value):
      for index in 0..<width {
        copy[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
      }
    case .corrupted(let seed):
      var random = Seeded(seed)
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        copy[Int.random(in: copy.indices, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
    }
    return copy
  }

  package var description: String {
    switch self {
    case .truncated(let length): "truncated to \(length) bytes"
    case .flipped(let byte, let bit): "bit \(bit) of byte 0x\(String(byte, radix: 16)) flipped"
    case .replaced(let offset, let width, let value):
      "\(width) bytes at 0x\(String(offset, radix: 16)) are 0x\(String(value, radix: 16))"
    case .corrupted(let seed): "corrupted with seed \(seed)"
    }
  }
}

/// A generator that a printed seed repeats (SplitMix64).
package struct Seeded: RandomNumberGenerator, Sendable {
  private var state: UInt64
  package init(_ seed: UInt64) { state = seed }
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Where the tables of an object are.
package struct ObjectLayout: Sendable {
  /// Byte ranges of the ELF header, the section headers, and the tables the linker walks.
  package private(set) var tables: [Range<Int>] = []
  /// Every field of those tables: offset and width in bytes.
  package private(set) var fields: [(offset: Int, width: Int)] = []
  package private(set) var sections: [(name: String, type: Int, offset: Int, size: Int)] = []

  package init(_ bytes: [UInt8]) {
    func word(_ offset: Int, _ width: Int) -> Int {
      (0..<width).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    func note(_ base: Int, _ count: Int, _ widths: [Int]) {
      var at = base
      for _ in 0..<count {
        for width in widths {
          fields.append((at, width))
          at += width
        }
      }
    }
    let headers = word(40, 8)
    let count = word(60, 2)
    tables = [0..<64, headers..<(headers + count * 64)]
    note(16, 1, [2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2])
    note(headers, count, [4, 4, 8, 8, 8, 8, 4, 4, 8, 8])
    let names = word(headers + word(62, 2) * 64 + 24, 8)
    for index in 0..<count {
      let at = headers + index * 64
      let (type, offset, size) = (word(at + 4, 4), word(at + 24, 8), word(at + 32, 8))
      let start = names + word(at, 4)
      let name = String(decoding: bytes[start...].prefix { $0 != 0 }, as: UTF8.self)
      sections.append((name, type, offset, size))
      switch type {
      case 2:  // SHT_SYMTAB
        note(offset, size / 24, [4, 1, 1, 2, 8, 8])
      case 4:  // SHT_RELA
        note(offset, size / 24, [8, 4, 4, 8])
      case 9:  // SHT_REL
        note(offset, size / 16, [8, 4, 4])
      case 0x4000_0014:  // SHT_CREL
        note(offset, size, [1])
      case 17:  // SHT_GROUP
        note(offset, size / 4, [4])
      case 3: break  // SHT_STRTAB
      default: continue
      }
      tables.append(offset..<(offset + size))
    }
  }

  /// The contents of a section by name.
  package func range(of name: String) -> Range<Int>? {
    sections.first { $0.name == name }.map { $0.offset..<($0.offset + $0.size) }
  }
}

extension Mutation {
  /// Every length up to `dense`, then every `stride`.
  package static func truncations(of bytes: [UInt8], dense: Int = .max, stride step: Int = 1)
    -> [Mutation]
  {
    let near = (0..<min(bytes.count, dense)).map { Mutation.truncated(to: $0) }
    guard bytes.count > dense else { return near }
    return near + stride(from: dense, to: bytes.count, by: step).map { .truncated(to: $0) }
  }

  /// Every bit of every table.
  package static func flips(in layout: ObjectLayout) -> [Mutation] {
    layout.tables.flatMap { table in
      table.flatMap { byte in (0..<8).map { .flipped(byte: byte, bit: $0) } }
    }
  }

  /// Every field of every table with the values arithmetic trips over.
  package static func extremes(in layout: ObjectLayout) -> [Mutation] {
    layout.fields.flatMap { offset, width -> [Mutation] in
      let top = width == 8 ? UInt64.max : (1 << (8 * UInt64(width))) - 1
      var values = Set([0, 1, 3, top, top - 1, top - 15, top >> 1, (top >> 1) + 1])
      if width == 2 { values.formUnion([0xFFF1, 0xFFF2, 0xFFFF, 0xFF00]) }
      if width == 8 { values.formUnion([1 << 46, 1 << 32, 1 << 20]) }
      return values.sorted().map { .replaced(offset: offset, width: width, value: $0) }
    }
  }

  package static func corruptions(seed: UInt64, count: Int) -> [Mutation] {
    (0..<count).map { .corrupted(seed: seed &+ UInt64($0)) }
  }
}
