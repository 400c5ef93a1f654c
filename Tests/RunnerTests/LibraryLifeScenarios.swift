// Shared objects from their first initialiser to their last finaliser, several of them, and beside objects.
import Foundation
import Testing

@Suite("Life of shared objects")
struct LibraryLifeScenarios {
  /// Objects that tell of their constructors and destructors.
  private static func noisy(_ version: Int, _ objects: String, _ report: String) -> String {
    """
    #include <cstdio>
    struct Noisy {
      int n;
      const char *name;
      Noisy(const char *name, int n) : n(n), name(name) { dprintf(1, "constructed %s\\n", name); }
      ~Noisy() { dprintf(1, "destroyed %s v=\(version)\\n", name); }
    };
    \(objects)
    extern "C" void tick() { dprintf(1, "v=\(version) \(report)); }
    """
  }

  @Test(
    "Objects are constructed once, and destroyed once by the newest code",
    arguments: LibraryBuild.few)
  func constructedOnce(_ build: LibraryBuild) throws {
    func source(_ version: Int) -> String {
      Self.noisy(
        version,
        """
        #include <cstdlib>
        Noisy a("a", 5);
        static Noisy hidden("hidden", 50);
            template <int N> struct Holder { static inline Noisy inner{"template", N}; };
        static Noisy &local() { static Noisy inner("inner", 500); return inner; }
        __attribute__((constructor)) static void up() { dprintf(1, "up v=\(version)\\n"); }
        __attribute__((destructor)) static void down() { dprintf(1, "down v=\(version)\\n"); }
        static void handler() { dprintf(1, "handler v=\(version)\\n"); }
        static int registered = std::atexit(handler);
        """,
        "a=%d hidden=%d inner=%d template=%d\\n\", ++a.n, ++hidden.n, ++local().n, ++Holder<70>::inner.n"
      )
    }
    let game = try WatchHarness(libraries: [("libgame.cpp", source(1))], build)
    #expect(try game.line("a").text == "v=1 a=6 hidden=51 inner=501 template=71")
    for version in 2...4 {
      let reload = try game.rebuild("libgame.cpp", source(version), build)
      let before = try game.last(before: reload, with: "a")
      let after = try game.line("a")
      #expect(after["v"] == "\(version)")
      for key in ["a", "hidden", "inner", "template"] {
        #expect(after.number(key) == before.number(key).map { $0 + 1 }, "\(key)")
      }
    }
    try game.stop()
    for name in ["a", "hidden", "inner", "template"] {
      #expect(game.count("constructed \(name)") == 1)
      #expect(game.count("destroyed \(name) v=4") == 1, "destroyed once, by the newest code")
      #expect(game.count("destroyed \(name)") == 1)
    }
    #expect(game.count("up v=") == 1)
    #expect(game.count("down v=4") == 1)
    #expect(game.count("down v=") == 1)
    #expect(game.count("handler v=4") == 1)
    #expect(game.count("handler v=") == 1)
  }

