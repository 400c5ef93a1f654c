// Units that come, go and depend on each other.
import Testing

@Suite("Units")
struct UnitScenarios {
  @Test("A new function called from another unit", arguments: Toolchain.few)
  func newFunction(_ toolchain: Toolchain) throws {
    func main(_ call: String) -> String {
      """
      #include <stdio.h>
      int old(void), extra(void);
      void tick(void) { dprintf(1, "v=%d\\n", \(call)); }
      """
    }
    let game = try WatchHarness(
      ["main.c": main("old()"), "part.c": "int old(void) { return 1; }"], toolchain)
    #expect(try game.line()["v"] == "1")
    let first = try game.edit(
      "part.c", "int old(void) { return 2; }\nint extra(void) { return 40; }")
    #expect(first.added == 1)
    #expect(try game.line()["v"] == "2")
    try game.edit("main.c", main("old() + extra()"))
    #expect(try game.line()["v"] == "42")
    try game.edit("part.c", "int old(void) { return 3; }\nint extra(void) { return 50; }")
    #expect(try game.line()["v"] == "53")
    try game.stop()
  }

  @Test("A call of a function that comes later", arguments: Toolchain.few)
  func calledBeforeItExists(_ toolchain: Toolchain) throws {
    func main(_ version: Int, _ call: String) -> String {
      """
      #include <stdio.h>
      #include <unistd.h>
      int extra(void);
      void tick(void) {
        int e = -1;
        if (!access("go", F_OK)) e = \(call);
        dprintf(1, "v=\(version) e=%d\\n", e);
      }
      """
    }
    let game = try WatchHarness(["main.c": main(1, "0")], toolchain)
    try game.line()
    let reload = try game.edit("main.c", main(2, "extra()"))
    #expect(reload.undefined == ["extra"], "reported, not refused: nobody calls it yet")
    #expect(try game.line().text == "v=2 e=-1")
    try game.edit("extra.c", "int extra(void) { return 7; }")
    #expect(try game.line().text == "v=2 e=-1")
    try game.bench.touch("go")
    #expect(try game.line(where: { $0["e"] != "-1" }).text == "v=2 e=7")
    try game.stop()
  }

  @Test("A call of a function that never came ends with its name")
  func calledAndUndefined() throws {
    let main = """
      #include <stdio.h>
      #include <unistd.h>
      int missing_function(void);
      void tick(void) {
        dprintf(1, "v=1\\n");
        if (!access("go", F_OK)) dprintf(1, "e=%d\\n", missing_function());
      }
      """
    let game = try WatchHarness(["main.c": main], arguments: ["--eager"])
    #expect(game.started.undefined == ["missing_function"])
    try game.line()
    try game.bench.touch("go")
    let end = try game.end()
    #expect(end != .exited(0))
    #expect(end == .signalled(6), "SIGABRT, not a jump to nowhere")
    #expect(game.errors.contains("missing_function"))
  }

  @Test("A new file", arguments: Toolchain.few)
  func newFile(_ toolchain: Toolchain) throws {
    func main(_ call: String) -> String {
      """
      #include <stdio.h>
      int added(void);
      extern int data_of_added;
      void tick(void) { dprintf(1, "v=%d\\n", \(call)); }
      """
    }
    let game = try WatchHarness(["main.c": main("1")], toolchain)
    try game.line()
    let reload = try game.edit(
      "added.c", "int data_of_added = 30;\nint added(void) { return ++data_of_added; }")
    #expect(reload.unitFiles == ["added.o"])
    #expect(reload.relinkedFiles == ["added.o"])
    #expect(try game.line()["v"] == "1")
    try game.edit("main.c", main("added() * 100 + data_of_added % 100"))
    #expect(try game.line()["v"] == "3131")
    try game.stop()
  }

  @Test("A removed file that nobody needs", arguments: Toolchain.few)
  func removedUnused(_ toolchain: Toolchain) throws {
    func main(_ call: String) -> String {
      """
      #include <stdio.h>
      int part(void);
      void tick(void) { dprintf(1, "v=%d\\n", \(call)); }
      """
    }
    let game = try WatchHarness(
      ["main.c": main("part()"), "part.c": "int part(void) { return 7; }"], toolchain)
    #expect(try game.line()["v"] == "7")
    try game.edit("main.c", main("8"))
    game.skipToEnd()
    try game.bench.shell("rm build/part.o")
    let reload = try game.reloaded()
    #expect(reload.unitFiles == ["part.o"])
    #expect(reload.removed == 1)
    #expect(try game.line()["v"] == "8")
    try game.edit("part.c", "int part(void) { return 9; }")
    try game.edit("main.c", main("part()"))
    #expect(try game.line()["v"] == "9")
    try game.stop()
  }

  @Test("A removed file whose data is used is refused; when it comes back all is well")
  func removedData() throws {
    let main = """
      #include <stdio.h>
      extern int shared_score;
      void tick(void) { dprintf(1, "v=%d\\n", ++shared_score); }
      """
    let game = try WatchHarness(["main.c": main, "part.c": "int shared_score = 70;"])
    #expect(try game.line()["v"] == "71")
    game.skipToEnd()
    try game.bench.shell("rm build/part.o")
    let refusal = try game.refused()
    #expect(refusal.reason?.contains("shared_score") == true)
    let values = game.lines.compactMap { $0.number("v") }
    #expect(values == Array(71..<(71 + values.count)), "the program runs on")
    try game.edit("part.c", "int shared_score = 70;\nint padding(void) { return 1; }")
    try game.line()
    try game.stop()
    let all = game.lines.compactMap { $0.number("v") }
    #expect(all == Array(71..<(71 + all.count)))
  }

