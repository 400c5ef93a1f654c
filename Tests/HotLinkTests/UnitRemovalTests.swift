// A unit that is removed takes what is its own with it: finalisers and handlers run then, once, and the memory of
// its variables is given to others. What another unit has taken over lives on.
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Removed units")
struct UnitRemovalTests {
  private static let notes = """
    static int count; static int kinds;
    void note(int kind) { count++; kinds = kinds * 10 + kind; }
    int noted(void) { return kinds; }
    """

  private func session(_ units: KeyValuePairs<String, String>) throws -> Session {
    let session = try Session(units)
    try session.start()
    return session
  }

  @Test("Its handlers, newest first, then its finalisers run, and nobody else's")
  func ending() throws {
    let session = try session([
      "notes.o": Self.notes,
      "gone.o": """
      #include <stdlib.h>
      void note(int);
      extern int __cxa_atexit(void (*)(void *), void *, void *);
      static int object;
      static void first(void) { note(1); }
      static void second(void *given) { note(given == &object ? 2 : 9); }
      __attribute__((destructor)) static void last(void) { note(3); }
      __attribute__((constructor)) static void begin(void) {
        atexit(first); __cxa_atexit(second, &object, 0); __asm__ volatile("");
      }
      int f(void) { return 1; }
      """,
      "stays.o": """
      #include <stdlib.h>
      void note(int);
      static void other(void) { note(8); }
      __attribute__((destructor)) static void last(void) { note(7); }
      __attribute__((constructor)) static void begin(void) { atexit(other); __asm__ volatile(""); }
      """,
    ])
    #expect(try session.call("noted") == 0)
    session.remove("gone.o")
    #expect(session.takeNew())
    #expect(try session.call("noted") == 213)
    #expect(throws: LinkError.self) { try session.address(of: "f") }
    // Once: another change, and a unit of the same name.
    try session.add(c: "int f(void) { return 2; }", name: "gone.o")
    #expect(session.takeNew())
    #expect(try session.call("f") == 2)
    #expect(try session.call("noted") == 213)
  }

  @Test("The memory of its variables is given to others, as zeroes")
  func memory() throws {
    let source = """
      static char zeroes[300000]; int values[1000] = {1};
      int use(int i) { zeroes[i] += 5; return zeroes[i] + values[0]++; } int get(void) { return use(77); }
      """
    let session = try session(["stays.o": "int one(void) { return 1; }"])
    var places: Set<Address> = []
    for _ in 0..<4 {
      try session.add(c: source, name: "comes.o")
      #expect(session.takeNew())
      places.insert(try session.address(of: "values"))
      #expect(try session.call("get") == 6)
      #expect(try session.call("get") == 12)
      session.remove("comes.o")
      #expect(session.takeNew())
    }
    #expect(places.count == 1)
  }

  @Test("A variable that another unit takes over keeps its place and value")
  func movedVariable() throws {
    let session = try session([
      "from.o": "int shared = 1; int raise(void) { return ++shared; }",
      "to.o": "extern int shared; int get(void) { return shared; }",
    ])
    #expect(try session.call("raise") == 2)
    let place = try session.address(of: "shared")
    session.remove("from.o")
    try session.add(c: "int shared = 1; int get(void) { return shared; }", name: "to.o")
    #expect(session.waitUntilLinked())
    while session.update() {}
    #expect(try session.address(of: "shared") == place)
    #expect(try session.call("get") == 2)
    // Nobody else is given its memory.
    try session.add(
      c: "int other[4] = {5, 5, 5, 5}; int *where(void) { return other; }", name: "more.o")
    #expect(session.takeNew())
    #expect(try session.address(of: "other") != place)
    #expect(try session.call("get") == 2)
  }
}
