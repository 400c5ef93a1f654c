// The session's interface: what is added takes effect at `update()`, as a whole or not at all.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Sessions", .serialized)
struct SessionTests {
  static let kinds = [false, true]

  @Test("Added bytes run after start, and new ones after update", arguments: kinds)
  func addStartUpdate(isAnonymous: Bool) throws {
    let session = try Session(["a.o": "int n; int f(void) { return 100 + ++n; }"]) {
      $0.usesAnonymousMemory = isAnonymous
    }
    let report = try session.start()
    #expect(report.units == ["a.o"] && report.undefinedFunctions.isEmpty)
    let f = try session.function("f", as: IntFunction.self)
    #expect(f() == 101)
    #expect(!session.update(), "nothing is new")
    for generation in Int32(2)...6 {
      try session.add(c: "int n; int f(void) { return \(generation)00 + ++n; }", name: "a.o")
      #expect(session.waitUntilLinked())
      let calls = 2 * generation - 2
      #expect(f() == (generation - 1) * 100 + calls, "the old body runs until update")
      #expect(session.update())
      #expect(!session.update(), "only once")
      #expect(f() == generation * 100 + calls + 1, "the new body has the old state")
      #expect(session.generation.number == Int(generation))
    }
  }

  @Test("A host's update calls hooks: old code before, new code after, nobody when it is refused")
  func hooks() throws {
    func source(_ version: Int, _ extra: String = "") -> String {
      """
      int calls;
      void hotlink_before_reload(void) { calls = calls * 100 + \(version) * 10 + 1; }
      void hotlink_after_reload_a(void) { calls = calls * 100 + \(version) * 10 + 2; }
      int f(void) { return calls; }
      \(extra)
      """
    }
    let session = try Session(["a.o": source(1)])
    try session.start()
    let f = try session.function("f", as: IntFunction.self)
    #expect(f() == 0, "the start is no reload")
    try session.add(c: source(2), name: "a.o")
    #expect(session.waitUntilLinked() && f() == 0, "not before the safe point")
    #expect(session.update() && f() == 1122)
    try session.add(
      c: source(3, "extern int nowhere; int g(void) { return nowhere; }"), name: "a.o")
    #expect(!session.takeNew() && f() == 1122)
    try session.add(c: source(3), name: "a.o")
    #expect(session.takeNew() && f() == 11_222_132)
  }

  @Test("update is true only when something is new")
  func unchangedBytes() throws {
    let source = "int f(void) { return 1; }"
    let session = try Session(["a.o": source])
    try session.start()
    #expect(!session.update())
    #expect(!session.waitUntilLinked(seconds: 0.2) && !session.update())
    try session.add(c: source, name: "a.o")
    #expect(!session.takeNew(), "the same bytes are nothing new")
    session.remove("nobody.o")
    #expect(!session.takeNew(), "removing what is not there is nothing new")
    #expect(session.generation.number == 1)
  }

  @Test("Units added one after another are all linked when the wait is over")
  func waitMeansAll() throws {
    let session = try Session([
      "a.o": "int a(void) { return 0; }", "b.o": "int b(void) { return 0; }",
    ])
    try session.start()
    let (a, b) = (
      try session.function("a", as: IntFunction.self),
      try session.function("b", as: IntFunction.self)
    )
    let objects = try (1...20).map { round in
      (
        try Compiled.object(.gcc, "int a(void) { return \(round); }", flags: ["-O1"]),
        try Compiled.object(.gcc, "int b(void) { return \(round); }", flags: ["-O1"])
      )
    }
    var late = 0
    for (index, objects) in objects.enumerated() {
      try session.add(objects.0, name: "a.o")
      usleep(UInt32(index) * 80)  // the second comes while the first is being linked
      try session.add(objects.1, name: "b.o")
      #expect(session.waitUntilLinked())
      while session.update() {}
      if a() != Int32(index + 1) || b() != Int32(index + 1) { late += 1 }
    }
    #expect(late == 0, "of 20 rounds")
  }