  @Test("A removed file whose function is called ends with its name")
  func removedCalled() throws {
    let main = """
      #include <stdio.h>
      int vanished(void);
      void tick(void) { dprintf(1, "v=%d\\n", vanished()); }
      """
    let game = try WatchHarness(["main.c": main, "part.c": "int vanished(void) { return 7; }"])
    #expect(try game.line()["v"] == "7")
    game.skipToEnd()
    try game.bench.shell("rm build/part.o")
    let answer = try game.answer()
    if answer.event == "refused" {
      #expect(answer.reason?.contains("vanished") == true)
      #expect(try game.line()["v"] == "7")
      try game.stop()
    } else {
      #expect(try game.end() == .signalled(6), "SIGABRT, not a jump to nowhere")
      #expect(game.errors.contains("vanished"))
    }
  }

  @Test("Two units that call each other", arguments: Toolchain.all)
  func mutual(_ toolchain: Toolchain) throws {
    func even(_ step: Int) -> String {
      """
      #include <stdio.h>
      int odd(int n, int sum);
      int even(int n, int sum) { return n == 0 ? sum : odd(n - 1, sum + \(step)); }
      void tick(void) { dprintf(1, "v=%d\\n", even(10, 0)); }
      """
    }
    func odd(_ step: Int) -> String {
      """
      int even(int n, int sum);
      int odd(int n, int sum) { return n == 0 ? sum : even(n - 1, sum + \(step)); }
      """
    }
    let game = try WatchHarness(["even.c": even(1), "odd.c": odd(10)], toolchain)
    #expect(try game.line()["v"] == "55")
    try game.edit("odd.c", odd(100))
    #expect(try game.line()["v"] == "505")
    try game.edit("even.c", even(2))
    #expect(try game.line()["v"] == "510")
    try game.edit("odd.c", odd(1))
    #expect(try game.line()["v"] == "15")
    try game.stop()
  }

  @Test("500 objects: an edit of one relinks only that one")
  func manyObjects() throws {
    let count = 500
    func number(_ index: Int) -> String { String(index + 10_000) }
    func part(_ name: String, _ value: Int) -> String {
      """
      #include <stdio.h>
      static int calls_\(name) = 5;
      static const char *const label_\(name) = "label of \(name)";
      int part_\(name)(int x) { calls_\(name)++; return label_\(name)[0] == 'l' ? x + \(value) : 0; }
      """
    }
    let names = (0..<count).map(number)
    let main = """
      #include <stdio.h>
      \(names.map { "int part_\($0)(int);" }.joined(separator: "\n"))
      static int (*const all[])(int) = { \(names.map { "part_\($0)" }.joined(separator: ", ")) };
      static int frames;
      void tick(void) {
        int sum = 0;
        for (int i = 0; i < \(count); i++) sum = all[i](sum);
        dprintf(1, "v=%d frames=%d\\n", sum, ++frames);
      }
      """
    let game = try WatchHarness(["main.c": main]) { bench in
      // One compiled object, its name replaced in place: 500 compilers would take half a minute.
      let model = try bench.object("model.c", part("NNNNN", 1))
      for name in names {
        try bench.folder.write(
          Bytes.replacing("NNNNN", with: name, in: model), to: "build/part_\(name).o")
      }
    }
    #expect(game.started.unitCount == count + 1)
    #expect(try game.line()["v"] == "\(count)")
    for (step, name) in [names[0], names[250], names[499]].enumerated() {
      let object = try game.bench.object("edit.c", part(name, 1001))
      game.skipToEnd()
      try game.bench.install(object, as: "part_\(name).o")
      let reload = try game.reloaded()
      #expect(reload.relinkedFiles == ["part_\(name).o"])
      #expect(reload.unitFiles == ["part_\(name).o"])
      let relocations = try #require(reload.relocations)
      #expect(relocations < 20, "\(relocations) relocations for one object")
      let frames = try #require(game.last(before: reload).number("frames"))
      #expect(try game.line().text == "v=\(count + 1000 * (step + 1)) frames=\(frames + 1)")
    }
    try game.stop()
  }

  @Test("A member of an archive", arguments: [Toolchain.gcc, .clangO2])
  func archiveMember(_ toolchain: Toolchain) throws {
    func member(_ value: Int) -> String {
      "int calls = 0;\nint member(void) { return \(value) + 0 * ++calls; }\nint count(void) { return calls; }"
    }
    let main = """
      #include <stdio.h>
      int member(void), count(void);
      void tick(void) { int m = member(); dprintf(1, "v=%d calls=%d\\n", m, count()); }
      """
    func pack(_ bench: Workbench, _ value: Int) throws {
      try bench.folder.write(bench.object("member.c", member(value)), to: "member.o")
      try bench.write("unused.c", "int not_there(void);\nint unused(void) { return not_there(); }")
      try bench.shell(
        "\(toolchain.c) -c unused.c -o unused.o; ar rcs build/libpart.a member.o unused.o")
    }
    let game = try WatchHarness(["main.c": main], toolchain) { try pack($0, 1) }
    #expect(try game.line().text == "v=1 calls=1")
    game.skipToEnd()
    try pack(game.bench, 2)
    let reload = try game.reloaded()
    let calls = try #require(game.last(before: reload).number("calls"))
    #expect(try game.line().text == "v=2 calls=\(calls + 1)")
    try game.stop()
  }
}
