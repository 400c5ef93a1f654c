// Code of the medium and large models runs as when it is linked by its own driver: far sections (.lbss, .ldata,
// .lrodata, .ltext), addresses of 64 bits, and the GOT found from where the code is. psABI AMD64, section 3.5.
import Foundation
import Testing

@Suite struct LargeModelTests {
  private static let program = """
    #include <errno.h>
    #include <stdio.h>
    int big[3000000]; int table[400000] = { 1, 2, 3 }; static int small;
    __thread int tl = 7; static __thread long ticks;
    extern int other(int); const int ro[300000] = { 5 };
    static int twice(int x) { return 2 * x + ++small; }
    int (*pointers[])(int) = { other, twice };
    int main(int argc, char **argv) {
      int (*own)(int, char **) = main;
      big[2999999] = 4; small++; errno = 3; ticks = 5;
      printf("%d %d %d %d %d\\n", big[2999999], table[2], ro[0], small + tl, other(argc));
      printf("%d %d %ld\\n", pointers[0](3) + errno, pointers[1](4), ++ticks);
      return own == main ? 9 : 1;
    }
    """
  private static let unit = "extern int big[]; int other(int x) { return x * 2 + big[2999999]; }"

  static let flags = [
    ["-mcmodel=large", "-O0"], ["-mcmodel=large", "-O2"], ["-mcmodel=large", "-O2", "-fPIC"],
    ["-mcmodel=large", "-O1", "-fPIC", "-ffunction-sections"], ["-mcmodel=medium", "-O2"],
    ["-mcmodel=medium", "-O2", "-fPIC"],
  ]

  @Test(arguments: [Compiler.gcc, .clang], flags)
  func runsAsLinked(_ compiler: Compiler, _ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let files = [
      try compiler.object(LargeModelTests.program, "first", flags: flags, in: folder),
      try compiler.object(LargeModelTests.unit, "second", flags: flags, in: folder),
    ]
    let wanted = try Tool.run(try compiler.program(files, in: folder))
    let found = try Tool.hotlink(["run"] + files)
    #expect(wanted.code == 9)
    #expect(found.code == wanted.code, "\(found.end) \(found.stderr.prefix(400))")
    #expect(found.stdout == wanted.stdout)
  }
}
