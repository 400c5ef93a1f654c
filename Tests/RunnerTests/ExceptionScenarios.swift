// Exceptions cross units, and find their handlers before and after a reload of either side.
import Testing

@Suite("Exceptions")
struct ExceptionScenarios {
  static let header = """
    #include <cstdio>
    #include <stdexcept>
    #include <string>
    struct GameError : std::runtime_error {
      int code;
      GameError(int code);
      ~GameError() override;
    };
    struct Guard { const char *where; ~Guard(); };
    extern int unwound;
    void fail(int kind);
    """

  static func thrower(_ version: Int) -> String {
    """
    #include "error.hpp"
    GameError::GameError(int code) : std::runtime_error("game error"), code(code) {}
    GameError::~GameError() {}
    static void deeper(int kind) {
      Guard guard{"deeper"};
      if (kind == 0) throw GameError(\(version));
      if (kind == 1) throw std::out_of_range("range \(version)");
      if (kind == 2) throw \(version) * 10;
      std::string().at(\(version));
    }
    void fail(int kind) {
      Guard guard{"fail"};
      deeper(kind);
    }
    """
  }

  static func catcher(_ version: Int) -> String {
    """
    #include "error.hpp"
    int unwound = 0;
    Guard::~Guard() { unwound++; }
    static std::string attempt(int kind) {
      try {
        fail(kind);
      } catch (const GameError &error) {
        return std::string(error.what()) + std::to_string(error.code);
      } catch (const std::logic_error &error) {
        return kind == 1 ? error.what() : "logic";
      } catch (int number) {
        return "int" + std::to_string(number);
      }
      return "nothing";
    }
    extern "C" void tick() {
      unwound = 0;
      std::string all;
      for (int kind = 0; kind < 4; kind++) all += attempt(kind) + ";";
      for (char &c : all) if (c == ' ') c = '_';
      dprintf(1, "c=\(version) all=%s unwound=%d\\n", all.c_str(), unwound);
    }
    """
  }

  @Test("thrown in one unit and caught in another", arguments: Toolchain.all)
  func acrossUnits(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["error.hpp": Self.header, "throw.cpp": Self.thrower(1), "catch.cpp": Self.catcher(1)],
      toolchain)
    func all(_ version: Int) -> String {
      "game_error\(version);range_\(version);int\(version * 10);logic;"
    }
    #expect(try game.line().text == "c=1 all=\(all(1)) unwound=8")
    try game.edit("throw.cpp", Self.thrower(2))
    #expect(try game.line().text == "c=1 all=\(all(2)) unwound=8")
    try game.edit("catch.cpp", Self.catcher(2))
    #expect(try game.line().text == "c=2 all=\(all(2)) unwound=8")
    for version in 3...6 {
      try game.edit("throw.cpp", Self.thrower(version))
      #expect(try game.line().text == "c=2 all=\(all(version)) unwound=8")
    }
    try game.stop()
  }

  @Test("An exception object kept over a reload is rethrown after it", arguments: Toolchain.few)
  func keptException(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      """
      #include <cstdio>
      #include <exception>
      struct Kept { int n; Kept(int n) : n(n) {} virtual ~Kept() {} virtual int number() { return n * \(version); } };
      static std::exception_ptr kept;
      extern "C" void tick() {
        if (!kept) {
          try { throw Kept{7}; } catch (...) { kept = std::current_exception(); }
        }
        int v = 0;
        try { std::rethrow_exception(kept); } catch (Kept &each) { v = each.number(); }
        dprintf(1, "v=%d\\n", v);
      }
      """
    }
    let game = try WatchHarness(["game.cpp": source(1)], toolchain)
    #expect(try game.line()["v"] == "7")
    for version in 2...3 {
      try game.edit("game.cpp", source(version))
      #expect(try game.line()["v"] == "\(7 * version)")
    }
    try game.stop()
  }

  @Test("Swift errors", arguments: SwiftMode.all)
  func swiftErrors(_ mode: SwiftMode) throws {
    func source(_ version: Int) -> String {
      """
      import Glibc
      enum GameError: Error { case lost(Int), won }
      var kept: (any Error)?
      func fail(_ n: Int) throws -> Int {
        if n % 2 == 0 { throw GameError.lost(n + \(version)) }
        throw GameError.won
      }
      @c public func tick() {
        var text = ""
        for n in 0..<2 {
          do { _ = try fail(n) } catch GameError.lost(let m) { text += "lost\\(m)" } catch { text += "\\(error)" }
        }
        if kept == nil { do { _ = try fail(8) } catch { kept = error } }
        if case GameError.lost(let m)? = kept { text += "kept\\(m)" }
        fputs("v=\(version) all=\\(text)\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source(1)], swift: mode)
    #expect(try game.line().text == "v=1 all=lost1wonkept9")
    try game.edit("game.swift", source(2))
    #expect(try game.line().text == "v=2 all=lost2wonkept9")
    try game.stop()
  }
}
