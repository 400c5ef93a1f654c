// Policies for state by names that are not there: told at the start, with what may have been meant.
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Policies that mean nothing")
struct UnmetPolicyTests {
  private func unmet(_ names: [String], isLazy: Bool = false) throws -> [UnmetPolicy] {
    let session = try Session([
      "build/player.o": """
      int score = 3; static volatile int lives = 2; int common; __thread int depth = 1;
      static const int table[2] = {1, 2};
      int lost(void) { static int count; return ++count + lives + table[score & 1] + depth; }
      """
    ]) {
      $0.isLazy = isLazy
      for name in names { $0.states.named[name] = .reset }
    }
    try session.add(
      Compiled.object(
        .gxx, "namespace game { struct World { static int terrain; }; int World::terrain = 4; }"),
      name: "build/world.o")
    return try session.start().unmetPolicies
  }

  @Test(
    "what is there is met: units, variables, both, local statics, C++ names with and without scopes",
    arguments: [false, true])
  func met(_ isLazy: Bool) throws {
    let names = [
      "player.o", "build/player.o", "score", "lives", "common", "depth", "count", "table",
      "player.o:score", "build/world.o:game::World::terrain", "terrain", "World::terrain",
      "game::World::terrain", "_ZN4game5World7terrainE",
    ]
    let told = try unmet(names, isLazy: isLazy)
    #expect(told == [])
  }

  @Test(
    "what is not is told, with what is called nearly so",
    arguments: [
      ("scroe", "score"), ("playr.o", "player.o"), ("player.o:scor", "player.o:score"),
      ("plyer.o:score", "player.o:score"), ("game::World::terain", "game::World::terrain"),
      ("terain", "terrain"), ("lost", nil), ("world.o:score", nil), ("nothing", nil), ("x", nil),
      ("player.c", "player.o"), ("Game::score", nil),
    ] as [(String, String?)])
  func notMet(_ name: String, _ suggestion: String?) throws {
    #expect(try unmet([name, "score"]) == [UnmetPolicy(name: name, suggestion: suggestion)])
  }

  @Test("none is asked for, none is told")
  func none() throws {
    #expect(try unmet([]).isEmpty)
  }
}
