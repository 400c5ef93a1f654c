// Libraries made to hold one kind of relocation each, compared with what ld.so does: every type that it handles,
// and the rules that decide which definition a symbol means. A loader that gets one wrong differs here.
import Foundation
import Testing

/// A library, what it needs, and the relocation types it must have for the test to mean something.
struct RelocationFixture: Sendable, CustomTestStringConvertible {
  var name: String
  var main: SharedFixture
  /// Built first, linked with and found beside it.
  var needed: SharedFixture?
  var types: [String]
  /// Version scripts of both; VERSIONS in their flags is where they lie.
  var versions = ("", "")
  /// Relocation types no linker here writes, put into the finished file.
  var patches: [Patch] = []

  var testDescription: String { name }

  /// Turns relocations of one type into another.
  struct Patch: Sendable {
    var from: UInt32
    var to: UInt32
  }

  func build(in folder: TemporaryFolder) throws -> String {
    var main = main
    func placed(_ flags: [String], _ script: String, _ name: String) throws -> [String] {
      let path = try folder.write(script, to: name)
      return flags.map { $0.replacing("VERSIONS", with: path) }
    }
    main.flags = try placed(main.flags, versions.0, "main.map")
    if var needed {
      needed.flags = try placed(needed.flags, versions.1, "needed.map")
      let path = try needed.build("needed", in: folder)
      main.flags += ["-Wl,--no-as-needed", path, "-Wl,-rpath,$ORIGIN"]
    }
    let path = try main.build("library", in: folder)
    if !patches.isEmpty { try patch(path) }
    return path
  }

  private func patch(_ path: String) throws {
    var bytes = Array(try Data(contentsOf: URL(filePath: path)))
    let file = try Readelf(path)
    for section in file.sections where section.type == "RELA" {
      for at in stride(from: Int(section.offset), to: Int(section.offset + section.size), by: 24) {
        let type = Int(bytes[at + 8..<at + 12].number)
        if let patch = patches.first(where: { $0.from == type }) { bytes[at + 8] = UInt8(patch.to) }
      }
    }
    try Data(bytes).write(to: URL(filePath: path))
  }

  static let tlsLibrary = SharedFixture.c(
    "__thread int other = 5, more[9] = {1}; _Thread_local long *alone; int touch(void) { return other; }"
  )

  static let threads = """
    #include <stddef.h>
    extern __thread int other, more[9];
    extern __thread int absent __attribute__((weak));
    __thread char before[24] = "x";
    __thread int exported = 3; static __thread int own = 4; static __thread long second[3];
    __attribute__((visibility("hidden"))) __thread short kept = 6;
    int *a(void) { return &exported; }
    int *b(void) { return &own; }
    long *c(void) { return &second[1]; }
    short *d(void) { return &kept; }
    int *e(void) { return &other; }
    int *f(void) { return &more[3]; }
    int *g(void) { return &absent; }
    """

