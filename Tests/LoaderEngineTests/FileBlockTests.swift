// Files that are read together share memory: each sees its own bytes, as long as it wants.
import Foundation
import LoaderEngine
import SystemPackage
import Testing

@Suite("Files that share memory")
struct FileBlockTests {
  private let folder: URL

  init() throws {
    folder = URL.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private func write(_ number: Int, _ count: Int) throws -> FilePath {
    let file = folder.appending(path: "f\(number)")
    try Data((0..<count).map { UInt8(truncatingIfNeeded: $0 * 7 + number) }).write(to: file)
    return FilePath(file.path)
  }

  private func isWhole(_ contents: FileContents, _ number: Int, _ count: Int) -> Bool {
    contents.count == count
      && contents.bytes.enumerated().allSatisfy {
        $0.element == UInt8(truncatingIfNeeded: $0.offset * 7 + number)
      }
  }

  @Test("each has its own bytes, from several threads, small and large, also when others are gone")
  func contents() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    // Empty, odd, a page, what just shares, what does not any more; several blocks in all.
    let sizes = [0, 1, 63, 64, 65, 4096, 100_000, 262_144, 262_145, 700_000]
    let files = try (0..<60).map { try write($0, sizes[$0 % sizes.count]) }
    let blocks = FileBlocks()
    nonisolated(unsafe) let results = UnsafeMutablePointer<FileContents?>.allocate(capacity: 60)
    results.initialize(repeating: nil, count: 60)
    defer { results.deinitialize(count: 60).deallocate() }
    Workers.share(60, by: 2) { part in
      for index in part { results[index] = try? FileContents(reading: files[index], into: blocks) }
    }
    for index in 0..<60 {
      let contents = try #require(results[index])
      #expect(isWhole(contents, index, sizes[index % sizes.count]), "\(index)")
      #expect(UInt(bitPattern: contents.base) % 64 == 0)
    }
    for index in 0..<60 where index % 7 != 0 { results[index] = nil }
    for index in stride(from: 0, to: 60, by: 7) {
      #expect(try isWhole(#require(results[index]), index, sizes[index % sizes.count]), "\(index)")
    }
  }

  @Test("a block goes with the last of its files")
  func lifetime() async {
    try? FileManager.default.removeItem(at: folder)
    // What is resident is this test's alone.
    await #expect(processExitsWith: .success) {
      let tests = try FileBlockTests()
      defer { try? FileManager.default.removeItem(at: tests.folder) }
      let file = try tests.write(1, 200_000)
      func resident() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(
          separator: " ")
        return try #require(Int(fields[1])) * 4096
      }
      let before = try resident()
      var kept: [FileContents] = []
      for round in 0..<50 {
        let blocks = FileBlocks()
        for _ in 0..<10 { kept.append(try FileContents(reading: file, into: blocks)) }
        // 2 MB a round: 100 in all, of which 6 at a time are in use.
        if round > 1 { kept.removeFirst(10) }
      }
      #expect(try resident() - before < 50 << 20)
      #expect(kept.allSatisfy { tests.isWhole($0, 1, 200_000) })
    }
  }

  @Test("a file that cannot be read is refused as without")
  func refusals() {
    defer { try? FileManager.default.removeItem(at: folder) }
    let blocks = FileBlocks()
    for path in ["/nowhere/at.all", "/proc", "/dev/null"] {
      let alone = #expect(throws: LinkError.self) { try FileContents(reading: FilePath(path)) }
      let shared = #expect(throws: LinkError.self) {
        try FileContents(reading: FilePath(path), into: blocks)
      }
      #expect(alone.map { "\($0)" } == shared.map { "\($0)" })
    }
  }
}