  @Test(
    "The symbol table of a new generation is another object, and the old one resolves until then")
  func generations() throws {
    let session = try Session([
      "a.o": "int value = 5; int f(void) { return value; }", "b.o": "int g(void) { return 2; }",
    ])
    try session.start()
    let old = session.generation
    let before = try #require(old.symbol("f"))
    let unchanged = try #require(old.symbol("g"))
    #expect(before.isFunction && before.size > 0 && before.identity != before.body)
    try session.add(
      c: "int value = 5; int f(void) { return value + 1; } int h(void) { return 3; }", name: "a.o")
    #expect(session.waitUntilLinked())
    #expect(session.generation === old && !old.isRetired, "linked is not yet taken")
    #expect(old.symbol("f") == before && old.symbol("h") == nil)
    let code = try #require(before.body.pointer)
    #expect(unsafeBitCast(code, to: IntFunction.self)() == 5, "the old body is still there")
    #expect(session.update())
    let new = session.generation
    #expect(new !== old && new.number == old.number + 1)
    #expect(new.table !== old.table)
    let after = try #require(new.symbol("f"))
    #expect(after.identity == before.identity, "the stub is the function's identity")
    #expect(after.body != before.body)
    #expect(new.symbol("g") == unchanged, "what was not edited did not move")
    #expect(new.symbol("h") != nil)
    #expect(
      try #require(new.symbol("value")).identity == Address(session.address(of: "value").value))
    #expect(old.isRetired && old.symbol("f") == nil, "a retired generation tells no addresses")
  }

  @Test(
    "A refusal leaves everything as it was, and the change is tried again when what it missed comes"
  )
  func refusal() throws {
    let session = try Session(["a.o": "int f(void) { return 1; }"]) { $0.isStrict = true }
    let log = EventLog(session)
    try session.start()
    let generation = session.generation
    let table = generation.table
    let symbol = generation.symbol("f")
    let f = try session.function("f", as: IntFunction.self)
    try session.add(c: "int missing(void); int f(void) { return 10 + missing(); }", name: "a.o")
    #expect(!session.waitUntilLinked() && !session.update())
    #expect(log.refusals.count == 1)
    guard case .undefined(let symbols) = log.refusals.first?.linkReason else {
      Issue.record("\(log.refusals)")
      return
    }
    #expect(symbols.map(\.name) == ["missing"] && symbols.first?.sites.first?.file == "a.o")
    #expect(session.generation === generation && session.generation.table === table)
    #expect(generation.symbol("f") == symbol && !generation.isRetired)
    #expect(f() == 1)
    try session.add(c: "int missing(void) { return 5; }", name: "b.o")
    #expect(session.takeNew(), "both are linked now")
    #expect(f() == 15)
    #expect(log.reloads.last?.units.sorted() == ["a.o", "b.o"])
  }

  @Test("Bad bytes are refused at once and change nothing")
  func badBytes() throws {
    let session = try Session(["a.o": "int f(void) { return 1; }"])
    try session.start()
    for bytes in [[], [0x7F, 0x45, 0x4C, 0x46], Array("not an object".utf8)] as [[UInt8]] {
      #expect(throws: LinkError.self) { try session.add(bytes, name: "a.o") }
    }
    #expect(!session.takeNew())
    #expect(try session.call("f") == 1)
  }

