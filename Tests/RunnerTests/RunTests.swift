// `hotlink run` behaves as the program that the compiler's own driver links from the same objects: the same
// output, the same errors, the same exit code.
import Foundation
import Testing

@Suite struct RunTests {
  @Test(arguments: TestProgram.cPrograms, Build.all)
  func cRunsAsLinked(_ program: TestProgram, _ build: Build) throws {
    try program.expectSame(build.flags, clang: build.clang)
  }

  @Test(arguments: TestProgram.cxxPrograms, Build.few)
  func cxxRunsAsLinked(_ program: TestProgram, _ build: Build) throws {
    try program.expectSame(build.flags + ["-std=c++17"], clang: build.clang)
  }

  @Test(arguments: [["-Onone"], ["-O"], ["-Onone", "-g"]])
  func swiftRunsAsLinked(_ flags: [String]) throws {
    var program = TestProgram.swiftMain
    program.sources[0].flags = flags
    let output = try program.expectSame()
    #expect(output.contains("circle gone"))
  }

  @Test func luaComputesRaisesAndCatches() throws {
    let script = """
      local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
      print(fib(22), string.format('%5.2f|%s', math.pi, ('x'):rep(3)))
      print(pcall(function() error({code = 7}) end))
      print(select(2, pcall(function() error('raised', 0) end)))
      print(select(2, pcall(function() return nil + 1 end)))
      local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
      print(co(), co(), co())
      local t = {} for w in ('the quick brown fox'):gmatch('%a+') do t[#t + 1] = w end
      table.sort(t) print(table.concat(t, ' '), #t, os.time{year=2020, month=1, day=1, hour=12} > 0)
      """
    let program = TestProgram(
      name: "Lua",
      sources: [
        TestProgram.Source(
          compiler: .gcc,
          text: """
            #include <stdio.h>
            #include <lua5.4/lua.h>
            #include <lua5.4/lauxlib.h>
            #include <lua5.4/lualib.h>
            int main(int argc, char **argv) {
              lua_State *L = luaL_newstate(); luaL_openlibs(L);
              if (luaL_dostring(L, argv[1])) { printf("error %s\\n", lua_tostring(L, -1)); return 1; }
              int failed = luaL_dostring(L, "error('at top')");
              printf("%d %s\\n", failed, lua_tostring(L, -1));
              lua_close(L); return 40 + failed;
            }
            """)
      ], extra: ["/usr/lib/x86_64-linux-gnu/liblua5.4.a"],
      arguments: [script.replacing("{code = 7}", with: "'coded'")], linkFlags: ["-lm", "-ldl"])
    let output = try program.expectSame(["-O2"])
    #expect(output.hasPrefix("17711\t"))
  }

  @Test func zlibRoundTripsOneMegabyte() throws {
    let program = TestProgram(
      name: "zlib",
      sources: [
        TestProgram.Source(
          compiler: .gcc,
          text: """
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <zlib.h>
            int main(void) {
              uLong size = 1 << 20, room = compressBound(size), back = size;
              unsigned char *a = malloc(size), *b = malloc(room), *c = malloc(size);
              unsigned x = 1; for (uLong i = 0; i < size; i++) { x = x * 1103515245 + 12345; a[i] = i % 3 ? (x >> 16) & 15 : i >> 8; }
              int packed = compress2(b, &room, a, size, 9), unpacked = uncompress(c, &back, b, room);
              printf("%d %d %lu %lu %d %lx\\n", packed, unpacked, room, back, memcmp(a, c, size), crc32(0, a, size));
              return memcmp(a, c, size) != 0;
            }
            """)
      ], extra: ["/usr/lib/x86_64-linux-gnu/libz.a"])
    let output = try program.expectSame(["-O2"])
    #expect(output.hasPrefix("0 0 "))
  }

  @Test func objectFromStandardInput() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object(
      "#include <stdio.h>\nint more(void); int main(void) { puts(\"from a pipe\"); return more(); }",
      "main", in: folder)
    let more = try Compiler.gcc.object("int more(void) { return 12; }", "more", in: folder)
    let outcome = try Tool.hotlink(["run", "-", more], input: folder.bytes("main.o"))
    #expect(outcome.end == .exited(12))
    #expect(outcome.stdout == "from a pipe\n")
    #expect(outcome.stderr == "")
  }

  @Test func anotherEntryMayBeNamed() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "int start(int argc, char **argv) { return argc * 10; } int main(void) { return 1; }",
      in: folder)
    let outcome = try Tool.hotlink(["run", file, "--entry", "start", "--", "a", "b"])
    #expect(outcome.end == .exited(30))
  }

  @Test func missingMainIsRefused() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object("int f(void) { return 1; }", in: folder)
    let outcome = try Tool.hotlink(["run", file])
    #expect(outcome.end == .exited(2))
    #expect(
      outcome.stderr == """
        error: undefined symbol 'main'
          searched: all units, and the host process
          help: add the unit that defines it, or name its library with -l

        """)
  }

  @Test func strictRunRefusesWhatIsNeverCalled() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "int nobody(void); int main(int argc, char **argv) { return argc > 9 ? nobody() : 4; }",
      flags: ["-O1"], in: folder)
    #expect(try Tool.hotlink(["run", file]).end == .exited(4))
    let strict = try Tool.hotlink(["run", "--strict", file])
    #expect(strict.end == .exited(2))
    #expect(
      strict.stderr.hasPrefix("error: undefined symbol 'nobody'\n  in \(file), section .text"))
  }

  /// No oracle: what ld makes of it differs from build to build. The C standard has one answer. The
  /// choice is made at run time: clang puts the chosen function in the place of a constant one.
  @Test(arguments: Build.all)
  func indirectFunctionsHaveOneAddress(_ build: Build) throws {
    let folder = try TemporaryFolder()
    let compiler = Compiler.gcc.chosen(clang: build.clang)
    let user = """
      int chosen(int); int (*given(void))(int); int (*kept)(int) = chosen;
      int main(void) { return (given() == chosen) + 2 * (kept == chosen); }
      """
    let definer = """
      static int fast(int x) { return x * 1000; }
      static int slow(int x) { return x; }
      volatile int which = 1;
      static int (*resolve(void))(int) { return which ? fast : slow; }
      int chosen(int) __attribute__((ifunc("resolve")));
      int (*given(void))(int) { return chosen; }
      """
    let files = [
      try compiler.object(user, "user", flags: build.flags, in: folder),
      try compiler.object(definer, "definer", flags: build.flags, in: folder),
    ]
    #expect(try Tool.hotlink(["run"] + files).end == .exited(3))
  }

  @Test func crashEndsAsACrash() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "#include <stdlib.h>\nint main(void) { abort(); }", in: folder)
    #expect(try Tool.hotlink(["run", file]).end == .signalled(SIGABRT))
  }
}
