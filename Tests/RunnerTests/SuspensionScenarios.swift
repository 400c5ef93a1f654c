// Frames that are suspended over a reload: they finish in the body they began in, and what starts
// afterwards runs the new one.
import Testing

@Suite("Suspended over a reload")
struct SuspensionScenarios {
  static let toolchains: [Toolchain] = [
    .gcc, .gccO2, .gccSections, .clang, .clangO2, .clangO2Sections,
  ]

  @Test("A C++20 coroutine", arguments: toolchains)
  func coroutine(_ toolchain: Toolchain) throws {
    func source(_ version: Int, locals: String, sum: String) -> String {
      """
      #include <coroutine>
      #include <cstdio>
      #include <unistd.h>
      struct Task {
        struct promise_type {
          Task get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
          }
          std::suspend_always initial_suspend() noexcept { return {}; }
          std::suspend_always final_suspend() noexcept { return {}; }
          void return_void() {}
          void unhandled_exception() {}
        };
        std::coroutine_handle<promise_type> handle;
      };
      struct Guard { int id; ~Guard() { dprintf(1, "guard=%d\\n", id); } };
      static Task work(int id) {
        Guard guard{id};
        int i = 10 * id;
        \(locals)
        dprintf(1, "begin=%d body=\(version)\\n", id);
        co_await std::suspend_always{};
        i += 1;
        dprintf(1, "middle=%d body=\(version)\\n", id);
        co_await std::suspend_always{};
        dprintf(1, "end=%d body=\(version) sum=%d\\n", id, \(sum));
      }
      static std::coroutine_handle<> handles[8];
      extern "C" void tick() {
        for (int id = 1; id < 8; id++) {
          char name[16];
          snprintf(name, sizeof name, "begin%d", id);
          if (!handles[id] && !access(name, F_OK)) { handles[id] = work(id).handle; handles[id].resume(); }
          snprintf(name, sizeof name, "go%d", id);
          if (handles[id] && !access(name, F_OK)) {
            unlink(name);
            handles[id].resume();
            if (handles[id].done()) { handles[id].destroy(); handles[id] = nullptr; }
          }
          snprintf(name, sizeof name, "drop%d", id);
          if (handles[id] && !access(name, F_OK)) { handles[id].destroy(); handles[id] = nullptr; }
        }
        dprintf(1, "v=\(version)\\n");
      }
      """
    }
    let first = source(1, locals: "", sum: "i")
    let second = source(
      2, locals: "double more[6] = {1, 2, 3, 4, 5, (double)id};", sum: "i + (int)more[id]")
    let game = try WatchHarness(["game.cpp": first], toolchain) { try $0.touch("begin1") }
    #expect(try game.line("begin").text == "begin=1 body=1")
    try game.bench.touch("begin3")
    try game.line("begin")

    let reload = try game.edit("game.cpp", second)
    #expect(try game.line("v")["v"] == "2")
    #expect(
      reload.pins.contains { $0.unit.hasSuffix("game.o") }, "its old body is pinned, and said so")
    try game.bench.shell("rm begin1 begin3")
    try game.bench.touch("begin2")
    #expect(try game.line("begin").text == "begin=2 body=2")
    try game.bench.touch("go1")
    #expect(try game.line("middle").text == "middle=1 body=1", "the old body finishes")
    try game.bench.touch("go2")
    #expect(try game.line("middle").text == "middle=2 body=2")

    let third = try game.edit("game.cpp", source(3, locals: "", sum: "i * 2"))
    #expect(third.pins.contains { $0.unit.hasSuffix("game.o") }, "\(third.pins)")
    try game.bench.shell("rm begin2")
    try game.bench.touch("go1")
    #expect(try game.line("end").text == "end=1 body=1 sum=11")
    #expect(try game.line("guard").text == "guard=1")
    // Bodies of many sizes, which would come to lie where a recycled one was.
    for version in 4...9 {
      let locals = (0..<(version * 7 % 11)).map { "volatile long l\($0) = \($0) * i;" }
      let reload = try game.edit(
        "game.cpp", source(version, locals: locals.joined(separator: " "), sum: "i * \(version)"))
      #expect(
        version == 4 || reload.pins.contains { $0.reason.contains("suspended") }, "\(reload.pins)")
    }
    try game.bench.touch("go2")
    #expect(try game.line("end").text == "end=2 body=2 sum=24")
    #expect(try game.line("guard").text == "guard=2")
    try game.bench.touch("drop3")
    #expect(
      try game.line("guard").text == "guard=3", "a frame of the first generation is destroyed")
    try game.bench.touch("begin4")
    #expect(try game.line("begin").text == "begin=4 body=9")
    try game.stop()
  }

  @Test("A Swift async task", arguments: SwiftMode.all)
  func asyncTask(_ mode: SwiftMode) throws {
    func source(_ version: Int, locals: String, sum: String) -> String {
      """
      import Glibc
      nonisolated(unsafe) var waiting: [UnsafeContinuation<Int, Never>] = []
      nonisolated(unsafe) var begun: Set<String> = []
      func say(_ text: String) { fputs(text + "\\n", stdout); fflush(stdout) }
      func fetch(_ id: Int) async -> Int {
        await withUnsafeContinuation { waiting.append($0) }
      }
      func work(_ id: Int) async -> Int {
        let base = id * 10
        \(locals)
        say("begin=\\(id) body=\(version)")
        let answer = await fetch(id)
        say("middle=\\(id) body=\(version)")
        return \(sum)
      }
      @c public func tick() {
        for id in 1...4 where access("begin\\(id)", F_OK) == 0 && begun.insert("\\(id)").inserted {
          Task { @MainActor in }
          Task {
            let result = await work(id)
            say("end=\\(id) task=\(version) result=\\(result)")
          }
        }
        if access("go", F_OK) == 0, !waiting.isEmpty {
          unlink("go")
          waiting.removeFirst().resume(returning: 100)
        }
        say("v=\(version)")
      }
      """
    }
    let game = try WatchHarness(
      ["game.swift": source(1, locals: "", sum: "base + answer")], swift: mode
    ) { try $0.touch("begin1") }
    #expect(try game.line("begin").text == "begin=1 body=1")

    // The context of `work` grows: its record must be the new one for new tasks only.
    try game.edit(
      "game.swift",
      source(
        2, locals: "let more = (0..<20).map { $0 * id }",
        sum: "base + answer + more.reduce(0, +) + more.count"))
    #expect(try game.line("v")["v"] == "2")
    try game.bench.touch("begin2")
    #expect(try game.line("begin").text == "begin=2 body=2")
    try game.bench.touch("go")
    #expect(try game.line("middle").text == "middle=1 body=1", "the old body finishes")
    #expect(try game.line("end").text == "end=1 task=1 result=110")

    try game.edit("game.swift", source(3, locals: "", sum: "base - answer"))
    try game.bench.touch("begin3")
    #expect(try game.line("begin").text == "begin=3 body=3")
    try game.bench.touch("go")
    #expect(try game.line("middle").text == "middle=2 body=2")
    #expect(try game.line("end").text == "end=2 task=2 result=\(20 + 100 + 190 * 2 + 20)")
    try game.bench.touch("go")
    #expect(try game.line("end").text == "end=3 task=3 result=-70")
    try game.stop()
  }
}
