// The player can fail: files that are wrong are errors with file and line, and what is not seen is told with what was
// expected and what was.
import Testing

@Suite("Scenarios can fail")
struct ScenarioSelfTests {
  static let head = """
    A counter
    It goes on.

    covers: global
    build: gcc

    === file game.c
    #include <stdio.h>
    int n, steps = 3;
    void tick(void) { dprintf(1, "n=%d steps=%d\\n", ++n, steps); }

    === start
    sees n=1 steps=3
    counts n
    steady steps

    """

  static func parse(_ text: String) throws -> Scenario {
    try ScenarioParser.parse(text, file: "one.scenario")
  }

  /// The head and steps, which begin on line 17.
  static func failure(of steps: String, in head: String = head) throws -> ScenarioError {
    try #require(throws: ScenarioError.self) {
      let scenario = try parse(head + "\n" + steps)
      try ScenarioPlay.play(
        ScenarioCase(scenario: scenario, build: scenario.builds[0], arguments: []))
    }
  }

  static let step = "=== edit game.c\n- int n, steps = 3;\n+ int n, steps = 4;\n\n"

  static let unreadable: [(String, Int, String)] = [
    ("=== wander game.c", 17, "unknown section 'wander'"),
    ("=== edit other.c\n- a\n+ b", 17, "no file 'other.c'"),
    ("=== edit game.c\n- int m;\n+ int k;\n", 18, "are there 0 times"),
    ("=== edit game.c\nint m;\n", 18, "begins with '- '"),
    ("=== edit game.c\n- int n, steps = 3;\n+ int n, steps = 3;\n", 18, "and must be once"),
    ("=== accepted\nchanged tick", 17, "'accepted' without an edit"),
    (step + "=== accepted\n", 21, "'accepted' expects nothing"),
    (step + "=== accepted\nsteps 4", 22, "unknown word 'steps'"),
    (step + "=== accepted\nreason none", 22, "'reason' does not stand in 'accepted'"),
    (step + "=== accepted\nfate steps", 22, "names no fate"),
    (step + "=== accepted\nfate steps grown by=3", 22, "'by=3' is no fact"),
    (step + "=== accepted\nfates 3 eaten", 22, "unknown fate 'eaten'"),
    (step + "=== accepted\nfate stepz kept", 22, "'stepz' is in no source"),
    (step + "=== accepted\nkept many", 22, "'many' is no number"),
    (step + "=== accepted\nsees n", 22, "'n' is no key=value"),
    (step + "=== accepted\nsees", 22, "'sees' what?"),
    (step + "=== accepted\neffect maybe", 22, "'effect' is none or some"),
    (step, 17, "an edit without an outcome"),
    ("=== end\nsaid 0 n", 1, "no step"),
    (step + "=== accepted\nkept 1\n=== file late.c\nint a;", 23, "'file' after the start"),
    ("=== undo\n=== accepted\nkept 1", 17, "undo comes after an accepted step"),
    ("=== write new.c\nint a;\n=== refused\nreason x", 19, "cannot bring a new file"),
    (step + "=== refused for ever\nreason x", 21, "is not understood"),
  ]

  @Test(
    "What is not understood is an error with its line",
    arguments: unreadable)
  func notUnderstood(_ steps: String, _ line: Int, _ what: String) throws {
    let error = try #require(throws: ScenarioError.self) {
      try Self.parse(Self.head + "\n" + steps)
    }
    #expect(error.file == "one.scenario" && error.line == line, "\(error)")
    #expect(error.what.contains(what), "\(error)")
  }

  static let lacking: [(String, String, String)] = [
    ("covers: global\n", "", "no 'covers:'"), ("build: gcc\n", "", "no 'build:'"),
    ("gcc", "tcc", "unknown build 'tcc'"), ("gcc", "gcc and more", "unknown build"),
    ("gcc", "swift", "does not compile game.c"), ("It goes on.\n", "", "a sentence why"),
    ("build: gcc\n", "build: gcc\nhz: 3\n", "none of covers, build, arguments"),
    ("counts n\n", "", "nothing counts the frames"),
  ]

  @Test(
    "A head that lacks something",
    arguments: lacking)
  func head(_ part: String, _ other: String, _ what: String) throws {
    let text = Self.head.replacing(part, with: other) + "\n" + Self.step + "=== accepted\nkept 2\n"
    let error = try #require(throws: ScenarioError.self) { try Self.parse(text) }
    #expect(error.what.contains(what), "\(error)")
  }

  static let unseen: [(String, Int, String, String)] = [
    (step + "=== accepted\nsees steps=5", 22, "expected: steps=5", "steps=4"),
    (step + "=== accepted\nsees steps=4 n=1", 22, "expected: n=1", "n="),
    // It is steady, unless the step says that it is seen otherwise.
    (step + "=== accepted\nfate steps reinitialised", 21, "state goes on", "'steps' is steady"),
    (step + "=== accepted\nsees steps=4\nfate steps kept", 23, "the report", "reinitialised"),
    (step + "=== accepted\nsees steps=4\nfate n grown", 23, "the report", "no verdict on 'n'"),
    (step + "=== accepted\nsees steps=4\nchanged tick", 23, "the report", "[]"),
    (step + "=== accepted\nsees steps=4\nkept 7\nunits other.o", 23, "the report", "game.o"),
    (step + "=== accepted\nsees steps=4\nsaid 1 hello", 23, "1 times “hello”", "0 times"),
    (step + "=== accepted\nsees steps=4\nsays hello", 23, "hello", "[]"),
    (step + "=== refused\nreason steps", 21, "expected: refused", "reloaded"),
    (step + "=== restart\npolicy restart", 21, "expected: refused", "reloaded"),
    ("=== touch game.c\n=== accepted\nkept 1", 18, "expected: reloaded", "unchanged"),
    (
      "=== edit game.c\n- int n, steps = 3;\n+ int n[2000], steps = 3;\n\n"
        + "=== accepted\nkept 1", 17, "it compiles", "error"
    ),
    (
      "=== edit game.c\n- int n, steps = 3;\n+ int steps = 3; extern int n;\n\n"
        + "=== accepted\nkept 1", 21, "expected: reloaded", "undefined symbol 'n'"
    ),
    (
      "=== edit game.c\n- int n, steps = 3;\n+ int steps = 3; extern int n;\n\n"
        + "=== refused\nreason nowhere", 22, "the report", "undefined symbol 'n'"
    ),
    // A frame that counts by two.
    (
      "=== edit game.c\n- int n, steps = 3;\n+ int n, steps = 3;\n+ #define dprintf n++, dprintf\n\n"
        + "=== accepted\nkept 2", 22, "state goes on", "'n' counts by 1"
    ),
  ]

  @Test(
    "What is not seen",
    arguments: unseen)
  func notSeen(_ steps: String, _ line: Int, _ expected: String, _ seen: String) throws {
    let error = try Self.failure(of: steps)
    #expect(error.line == line, "\(error)")
    #expect(error.what.contains(expected) && error.what.contains(seen), "\(error)")
  }

  @Test("A program that does not end well, and one that says what nobody expects at its end")
  func ends() throws {
    let accepted = Self.step + "=== accepted\nsees steps=4\n\n"
    let crash = Self.head.replacing(
      "void tick",
      with: "__attribute__((destructor)) void end(void) { __builtin_trap(); }\nvoid tick")
    #expect(try Self.failure(of: accepted, in: crash).what.contains("expected: a good end"))
    let error = try Self.failure(of: accepted + "=== end\nsaid 1 bye")
    #expect(error.line == 25 && error.what.contains("0 times"), "\(error)")
  }

  @Test("A refusal that loses state, were there one")
  func state() {
    var watch = LineWatch(key: "n")
    #expect(watch.take(Line(text: "n=1 hp=5")) == nil)
    let counts = Expectation(word: .counts, text: "n", names: ["n"], number: 1, line: 1)
    let steady = Expectation(word: .steady, text: "hp", names: ["hp"], line: 2)
    #expect(watch.declare([counts, steady]) == nil)
    #expect(watch.take(Line(text: "n=2 hp=5")) == nil)
    #expect(watch.take(Line(text: "n=3 hp=6"))?.contains("'hp' is steady") == true)
    #expect(watch.take(Line(text: "n=5 hp=6"))?.contains("'n' counts by 1") == true)
    #expect(watch.take(Line(text: "n=6"))?.contains("'hp' is steady") == true)
    #expect(watch.take(Line(text: "n=6 hp=1"), seen: ["n", "hp"]) == nil)
  }
}