  static let all: [RelocationFixture] = [
    RelocationFixture(
      name: "RELATIVE, 64, GLOB_DAT, JUMP_SLOT",
      main: .c(
        """
        #include <stdio.h>
        #include <stdlib.h>
        int here[10]; static int own[10]; extern int elsewhere[4]; void call(void);
        int *p = here + 3, *q = own + 2, *r = elsewhere + 1, *past = here + 10, *before = here - 1;
        void *(*take)(size_t) = malloc; void (*mine)(void) = call;
        FILE **out(void) { return &stdout; }
        void call(void) { puts("x"); elsewhere[0]++; here[0]++; free(malloc(1)); }
        """),
      needed: .c("int elsewhere[4]; int here[10];"),
      types: ["R_X86_64_RELATIVE", "R_X86_64_64", "R_X86_64_GLOB_DAT", "R_X86_64_JUMP_SLO"]),
    RelocationFixture(
      name: "interposition by the process, weak and undefined weak",
      main: .c(
        """
        void *malloc(unsigned long n) { return (void *)n; }
        int environ; int opterr = 3;
        __attribute__((weak)) int puts(const char *s) { return !s; }
        __attribute__((weak)) void absent(void); extern int nothing __attribute__((weak));
        __attribute__((weak)) int both(void) { return 1; }
        void *words[] = { malloc, &environ, &opterr, puts, absent, &nothing, both };
        void f(void) { if (absent) absent(); malloc(both()); puts(""); }
        """),
      needed: .c("int both(void) { return 2; }"),
      types: ["R_X86_64_64", "R_X86_64_JUMP_SLO"]),
    RelocationFixture(
      name: "hidden, protected, -Bsymbolic",
      main: .c(
        """
        int plain, shared; int f(void) { return 1; }
        __attribute__((visibility("protected"))) int guarded = 1;
        __attribute__((visibility("protected"))) int g(void) { return 2; }
        __attribute__((visibility("hidden"))) int h(void) { return 3; }
        void *opterr; int puts(const char *s) { return !s; }
        void *words[] = { &plain, &shared, f, &guarded, g, h, &opterr, puts };
        int call(void) { return f() + g() + h() + puts(""); }
        """, flags: ["-Wl,-Bsymbolic"]),
      needed: .c("int shared, guarded; int f(void) { return 9; } int g(void) { return 9; }"),
      types: ["R_X86_64_RELATIVE"]),
    RelocationFixture(
      name: "DT_SYMBOLIC over words that name symbols",
      main: .assembler(
        """
        .globl puts, opterr, mine
        .type puts, @function
        .text
        puts: ret
        .data
        opterr: .quad 0
        mine: .quad 0
        .globl words
        words: .quad puts, opterr, mine + 8, strlen
        """, flags: ["-Wl,-Bsymbolic", "-nostdlib", "-Wl,--no-as-needed", "-lc"]),
      types: ["R_X86_64_64"]),
    RelocationFixture(
      name: "IRELATIVE and IFUNC symbols",
      main: .c(
        """
        #include <string.h>
        #include <math.h>
        static int one(void) { return 1; }
        static int two(void) { return 2; }
        static void *choose(void) { return one; }
        static void *other(void) { return two; }
        int exported(void) __attribute__((ifunc("choose")));
        static int local(void) __attribute__((ifunc("other")));
        extern int theirs(void);
        int (*pointer)(void) = exported, (*inner)(void) = local, (*far)(void) = theirs;
        unsigned long (*length)(const char *) = strlen;
        void *(*copy)(void *, const void *, unsigned long) = memcpy;
        int call(int x) { return exported() + local() + theirs() + strlen("x" + x) + (int)floor(x); }
        """, flags: ["-lm"]),
      needed: .c(
        """
        static int three(void) { return 3; }
        static void *choose(void) { return three; }
        int theirs(void) __attribute__((ifunc("choose")));
        """),
      types: ["R_X86_64_IRELATIV", "R_X86_64_64", "R_X86_64_JUMP_SLO"]),
    RelocationFixture(
      name: "COPY, in a program",
      main: .c(
        """
        #include <stdio.h>
        #include <unistd.h>
        extern char **environ; extern int elsewhere[100]; extern int *pointing;
        int main(void) { fprintf(stdout, "%d", elsewhere[3]); return !environ + *pointing; }
        """, flags: ["-pie"]),
      needed: .c("int elsewhere[100] = {1, 2, 3, 4}; int *pointing = elsewhere + 1;"),
      types: ["R_X86_64_COPY"]),
    RelocationFixture(
      name: "SIZE64, SIZE32",
      main: .assembler(sized), needed: sizedLibrary,
      types: ["R_X86_64_SIZE64", "R_X86_64_SIZE32"]),
    // ld.so does not know R_X86_64_PC64.
    RelocationFixture(
      name: "PC32, 32",
      main: .assembler(near), needed: sizedLibrary,
      types: ["R_X86_64_32", "R_X86_64_PC32"],
      patches: [Patch(from: 32, to: 10), Patch(from: 24, to: 2)]),
    RelocationFixture(
      name: "RELR",
      main: .c(
        """
        static int own[3]; int *volatile table[200] = { [0 ... 199] = own + 1 };
        struct { char pad[8]; int *p; } __attribute__((packed)) odd[3] = { {"", own}, {"", own} };
        int *f(int i) { return table[i]; }
        """, flags: ["-Wl,-z,pack-relative-relocs"]),
      types: [".relr.dyn"]),
    RelocationFixture(
      name: "TLS, general and local dynamic",
      main: .c(threads, flags: ["-mtls-dialect=gnu"]), needed: tlsLibrary,
      types: ["R_X86_64_DTPMOD64", "R_X86_64_DTPOFF64"]),
    RelocationFixture(
      name: "TLS descriptors",
      main: .c(threads, flags: ["-mtls-dialect=gnu2"]), needed: tlsLibrary,
      types: ["R_X86_64_TLSDESC"]),
    RelocationFixture(
      name: "TLS, initial exec beside local and general dynamic",
      main: .c(
        threads + """

          __attribute__((tls_model("initial-exec"))) static __thread int fast = 7;
          __attribute__((tls_model("initial-exec"))) extern __thread long *alone;
          int *h(void) { return &fast; }
          long **i(void) { return &alone; }
          """, flags: ["-mtls-dialect=gnu"]), needed: tlsLibrary,
      types: ["R_X86_64_TPOFF64", "R_X86_64_DTPMOD64"]),
    RelocationFixture(
      name: "TLS, initial exec beside descriptors",
      main: .c(
        threads + """

          __attribute__((tls_model("initial-exec"))) static __thread int fast = 7;
          int *h(void) { return &fast; }
          """, flags: ["-mtls-dialect=gnu2"]), needed: tlsLibrary,
      types: ["R_X86_64_TPOFF64", "R_X86_64_TLSDESC"]),
    RelocationFixture(
      name: "versions",
      main: .assembler(
        """
        .symver old_f, f@OLD_1
        .symver old_d, d@OLD_1
        .data
        .globl words
        words: .quad f, old_f, d, old_d, memcpy
        """, flags: ["-nostdlib", "-Wl,--no-as-needed", "-lc"]),
      needed: .assembler(
        """
        .symver f1, f@OLD_1
        .symver f2, f@@NEW_2
        .symver d1, d@OLD_1
        .symver d2, d@@NEW_2
        .globl f1, f2, d1, d2
        .type f1, @function
        .type f2, @function
        .text
        f1: nop
        f2: ret
        .data
        d1: .quad 1
        d2: .quad 2
        """,
        flags: ["-nostdlib", "-Wl,--version-script=VERSIONS"]),
      types: ["R_X86_64_64"], versions: ("", "OLD_1 { global: f; d; local: *; }; NEW_2 { } OLD_1;")),
    RelocationFixture(
      name: "unique symbols",
      main: .cxx(
        """
        template <typename T> struct Cell { static T value; static thread_local T each; };
        template <typename T> T Cell<T>::value = 3;
        template <typename T> thread_local T Cell<T>::each = 4;
        inline int &counter() { static int calls; return calls; }
        int *words[] = { &Cell<int>::value, &counter() };
        long *own() { return &Cell<long>::value; }
        int *mine() { return &Cell<int>::each; }
        int &shared() { return counter(); }
        """, flags: ["-Wl,--version-script=VERSIONS"]),
      needed: .cxx(
        """
        template <typename T> struct Cell { static T value; };
        template <typename T> T Cell<T>::value = 3;
        inline int &counter() { static int calls; return calls; }
        int *there() { return &Cell<int>::value; }
        int &shared_there() { return counter(); }
        """, flags: ["-Wl,--version-script=VERSIONS"]),
      types: ["R_X86_64_GLOB_DAT"],
      // ld.so tells unique symbols apart by name alone.
      versions: ("HERE_1 { global: *; };", "THERE_1 { global: *; };")),
  ]

