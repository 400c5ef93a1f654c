// Addresses in a shared object's data that a new build makes anew: places inside functions (`&&label`, as interpreters have them), and
// pointers to what has moved.
import Testing

@Suite("Addresses in the data of shared objects")
struct LibraryPointerScenarios {
  private static func machine(
    _ table: String, _ version: Int, _ add: String, _ first: String = "int r = 0;"
  )
    -> String
  {
    """
    extern int dprintf(int, const char *, ...);
    volatile int zero;
    static int run(const char *p) {
      \(table) = { &&add, &&sub, &&end };
      \(first)
      goto *codes[(int)*p++];
    add: r += \(add); goto *codes[(int)*p++];
    sub: r -= 1; goto *codes[(int)*p++];
    end: return r;
    }
    const char program[] = { 0, 0, 1, 0, 2 };
    void tick(void) { dprintf(1, "v=\(version) r=%d\\n", run(program + zero)); }
    """
  }

  @Test(
    "A table of labels is the new function's",
    arguments: ["static void *const codes[]", "static void *codes[]"],
    [LibraryBuild.gcc, .gccO2, .clangO2])
  func labels(_ table: String, _ build: LibraryBuild) throws {
    let game = try WatchHarness(
      libraries: [("libgame.c", Self.machine(table, 1, "10"))], build)
    #expect(try game.line().text == "v=1 r=29")
    try game.rebuild("libgame.c", Self.machine(table, 2, "100"), build)
    #expect(try game.line().text == "v=2 r=299")
    try game.rebuild(
      "libgame.c", Self.machine(table, 3, "100", "int r = zero + 1; if (zero) r = zero * 3;"), build
    )
    #expect(try game.line().text == "v=3 r=300")
    try game.rebuild("libgame.c", Self.machine(table, 4, "7"), build)
    #expect(try game.line().text == "v=4 r=20")
    try game.stop()
  }

  @Test("An untouched pointer follows what it points to", arguments: LibraryBuild.few)
  func pointers(_ build: LibraryBuild) throws {
    func source(_ const: String, _ version: Int, _ code: String = "") -> String {
      """
      extern int dprintf(int, const char *, ...);
      \(const) int table[4] = { 1, 2, 3, 4 };
      static \(const) int own[4] = { 5, 6, 7, 8 };
      const int *looks = table, *sees = own;
      void tick(void) {
        \(code)
        dprintf(1, "v=\(version) %d %d %d %d\\n", table[1], looks[1], own[1], sees[1]);
      }
      """
    }
    let game = try WatchHarness(libraries: [("libgame.c", source("", 1))], build)
    #expect(try game.line().text == "v=1 2 2 6 6")
    try game.rebuild("libgame.c", source("const", 2), build)
    #expect(try game.line().text == "v=2 2 2 6 6")
    try game.rebuild("libgame.c", source("", 3, "table[1] = 20; own[1] = 60;"), build)
    #expect(try game.line().text == "v=3 20 20 60 60")
    try game.stop()
  }
}
