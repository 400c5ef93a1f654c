// Every kind of refusal: named by its reason, the program goes on for a thousand frames as if nothing had been
// tried, and undoing the edit is accepted, with state where it was.
import Testing

@Suite("Refused, and on it goes")
struct RefusedRunsOnScenarios {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var reason: String
    var file = "game.c"
    var before: String
    var after: String
    var others: [String: String] = [:]
    var toolchain = Toolchain.gcc
    var testDescription: String { name }
  }

  private static func c(_ declarations: String, _ use: String = "0") -> String {
    """
    #include <stdio.h>
    \(declarations)
    static int frames;
    void tick(void) { dprintf(1, "frames=%d use=%d\\n", ++frames, (int)(\(use))); }
    """
  }

  private static func cxx(_ declarations: String, _ use: String = "0") -> String {
    "#include <cstdio>\n" + declarations
      + "\nstatic int frames;\nextern \"C\" void tick() { std::printf(\"frames=%d use=%d\\n\", ++frames, (int)(\(use))); std::fflush(stdout); }\n"
  }

  static let cases: [Case] = [
    Case(
      name: "no room to grow", reason: "'table' grew from 16 to 40000 bytes",
      before: c("int table[4] = { 1 };", "table[0]"),
      after: c("int table[10000] = { 1 };", "table[0]")),
    Case(
      name: "no room to grow, COMMON", reason: "'table' grew from 16 to 40000 bytes",
      before: c("int table[4];", "table[0]"), after: c("int table[10000];", "table[0]"),
      toolchain: .gcc.with("-fcommon")),
    Case(
      name: "undefined variable", reason: "undefined symbol 'nowhere'",
      before: c(""), after: c("extern int nowhere;", "nowhere")),
    Case(
      name: "duplicate function", reason: "duplicate symbol 'twice'",
      before: c(""), after: c("int twice(void) { return 1; }", "twice()"),
      others: ["other.c": "int twice(void) { return 2; }"]),
    Case(
      name: "still used", reason: "'shared' is gone but still used", file: "other.c",
      before: "int shared = 5;\nint kept = 6;", after: "int kept = 6;",
      others: ["game.c": c("extern int shared;", "shared")]),
    Case(
      name: "virtual function added", reason: "the shape of '_ZTV5Thing' changed", file: "game.cpp",
      before: cxx(
        "struct Thing { virtual int f() { return 1; } }; static Thing *thing = new Thing;",
        "thing->f()"),
      after: cxx(
        "struct Thing { virtual int f() { return 1; } virtual int g() { return 2; } }; static Thing *thing = new Thing;",
        "thing->f()")),
    Case(
      name: "base class added", reason: "the shape of '_ZTI5Thing' changed", file: "game.cpp",
      before: cxx(
        "struct Thing { virtual int f() { return 1; } }; static Thing *thing = new Thing;",
        "thing->f()"),
      after: cxx(
        "struct Base { virtual int f() { return 1; } }; struct Thing : Base { int f() override { return 2; } };"
          + " static Thing *thing = new Thing;", "thing->f()")),
    Case(
      name: "needs a reset", reason: "new variable 'second' needs a reset of its unit",
      file: "game.cpp",
      before: cxx("int seed() { return 3; } int first = seed() + 1;", "first"),
      after: cxx(
        "int seed() { return 3; } int first = seed() + 1; int second = seed() * 2;",
        "first + second")),
    Case(
      name: "thread-local variables moved", reason: "thread-local variables moved",
      before: c("static _Thread_local int a = 1;", "++a"),
      after: c("static _Thread_local int b = 5, a = 1;", "++a + ++b")),
    Case(
      name: "table between __start_ and __stop_",
      reason: "table 'things' changed from 8 to 16 bytes",
      before: c(
        "__attribute__((section(\"things\"), used)) static long one = 1; extern long __start_things[], __stop_things[];",
        "__stop_things - __start_things"),
      after: c(
        "__attribute__((section(\"things\"), used)) static long one = 1, two = 2; extern long __start_things[], __stop_things[];",
        "__stop_things - __start_things")),
  ]

  @Test("Refused by name; a thousand frames; undone", arguments: cases)
  func refused(_ subject: Case) throws {
    var sources = subject.others
    sources[subject.file] = subject.before
    let game = try WatchHarness(sources, subject.toolchain, hz: 2000)
    try game.line("frames")
    let refusal = try game.editRefused(subject.file, subject.after)
    #expect(refusal.reason?.contains(subject.reason) == true, "\(refusal.reason ?? "")")
    for _ in 0..<1000 { try game.line("frames") }
    let undone = try game.edit(subject.file, subject.before)
    #expect(undone.functions.isEmpty, "nothing is new: \(undone.functions)")
    for _ in 0..<10 { try game.line("frames") }
    let frames = game.lines.compactMap { $0.number("frames") }
    #expect(frames == Array(1...frames.count), "no frame is missing, and the counter counts on")
    try game.stop()
  }
}