  private static let sizedLibrary = SharedFixture.assembler(
    """
    .globl elsewhere, absolute
    .set absolute, 0x1234
    .type absolute, @object
    .data
    .type elsewhere, @object
    .size elsewhere, 77
    elsewhere: .zero 77
    """)

  private static let sized = """
    .globl exported, words
    .data
    .type exported, @object
    .size exported, 24
    exported: .zero 24
    words: .quad exported@SIZE + 3, elsewhere@SIZE
    .long elsewhere@SIZE - 1, exported@SIZE
    """

  private static let near = """
    .globl exported, words
    .data
    exported: .zero 24
    .section .data.rel, "aw"
    words: .quad exported - ., exported + 8 - .
    .long absolute@SIZE, absolute@SIZE + 4
    """
}

@Suite struct AgainstFixtureTests {
  @Test(arguments: RelocationFixture.all)
  func wordsAreThoseOfDlopen(_ fixture: RelocationFixture) throws {
    let folder = try TemporaryFolder()
    let path = try fixture.build(in: folder)
    let table = try Tool.output("readelf", ["-rW", path])
    for type in fixture.types { #expect(table.contains(type), "no \(type) in \(table)") }
    // Copied variables are the whole process's in a program that is started.
    let options = fixture.types.contains("R_X86_64_COPY") ? ["-l", folder.path("needed.so")] : []
    let (code, result) = try AgainstResult.of(path, options)
    #expect(code == 0 && result.different.isEmpty, "\(result)")
    #expect(result.compared == result.relocations && result.relocations > 0, "\(result)")
  }

  /// dlopen finds an executable's own copy first, unless the variable is one that the whole process sees.
  @Test func copiesAreComparedWhereDlopenMakesThem() throws {
    let folder = try TemporaryFolder()
    let fixture = try #require(RelocationFixture.all.first { $0.types == ["R_X86_64_COPY"] })
    let path = try fixture.build(in: folder)
    let (code, result) = try AgainstResult.of(path)
    #expect(code == 0 && result.different.isEmpty, "\(result)")
    #expect(result.skipped == ["dlopen copies the variable onto itself": 2])
    let copy = try #require(
      try Readelf(path).relocations.first {
        $0.typeName.hasSuffix("COPY") && $0.symbol == "elsewhere"
      })
    let falsified = try AgainstResult.of(
      path, ["-l", folder.path("needed.so"), "--falsify", "\(copy.offset)"])
    #expect(falsified.0 == 1 && falsified.1.different.map(\.offset) == [copy.offset])
  }

