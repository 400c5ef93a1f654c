// What perf is told of linked code: the files are read here as their documents describe them, and by perf
// itself where it is installed and may sample.
import Foundation
import Testing

@Suite("Profilers")
struct ProfilerTests {
  static func source(_ version: Int) -> String {
    """
    #include <stdio.h>
    #include <stdint.h>
    __attribute__((noinline)) uintptr_t value_\(version)(void) {
      uintptr_t here;
      __asm__ volatile("lea 0(%%rip), %0" : "=r"(here));
      return here;  // line
    }
    __attribute__((noinline)) uintptr_t (*volatile pointer)(void) = value_\(version);
    void tick(void) {
      dprintf(1, "v=\(version) body=%#lx stub=%#lx\\n", (long)value_\(version)(), (long)value_\(version));
    }
    """
  }

  private static func number(_ line: Line, _ key: String) throws -> UInt64 {
    let text = try #require(line[key])
    return try #require(UInt64(text.dropFirst(2), radix: 16))
  }

  @Test("perf-PID.map names bodies and stubs, over reloads")
  func map() throws {
    let game = try WatchHarness(["game.c": Self.source(1)], arguments: ["--perf", "map"])
    let path = "/tmp/perf-\(game.pid).map"
    defer { unlink(path) }
    for version in 1...3 {
      if version > 1 { try game.edit("game.c", Self.source(version)) }
      let line = try game.line("body")
      #expect(line["v"] == "\(version)")
      let (body, stub) = try (Self.number(line, "body"), Self.number(line, "stub"))
      let rows = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
        $0.split(separator: " ", maxSplits: 2).map(String.init)
      }
      #expect(rows.allSatisfy { $0.count == 3 })
      func names(_ address: UInt64) -> [String] {
        rows.filter { row in
          guard let start = UInt64(row[0], radix: 16), let size = UInt64(row[1], radix: 16) else {
            return false
          }
          return address >= start && address < start + size
        }.map { $0[2] }
      }
      #expect(names(body).last == "value_\(version)")
      #expect(names(stub) == ["value_\(version)@plt"])
    }
    try game.stop()
  }

  @Test("jit-PID.dump holds code, times and lines", arguments: ["gcc", "clang"])
  func dump(_ compiler: String) throws {
    let game = try WatchHarness(
      ["game.c": Self.source(1)], Toolchain(c: compiler, flags: ["-g", "-O1"]),
      arguments: ["--perf", "jitdump"])
    let path = "\(game.directory)/jit-\(game.pid).dump"
    let mappings = try Tool.output("cat", ["/proc/\(game.pid)/maps"])
    #expect(
      mappings.split(separator: "\n").contains { $0.contains("r-xp") && $0.hasSuffix(path) },
      "perf finds it by a page that is mapped executable")
    let first = try game.line("body")
    try game.edit("game.c", Self.source(2))
    let second = try game.line("body")
    try game.stop()
    let dump = try JitDumpReader(Array(Data(contentsOf: URL(filePath: path))))
    #expect(dump.process == UInt32(game.pid))
    #expect(dump.isClosed)
    let times = dump.loads.map(\.time)
    #expect(times == times.sorted() && times.allSatisfy { $0 >= dump.time })
    #expect(Set(dump.loads.map(\.index)).count == dump.loads.count)
    for (version, line) in [(1, first), (2, second)] {
      let body = try Self.number(line, "body")
      let load = try #require(dump.loads.first { $0.name == "value_\(version)" })
      #expect(body >= load.address && body < load.address + UInt64(load.code.count))
      // `lea 0(%rip)` of this function is at its address.
      let place = Int(body - load.address)
      #expect(place >= 7 && Array(load.code[(place - 7)..<(place - 4)])[1] == 0x8D)
      let marked = GdbSession.line("// line", in: Self.source(version))
      let lines = try #require(load.lines)
      #expect(lines.contains { $0.line == UInt32(marked) })
      #expect(lines.allSatisfy { $0.file.hasSuffix("game.c") && $0.address >= load.address })
      #expect(dump.loads.contains { $0.name == "value_\(version)@plt" })
    }
  }

  @Test(
    "perf finds functions and lines", .enabled(if: isPermitted, "perf is missing or not allowed"))
  func perf() throws {
    let folder = try TemporaryFolder()
    let object = try Compiler.gcc.object(
      """
      __attribute__((noinline)) unsigned spin_here(unsigned n) {
        unsigned s = 1;
        for (unsigned i = 0; i < n; i++) s = s * 1103515245u + (s >> 7);
        return s;
      }
      int main(void) { unsigned t = 0; for (int i = 0; i < 20; i++) t += spin_here(10000000); return !t; }
      """, flags: ["-O1", "-g"], in: folder)
    let runner = try Tool.hotlinkPath()
    for kind in ["map", "jitdump"] {
      try Tool.output(
        "perf",
        ["record", "-q", "-k", "mono", "-e", "cpu-clock", "-o", "data", runner, "run"]
          + ["--perf", kind, object], directory: folder.root)
      var data = "data"
      if kind == "jitdump" {
        try Tool.output(
          "perf", ["inject", "-j", "-i", "data", "-o", "data2"], directory: folder.root)
        data = "data2"
      }
      let report = try Tool.output(
        "perf", ["report", "--stdio", "-i", data, "--comm", "hotlink"], directory: folder.root)
      #expect(report.contains("] spin_here"), "\(kind)\n\(report.prefix(3000))")
    }
    for file in try FileManager.default.contentsOfDirectory(atPath: "/tmp")
    where file.hasPrefix("perf-") && file.hasSuffix(".map") {
      // Of processes that are gone.
      let id = pid_t(file.dropFirst(5).dropLast(4)) ?? 0
      if id > 0, kill(id, 0) != 0 { unlink("/tmp/" + file) }
    }
  }

  static let isPermitted: Bool = {
    guard Tool.exists("perf"), let folder = try? TemporaryFolder() else { return false }
    let outcome = try? Tool.run(
      "perf", ["record", "-q", "-e", "cpu-clock", "-o", "data", "true"], directory: folder.root)
    return outcome?.code == 0
  }()
}

