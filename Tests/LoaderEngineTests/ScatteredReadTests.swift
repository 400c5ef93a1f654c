// Parts of a file that are read by one system call are what single reads give, and a file that lost bytes meanwhile
// is told, not traded for zeroes.
import Foundation
import SystemPackage
import Testing

@testable import LoaderEngine

@Suite("Reads that go to several places")
struct ScatteredReadTests {
  private static func withFile(_ bytes: [UInt8], _ body: (URL) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "scattered-\(UUID())")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    try body(url)
  }

  /// What a reading of parts leaves in memory, where each is put behind the one before.
  private static func read(_ source: ImageSource, _ parts: [Range<Int>]) throws -> [UInt8] {
    let total = parts.reduce(0) { $0 + $1.count }
    let place = UnsafeMutableRawBufferPointer.allocate(byteCount: total + 1, alignment: 16)
    defer { place.deallocate() }
    place.initializeMemory(as: UInt8.self, repeating: 0xA5)
    guard let start = place.baseAddress else { return [] }
    var reading = ScatteredRead(source)
    var at = 0
    for part in parts {
      try reading.read(at: UInt64(part.lowerBound), into: start + at, count: part.count)
      at += part.count
    }
    try reading.finish()
    #expect(place[total] == 0xA5)
    return Array(place[..<total])
  }

  @Test("… find every byte, in whatever order the parts stand in the file")
  func order() throws {
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<200_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    try Self.withFile(bytes) { url in
      for start in [0, 777] {
        let source = try ImageSource(opening: FilePath(url.path), offset: UInt64(start))
        let memory = ImageSource(FileContents(Array(bytes[start...])), name: "memory")
        for _ in 0..<200 {
          var parts: [Range<Int>] = []
          var at = Int.random(in: 0...9000, using: &random)
          for _ in 0..<Int.random(in: 1...90, using: &random) {
            let count = Int.random(in: 0...5000, using: &random)
            guard at + count <= bytes.count - start else { break }
            parts.append(at..<(at + count))
            // Behind it, a page and more further on, or somewhere before.
            switch Int.random(in: 0..<10, using: &random) {
            case 0: at = Int.random(in: 0...at, using: &random)
            case 1: at += count + Int.random(in: 4090...4100, using: &random)
            case 2...5: at += count
            default: at += count + Int.random(in: 0...300, using: &random)
            }
          }
          let expected = parts.flatMap { bytes[(start + $0.lowerBound)..<(start + $0.upperBound)] }
          #expect(try Self.read(source, parts) == expected, "\(start), \(parts)")
          #expect(try Self.read(memory, parts) == expected, "\(start), \(parts)")
        }
      }
    }
  }

  @Test("… throw when the file has become shorter")
  func shortened() throws {
    try Self.withFile([UInt8](repeating: 1, count: 100_000)) { url in
      let source = try ImageSource(opening: FilePath(url.path))
      try FileHandle(forWritingTo: url).truncate(atOffset: 50_000)
      #expect(throws: LinkError.self) {
        try Self.read(source, [5000..<9000, 9500..<60_000, 60_000..<61_000])
      }
      #expect(try Self.read(source, [5000..<9000, 9500..<50_000]).allSatisfy { $0 == 1 })
    }
  }
}
