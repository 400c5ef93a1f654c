// Entries of the GOT that outlive the link that made them, and code that a table of jumps leads into.
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Entries of links that were thrown away")
struct EntryTests {
  @Test("a refused definition leaves no entry behind for the process's variable of that name")
  func refusedDefinition() throws {
    let session = try Session(["other.o": "int other(void) { return 1; }"])
    try session.start()
    let flags = ["-O1", "-fPIC"]
    try session.add(
      c: "int optind = 5; extern int nowhere; int f(void) { return optind + nowhere; }",
      name: "a.o", flags: flags)
    #expect(!session.waitUntilLinked())
    try session.add(
      c: "extern int optind; int f(void) { return optind; }", name: "a.o", flags: flags)
    try #require(session.takeNew())
    #expect(try session.call("f") == 1)
  }

  @Test("a first call between ready and update sees the variable of the generation that runs")
  func callBeforeUpdate() throws {
    let session = try Session([:]) {
      $0.isLazy = true
      $0.states.all = .move
    }
    let nearby = ["-O1", "-fno-pic"]
    let byEntry = ["-O1", "-fPIC"]
    try session.add(
      c: "int v[2] = {5, 6}; int first(void) { return v[0]; }", name: "a.o", flags: nearby)
    try session.add(
      c: "extern int v[]; int waiting(void) { return v[0]; }", name: "w.o", flags: byEntry)
    try session.start()
    #expect(try session.call("first") == 5)
    // It outgrows its place, and somebody new loads its address.
    try session.add(
      c: "int v[64] = {5, 6}; int first(void) { return v[0]; }", name: "a.o", flags: nearby)
    try session.add(
      c: "extern int v[]; int fresh(void) { return v[0]; }", name: "b.o", flags: byEntry)
    try #require(session.waitUntilLinked())
    try session.address(of: "v").pointer.map { UnsafeMutableRawPointer(mutating: $0) }?
      .storeBytes(of: 77, as: Int32.self)
    #expect(try session.call("waiting") == 77)
    try #require(session.takeNew())
    for name in ["first", "waiting", "fresh"] { #expect(try session.call(name) == 77) }
  }

  @Test("a thread-local COMMON variable that becomes one with a first value does no harm")
  func threadLocalCommon() async {
    await #expect(processExitsWith: .success) {
      let code = ".text\n.globl f\n.type f,@function\nf: mov $1, %eax\nret\n.size f, . - f\n"
      let session = try Session([:])
      try session.add(
        Compiled.object(.assembler, code + ".tls_common shared,4,4\n"), name: "a.o")
      do { try session.start() } catch { return }
      try session.add(
        Compiled.object(
          .assembler,
          code + ".section .tdata,\"awT\"\n.globl shared\n.type shared,@object\n"
            + "shared: .long 5\n.size shared, 4\n"), name: "a.o")
      session.takeNew()
      #expect(try session.call("f") == 1)
    }
  }

  @Test("a label without a type is called by its stub, also without a PLT")
  func untypedCallee() throws {
    let session = try Session([:])
    func label(_ value: Int) throws -> [UInt8] {
      try Compiled.object(
        .assembler, ".text\n.globl label\nlabel: mov $\(value), %eax\nret\n")
    }
    try session.add(label(1), name: "label.o")
    let flags = ["-O1", "-fPIC", "-fno-plt"]
    try session.add(
      c: """
        int label(void); int call(void) { return label() + 10; } int jump(void) { return label(); }
        int (*address(void))(void) { return label; } int byAddress(void) { return address()(); }
        """, name: "caller.o", flags: flags + ["-foptimize-sibling-calls"])
    try session.start()
    #expect(try session.call("call") == 11 && session.call("jump") == 1)
    try session.add(label(2), name: "label.o")
    try #require(session.takeNew())
    #expect(try session.call("call") == 12 && session.call("jump") == 2)
  }

  @Test("code with a table of jumps is recycled when it is replaced")
  func jumpTable() throws {
    func source(_ unit: Int, _ step: Int) -> String {
      """
      int n\(unit);
      int pick\(unit)(int k) {
        switch (k & 7) {
        case 0: return 11 * \(step); case 1: return 7 + \(step); case 2: return k * k;
        case 3: return -k - \(step); case 4: return k * 77; case 5: return k / 3;
        case 6: return k ^ 0x55; default: return k + 99;
        }
      }
      int f\(unit)(void) { return pick\(unit)(n\(unit)++); }
      """
    }
    let session = try Session(["other.o": "int other(void) { return 1; }"])
    let log = EventLog(session)
    try session.start()
    for step in 1...2 {
      for unit in 1..<5 {
        try session.add(
          c: source(unit, step), name: "t\(unit).o", flags: ["-O2", "-fPIC"])
        try #require(session.takeNew())
      }
    }
    let pins = log.reloads.flatMap(\.pins).filter { !$0.unit.isEmpty }
    #expect(pins.allSatisfy { $0.reason == .unknownThreads }, "\(pins)")
  }
}