/// A jitdump file, read as its specification says.
private struct JitDumpReader {
  struct Load {
    var time: UInt64
    var address: UInt64
    var index: UInt64
    var name: String
    var code: [UInt8]
    var lines: [(address: UInt64, line: UInt32, file: String)]?
  }

  private(set) var process: UInt32 = 0
  private(set) var time: UInt64 = 0
  private(set) var loads: [Load] = []
  private(set) var isClosed = false

  init(_ bytes: [UInt8]) throws {
    func word(_ at: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) }
    }
    func long(_ at: Int) -> UInt64 { UInt64(word(at)) | UInt64(word(at + 4)) << 32 }
    func text(_ at: Int) -> String {
      String(decoding: bytes[at...].prefix { $0 != 0 }, as: UTF8.self)
    }
    try #require(bytes.count >= 40)
    try #require(word(0) == 0x4A69_5444 && word(4) == 1 && word(8) == 40 && word(12) == 62)
    process = word(20)
    time = long(24)
    var lines: [UInt64: [(address: UInt64, line: UInt32, file: String)]] = [:]
    var at = 40
    while at < bytes.count {
      let (kind, size, time) = (word(at), Int(word(at + 4)), long(at + 8))
      try #require(size >= 16 && at + size <= bytes.count && !isClosed)
      switch kind {
      case 0:
        try #require(word(at + 16) == process && long(at + 24) == long(at + 32))
        let name = text(at + 56)
        let code = at + 56 + name.utf8.count + 1
        let count = Int(long(at + 40))
        try #require(code + count == at + size)
        loads.append(
          Load(
            time: time, address: long(at + 24), index: long(at + 48), name: name,
            code: Array(bytes[code..<code + count]), lines: lines.removeValue(forKey: long(at + 24))
          ))
      case 2:
        var entry = at + 32
        var found: [(address: UInt64, line: UInt32, file: String)] = []
        for _ in 0..<long(at + 24) {
          let file = text(entry + 16)
          found.append((long(entry), word(entry + 8), file))
          entry += 17 + file.utf8.count
        }
        try #require(entry == at + size)
        lines[long(at + 16)] = found
      case 3: isClosed = true
      default: throw Tool.Failure(description: "record \(kind)")
      }
      at += size
    }
    #expect(lines.isEmpty, "lines are followed by their code")
  }
}
