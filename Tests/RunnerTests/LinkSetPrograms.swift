// Programs of several objects, each about one rule by which objects of a set see each other. They print what they
// see; the same objects linked by ld are the oracle.

extension TestProgram {
  static let assembler = Compiler(program: "gcc", suffix: "s")

  /// A program in C, with units in assembly behind it.
  static func mixed(
    _ name: String, _ texts: [String], assembly: [String] = [], flags: [String] = [],
    linkFlags: [String] = []
  ) -> TestProgram {
    TestProgram(
      name: name,
      sources: texts.map { Source(compiler: .gcc, text: $0, flags: flags) }
        + assembly.map {
          Source(
            compiler: assembler,
            text: $0 + "\n.section .note.GNU-stack,\"\",@progbits\n")
        },
      linkFlags: linkFlags)
  }

  static let linkSets: [TestProgram] = [
    commonGrows, weakAndCommon, strongAndCommon, linkersSymbols, hiddenRanges, versions,
    versionedReference, fragments, allTables, tableEntries, wideStrings, groupsAndOrder, absolutes,
    emptySections, alignments, header, mutualWeak,
  ]

  static let commonGrows = mixed(
    "COMMON: the largest size and alignment",
    [
      """
      #include <stdio.h>
      char buffer[10]; char after; extern char *whole(void);
      int main(void) {
        for (int i = 0; i < 1000; i++) whole()[i] = 7;
        printf("%d %d %d\\n", buffer[9], after, (int)((unsigned long)buffer % 256));
        return whole() == buffer;
      }
      """,
      "char buffer[100]; char *part(void) { return buffer; }",
      "char buffer[1000] __attribute__((aligned(256))); char *whole(void) { return buffer; }",
    ], flags: ["-fcommon"])

  static let weakAndCommon = mixed(
    "COMMON beats a weak definition",
    [
      "#include <stdio.h>\nextern int x, y; int main(void) { printf(\"%d %d\\n\", x, y); return 0; }",
      "int x; __attribute__((weak)) int y = 5;", "__attribute__((weak)) int x = 6; int y;",
    ], flags: ["-fcommon"])

  static let strongAndCommon = mixed(
    "a definition beats COMMON and weak ones, wherever it stands",
    [
      """
      #include <stdio.h>
      extern int x, y, z; int main(void) { printf("%d %d %d\\n", x, y, z); return 0; }
      """,
      "int x; int y = 2; __attribute__((weak)) int z = 1;",
      "int x = 1; int y; int z = 3;", "int x; __attribute__((weak)) int y = 9;",
    ], flags: ["-fcommon"])

  static let linkersSymbols = mixed(
    "symbols that linkers make",
    [
      """
      #include <stdio.h>
      extern char _end[], end[], _edata[], edata[], _etext[], etext[], __bss_start[];
      extern char __executable_start[], _GLOBAL_OFFSET_TABLE_[];
      extern char _DYNAMIC[] __attribute__((weak)), __never_made[] __attribute__((weak));
      extern void *__dso_handle;
      extern void (*__init_array_start[])(void), (*__init_array_end[])(void);
      extern void (*__fini_array_start[])(void), (*__fini_array_end[])(void);
      extern void (*__preinit_array_start[])(void), (*__preinit_array_end[])(void);
      int first = 1; char zero; extern int far; extern char far_zero[5000];
      __attribute__((constructor)) static void begin(void) { puts("begin"); }
      int main(void) {
        printf("%d %d %d\\n", _end == end, _edata == edata, _etext == etext);
        printf("%d %d %d %d\\n", (char *)&first < _edata, (char *)&far < _edata,
          &zero >= __bss_start && &zero < _end, far_zero >= __bss_start && far_zero + 5000 <= _end);
        printf("%d %d %d\\n", _edata <= __bss_start, __bss_start < _end, _etext < _end);
        printf("%d %d\\n", (char *)main > __executable_start, (char *)main < _etext);
        int found = 0;
        for (void (**f)(void) = __init_array_start; f < __init_array_end; f++) found += *f == begin;
        printf("%d %d %d\\n", found, __fini_array_end >= __fini_array_start,
          (int)(__preinit_array_end - __preinit_array_start));
        printf("%d %d %d %d\\n", _GLOBAL_OFFSET_TABLE_ != 0, _DYNAMIC != 0, __never_made != 0,
          &__dso_handle != 0);
        return 0;
      }
      """, "int far = 2; char far_zero[5000];",
    ], flags: ["-O1", "-fPIC"])

