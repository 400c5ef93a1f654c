// The finer rules of linking, over reloads: COMDAT, weak definitions, hidden and aliased names, flags that
// change how code refers to things, and arguments of all kinds through a first call.
import Testing

@Suite("Linkage")
struct LinkageScenarios {
  static let flags: [Toolchain] = [
    .gcc.with("-g"), .gcc.with("-g3", "-O2", "-gz"), .gcc.with("-fPIC", "-O2"), .gcc.with("-Os"),
    .gcc.with("-fno-plt", "-O2"), .gcc.with("-O3", "-fno-asynchronous-unwind-tables"),
    .gcc.with("-fcf-protection=full", "-O1"), .gcc.with("-fstack-protector-all"),
    .gcc.with("-mcmodel=large"), .gcc.with("-flto", "-ffat-lto-objects", "-O2"),
    .gcc.with("-fvisibility=hidden", "-O2"),
    .clang.with("-g", "-O1"), .clang.with("-fPIC", "-O2"), .clang.with("-fno-plt", "-O2", "-fPIC"),
    .clang.with("-Oz"), .clang.with("-mcmodel=medium"),
    .clang.with("-faddrsig", "-O2"), .clang.with("-fno-integrated-as"),
  ]

  @Test("Flags that change how code refers to things", arguments: flags)
  func flagsMatter(_ toolchain: Toolchain) throws {
    let header = """
      #include <errno.h>
      #include <math.h>
      #include <stdio.h>
      #include <string.h>
      #include <unistd.h>
      extern int shared;
      extern const char *const words[2];
      int part(int);
      int (*part_pointer(void))(int);
      """
    func main(_ version: Int) -> String {
      """
      #include "all.h"
      int shared = 1000;
      static int local = 2000;
      static int (*stored)(int);
      __attribute__((visibility("default"))) void tick(void) {
        if (!stored) stored = part_pointer();
        errno = 0;
        int closed = close(-1);
        fprintf(stdout, "v=\(version) shared=%d local=%d part=%d stored=%d errno=%d sqrt=%d words=%s%s equal=%d\\n",
          ++shared, ++local, part(1), stored(2), closed == -1 ? errno : 0, (int)sqrt(2001.0 + 0 * stored(2)), words[0],
          words[1], stored == part_pointer());
        fflush(stdout);
      }
      """
    }
    func part(_ version: Int) -> String {
      """
      #include "all.h"
      const char *const words[2] = { "w\(version)", "end" };
      int part(int x) {
        switch (x + shared * 0) {
          case 1: return \(version) * 10 + 1; case 2: return \(version) * 10 + 2; case 3: return shared;
          case 4: return (int)strlen(words[0]); case 5: return x * shared; case 6: return 7;
        }
        return 0;
      }
      int (*part_pointer(void))(int) { return part; }
      """
    }
    let game = try WatchHarness(
      ["all.h": header, "main.c": main(1), "part.c": part(1)], toolchain, awaitStart: false)
    if toolchain.flags.contains("-fno-pic") {
      // Absolute 32-bit addresses cannot reach the arena. That is said, with the way out, and nothing
      // else happens: no frame, no crash.
      let refusal = try game.event("refused")
      #expect(refusal.reason?.contains("-fPIC") == true, "\(refusal.reason ?? "")")
      #expect(try game.end() == .exited(2))
      #expect(game.lines.isEmpty)
      return
    }
    try game.event("started")
    let line = try game.line()
    #expect(
      line.text
        == "v=1 shared=1001 local=2001 part=11 stored=12 errno=9 sqrt=44 words=w1end equal=1")
    try game.edit("part.c", part(2))
    var after = try game.line()
    #expect(after.text.contains(" part=21 stored=22 errno=9 sqrt=44 words=w2end equal=1"))
    let reload = try game.edit("main.c", main(3))
    after = try game.line()
    #expect(after["v"] == "3")
    let before = try game.last(before: reload)
    #expect(after.number("shared") == before.number("shared").map { $0 + 1 })
    #expect(after.number("local") == before.number("local").map { $0 + 1 })
    #expect(after["stored"] == "22")
    try game.stop()
  }

  @Test("Code for fixed addresses is refused by name before the first frame")
  func fixedAddresses() throws {
    let folder = try TemporaryFolder()
    let source = "int printf(const char *, ...); void tick(void) { printf(\"%d\", 1); }"
    let object = try Compiler.gcc.object(
      source, flags: ["-fno-pic", "-fno-pie"], in: folder)
    let found = try Tool.hotlink(["watch", object, "--frames", "1"])
    #expect(found.end == .exited(2))
    #expect(found.stderr.contains("relocation out of range: '.rodata"))
    #expect(found.stderr.contains("help: compile with -fPIC"))
  }

  @Test("An inline function whose owner stops using it, or goes", arguments: Toolchain.all)
  func comdatOwner(_ toolchain: Toolchain) throws {
    let header = """
      #include <cstdio>
      inline int counter() { static int n = 100; return ++n; }
      template <class T> struct Box { virtual ~Box() {} virtual T get() { return 5; } };
      """
    func a(_ body: String) -> String { "#include \"all.hpp\"\nint a() { \(body) }" }
    let b =
      "#include \"all.hpp\"\nint b() { Box<int> *box = new Box<int>; int x = box->get() + counter(); delete box; return x; }"
    func main(_ call: String) -> String {
      """
      #include <cstdio>
      int a(); int b();
      extern "C" void tick() { int x = \(call); int y = b(); dprintf(1, "a=%d b=%d\\n", x, y); }
      """
    }
    let using =
      "Box<int> *box = new Box<int>; int x = box->get() + counter(); delete box; return x;"
    let game = try WatchHarness(
      ["all.hpp": header, "a.cpp": a(using), "b.cpp": b, "main.cpp": main("a()")], toolchain)
    #expect(try game.line().text == "a=106 b=107")
    // `a` was first and owns the group; now only `b` has it.
    var reload = try game.edit("a.cpp", a("return 1;"))
    var before = try #require(game.last(before: reload).number("b"))
    #expect(try game.line().text == "a=1 b=\(before + 1)", "the counter goes on in the other copy")
    reload = try game.edit("a.cpp", a(using))
    before = try #require(game.last(before: reload).number("b"))
    #expect(try game.line().text == "a=\(before + 1) b=\(before + 2)")
    reload = try game.edit("main.cpp", main("7"))
    game.skipToEnd()
    try game.bench.shell("rm build/a.o")
    reload = try game.reloaded()
    before = try #require(game.last(before: reload).number("b"))
    #expect(try game.line().text == "a=7 b=\(before + 1)")
    try game.stop()
  }

  @Test("An edited inline function, recompiled in all units that use it", arguments: Toolchain.few)
  func editedHeader(_ toolchain: Toolchain) throws {
    func header(_ value: Int) -> String {
      "inline int common(int x) { return x + \(value); }\nint other();"
    }
    let main = """
      #include <cstdio>
      #include "all.hpp"
      int (*volatile pointer)(int) = common;
      extern "C" void tick() { dprintf(1, "direct=%d pointer=%d other=%d\\n", common(10), pointer(10), other()); }
      """
    let other = "#include \"all.hpp\"\nint other() { return common(20); }"
    let game = try WatchHarness(
      ["all.hpp": header(1), "main.cpp": main, "other.cpp": other], toolchain)
    #expect(try game.line().text == "direct=11 pointer=11 other=21")
    for value in 2...3 {
      try game.bench.write("all.hpp", header(value))
      try game.bench.compile("main.cpp")
      try game.bench.compile("other.cpp")
      let wanted = "direct=\(10 + value) pointer=\(10 + value) other=\(20 + value)"
      try game.line(where: { $0.text == wanted })
    }
    try game.stop()
  }

  @Test("A weak default, overridden and given back", arguments: Toolchain.few)
  func weak(_ toolchain: Toolchain) throws {
    let main = """
      #include <stdio.h>
      __attribute__((weak)) int hook(void) { return 1; }
      __attribute__((weak)) int optional(void);
      void tick(void) { dprintf(1, "hook=%d optional=%d\\n", hook(), optional ? optional() : -1); }
      """
    let game = try WatchHarness(["main.c": main], toolchain)
    #expect(try game.line().text == "hook=1 optional=-1")
    try game.edit("strong.c", "int hook(void) { return 2; }\nint optional(void) { return 20; }")
    #expect(try game.line().text == "hook=2 optional=20")
    try game.edit("strong.c", "int hook(void) { return 3; }\nint optional(void) { return 30; }")
    #expect(try game.line().text == "hook=3 optional=30")
    game.skipToEnd()
    try game.bench.shell("rm build/strong.o")
    try game.reloaded()
    #expect(try game.line().text == "hook=1 optional=-1")
    try game.stop()
  }

  @Test("Arguments of all kinds through the first call of a unit", arguments: Toolchain.few)
  func arguments(_ toolchain: Toolchain) throws {
    let header = """
      #include <stdarg.h>
      #include <stdio.h>
      struct big { long a[6]; double d; };
      typedef float four __attribute__((vector_size(16)));
      double many(int a, long b, char c, short d, unsigned e, long long f, int g, int h,
        double i, float j, double k, double l, double m, double n, double o, double p, double q);
      struct big whole(struct big x, int add);
      int sum(int count, ...);
      double average(int count, ...);
      four vectors(four a, four b);
      __int128 wide(__int128 x);
      long double longer(long double x);
      """
    let part = """
      #include "all.h"
      double many(int a, long b, char c, short d, unsigned e, long long f, int g, int h,
        double i, float j, double k, double l, double m, double n, double o, double p, double q)
      { return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q; }
      """
    let game = try WatchHarness(
      [
        "all.h": header, "many.c": part,
        "whole.c":
          "#include \"all.h\"\nstruct big whole(struct big x, int add) { x.a[5] += add; x.d *= 2; return x; }",
        "sum.c":
          "#include \"all.h\"\nint sum(int count, ...) { va_list l; va_start(l, count); int s = 0; while (count--) s += va_arg(l, int); va_end(l); return s; }",
        "average.c":
          "#include \"all.h\"\ndouble average(int count, ...) { va_list l; va_start(l, count); double s = 0; for (int i = 0; i < count; i++) s += va_arg(l, double); va_end(l); return s / count; }",
        "vectors.c": "#include \"all.h\"\nfour vectors(four a, four b) { return a * b; }",
        "wide.c":
          "#include \"all.h\"\n__int128 wide(__int128 x) { return x * 3; }\nlong double longer(long double x) { return x / 4; }",
        "main.c": """
        #include "all.h"
        void tick(void) {
          struct big x = { { 1, 2, 3, 4, 5, 6 }, 1.25 };
          struct big y = whole(x, 100);
          four v = vectors((four){ 1, 2, 3, 4 }, (four){ 5, 6, 7, 8 });
          dprintf(1, "many=%g whole=%ld,%g sum=%d average=%g vectors=%g,%g wide=%ld longer=%Lg\\n",
            many(1, 2, 3, 4, 5, 6, 7, 8, 9.5, 10, 11, 12, 13, 14, 15, 16, 17.25), y.a[5], y.d,
            sum(8, 1, 2, 3, 4, 5, 6, 7, 8), average(10, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.), v[0], v[3],
            (long)(wide((__int128)1 << 70) >> 70), longer(10));
        }
        """,
      ], toolchain)
    let expected = "many=153.75 whole=106,2.5 sum=36 average=5.5 vectors=5,32 wide=3 longer=2.5"
    for _ in 0..<3 { #expect(try game.line().text == expected) }
    try game.edit("many.c", part.replacing("{ return a", with: "{ return 1000 + a"))
    #expect(try game.line()["many"] == "1153.75")
    try game.stop()
  }

  @Test(
    "Handlers that the C library calls: signals, qsort_r, pthread keys", arguments: Toolchain.few)
  func libraryCallbacks(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      #define _GNU_SOURCE
      #include <setjmp.h>
      #include <signal.h>
      #include <stdio.h>
      #include <stdlib.h>
      static volatile int caught;
      void handler(int number) { caught = number * 100 + \(version); }
      int order(const void *a, const void *b, void *context) {
        return (*(const int *)a - *(const int *)b) * *(int *)context * \(version % 2 == 0 ? -1 : 1);
      }
      static jmp_buf back;
      static int (*stored_order)(const void *, const void *, void *);
      void leave(void) { longjmp(back, \(version)); }
      void tick(void) {
        if (!stored_order) { signal(SIGUSR2, handler); stored_order = order; }
        raise(SIGUSR2);
        int values[] = { 2, 3, 1 }, context = 1;
        qsort_r(values, 3, sizeof *values, stored_order, &context);
        int jumped = setjmp(back);
        if (!jumped) leave();
        dprintf(1, "caught=%d first=%d jumped=%d\\n", caught, values[0], jumped);
      }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    #expect(try game.line().text == "caught=1201 first=1 jumped=1")
    try game.edit("game.c", source(2))
    #expect(try game.line().text == "caught=1202 first=3 jumped=2")
    try game.edit("game.c", source(3))
    #expect(try game.line().text == "caught=1203 first=1 jumped=3")
    try game.stop()
  }

  @Test("A class that gets a virtual function while its objects live", arguments: Toolchain.few)
  func vtableGrows(_ toolchain: Toolchain) throws {
    func source(_ version: Int, _ extra: String, _ call: String) -> String {
      """
      #include <cstdio>
      struct Shape {
        virtual ~Shape() {}
        virtual int area() { return \(version); }
        \(extra)
      };
      static Shape *shape;
      extern "C" void tick() {
        if (!shape) shape = new Shape;
        dprintf(1, "v=\(version) area=%d more=%d\\n", shape->area(), \(call));
      }
      """
    }
    let game = try WatchHarness(["game.cpp": source(1, "", "0")], toolchain)
    #expect(try game.line().text == "v=1 area=1 more=0")
    game.skipToEnd()
    try game.save(
      "game.cpp", source(2, "virtual int more() { return 77; }", "shape->more()"))
    let answer = try game.answer()
    let line = try game.line()
    if answer.event == "refused" {
      #expect(answer.reason?.contains("Shape") == true, "\(answer.reason ?? "")")
      #expect(line.text == "v=1 area=1 more=0")
    } else {
      #expect(line.text == "v=2 area=2 more=77")
    }
    try game.stop()
  }
}
