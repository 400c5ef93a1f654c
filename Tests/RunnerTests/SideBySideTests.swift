// Objects that are fixed up side by side (docs/decisions/0039): a set that is large enough for several threads gives,
// byte for byte, what one processor gives, and says the same of what is wrong. Oracle: the same tool on one processor.
import Foundation
import Testing

@Suite struct SideBySideTests {
  private static let count = 150

  /// Objects with all that one thread leaves to another: GOT entries, callbacks with and without a relocation, jump
  /// tables, merged strings, local functions, those that are chosen at the start, exceptions, COMDAT groups.
  private func objects(in folder: TemporaryFolder) throws -> [String] {
    for number in 0..<Self.count {
      let next = (number + 1) % Self.count
      _ = try folder.write(
        """
        extern "C" int puts(const char *);
        extern "C" int value\(next)(int); extern int shared\(next); int shared\(number) = \(number);
        inline int common(int n) { static int calls; return n + ++calls; }
        static int local(int n) { return n * 2 + shared\(next); }
        int (*table\(number)[])(int) = {local, value\(next)};
        const char *names\(number)[] = {"unit \(number)", "of all", "units"};
        static int take(int (*f)(int), int n) { return f(n); }
        extern "C" { static int (*pick\(number)(void))(int) { return local; } }
        static int chosen\(number)(int) __attribute__((ifunc("pick\(number)")));
        extern "C" int value\(number)(int n) {
          switch (n) { case 0: return 3; case 1: return shared\(next); case 2: puts(names\(number)[1]); return 5;
            case 3: return 8; case 4: return common(n); case 5: return take(local, n);
            case 6: return chosen\(number)(n); }
          try { if (n > 100) throw n; return take(&local, n) + shared\(next); } catch (int m) { return m - 1; }
        }

        """, to: "u\(number).cpp")
    }
    try Tool.output(
      "g++", ["-c", "-O1", "-fPIC"] + (0..<Self.count).map { "u\($0).cpp" },
      directory: folder.path(""), timeout: 300)
    return (0..<Self.count).map { folder.path("u\($0).o") }
  }

  private func compare(_ arguments: [String]) throws -> Tool.Outcome {
    // Without randomised addresses: what the process supplies is among the bytes.
    let command = ["-R", try Tool.hotlinkPath()] + arguments
    let many = try Tool.run("setarch", command, timeout: 120)
    let one = try Tool.run("taskset", ["-c", "0", "setarch"] + command, timeout: 120)
    #expect(many.end == one.end)
    #expect(many.output == one.output)
    #expect(many.stderr == one.stderr)
    return many
  }

  @Test func sameBytes() throws {
    let folder = try TemporaryFolder()
    let files = try objects(in: folder)
    for options in [[], ["--direct"]] {
      let outcome = try compare(
        ["check", "--json", "--bytes", "--base", "0x4000000000", "--allow-undefined"] + options
          + files)
      #expect(outcome.code == 0, "\(outcome.stderr)")
      #expect(outcome.output.count > 100_000)
    }
  }

  @Test func sameRefusals() throws {
    let folder = try TemporaryFolder()
    var files = try objects(in: folder)
    // Undefined symbols in objects that different threads have.
    for number in [40, 80, 120] {
      files[number] = try Compiler.gcc.object(
        "extern int gone\(number)[]; int *who\(number) = gone\(number); int shared\(number); int value\(number)(int n) { return n; }",
        "b\(number)", in: folder)
    }
    let missing = try compare(["check"] + files)
    #expect(missing.code == 2)
    for number in [40, 80, 120] { #expect(missing.stderr.contains("gone\(number)")) }
    // A relocation that leaves its section, in an object in the middle: named as such.
    var broken = try [UInt8](Data(contentsOf: URL(filePath: files[100])))
    let header = try Self.firstRelocation(in: broken)
    broken.replaceSubrange(header..<(header + 8), with: [0, 0, 0, 0x70, 0, 0, 0, 0])
    files[100] = try folder.write(broken, to: "broken.o")
    let malformed = try compare(["check"] + files)
    #expect(malformed.code != 0)
    #expect(malformed.stderr.contains("broken.o"))
  }

  /// The file offset of the first record of the first SHT_RELA section.
  private static func firstRelocation(in object: [UInt8]) throws -> Int {
    func number(_ at: Int, _ size: Int) -> Int {
      (0..<size).reduce(0) { $0 | Int(object[at + $1]) << ($1 * 8) }
    }
    let table = number(40, 8)
    let section = try #require(
      (0..<number(60, 2)).map { table + $0 * 64 }.first { number($0 + 4, 4) == 4 })
    return number(section + 24, 8)
  }
}
