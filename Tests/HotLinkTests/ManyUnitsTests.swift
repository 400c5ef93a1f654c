// Units that are added together: read and proven side by side, in memory that they share. As one by one, but all or none.
import Foundation
import HotLink
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Many units at once")
struct ManyUnitsTests {
  /// Above what one thread reads, and above what has memory of its own.
  private static let count = 90

  /// Each calls the next; the last ones are weak and defined twice, so that the order shows.
  private static func source(_ number: Int, step: Int = 0) -> String {
    let next = number + 1 < count ? "value\(number + 1)()" : "0"
    return """
      int value\(number + 1)(void);
      int state\(number) = \(number);
      __attribute__((weak)) int first(void) { return \(number); }
      int value\(number)(void) { return state\(number) + \(step) + \(next); }
      """
  }

  private static let sum = Int32(count * (count - 1) / 2)

  private func objects() throws -> [(name: String, bytes: [UInt8])] {
    try (0..<Self.count).map { number in
      ("u\(number).o", try Compiled.object(.gcc, Self.source(number), flags: ["-O1", "-fPIC"]))
    }
  }

  @Test("from bytes: in the order of the list, and each can be edited")
  func fromBytes() throws {
    let session = try Session([:])
    try session.add(objects())
    try session.start()
    #expect(try session.call("value0") == Self.sum)
    #expect(try session.call("first") == 0)
    try session.add(c: Self.source(50, step: 7), name: "u50.o", flags: ["-O1", "-fPIC"])
    try #require(session.takeNew())
    #expect(try session.call("value0") == Self.sum + 7)
  }

  @Test("from bytes: one that is broken is named, and none is added")
  func broken() throws {
    let session = try Session([:])
    var units = try objects()
    units[60].bytes.removeLast(units[60].bytes.count / 2)
    let error = #expect(throws: LinkError.self) { try session.add(units) }
    #expect(error?.file == "u60.o")
    try session.start()
    #expect(throws: LinkError.self) { try session.address(of: "value0") }
    // A running program takes them, too.
    try session.add(objects())
    try #require(session.takeNew())
    #expect(try session.call("value0") == Self.sum)
  }

  @Test("from files: their bytes stay when the files and their neighbours in memory go")
  func fromFiles() throws {
    let folder = URL.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let paths = try objects().map { unit in
      let file = folder.appending(path: unit.name)
      try Data(unit.bytes).write(to: file)
      return file
    }
    let session = try Session([:])
    try session.add(paths.map { FilePath($0.path) })
    try session.start()
    try FileManager.default.removeItem(at: folder)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    #expect(try session.call("value0") == Self.sum)
    // All but one get another content, in blocks of their own; that one is linked again from its old bytes.
    for step in 1...3 {
      for number in 0..<Self.count where number != 40 {
        let bytes = try Compiled.object(
          .gcc, Self.source(number, step: step), flags: ["-O1", "-fPIC"])
        try Data(bytes).write(to: paths[number])
      }
      try session.add(paths.indices.filter { $0 != 40 }.map { FilePath(paths[$0].path) })
      try #require(session.takeNew())
      #expect(try session.call("value0") == Self.sum + Int32(step * (Self.count - 1)))
    }
    try session.add(c: Self.source(40, step: 100), name: paths[40].path, flags: ["-O1", "-fPIC"])
    try #require(session.takeNew())
    #expect(try session.call("value0") == Self.sum + Int32(3 * (Self.count - 1)) + 100)
  }

  @Test(
    "from files: one that changed does not keep the bytes of those that were read with it and did not"
  )
  func retention() async {
    await #expect(processExitsWith: .success) {
      let folder = URL.temporaryDirectory.appending(path: UUID().uuidString)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      func large(_ number: Int, _ step: Int) throws -> [UInt8] {
        try Compiled.object(
          .gcc,
          """
          static const char blob\(number)[12000] = {\(number + 1), \(step + 1)};
          const char *get\(number)(void) { return blob\(number); }
          int value\(number)(void) { return \(step) + blob\(number)[0]; }
          """, flags: ["-O1", "-fPIC"])
      }
      var paths: [FilePath] = []
      for number in 0..<ManyUnitsTests.count {
        let file = folder.appending(path: "u\(number).o")
        try Data(large(number, 0)).write(to: file)
        paths.append(FilePath(file.path))
      }
      let session = try Session([:])
      try session.add(paths)
      try session.start()
      let before = try ProcessUsage.residentBytes()
      for number in 0..<ManyUnitsTests.count {
        try Data(large(number, 1)).write(to: URL(filePath: paths[number].string))
        // As a host does that adds everything after each build.
        try session.add(paths)
        try #require(session.takeNew())
      }
      // 1.2 MB of files, once more, and what reloads keep of literals.
      #expect(try ProcessUsage.residentBytes() - before < 24 << 20)
    }
  }

  @Test("from files: one that cannot be read is named, and none is added")
  func missingFile() throws {
    let session = try Session([:])
    let paths = (0..<Self.count).map { FilePath("/nowhere/u\($0).o") }
    let error = #expect(throws: LinkError.self) { try session.add(paths) }
    #expect(error?.file == "/nowhere/u0.o")
  }
}