  @Test("DT_INIT and DT_FINI", arguments: [LibraryBuild.gcc, .clangO2])
  func oldInitialisers(_ build: LibraryBuild) throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      void first(void) { dprintf(1, "first v=\(version)\\n"); }
      void last(void) { dprintf(1, "last v=\(version)\\n"); }
      void tick(void) { dprintf(1, "v=\(version) t=1\\n"); }
      """
    }
    let flags = ["-Wl,-init=first", "-Wl,-fini=last"]
    let game = try WatchHarness(
      libraries: [("libgame.c", source(1))], build, flags: ["libgame.c": flags])
    try game.line("t")
    try game.rebuild("libgame.c", source(2), build, flags: flags)
    #expect(try game.line("t")["v"] == "2")
    try game.stop()
    #expect(game.count("first v=") == 1)
    #expect(game.count("last v=2") == 1)
    #expect(game.count("last v=") == 1)
  }

  @Test(
    "A new object beside kept ones is refused with its initialiser's name",
    arguments: LibraryBuild.few)
  func newBesideKept(_ build: LibraryBuild) throws {
    for new in ["Noisy b(\"b\", 7);", "static Noisy b(\"b\", 7);"] {
      let old = "Noisy a(\"a\", 5);"
      let report = "a=%d b=%d\\n\", ++a.n, "
      let game = try WatchHarness(
        libraries: [("libgame.cpp", Self.noisy(1, old, report + "0"))], build)
      try game.line("a")
      let refusal = try game.rebuildRefused(
        "libgame.cpp", Self.noisy(2, old + new, report + "b.n"), build)
      let reason = try #require(refusal.reason)
      #expect(reason.contains("b'"))
      #expect(reason.contains("_GLOBAL__sub_I_") || reason.contains("init"))
      #expect(try game.line("a")["v"] == "1")
      try game.rebuild("libgame.cpp", Self.noisy(3, old, report + "0"), build)
      #expect(try game.line("a")["v"] == "3")
      #expect(game.count("constructed b") == 0)
      #expect(game.count("constructed a") == 1)
      try game.stop()
    }
  }

  @Test("A constructor function that is new runs", arguments: LibraryBuild.few)
  func newConstructor(_ build: LibraryBuild) throws {
    func source(_ version: Int, _ more: String) -> String {
      """
      #include <stdio.h>
      int n = 1;
      __attribute__((constructor)) static void old_one(void) { dprintf(1, "old_one\\n"); }
      \(more)
      void tick(void) { dprintf(1, "v=\(version) n=%d\\n", n); }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(1, ""))], build)
    try game.line("n")
    let more =
      "__attribute__((constructor)) static void new_one(void) { n = 50; dprintf(1, \"new_one\\n\"); }"
    try game.rebuild("libgame.c", source(2, more), build)
    #expect(try game.line("n")["n"] == "50")
    try game.stop()
    #expect(game.count("old_one") == 1)
    #expect(game.count("new_one") == 1)
  }

  @Test(
    "Two libraries that need each other, changed together and one by one",
    arguments: LibraryBuild.few)
  func circle(_ build: LibraryBuild) throws {
    func ping(_ version: Int) -> String {
      """
      #include <stdio.h>
      int pong(int); extern int pong_count; int ping_count;
      static int *where = &pong_count;
      int ping(int n) { ping_count++; return n ? pong(n - 1) + \(version) : 0; }
      void tick(void) {
        int sum = ping(10);
        dprintf(1, "v=\(version) sum=%d ping=%d pong=%d same=%d\\n", sum, ping_count, pong_count, where == &pong_count);
      }
      """
    }
    func pong(_ version: Int) -> String {
      """
      int ping(int); extern int ping_count; int pong_count;
      int pong(int n) { pong_count++; return n ? ping(n - 1) + \(version) * 10 : 0; }
      """
    }
    let common = ["-Wl,-rpath,$ORIGIN", "-Lbuild"]
    let ofPing = common + ["-Wl,-soname,libping.so", "-Wl,--no-as-needed", "-l:libpong.so"]
    let ofPong = common + ["-Wl,-soname,libpong.so", "-Wl,--no-as-needed", "-l:libping.so"]
    let game = try WatchHarness([:], build.toolchain) { bench in
      // The first of a circle is linked against a stub of the other.
      try bench.library(
        "libpong.c", "int pong_count; int pong(int n) { return n; }", build,
        flags: ["-Wl,-soname,libpong.so"])
      try bench.library("libping.c", ping(1), build, flags: ofPing)
      try bench.library("libpong.c", pong(1), build, flags: ofPong)
    }
    #expect(try game.line().text == "v=1 sum=55 ping=6 pong=5 same=1")
    var reload = try game.rebuild("libpong.c", pong(2), build, flags: ofPong)
    #expect(reload.relinkedFiles == ["libpong.so"])
    var frame = try #require(game.last(before: reload).number("ping")) / 6 + 1
    #expect(try game.line().text == "v=1 sum=105 ping=\(6 * frame) pong=\(5 * frame) same=1")
    reload = try game.rebuild("libping.c", ping(3), build, flags: ofPing)
    frame = try #require(game.last(before: reload).number("ping")) / 6 + 1
    #expect(try game.line().text == "v=3 sum=115 ping=\(6 * frame) pong=\(5 * frame) same=1")
    // Together: both are ready before either is seen.
    try game.bench.library("libping.c", ping(4), build, flags: ofPing, to: "next")
    try game.bench.library("libpong.c", pong(5), build, flags: ofPong, to: "next")
    game.skipToEnd()
    try game.bench.shell("mv next/* build/")
    let line = try game.line(where: { $0["v"] == "4" && $0["sum"] == "270" })
    frame = try #require(line.number("ping")) / 6
    #expect(line.text == "v=4 sum=270 ping=\(6 * frame) pong=\(5 * frame) same=1")
    #expect(game.events.allSatisfy { $0.event != "refused" })
    try game.stop()
  }

  @Test(
    "A library, objects and an archive; a function that moves between them",
    arguments: LibraryBuild.few)
  func mixed(_ build: LibraryBuild) throws {
    func library(_ version: Int, _ wanders: Bool) -> String {
      """
      extern int in_object; int member(void), wanderer(void);
      int in_library = 1000;
      \(wanders ? "static volatile int k = 1; __attribute__((noinline)) int wanderer(void) { return k; }" : "")
      int library(void) { in_object++; in_library++; return \(version) * 10 + member() + wanderer() * 1000; }
      """
    }
    func object(_ version: Int, _ wanders: Bool) -> String {
      """
      #include <stdio.h>
      extern int in_library; int in_object; int library(void), wanderer(void);
      \(wanders ? "static volatile int k = 2; __attribute__((noinline)) int wanderer(void) { return k; }" : "")
      void tick(void) {
        int n = library();
        dprintf(1, "v=\(version) n=%d object=%d library=%d w=%d\\n", n, in_object, in_library, wanderer());
      }
      """
    }
    func pack(_ bench: Workbench, _ value: Int) throws {
      try bench.folder.write(
        bench.object("member.c", "int member(void) { return \(value); }"), to: "member.o")
      try bench.shell("rm -f p.a; ar rcs p.a member.o; mv p.a build/libpart.a")
    }
    // ld takes members of archives only when an object asks for them: so does this.
    let root = "int member(void); int (*keep_member)(void) = member;"
    let game = try WatchHarness(
      libraries: [("libgame.c", library(1, true))], build,
      objects: ["main.c": object(1, false), "root.c": root]
    ) { try pack($0, 1) }
    #expect(try game.line().text == "v=1 n=1011 object=1 library=1001 w=1")
    game.skipToEnd()
    try pack(game.bench, 2)
    try game.reloaded()
    #expect(try game.line()["n"] == "1012")
    try game.rebuild("libgame.c", library(2, true), build)
    #expect(try game.line()["n"] == "1022")
    // To the object, which wins at once; then out of the library.
    try game.edit("main.c", object(2, true))
    #expect(try game.line()["n"] == "2022")
    #expect(try game.line()["w"] == "2")
    try game.rebuild("libgame.c", library(3, false), build)
    #expect(try game.line()["n"] == "2032")
    // And back.
    try game.rebuild("libgame.c", library(4, true), build)
    #expect(try game.line()["n"] == "2042")
    try game.edit("main.c", object(3, false))
    let line = try game.line()
    #expect(line["n"] == "1042")
    #expect(line["w"] == "1")
    #expect(line.number("object") == line.number("library").map { $0 - 1000 })
    try game.stop()
  }

  @Test(
    "Libraries it needs: of the system, and a private one", arguments: [LibraryBuild.gcc, .clangO2])
  func needed(_ build: LibraryBuild) throws {
    func source(_ version: Int) -> String {
      """
      #include <math.h>
      #include <stdio.h>
      const char *zlibVersion(void); int private_one(void);
      static volatile double two = 2;
      void tick(void) {
        dprintf(1, "v=\(version) z=%c cos=%d private=%d\\n", zlibVersion()[0], (int)(cos(two - 2) * 10), private_one());
      }
      """
    }
    let flags = ["-l:libz.so.1", "-lm", "-Lprivate", "-lprivate", "-Wl,-rpath,$ORIGIN/../private"]
    let game = try WatchHarness([:], build.toolchain) { bench in
      try bench.library(
        "libprivate.c", "static int n; int private_one(void) { return ++n; }", build, to: "private")
      try bench.library("libgame.c", source(1), build, flags: flags)
    }
    #expect(try game.line().text == "v=1 z=1 cos=10 private=1")
    let reload = try game.rebuild("libgame.c", source(2), build, flags: flags)
    let last = try #require(game.last(before: reload).number("private"))
    #expect(try game.line().text == "v=2 z=1 cos=10 private=\(last + 1)", "it goes on as it was")
    try game.stop()
  }

  @Test("50 reloads: memory grows by what is said, and by little")
  func endurance() throws {
    func source(_ version: Int) -> String {
      """
      #include <stdio.h>
      static char room[1 << 16] = "room";
      static int frames;
      void tick(void) {
        long size = 0, resident = 0;
        FILE *file = fopen("/proc/self/statm", "r");
        if (file) { if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0; fclose(file); }
        dprintf(1, "v=\(version) frames=%d room=%s resident=%ld\\n", ++frames, room, resident * 4096);
      }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source(0))], .gcc)
    try game.line()
    // One compiled library, its text replaced in place: 50 compilers would take long.
    let model = try {
      try game.bench.library(
        "libgame.c", source(1).replacingOccurrences(of: "v=1", with: "v=QQQQQ"), .gcc, to: "model")
      return game.bench.folder.bytes("model/libgame.so")
    }()
    var first = 0
    var last = 0
    var pinned: UInt64 = 0
    for version in 10_001...10_050 {
      game.skipToEnd()
      try game.bench.install(
        Bytes.replacing("QQQQQ", with: String(version), in: model), as: "libgame.so")
      let reload = try game.reloaded()
      let line = try game.line()
      #expect(line["v"] == "\(version)")
      #expect(line["room"] == "room")
      let bytes = try #require(reload.pinnedBytes)
      #expect(bytes > pinned, "old images stay, and it is said")
      pinned = bytes
      #expect(reload.pins.contains { $0.unit.hasSuffix("libgame.so") })
      if version == 10_010 { first = line.number("resident") ?? 0 }
      last = line.number("resident") ?? 0
    }
    try game.stop()
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1..<(1 + frames.count)))
    #expect((last - first) / 40 < 400_000, "\((last - first) / 40) bytes a reload")
    #expect(pinned / 50 < 200_000)
  }

  @Test("Threads that call through it all the while", arguments: LibraryBuild.few)
  func threads(_ build: LibraryBuild) throws {
    func part(_ version: Int) -> String {
      """
      static int total;
      static int step(int x) { return x + \(version); }
      static int (*volatile chosen)(int) = step;
      int part(int x) { __atomic_add_fetch(&total, 1, __ATOMIC_RELAXED); return chosen(x) - x; }
      int calls(void) { return __atomic_load_n(&total, __ATOMIC_RELAXED); }
      """
    }
    let main = """
      #include <pthread.h>
      #include <stdio.h>
      #include <unistd.h>
      int part(int), calls(void);
      static int bad, done[6];
      static void *work(void *which) {
        int last = 0;
        for (;;) {
          int now = part(5);
          if (now < last || now > 8) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
          last = now;
          __atomic_add_fetch((int *)which, 1, __ATOMIC_RELAXED);
          if (*(int *)which % 64 == 0) usleep(200);
        }
        return 0;
      }
      void tick(void) {
        static int started;
        pthread_t thread;
        if (!started++) for (int i = 0; i < 6; i++) pthread_create(&thread, 0, work, &done[i]);
        int all = calls(), n = part(5), least = done[0];
        for (int i = 1; i < 6; i++) if (done[i] < least) least = done[i];
        dprintf(1, "v=%d bad=%d all=%d least=%d\\n", n, bad, all, least);
      }
      """
    let game = try WatchHarness(
      libraries: [("libpart.c", part(1))], build, objects: ["main.c": main])
    for version in 2...8 {
      try game.rebuild("libpart.c", part(version), build)
      #expect(try game.line()["v"] == "\(version)")
    }
    let line = try game.line()
    #expect(line["bad"] == "0")
    #expect(line.number("least") ?? 0 > 0)
    let all = game.lines.compactMap { $0.number("all") }
    #expect(zip(all, all.dropFirst()).allSatisfy { $0 <= $1 }, "one total for all generations")
    try game.stop()
  }

  @Test("The same, told to people")
  func told() throws {
    let bench = try Workbench()
    let source = LibraryScenarios.everything(1)
    try bench.library("libgame.c", source, .gcc)
    let outcome = try Tool.hotlink(
      ["watch", "build", "--entry", "tick", "--frames", "3"], directory: bench.folder.root)
    #expect(outcome.end == .exited(0))
    #expect(outcome.stderr.contains("1 unit"))
    #expect(outcome.stdout.split(separator: "\n").count == 3)
  }
}