  @Test("All undefined symbols come at once, with their places, counts and nearest spelling")
  func undefined() throws {
    let session = try Session([
      "a.o": """
      extern int counter_ad; extern int lost; int later(int);
      int f(void) { return counter_ad + lost + lost * 2 + later(lost); }
      int *p[5] = { &lost, &lost, &lost, &lost, &lost };
      """,
      "b.o": "int counter_add;",
    ]) { $0.isStrict = true }
    let refusal = try #require(throws: Refusal.self) { try session.start() }
    guard case .undefined(let symbols) = refusal.linkReason else {
      Issue.record("\(refusal)")
      return
    }
    #expect(symbols.map(\.name) == ["counter_ad", "later", "lost"])
    #expect(symbols[0].suggestion == LinkError.Suggestion(name: "counter_add", definedIn: "b.o"))
    #expect(symbols[1].suggestion == nil)
    #expect(symbols[2].sites.count == 3 && symbols[2].references > 5)
    #expect(
      symbols[2].sites.allSatisfy { $0.file == "a.o" && $0.relocation.hasPrefix("R_X86_64_") })
  }

  @Test("An undefined function only fails a strict session", arguments: kinds)
  func strictness(isStrict: Bool) throws {
    let session = try Session(["a.o": "int later(void); int f(int n) { return n ? later() : 7; }"])
    {
      $0.isStrict = isStrict
    }
    if isStrict {
      #expect(throws: Refusal.self) { try session.start() }
    } else {
      #expect(try session.start().undefinedFunctions == ["later"])
      let f = try session.function("f", as: (@convention(c) (Int32) -> Int32).self)
      #expect(f(0) == 7)
    }
  }

  @Test("Undefined data always fails, strict or not", arguments: kinds)
  func undefinedData(isStrict: Bool) throws {
    let session = try Session(["a.o": "extern int lost; int f(void) { return lost; }"]) {
      $0.isStrict = isStrict
    }
    #expect(throws: Refusal.self) { try session.start() }
  }

  @Test("A symbol defined twice is refused with both units")
  func duplicate() throws {
    let session = try Session([
      "a.o": "int twice(void) { return 1; }", "b.o": "int twice(void) { return 2; }",
    ])
    let refusal = try #require(throws: Refusal.self) { try session.start() }
    var conflicts = LinkError.SymbolConflicts()
    conflicts.duplicates = [
      LinkError.Duplicate(
        symbol: "twice", first: LinkError.Place(file: "a.o", section: ".text"),
        second: LinkError.Place(file: "b.o", section: ".text"))
    ]
    #expect(refusal.linkReason == .conflicts(conflicts))
    let running = try Session(["a.o": "int twice(void) { return 1; }"])
    let log = EventLog(running)
    try running.start()
    try running.add(c: "int twice(void) { return 2; }", name: "b.o")
    #expect(!running.takeNew())
    // What was linked before is known by its unit.
    conflicts.duplicates[0].first = LinkError.Place(file: "a.o")
    #expect(log.refusals.first?.linkReason == .conflicts(conflicts))
    #expect(try running.call("twice") == 1)
  }

  @Test("A function moves from one unit to another in one change")
  func moving() throws {
    let session = try Session([
      "a.o": "int f(void) { return 1; }", "b.o": "int f(void); int g(void) { return f(); }",
    ])
    try session.start()
    let f = try session.function("f", as: IntFunction.self)
    #expect(try session.call("g") == 1)
    session.remove("a.o")
    try session.add(c: "int f(void) { return 2; } int g(void) { return f(); }", name: "b.o")
    #expect(session.waitUntilLinked())
    while session.update() {}
    #expect(try session.call("g") == 2)
    #expect(f() == 2)
    #expect(try session.function("f", as: IntFunction.self)() == 2)
  }

  @Test("Asking for what is not there is an error that names it")
  func unknownFunction() throws {
    let session = try Session(["a.o": "static int hidden; int f(void) { return hidden; }"])
    try session.start()
    for name in ["nobody", "hidden", ""] {
      let error = try #require(throws: LinkError.self) { try session.address(of: name) }
      guard case .undefined(let symbols) = error.reason else {
        Issue.record("\(error)")
        continue
      }
      #expect(symbols.map(\.name) == [name])
    }
  }

  @Test("Symbols can be asked for while the linker is at work")
  func lookupsWhileLinking() async throws {
    // In a child: when the tables are touched from two threads, what happens is anybody's guess.
    await #expect(processExitsWith: .success) {
      alarm(60)
      let session = try Session(["a.o": "int f(void) { return 1; }"])
      try session.start()
      let objects = try (0..<12).map { round in
        try Compiled.object(
          .gcc,
          (0..<700).map { "int r\(round)_\($0)_with_a_name_of_some_length(void) { return \($0); }" }
            .joined(separator: "\n"))
      }
      for (index, object) in objects.enumerated() {
        try session.add(object, name: "u\(index).o")
        while !session.waitUntilLinked(seconds: 0) {
          let symbol = session.generation.symbol("f")
          precondition(symbol?.isFunction == true)
          _ = session.generation.symbol("r\(index)_5_with_a_name_of_some_length")
        }
        if index % 3 == 2 { _ = session.takeNew() }
      }
      _ = session.takeNew()
      #expect(try session.call("r3_5_with_a_name_of_some_length") == 5)
    }
  }
}
