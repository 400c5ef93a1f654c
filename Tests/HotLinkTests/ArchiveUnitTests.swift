// Members of archives as units: linked when something needs them, changed one by one.
import Foundation
import HotLink
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Archives in sessions", .serialized)
struct ArchiveUnitTests {
  private static func members(_ number: Int) throws -> [(name: String, bytes: [UInt8])] {
    [
      (
        "used.o",
        try Compiled.object(.gcc, "int deep(void); int used(void) { return \(number) + deep(); }")
      ),
      (
        "deep_with_a_name_longer_than_fifteen.o",
        try Compiled.object(.gcc, "int deep(void) { return 1; }")
      ),
      ("unused.o", try Compiled.object(.gcc, "extern int lost; int unused(void) { return lost; }")),
    ]
  }

  private static let main = "int used(void); int f(void) { return used(); }"

  @Test(
    "Only the members that are needed are linked, from whole archives and thin ones",
    arguments: ["rcs", "rcsT"])
  func members(operation: String) throws {
    let archive = try Compiled.archive(ArchiveUnitTests.members(10), operation: operation)
    let session = try Session(["main.o": ArchiveUnitTests.main])
    try session.add(FilePath(archive.path))
    let units = try session.start().units
    #expect(units.count == 3 && !units.contains { $0.contains("unused") })
    #expect(units.contains("\(archive.path)(used.o)") || operation == "rcsT")
    #expect(try session.call("f") == 11)
    // The archive is made again with one other member: that one is reloaded.
    let next = try Compiled.archive(ArchiveUnitTests.members(20), operation: operation)
    let log = EventLog(session)
    if operation == "rcs" {
      try FileManager.default.removeItem(at: archive)
      try FileManager.default.copyItem(at: next, to: archive)
    } else {
      let folder = archive.deletingLastPathComponent()
      try Data(ArchiveUnitTests.members(20)[0].bytes).write(to: folder.appending(path: "used.o"))
    }
    try session.add(FilePath(archive.path))
    #expect(session.takeNew())
    #expect(try session.call("f") == 21)
    #expect(log.reloads.last?.relinked.count == 1)
  }

  @Test("A thin archive whose files are gone, and names that no file can have, are refused")
  func brokenThin() async throws {
    await #expect(processExitsWith: .success) {
      let archive = try Compiled.archive([("a.o", [1]), ("b.o", [2])], operation: "rcT")
      let bytes = [UInt8](try Data(contentsOf: archive))
      try FileManager.default.removeItem(
        at: archive.deletingLastPathComponent().appending(path: "b.o"))
      let session = try Session()
      #expect(throws: LinkError.self) { try session.add(FilePath(archive.path)) }
      for byte in [0, 1, 0x2F, 0xFF] as [UInt8] {
        for index in bytes.indices where bytes[index] == UInt8(ascii: "b") {
          var copy = bytes
          copy[index] = byte
          do { try session.add(copy, name: "/nowhere/lib.a") } catch is LinkError {}
        }
      }
    }
  }
}
