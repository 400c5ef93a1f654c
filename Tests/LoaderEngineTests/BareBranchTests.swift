// Displacements found eight bytes at a time are those that are found one by one.
import LoaderEngine
import Testing

@Suite("Displacements in code without relocations")
struct BareBranchTests {
  /// The rule, byte by byte.
  private static func all(in code: [UInt8], low: Int, end: Int) -> [(field: Int, target: Int)] {
    var found: [(field: Int, target: Int)] = []
    for at in low..<max(low, end) {
      var field = -1
      switch code[at] {
      case 0xE8, 0xE9: field = at + 1
      case 0x8D where at > low && at + 1 < end:
        if code[at - 1] & 0xFB == 0x48, code[at + 1] & 0xC7 == 0x05 { field = at + 2 }
      case 0x0F where at + 1 < end && code[at + 1] & 0xF0 == 0x80: field = at + 2
      default: break
      }
      guard field > 0, field + 4 <= end else { continue }
      let displacement = (0..<4).reduce(UInt32(0)) { $0 | UInt32(code[field + $1]) << ($1 * 8) }
      if displacement != 0 {
        found.append((field, field + 4 + Int(Int32(bitPattern: displacement))))
      }
    }
    return found
  }

  @Test("any bytes, any bounds")
  func anyBytes() {
    var random = SystemRandomNumberGenerator()
    let usual: [UInt8] = [0xE8, 0xE9, 0x8D, 0x0F, 0x84, 0x05, 0x48, 0x4C, 0, 0, 0, 0]
    for size in 0..<160 {
      for _ in 0..<20 {
        let code = (0..<size).map { _ in
          Bool.random() ? usual.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255)
        }
        let low = Int.random(in: 0...size)
        let end = Int.random(in: low...size)
        var found: [(field: Int, target: Int)] = []
        var at = low
        while let hit = BareBranches.next(in: code.span, from: at, low: low, end: end) {
          found.append((hit.field, hit.target))
          at = hit.opcode + 1
        }
        let expected = Self.all(in: code, low: low, end: end)
        #expect(found.map(\.field) == expected.map(\.field), "\(code) \(low)..<\(end)")
        #expect(found.map(\.target) == expected.map(\.target))
      }
    }
  }
}
