// Code that was not made to be moved: without -fPIE it holds addresses in 32 bits and reads the variables of libraries
// where a linker would have copied them. It runs as its program does.
import Foundation
import Testing

@Suite struct FixedCodeTests {
  static let builds = [
    Build(clang: false, flags: ["-O0", "-fno-pie"]),
    Build(clang: false, flags: ["-O2", "-fno-pie"]),
    Build(clang: true, flags: ["-O2", "-fno-pie"]),
  ]

  @Test(arguments: TestProgram.cPrograms + TestProgram.linkSets, builds)
  func cRunsAsLinked(_ program: TestProgram, _ build: Build) throws {
    // clang's driver links with gold here, which runs .ctors in another order than ld and cuts 64-bit absolute
    // symbols off: what is like ld is not like that.
    if build.clang, [TestProgram.allTables.name, TestProgram.absolutes.name].contains(program.name)
    {
      return
    }
    try fixed(program).expectSame(build.flags, clang: build.clang)
  }

  @Test(arguments: TestProgram.cxxPrograms)
  func cxxRunsAsLinked(_ program: TestProgram) throws {
    try fixed(program).expectSame(["-O1", "-fno-pie", "-std=c++17"])
  }

  private func fixed(_ program: TestProgram) -> TestProgram {
    var program = program
    program.linkFlags.append("-no-pie")
    return program
  }

  /// Variables of libc, by every name and in every build.
  @Test(arguments: [["-fPIC"], ["-fPIE"], ["-fno-pie"]])
  func variablesOfTheLibraryAreOne(_ flags: [String]) throws {
    let program = TestProgram(
      name: "stdout, stderr, environ, optind, optarg",
      sources: [
        TestProgram.Source(
          compiler: .gcc,
          text: """
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <unistd.h>
            extern char **environ, **__environ;
            int options(int argc, char **argv);
            int main(int argc, char **argv) {
              fprintf(stderr, "to stderr\\n"); fprintf(stdout, "to stdout\\n");
              setenv("LINKED", "yes", 1);
              int found = 0;
              for (char **e = environ; *e; e++) found += !strcmp(*e, "LINKED=yes");
              printf("%d %d\\n", found, environ == __environ);
              static char *own[] = {"ONLY=this", NULL};
              environ = own;
              printf("%s %d\\n", getenv("ONLY"), getenv("LINKED") == NULL);
              stdout = stderr; puts("redirected"); stdout = fdopen(1, "w");
              opterr = 0;
              int n = options(argc, argv);
              fflush(stdout);
              return n;
            }
            """),
        TestProgram.Source(
          compiler: .gcc,
          text: """
            #include <stdio.h>
            #include <unistd.h>
            int options(int argc, char **argv) {
              int option;
              while ((option = getopt(argc, argv, "ab:")) != -1)
                printf("%c %s %d\\n", option, optarg ? optarg : "-", optind);
              return optind;
            }
            """),
      ], arguments: ["-a", "-b", "value", "-q", "rest"],
      linkFlags: flags == ["-fno-pie"] ? ["-no-pie"] : [])
    let output = try program.expectSame(["-O1"] + flags)
    #expect(output.contains("b value 4"))
  }

  @Test(arguments: [["-fPIC"], ["-fPIE"], ["-fno-pie"]])
  func streamsOfTheLibraryAreOne(_ flags: [String]) throws {
    var program = TestProgram.cxx(
      "std::cout, std::cin, std::cerr",
      """
      #include <iomanip>
      #include <iostream>
      #include <string>
      struct Early { Early() { std::cout << "early" << std::endl; } } early;
      int main() {
        std::string word; std::cout << "say: "; std::cin >> word;
        std::cout << std::hex << std::setw(6) << 255 << ' ' << word << std::endl;
        std::cerr << "error\\n"; std::cout << std::dec << 255 << '\\n';
        std::cout.setstate(std::ios::failbit); std::cout << "not seen\\n";
        return std::cout.fail() + 2 * (std::cin.tie() != nullptr);
      }
      """)
    program.input = Array("hello world\n".utf8)
    if flags == ["-fno-pie"] { program.linkFlags.append("-no-pie") }
    let output = try program.expectSame(["-O1"] + flags)
    #expect(output.hasSuffix("255\n"))
  }

  /// Functions of libraries are further away than 32 bits: their addresses are one number all the same.
  @Test func functionsOfTheLibraryHaveOneAddress() throws {
    let program = TestProgram(
      name: "addresses of functions",
      sources: [
        TestProgram.Source(
          compiler: .gcc,
          text: """
            #include <signal.h>
            #include <stdio.h>
            #include <stdlib.h>
            extern int (*other(void))(const char *);
            int (*kept)(const char *) = puts;
            static int order(const void *a, const void *b) { return *(int *)a - *(int *)b; }
            static void handler(int n) { printf("signal %d\\n", n); }
            int main(void) {
              int v[3] = {3, 1, 2}; qsort(v, 3, sizeof *v, order);
              printf("%d%d%d %d %d\\n", v[0], v[1], v[2], kept == puts, other() == puts);
              signal(SIGUSR1, handler); raise(SIGUSR1); other()("called");
              return signal(SIGUSR1, SIG_DFL) == handler;
            }
            """),
        TestProgram.Source(
          compiler: .gcc,
          text: "#include <stdio.h>\nint (*other(void))(const char *) { return puts; }"),
      ], linkFlags: ["-no-pie"])
    try program.expectSame(["-O1", "-fno-pie"])
  }

  @Test func allOfItLiesBelowTwoGigabytes() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "int table[4] = {1}; int get(int i) { return table[i]; } int main(void) { return 0; }",
      flags: ["-fno-pie", "-O1"], in: folder)
    let report = try CheckReport(of: [file])
    #expect(report.symbols.count > 2)
    #expect(report.symbols.allSatisfy { $0.address < 1 << 31 })
  }
}
