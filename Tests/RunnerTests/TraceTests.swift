// `hotlink check LIB --trace bindings`: every symbol that a library refers to, once, with who has it. nm and ld.so's
// own search (what the symbol lies in when dlopen binds it) are what it is held against.
import Foundation
import Testing

@Suite struct TraceTests {
  private struct Line: Decodable {
    var image: String?
    var symbol: String?
    var version: String?
    var relocation: String?
    var provider: String?
    var library: String?
    var ok: Bool?
    var bindings: Int?
  }

  private func lines(_ output: String) throws -> [Line] {
    try output.split(separator: "\n").map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
  }

  @Test func everyBindingIsToldWithItsProvider() throws {
    let folder = try TemporaryFolder()
    let library = try SharedFixture.c(
      """
      #include <stdio.h>
      #include <string.h>
      extern int nobody(void) __attribute__((weak));
      int own = 3; int *to_own = &own;
      int use(const char *text) { puts(text); return nobody ? 1 : (int)strlen(text) + own; }
      """
    ).build(in: folder)
    let result = try Tool.hotlink(["check", "--trace", "bindings", "--json", library])
    #expect(result.code == 0)
    let all = try lines(result.stdout)
    let bindings = all.filter { $0.symbol != nil }
    #expect(all.last?.ok == true && all.last?.bindings == bindings.count)
    let wanted = Set(try Readelf(library).relocations.map(\.symbol).filter { !$0.isEmpty })
    #expect(
      Set(bindings.map { $0.symbol ?? "" }).isSuperset(
        of: wanted.map { $0.split(separator: "@")[0] }.map(String.init)))
    let puts = try #require(bindings.first { $0.symbol == "puts" })
    #expect(puts.provider?.hasSuffix("/libc.so.6") == true && puts.version == "GLIBC_2.2.5")
    #expect(bindings.first { $0.symbol == "own" }?.provider == library)
    #expect(bindings.contains { $0.symbol == "nobody" && $0.provider == nil })
    let people = try Tool.hotlink(["check", "--trace", "bindings", library])
    #expect(people.stdout.contains("puts@GLIBC_2.2.5 R_X86_64_"))
    #expect(people.stdout.contains("nobody R_X86_64_GLOB_DAT -> nobody"))
  }

  @Test func whatCannotBeLoadedIsRefused() throws {
    let folder = try TemporaryFolder()
    let library = try SharedFixture.c(
      "extern int missing_function(void); int f(void) { return missing_function(); }"
    )
    .build(in: folder)
    let result = try Tool.hotlink(["check", "--trace", "bindings", library])
    #expect(result.code == 2 && result.stderr.contains("missing_function"))
  }
}