  /// std::cout is initialised by those who include <iostream>, between the two loads if nobody cares.
  @Test func copiedVariablesAreInitialisedBefore() throws {
    let folder = try TemporaryFolder()
    let source = "#include <iostream>\n"
    let path = try RelocationFixture(
      name: "",
      main: .cxx(source + "int main() { std::cout << 1; return 0; }", flags: ["-pie"]),
      needed: .cxx(source + "void f() { std::cout << 2; }"), types: []
    ).build(in: folder)
    #expect(try Tool.output("readelf", ["-rW", path]).contains("R_X86_64_COPY"))
    let (code, result) = try AgainstResult.of(path)
    #expect(code == 0 && result.different.isEmpty && result.skipped.isEmpty, "\(result)")
  }

  /// The first of two relocations of one word leaves nothing to compare: counted, with the reason.
  @Test func wordsThatAreOverwrittenAreSkipped() throws {
    let folder = try TemporaryFolder()
    let path = try SharedFixture.c("int a, b; int *words[] = { &a + 1, &b + 2 };").build(in: folder)
    var bytes = Array(try Data(contentsOf: URL(filePath: path)))
    let file = try Readelf(path)
    let section = try #require(file.sections.first { $0.name == ".rela.dyn" })
    let words = stride(
      from: Int(section.offset), to: Int(section.offset + section.size), by: 24
    ).filter { bytes[$0 + 8..<$0 + 12].number == 1 }
    try #require(words.count == 2)
    // The first gets the place of the second, and a type that is read as something else.
    bytes.replaceSubrange(words[0]..<words[0] + 8, with: bytes[words[1]..<words[1] + 8])
    bytes[words[0] + 8] = 33  // R_X86_64_SIZE64
    try Data(bytes).write(to: URL(filePath: path))
    let (code, result) = try AgainstResult.of(path)
    #expect(code == 0 && result.different.isEmpty, "\(result)")
    #expect(result.skipped == ["a later relocation writes the same word": 1])
    #expect(result.compared == result.relocations - 1)
  }

  @Test func relocationsThatWriteNothingAreCounted() throws {
    let folder = try TemporaryFolder()
    let fixture = RelocationFixture(
      name: "", main: .c("int a; int *words[] = { &a, &a + 1, &a + 2 };"), types: [],
      patches: [.init(from: 1, to: 0)])
    let (code, result) = try AgainstResult.of(fixture.build(in: folder))
    #expect(code == 0)
    #expect(result.skipped == ["R_X86_64_NONE writes nothing": 3])
    #expect(result.compared == result.relocations - 3)
  }
}