  static let hiddenRanges = mixed(
    "__start_ and __stop_ over all objects, hidden or not",
    [
      """
      #include <stdio.h>
      extern int __start_table[], __stop_table[];
      extern const int __start_fixed[] __attribute__((visibility("hidden")));
      extern const int __stop_fixed[] __attribute__((visibility("hidden")));
      int own __attribute__((section("table"))) = 1;
      const int own_fixed __attribute__((section("fixed"))) = 10;
      int main(void) {
        for (int *p = __start_table; p < __stop_table; p++) printf("%d ", *p);
        for (const int *p = __start_fixed; p < __stop_fixed; p++) printf("%d ", *p);
        puts(""); return 0;
      }
      """,
      """
      static int second __attribute__((section("table"), used)) = 2;
      static const int own_fixed __attribute__((section("fixed"), used)) = 20;
      """,
      """
      __attribute__((visibility("hidden"))) int third __attribute__((section("table"))) = 3;
      """,
    ])

  static let versions = mixed(
    ".symver: one version, the default one, and names without",
    [
      """
      #include <stdio.h>
      int foo(void), oldest(void), newest(void);
      __asm__(".symver oldest,foo@V1"); __asm__(".symver newest,foo@V2");
      int main(void) { printf("%d %d %d\\n", foo(), oldest(), newest()); return 0; }
      """,
      """
      int foo_1(void) { return 1; } int foo_2(void) { return 2; }
      __asm__(".symver foo_1,foo@V1"); __asm__(".symver foo_2,foo@@V2");
      """,
    ])

  static let versionedReference = mixed(
    ".symver: a version of a library's function",
    [
      """
      #include <stdio.h>
      #include <string.h>
      void *old_copy(void *, const void *, size_t);
      __asm__(".symver old_copy,memcpy@GLIBC_2.2.5");
      int main(int argc, char **argv) {
        char a[8] = "abc", b[8]; old_copy(b, a, 4 * argc); puts(b); return 0;
      }
      """
    ], flags: ["-fno-builtin"])

  static let fragments = mixed(
    ".init and .fini from several objects",
    [
      """
      #include <stdio.h>
      void hook(int n) { printf("hook %d\\n", n); }
      __attribute__((constructor)) static void begin(void) { puts("constructor"); }
      __attribute__((destructor)) static void finish(void) { puts("destructor"); }
      int main(void) { puts("main"); return 0; }
      """
    ],
    assembly: [
      """
      .section .init,"ax"
      mov $1,%edi
      call hook
      .section .fini,"ax"
      mov $2,%edi
      call hook
      """,
      """
      .section .init,"ax"
      .p2align 4
      mov $3,%edi
      call hook
      .section .fini,"ax"
      mov $4,%edi
      call hook
      """,
    ])

  static let allTables = mixed(
    "all tables of initialisers, with and without numbers",
    [
      """
      #include <stdio.h>
      #define IN(name, table) static void name(void) { puts(#name); } \\
        __attribute__((section(table), used)) static void (*name##_entry)(void) = name;
      IN(c1, ".ctors") IN(c2, ".ctors") IN(c3, ".ctors.65000") IN(d1, ".dtors") IN(d2, ".dtors")
      IN(d3, ".dtors.65000") IN(p1, ".preinit_array") IN(p2, ".preinit_array")
      __attribute__((constructor)) static void i1(void) { puts("i1"); }
      __attribute__((constructor(101))) static void i2(void) { puts("i2"); }
      __attribute__((constructor(60000))) static void i3(void) { puts("i3"); }
      __attribute__((destructor)) static void f1(void) { puts("f1"); }
      __attribute__((destructor(101))) static void f2(void) { puts("f2"); }
      int main(void) { puts("main"); return 0; }
      """,
      """
      #include <stdio.h>
      static void c1(void) { puts("second c1"); } static void d1(void) { puts("second d1"); }
      __attribute__((section(".ctors"), used)) static void (*c1_entry)(void) = c1;
      __attribute__((section(".dtors"), used)) static void (*d1_entry)(void) = d1;
      __attribute__((constructor(101))) static void i1(void) { puts("second i1"); }
      __attribute__((destructor(101))) static void f1(void) { puts("second f1"); }
      """,
    ])

  static let tableEntries = mixed(
    "entries of tables that are labels, of another object, 0",
    [
      """
      #include <stdio.h>
      void elsewhere(void) { puts("elsewhere"); }
      int main(void) { puts("main"); return 0; }
      """
    ],
    assembly: [
      """
      .text
      label: lea text(%rip),%rdi
      jmp puts@PLT
      .section .rodata
      text: .string "label"
      .section .init_array,"aw"
      .p2align 3
      .quad label
      .quad elsewhere
      .section .fini_array,"aw"
      .p2align 3
      .quad elsewhere
      """
    ])

