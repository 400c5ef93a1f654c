// `hotlink ctl` and `hotlink explain`: a running program can be asked, by its own user, and by nobody else.
import Foundation
import Glibc
import Testing

@Suite("Asking a running program")
struct ControlTests {
  static let sources = [
    "game.cpp": """
    #include <cstdio>
    namespace Game { int score = 5; int add(int x) { return score += x; } }
    static int hidden(int x) { return x * 2; }
    extern "C" int shared(int);
    extern "C" void tick() { std::printf("n=%d\\n", Game::add(hidden(1)) + shared(1)); std::fflush(stdout); }
    """,
    "other.c":
      "int table[4] = { 1, 2, 3, 4 };\nint shared(int x) { return table[x & 3]; }\nint unused(void) { return shared(2); }\n",
  ]

  private func ask(_ game: WatchHarness, _ words: [String]) throws -> Tool.Outcome {
    try Tool.hotlink(words + ["--pid", String(game.pid)])
  }

  private func symbols(_ game: WatchHarness, _ name: String) throws -> [[String: Any]] {
    let outcome = try ask(game, ["explain", name, "--json"])
    let answer = try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any]
    return answer?["symbols"] as? [[String: Any]] ?? []
  }

  @Test("explain: where it is, who uses it, what happened", arguments: Toolchain.few)
  func explain(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(Self.sources, toolchain, arguments: ["--eager"])
    try game.line("n")
    let text = try #require(Self.sources["game.cpp"])
    try game.edit("game.cpp", text.replacing("score += x", with: "score += x + 1"))
    try game.edit("game.cpp", text.replacing("score += x", with: "score += x + 2"))
    let add = try #require(try symbols(game, "Game::add").first)
    #expect(add["symbol"] as? String == "_ZN4Game3addEi" && add["kind"] as? String == "function")
    #expect((add["unit"] as? String)?.hasSuffix("build/game.o") == true)
    #expect(add["source"] as? String == "game.cpp" && add["generation"] as? Int == 3)
    #expect((add["size"] as? Int ?? 0) > 0 && add["stub"] is Int && add["slot"] is Int)
    let history = try #require(add["history"] as? [[String: Any]])
    #expect(history.count == 1 && history[0]["what"] as? String == "changed")
    #expect(history[0]["generation"] as? Int == 2 && history[0]["last"] as? Int == 3)

    let score = try #require(try symbols(game, "Game::score").first)
    #expect(score["kind"] as? String == "variable" && score["policy"] as? String == "keep")
    let scoreHistory = try #require(score["history"] as? [[String: Any]])
    #expect(scoreHistory.first?["what"] as? String == "kept")

    let shared = try #require(try symbols(game, "shared").first)
    let users = try #require(shared["users"] as? [[String: String]])
    #expect(users.contains { $0["symbol"] == "tick" && $0["unit"]?.hasSuffix("game.o") == true })
    if !toolchain.isOptimised {
      #expect(users.contains { $0["symbol"] == "unused" }, "a call inside its own unit: \(users)")
    }
    let table = try #require(try symbols(game, "table").first)
    #expect((table["users"] as? [[String: String]])?.contains { $0["symbol"] == "shared" } == true)
    try game.stop()
  }

  @Test("explain for people, unknown names, and names that are gone")
  func words() throws {
    let game = try WatchHarness(Self.sources, .gccSections, arguments: ["--eager"])
    try game.line("n")
    let known = try ask(game, ["explain", "hidden"])
    #expect(known.code == 0)
    #expect(
      known.stdout.hasPrefix(
        "hidden(int): local function (_ZL6hiddeni)\n  unit      build/game.o, from game.cpp\n  body "
      ))
    #expect(
      known.stdout.contains(
        "\n  used by   tick (game.o)\n  history   generation 1: linked; not changed since\n"))
    let wrong = try ask(game, ["explain", "tabel"])
    #expect(wrong.code == 2)
    #expect(
      wrong.stderr == "hotlink: no symbol 'tabel' in the program\n  help: did you mean 'table'?\n")
    try game.edit("other.c", (Self.sources["other.c"] ?? "").replacing("unused", with: "renamed"))
    let gone = try ask(game, ["explain", "unused"])
    #expect(gone.stdout == "unused: gone\n  history   generation 2: gone\n")
    #expect(try ask(game, ["ctl", "explain", "renamed"]).stdout.contains("generation 2: new"))
    try game.stop()
  }

  @Test("status, pause, resume")
  func pause() throws {
    let game = try WatchHarness(Self.sources, .gcc)
    try game.line("n")
    let status = try ask(game, ["ctl", "status", "--json"])
    let facts = try #require(
      try JSONSerialization.jsonObject(with: Data(status.output)) as? [String: Any])
    #expect(facts["pid"] as? Int == Int(game.pid) && facts["generation"] as? Int == 1)
    #expect(
      (facts["paths"] as? [String])?.first?.hasSuffix("/build") == true
        && facts["paused"] as? Bool == false)
    #expect(try ask(game, ["ctl", "pause"]).stdout == "paused; edits still take effect\n")
    // What the frame that ran just then has written may still be on its way.
    _ = try ask(game, ["ctl", "status"])
    let count = game.lines.count
    _ = try ask(game, ["ctl", "status"])
    #expect(game.lines.count - count <= 1, "no frame while it is paused")
    try game.edit("other.c", (Self.sources["other.c"] ?? "").replacing("x & 3", with: "x & 1"))
    #expect(try ask(game, ["ctl", "resume"]).stdout == "running\n")
    try game.line("n")
    try game.stop()
  }

  /// g++ makes one function that initialises all of a file.
  private static func objects(_ extra: String) -> String {
    """
    #include <cstdio>
    struct Thing {
      int value;
      Thing(int v) : value(v) { std::printf("made=%d\\n", v); std::fflush(stdout); }
      ~Thing() { std::printf("ended=%d\\n", value); std::fflush(stdout); }
    };
    Thing one(1);
    \(extra)
    int plain = 30;
    extern "C" void tick() { one.value += 10; std::printf("one=%d plain=%d\\n", one.value, ++plain); std::fflush(stdout); }
    """
  }

  @Test("A refused change is let through with a reset, once")
  func reset() throws {
    let (old, new) = (
      Self.objects(""), Self.objects("Thing two(2);")
    )
    let game = try WatchHarness(["game.cpp": old], .gcc)
    try game.line("one")
    #expect(try ask(game, ["ctl", "reload"]).stdout.hasPrefix("nothing waits"))
    try game.editRefused("game.cpp", new)
    #expect(try ask(game, ["ctl", "status"]).stdout.contains("refused, waiting: build/game.o"))
    game.skipToEnd()
    #expect(try ask(game, ["ctl", "reload"]).code == 0)
    try game.refused()
    #expect(try ask(game, ["ctl", "reset", "other.o"]).code == 2)
    #expect(try ask(game, ["ctl", "reset", "game.o"]).code == 0)
    let reload = try game.reloaded()
    #expect(reload.verdicts.contains { $0.fate == "reset" })
    #expect(try game.line("one")["one"] == "11")
    try game.editRefused("game.cpp", Self.objects("Thing two(2); Thing three(3);"))
    try game.edit("game.cpp", new)
    try game.stop()
  }

  @Test("A socket of its user only; gone with the program; nobody is reached without one")
  func sockets() throws {
    let folder = try TemporaryFolder()
    let runtime = folder.path("run")
    try FileManager.default.createDirectory(atPath: runtime, withIntermediateDirectories: false)
    let bench = try Workbench()
    try bench.write("game.c", EffectScenarios.source(""))
    try bench.compile("game.c")
    let environment = ["XDG_RUNTIME_DIR": runtime]
    func ask(_ words: [String]) throws -> Tool.Outcome {
      try Tool.hotlink(words, environment: environment)
    }
    #expect(try ask(["ctl", "status"]).code == 4)
    let process = try ChildProcess(
      [
        "/usr/bin/env", "XDG_RUNTIME_DIR=\(runtime)", try Tool.hotlinkPath(), "watch", "build",
        "--hz", "100", "--frames", "6000",
      ],
      in: bench.folder.root, errors: bench.folder.path("stderr"))
    let output = ChildOutput(reading: process.output)
    #expect(output.wait(beyond: 0, until: Date(timeIntervalSinceNow: 20)))
    #expect(try ask(["ctl", "status"]).code == 0, "the only one is found")
    #expect(try ask(["ctl", "status", "--watching", bench.folder.path("build")]).code == 0)
    #expect(try ask(["ctl", "status", "--watching", runtime]).code == 4)
    #expect(try ask(["ctl", "status", "--pid", "1"]).code == 4)
    let directory = runtime + "/hotlink"
    var facts = stat()
    #expect(stat(directory, &facts) == 0 && facts.st_mode & 0o777 == 0o700)
    #expect(stat("\(directory)/\(process.pid).sock", &facts) == 0 && facts.st_mode & 0o777 == 0o600)
    // A process that was killed leaves its socket; the next who looks removes it.
    process.send(SIGKILL)
    _ = process.wait(seconds: 20)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory).count == 1)
    #expect(try ask(["ctl", "status"]).code == 4)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
    // A directory that others may enter is not trusted.
    chmod(directory, 0o755)
    _ = try ask(["ctl", "status"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
  }

  @Test("What is no request disturbs nobody")
  func rubbish() throws {
    let game = try WatchHarness(Self.sources, .gcc)
    try game.line("n")
    let directory = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"].map { $0 + "/hotlink" }
    let candidates = [directory, "/tmp/hotlink-" + String(geteuid())].compactMap { $0 }
    let path = try #require(
      candidates.map { "\($0)/\(game.pid).sock" }.first {
        FileManager.default.fileExists(atPath: $0)
      })
    let lines: [String] = [
      "\n", "{\n", "{\"verb\":5}\n", String(repeating: "[", count: 60_000) + "\n",
      String(repeating: "x", count: 200_000), "{\"verb\":\"explain\",\"subject\":\"\\ud800\"}\n",
      "",
    ]
    for line in lines { try send(Array(line.utf8), to: path) }
    #expect(try ask(game, ["ctl", "status"]).code == 0)
    try game.line("n")
    try game.stop()
  }

  /// Writes bytes to a socket, takes what comes back, and goes.
  private func send(_ bytes: [UInt8], to path: String) throws {
    let made = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard made >= 0 else { throw Tool.Failure(description: "socket: \(errno)") }
    defer { close(made) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(made, $0, size) }
    }
    guard status == 0 else { throw Tool.Failure(description: "connect: \(errno)") }
    _ = Glibc.send(made, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    shutdown(made, Int32(SHUT_WR))
    var answer = [UInt8](repeating: 0, count: 256)
    _ = recv(made, &answer, answer.count, 0)
  }
}
