// Thousands of reloads in one process: memory settles, mappings do not grow, and every single edit takes
// effect. 300 of each language by default, 2,000 with HOTLINK_LONG_TESTS=1.
import Foundation
import Testing

@Suite("Endurance", .serialized)
struct EnduranceTests {
  static let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"
  static let reloads = isLong ? 2000 : 300
  static let cxxToolchains = isLong ? [Toolchain.gcc, .gccO2Sections] : [.gcc]
  static let swiftModes = isLong ? SwiftMode.all : [.plain]

  /// What one reload leaves behind, from /proc.
  struct Footprint {
    var resident: Int
    var mappings: Int

    init(_ pid: pid_t) throws {
      let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
      let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
      resident = try #require(line.split(separator: " ").compactMap { Int($0) }.first) * 1024
      // Read to its end: the kernel gives a page at a time, and Foundation's String stops at the first.
      let maps = try FileHandle(forReadingFrom: URL(filePath: "/proc/\(pid)/maps"))
      mappings = maps.readDataToEndOfFile().count { $0 == UInt8(ascii: "\n") }
    }
  }

  /// Reloads a unit again and again from a few compiled bodies, each time with another number and
  /// another literal patched in, and looks at each frame that follows.
  static func endure(_ game: WatchHarness, _ bodies: [[UInt8]], as object: String, swift: Bool)
    throws
  {
    var early: Footprint?
    var registrations = 0
    var pins: [RunnerEvent.Pin] = []
    var pinned = 0
    for round in 1...reloads {
      var bytes = bodies[round % bodies.count]
      bytes = Bytes.replacing(stamp(0), with: stamp(round), in: bytes)
      bytes = Bytes.replacing([0x7A, 0x5B, 0x3C, 0x1D], with: number(round), in: bytes)
      game.skipToEnd()
      try game.bench.install(bytes, as: object)
      let reload = try game.reloaded()
      registrations += reload.swiftRegistrations ?? 0
      pins = reload.pins
      pinned = Int(reload.pinnedBytes ?? 0)
      let expected = "body=\(round % bodies.count) number=\(round) text=\(stamp(round))"
      let line = try game.line("body")
      guard line.text.hasPrefix(expected + " table=" + table(round % bodies.count)) else {
        throw Tool.Failure(description: "reload \(round): \(line), not \(expected)\(game.told())")
      }
      if round == 100 { early = try Footprint(game.pid) }
    }
    let (before, after) = (try #require(early), try Footprint(game.pid))
    let allowed = before.resident + before.resident / 10 + pinned
    #expect(
      after.resident <= allowed,
      "resident \(before.resident >> 10) KiB after 100, \(after.resident >> 10) KiB after \(reloads), pinned \(pinned >> 10) KiB"
    )
    // What is pinned is allowed for above, so it must be little: literals, and the text of a few bodies.
    #expect(pinned < (128 << 10) + reloads * 1024, "\(pinned) bytes are pinned")
    #expect(pins.count { $0.reason != "literals and constants" } < 4, "\(pins)")
    #expect(after.mappings <= before.mappings, "\(before.mappings) mappings → \(after.mappings)")
    if swift { #expect(registrations == 0, "body-only edits register nothing") }
    try game.stop()
    let counts = game.lines.compactMap { $0.number("count") }
    #expect(counts == Array(1...max(counts.count, 1)), "state went on through \(reloads) reloads")
  }

  static func stamp(_ round: Int) -> String {
    let digits = String(round)
    return "STAMP-" + String(repeating: "0", count: 8 - digits.count) + digits + "-no-short-string"
  }

  /// An immediate of 32 bits, little endian.
  static func number(_ round: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: round >> (8 * $0)) }
  }

  /// What a body's jump table gives for 0…7.
  static func table(_ body: Int) -> String {
    (0..<8).map { entry in
      switch entry % 3 {
      case 0: "\(entry * 3 + body)"
      case 1: "\((entry + 40) ^ body)"
      default: "\(100 - entry - body)"
      }
    }.joined(separator: ",")
  }

  /// The cases of the switch whose results `table` foretells, in C.
  static func cases(_ body: Int) -> String {
    (0..<8).map { entry in
      switch entry % 3 {
      case 0: "case \(entry): last = n; return n * 3 + \(body);"
      case 1: "case \(entry): last += 2; return (n + 40) ^ \(body);"
      default: "case \(entry): last -= n; return 100 - n - \(body);"
      }
    }.joined(separator: "\n    ")
  }

  @Test("C", arguments: [Toolchain.gccO2, .clangO2Sections])
  func inC(_ toolchain: Toolchain) throws {
    func source(_ body: Int) -> String {
      let filler = (0..<body).map { "  sink += x * \($0 + 2);" }.joined(separator: "\n")
      return """
        #include <stdio.h>
        volatile int sink;
        static int last, count;
        int number(void) { return 0x1D3C5B7A; }
        const char *text(void) { return "\(Self.stamp(0))"; }
        static void grow(int x) {
        \(filler)
          sink += x;
        }
        int choose(int n) {
          switch (n) {
            \(Self.cases(body))
          }
          return -1;
        }
        void tick(void) {
          char all[128];
          int length = 0;
          for (volatile int n = 0; n < 8; n++) length += sprintf(all + length, n ? ",%d" : "%d", choose(n));
          grow(length);
          dprintf(1, "body=\(body) number=%d text=%s table=%s count=%d\\n", number(), text(), all, ++count);
        }
        """
    }
    let game = try WatchHarness(["game.c": source(0)], toolchain, hz: 1000, frames: 1_000_000)
    let bodies = try (0..<8).map { try game.bench.object("next.c", source($0)) }
    try Self.endure(game, bodies, as: "game.o", swift: false)
  }

  @Test("C++", arguments: EnduranceTests.cxxToolchains)
  func inCxx(_ toolchain: Toolchain) throws {
    func source(_ body: Int) -> String {
      let filler = (0..<body).map { "    values.push_back(x + \($0));" }.joined(separator: "\n")
      return """
        #include <cstdio>
        #include <functional>
        #include <stdexcept>
        #include <string>
        #include <vector>
        static int last, count;
        struct Base {
          virtual ~Base() {}
          virtual int number() { return 0x1D3C5B7A; }
          virtual const char *text() { return "\(Self.stamp(0))"; }
        };
        struct Derived : Base {
          std::vector<int> values{1, 2, 3};
          const char *text() override { return Base::text(); }
          int choose(int n) {
            switch (n) {
              \(Self.cases(body))
            }
            throw std::out_of_range("no such case");
          }
          void grow(int x) {
        \(filler)
            values.resize(3, x);
          }
        };
        static Base *object;
        static std::function<int(int)> stored;
        extern "C" void tick() {
          if (!object) {
            Derived *derived = new Derived;
            stored = [derived](int n) { return derived->choose(n); };
            object = derived;
          }
          std::string all;
          for (int n = 0; n < 9; n++) {
            try {
              int value = dynamic_cast<Derived *>(object)->choose(n);
              all += (n ? "," : "") + std::to_string(value);
            } catch (const std::out_of_range &) {
            }
          }
          dynamic_cast<Derived *>(object)->grow(stored(1));
          dprintf(1, "body=\(body) number=%d text=%s table=%s count=%d\\n", object->number(),
            object->text(), all.c_str(), ++count);
        }
        """
    }
    let game = try WatchHarness(["game.cpp": source(0)], toolchain, hz: 1000, frames: 1_000_000)
    let bodies = try (0..<8).map { try game.bench.object("next.cpp", source($0)) }
    try Self.endure(game, bodies, as: "game.o", swift: false)
  }

  @Test("Swift", arguments: EnduranceTests.swiftModes)
  func inSwift(_ mode: SwiftMode) throws {
    func source(_ body: Int) -> String {
      let cases = (0..<8).map { entry in
        switch entry % 3 {
        case 0: "case \(entry): last = n; return n * 3 + \(body)"
        case 1: "case \(entry): last += 2; return (n + 40) ^ \(body)"
        default: "case \(entry): last -= n; return 100 - n - \(body)"
        }
      }.joined(separator: "\n    ")
      let filler = (0..<body).map { "    values.append(x &+ \($0))" }.joined(separator: "\n")
      return """
        import Glibc
        protocol Shape { func number() -> Int; func text() -> String }
        final class Player: Shape {
          var values = [1, 2, 3]
          @inline(never) func number() -> Int { 0x1D3C5B7A }
          @inline(never) func text() -> String { "\(Self.stamp(0))" + " " }
          func grow(_ x: Int) {
        \(filler)
            values = Array(values.prefix(3))
          }
        }
        var last = 0
        var count = 0
        var shape: (any Shape)?
        var stored: ((Int) -> Int)?
        @inline(never) func choose(_ n: Int) -> Int {
          switch n {
            \(cases)
            default: return -1
          }
        }
        @c public func tick() {
          if shape == nil {
            let player = Player()
            shape = player
            stored = { player.grow($0); return choose($0) }
          }
          var all: [String] = []
          for n in 0..<8 { all.append(String(choose(n))) }
          count += 1
          if stored!(1) < 0 { return }
          fputs("body=\(body) number=\\(shape!.number()) text=" + shape!.text()
            + "table=" + all.joined(separator: ",") + " count=\\(count)\\n", stdout)
          fflush(stdout)
        }
        """
    }
    // One module name for all bodies: it is part of every symbol.
    let game = try WatchHarness(["game.swift": source(0)], swift: mode, hz: 1000, frames: 1_000_000)
    let bodies = try (0..<8).map { try game.bench.object("game.swift", source($0)) }
    try Self.endure(game, bodies, as: "game.o", swift: true)
  }
}