  static let wideStrings = mixed(
    "SHF_MERGE strings of one, two and four bytes, and constants",
    [
      """
      #include <stdio.h>
      #include <uchar.h>
      extern const char16_t *two(int); extern const char32_t *four(int); extern const char *one(int);
      static const char16_t *a = u"hello"; static const char32_t *b = U"wide"; 
      int main(void) {
        for (int i = 0; i < 2; i++) printf("%d %d %s\\n", two(i)[4], (int)four(i)[3], one(i));
        printf("%d %d\\n", a[1], (int)b[1]); return 0;
      }
      """,
      """
      #include <uchar.h>
      const char16_t *two(int i) { return i ? u"hello" : u"jello world"; }
      const char32_t *four(int i) { return i ? U"wide" : U"hide and"; }
      const char *one(int i) { return i ? "narrow" : "arrow"; }
      """,
    ])

  static let groupsAndOrder = mixed(
    "groups without COMDAT, SHF_LINK_ORDER, SHF_GNU_RETAIN, notes with symbols",
    [
      """
      #include <stdio.h>
      extern int entry(void), noted, kept; extern long metadata[2];
      extern void part(void);
      int main(void) {
        printf("%d %d %d %d\\n", entry(), noted, kept, metadata[0] == 12); return 0;
      }
      """
    ],
    assembly: [
      """
      .section .text.entry,"axG",@progbits,group
      .globl entry
      .type entry,@function
      entry: mov value(%rip),%eax
      ret
      .section .data.entry,"awG",@progbits,group
      value: .long 5
      .section .metadata,"awo",@progbits,.text.entry
      .globl metadata
      metadata: .quad 12, 13
      .section .kept,"awR",@progbits
      .globl kept
      kept: .long 6
      .section .note.mine,"a",@note
      .p2align 2
      .long 4, 4, 1
      .string "own"
      .globl noted
      noted: .long 7
      """
    ])

  static let absolutes = mixed(
    "absolute symbols, also twice the same",
    [
      """
      #include <stdio.h>
      extern char small[], large[];
      int main(void) { printf("%lx %lx\\n", (long)small, (long)large); return 0; }
      """
    ],
    assembly: [
      ".globl small, large\nsmall = 0x12345\nlarge = 0xffffffff80000000",
      ".globl small\nsmall = 0x12345",
    ], flags: ["-fPIC"])

  static let emptySections = mixed(
    "symbols in sections without bytes and at their ends",
    [
      """
      #include <stdio.h>
      extern char in_data[], in_bss[], in_text[], begin[], finish[];
      int main(void) {
        printf("%d %d %d %d\\n", in_data != 0, in_bss != 0, in_text != 0, (int)(finish - begin));
        return 0;
      }
      """
    ],
    assembly: [
      """
      .globl in_data, in_bss, in_text, begin, finish
      .data
      in_data:
      .bss
      in_bss:
      .text
      in_text:
      .section .own,"aw",@progbits
      begin: .zero 40
      finish:
      """
    ], flags: ["-fPIC"])

  static let alignments = mixed(
    "alignment far beyond a page",
    [
      """
      #include <stdio.h>
      __attribute__((aligned(65536))) int a = 1; __attribute__((aligned(65536))) const int b = 2;
      __attribute__((aligned(65536))) static char c[3]; extern char d[], e[];
      int main(void) {
        printf("%d %d %d %d %d\\n", (int)((long)&a % 65536), (int)((long)&b % 65536),
          (int)((long)c % 65536), (int)((long)d % (2 << 20)), (int)((long)e % (2 << 20)));
        return a + b + c[1] + d[5] + e[6];
      }
      """,
      """
      __attribute__((aligned(2 << 20))) char d[100]; __attribute__((aligned(2 << 20))) char e[9] = {1};
      """,
    ])

  static let header = mixed(
    "__ehdr_start",
    [
      """
      #include <stdio.h>
      #include <elf.h>
      extern const Elf64_Ehdr __ehdr_start;
      int main(void) {
        printf("%.3s %d %d\\n", (const char *)__ehdr_start.e_ident + 1, __ehdr_start.e_machine,
          __ehdr_start.e_ehsize);
        return 0;
      }
      """
    ])

  static let mutualWeak = mixed(
    "weak definitions and undefined weak names over objects",
    [
      """
      #include <stdio.h>
      __attribute__((weak)) int both(void) { return 1; }
      __attribute__((weak)) int only(void);
      __attribute__((weak)) extern int nothing;
      __attribute__((weak)) int present(void);
      int other(void);
      int main(void) {
        printf("%d %d %d %d %d\\n", both(), only == 0, &nothing == 0, present ? present() : -1, other());
        return 0;
      }
      """,
      """
      __attribute__((weak)) int both(void) { return 2; } int both(void);
      int present(void) { return 7; } int other(void) { return both(); }
      """,
    ])
}
