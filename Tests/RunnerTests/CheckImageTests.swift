// `hotlink check LIB`: what a library is, and where all that it needs came from. readelf and the file system are
// what it is held against.
import Foundation
import Testing

@Suite struct CheckImageTests {
  private struct Report: Decodable {
    struct Segment: Decodable {
      var address: UInt64
      var size: UInt64
      var access: String
    }
    struct Need: Decodable {
      var name: String
      var path: String?
      var origin: String?
    }
    var ok: Bool
    var kind: String?
    var interpreter: String?
    var flags: [String]?
    var segments: [Segment]?
    var relocations: [String: Int]?
    var needed: [Need]?
    var relocated: Int?
    var reason: String?
  }

  private func report(_ arguments: [String]) throws -> (Report, Int32?) {
    let result = try Tool.hotlink(["check", "--json"] + arguments)
    let report = try JSONDecoder().decode(Report.self, from: Data(result.stdout.utf8))
    return (report, result.code)
  }

  @Test func aLibraryIsSummedUp() throws {
    let folder = try TemporaryFolder()
    let needed = try SharedFixture.c(
      "int number(void) { return 3; }", flags: ["-Wl,-soname,libnumber.so"]
    ).build("libnumber", in: folder)
    let library = try SharedFixture.c(
      """
      #include <stdlib.h>
      int number(void); int value; int *to_value = &value;
      __attribute__((constructor)) static void start(void) { abort(); }
      int use(void) { return number() + abs(value); }
      """,
      flags: [needed, "-Wl,-rpath,$ORIGIN", "-Wl,-z,now,-z,relro", "-lz", "-Wl,--no-as-needed"]
    ).build(in: folder)
    let (report, code) = try report([library])
    #expect(code == 0 && report.ok && report.kind == "shared object")
    #expect(report.flags?.contains("BIND_NOW") == true && report.flags?.contains("RELRO") == true)
    let readelf = try Readelf(library)
    let loads = readelf.segments.filter { $0.type == "LOAD" }
    #expect(report.segments?.map(\.size) == loads.map(\.memorySize))
    let access = loads.map { load in
      String("rwx".map { load.flags.contains($0) ? $0 : "-" })
    }
    #expect(report.segments?.map(\.access) == access)
    var types: [String: Int] = [:]
    for relocation in readelf.relocations { types[relocation.typeName, default: 0] += 1 }
    #expect(report.relocations == types)
    let number = try #require(report.needed?.first { $0.name == "libnumber.so" })
    #expect(number.origin == "file" && number.path == needed)
    let libc = try #require(report.needed?.first { $0.name == "libc.so.6" })
    #expect(libc.origin == "process" && libc.path?.hasSuffix("/libc.so.6") == true)
    let people = try Tool.hotlink(["check", library])
    #expect(people.stdout.contains("needs\tlibnumber.so\t\(needed)\tfile\n"))
  }

  @Test func aProgramIsSummedUp() throws {
    let folder = try TemporaryFolder()
    let program = try SharedFixture.c("int main(void) { return 3; }", flags: ["-pie"])
      .build("program", in: folder)
    let (report, code) = try report([program, "--entry", "main"])
    #expect(code == 2 && !report.ok, "main is not exported")
    let found = try self.report([program]).0
    #expect(found.kind == "position-independent executable")
    #expect(found.interpreter == "/lib64/ld-linux-x86-64.so.2")
  }

  @Test func whatIsMissingIsRefused() throws {
    let folder = try TemporaryFolder()
    let library = try SharedFixture.c(
      "int missing_function(void); int f(void) { return missing_function(); }"
    ).build(in: folder)
    let (report, code) = try report([library])
    #expect(code == 2 && !report.ok && report.reason?.contains("missing_function") == true)
    #expect(report.reason?.contains("\(library) at +0x") == true, "no section: it has none")
  }
}
