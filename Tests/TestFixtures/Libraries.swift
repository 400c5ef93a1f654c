// The small libraries and executables that the suites on shared objects break: between them they have every
// table that a runtime linker reads, made by two compilers and two linkers.
package import Foundation

/// A shared object or executable made for being broken.
package enum BreakableImage: String, Codable, CaseIterable, Sendable {
  /// GNU hash, versions needed and defined, GLOB_DAT, JUMP_SLOT, RELATIVE, initialiser arrays, TLS by call.
  case gnu
  /// DT_HASH only, pages of code apart from tables.
  case sysv
  /// Made by lld: RELR, TLS descriptors.
  case relr
  /// IFUNCs by symbol and IRELATIVE.
  case indirect
  /// C++ that throws: `.eh_frame`, `.gcc_except_table`.
  case throwing
  /// ET_EXEC with COPY relocations.
  case executable
  /// A position-independent executable.
  case pie

  package var isExecutable: Bool { self == .executable || self == .pie }

  package func file() throws -> URL {
    let library = ["-shared", "-fPIC", "-O1", "-s", "-Wl,-soname,libfixture.so.1"]
    let dense = ["-Wl,-z,lazy", "-Wl,-z,noseparate-code"]
    switch self {
    case .gnu:
      return try Compiled.image(
        .gcc, BreakableImage.variables, flags: library + dense + ["-Wl,--hash-style=gnu"],
        versions: BreakableImage.versions)
    case .sysv:
      return try Compiled.image(
        .gcc, BreakableImage.variables,
        flags: library + ["-Wl,-z,lazy", "-Wl,--hash-style=sysv", "-DUNVERSIONED"])
    case .relr:
      return try Compiled.image(
        .clang, BreakableImage.variables,
        flags: library + [
          "-fuse-ld=lld", "-mtls-dialect=gnu2", "-Wl,--pack-dyn-relocs=relr", "-Wl,-z,lazy",
        ], versions: BreakableImage.versions)
    case .indirect:
      return try Compiled.image(
        .gcc, BreakableImage.choices, flags: library + dense + ["-Wl,--hash-style=gnu"])
    case .throwing:
      return try Compiled.image(
        .gxx, BreakableImage.exceptions, flags: library + dense + ["-Wl,--hash-style=gnu"])
    case .executable:
      return try Compiled.image(
        .gcc, BreakableImage.program, flags: ["-O1", "-s", "-no-pie", "-fno-pie"] + dense)
    case .pie:
      return try Compiled.image(
        .gcc, BreakableImage.program, flags: ["-O1", "-s", "-pie", "-fPIE"] + dense)
    }
  }

  package func bytes() throws -> [UInt8] { [UInt8](try Data(contentsOf: file())) }

  /// A library of the process's own loader: `int hotlink_throw_and_catch(int)` throws its argument through
  /// a frame that must be cleaned up, and returns it plus one.
  package static func thrower() throws -> URL {
    try Compiled.image(
      .gxx,
      """
      struct Cleaner { int &count; ~Cleaner() { ++count; } };
      __attribute__((noinline)) static void raise(int value) { throw value; }
      __attribute__((noinline)) static void through(int value, int &count) {
        Cleaner cleaner{count};
        raise(value);
      }
      extern "C" int hotlink_throw_and_catch(int value) {
        int count = 0;
        try { through(value, count); } catch (int caught) { return caught + count; }
        return -1;
      }
      """, flags: ["-shared", "-fPIC", "-O1"])
  }

  private static let versions = """
    V1 { global: answer; local: *; };
    V2 { global: answer; tick; counter; table; depth; pointer; } V1;
    """

  private static let variables = """
    #include <stdlib.h>
    extern char **environ;
    extern int optional(void) __attribute__((weak));
    __thread int depth = 5;
    __thread int zeroed;
    static int local = 3;
    int *pointer = &local;
    int counter;
    #ifdef UNVERSIONED
    int old_answer(void) { return 1; }
    int answer(void) { return 2; }
    #define new_answer answer
    #else
    __attribute__((used)) int old_answer(void) { return 1; }
    __attribute__((used)) int new_answer(void) { return 2; }
    __asm__(".symver old_answer,answer@V1");
    __asm__(".symver new_answer,answer@@V2");
    #endif
    int (*table[])(void) = { new_answer, old_answer };
    static __attribute__((constructor)) void begin(void) { counter++; }
    static __attribute__((destructor)) void end(void) { counter--; }
    int tick(int n) {
      depth += n;
      zeroed++;
      counter++;
      if (optional) optional();
      return abs(n) + depth + (environ != 0) + *pointer + table[0]();
    }
    """

  private static let choices = """
    #include <stdlib.h>
    int level = 1;
    static int slow(int n) { return n + level; }
    static int fast(int n) { return n + 2 * level; }
    static void *choose(void) { return level > 1 ? fast : slow; }
    int chosen(int n) __attribute__((ifunc("choose")));
    static int hidden(int n) __attribute__((ifunc("choose")));
    int (*by_symbol)(int) = chosen;
    int (*by_address)(int) = hidden;
    int run(int n) { return chosen(n) + hidden(n) + by_symbol(n) + by_address(n) + abs(n); }
    """

  private static let exceptions = """
    #include <string>
    struct Shape { virtual ~Shape() {} virtual int sides() const { return 0; } };
    struct Square : Shape { int sides() const override { return 4; } };
    inline int &shared_count() { static int count; return count; }
    Shape *make() { return new Square; }
    int guarded(int n) {
      std::string text(n, 'x');
      try {
        if (n > 3) throw n;
        return make()->sides() + (int)text.size();
      } catch (int caught) {
        return caught + ++shared_count();
      }
    }
    """

  private static let program = """
    #include <stdio.h>
    #include <stdlib.h>
    extern char **environ;
    int calls;
    int (*const compare)(const char *, ...) = printf;
    FILE **stream = &stdout;
    int main(int argc, char **argv) {
      calls += argc;
      fprintf(stderr, "%s", argv[0]);
      return environ != 0 ? abs(calls) : compare("");
    }
    """
}
