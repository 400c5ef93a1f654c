// Programs that let real archives do real work: each linked by its compiler's driver with the archive, and by
// `hotlink run` with the same file. A few in each run, all with HOTLINK_LONG_TESTS=1.
import Foundation
import Testing

@Suite struct ArchiveProgramTests {
  static let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"
  /// What links and runs within a second, with packages that are small.
  static let quick = ["lua.c", "sqlite.c", "streams.cpp"]
  static let programs = SourceProgram.all("archives").filter { isLong || quick.contains($0.name) }

  @Test(arguments: programs)
  func archive(_ program: SourceProgram) throws {
    let output = try CBuild(isClang: false, flags: ["-O2"]).compare(program)
    #expect(output.split(separator: "\n").count > 3)
  }
}
