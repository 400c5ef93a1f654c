// Types are the same before and after a reload, both ways: old objects in new code and new objects beside old
// ones: dynamic_cast, typeid, std::any, catch; `as?`, conformances, generics, closures.
import Testing

@Suite("Types keep their identity")
struct TypeIdentityScenarios {
  static let header = """
    #include <any>
    #include <cstdio>
    #include <memory>
    #include <stdexcept>
    #include <typeinfo>
    #include <vector>
    struct Drawn { virtual ~Drawn() = default; virtual int draw() const { return 1; } };
    struct Hit { virtual ~Hit() = default; virtual int hit() const { return 10; } };
    struct Ship : Drawn, Hit { int age = 0; int draw() const override; int hit() const override; };
    struct Rock : Drawn { int draw() const override; };
    struct Lost : std::runtime_error { int code; explicit Lost(int c) : runtime_error("lost"), code(c) {} };
    struct World {
      std::vector<std::unique_ptr<Drawn>> things;
      std::vector<std::any> values;
      static World &shared();
    };
    Drawn *make(int kind);
    std::any wrap(int value);
    void lose(int code);
    """

  static func makers(_ version: Int) -> String {
    """
    #include "world.hpp"
    int Ship::draw() const { return 100 * \(version); }
    int Ship::hit() const { return 7; }
    int Rock::draw() const { return 1000 * \(version); }
    Drawn *make(int kind) { if (kind) return new Ship; return new Rock; }
    std::any wrap(int value) { return Ship{ {}, {}, value }.age + \(version) - \(version); }
    void lose(int code) { throw Lost(code + \(version) - \(version)); }
    """
    .replacing("Ship{ {}, {}, value }.age", with: "value")
  }

  static func game(_ version: Int) -> String {
    """
    #include "world.hpp"
    World &World::shared() { static World world; return world; }
    extern "C" void tick() {
      World &world = World::shared();
      if (world.things.size() < 400) { world.things.emplace_back(make(world.things.size() % 2)); world.values.push_back(wrap(5)); }
      int ships = 0, rocks = 0, crossed = 0, same = 0, sum = 0, caught = 0;
      for (auto &thing : world.things) {
        if (auto *ship = dynamic_cast<Ship *>(thing.get())) { ships++; sum += ship->age == 0; }
        if (dynamic_cast<Rock *>(thing.get())) rocks++;
        if (auto *hit = dynamic_cast<Hit *>(thing.get())) { crossed += hit->hit() == 7; same += typeid(*hit) == typeid(Ship); }
      }
      int fives = 0;
      for (auto &value : world.values) if (auto *five = std::any_cast<int>(&value)) fives += *five == 5;
      try { lose(3); } catch (const Lost &lost) { caught = lost.code; } catch (...) { caught = -1; }
      std::printf("v=\(version) n=%zu ships=%d rocks=%d crossed=%d same=%d young=%d fives=%d caught=%d draw=%d\\n",
        world.things.size(), ships, rocks, crossed, same, sum, fives, caught,
        world.things.front()->draw());
      std::fflush(stdout);
    }
    """
  }

  @Test("C++: a singleton's container of polymorphic objects", arguments: Toolchain.all)
  func cxx(_ toolchain: Toolchain) throws {
    let game = try WatchHarness(
      ["world.hpp": Self.header, "game.cpp": Self.game(1), "makers.cpp": Self.makers(1)], toolchain)
    func isWhole(_ line: Line, draw: Int) {
      let count = line.number("n") ?? 0
      #expect(
        line.number("ships") == count / 2 && line.number("rocks") == (count + 1) / 2, "\(line)")
      for key in ["crossed", "same", "young"] {
        #expect(line.number(key) == count / 2, "\(key): \(line)")
      }
      #expect(line.number("fives") == count && line["caught"] == "3" && line.number("draw") == draw)
    }
    for _ in 0..<4 { try game.line("n") }
    try game.edit("makers.cpp", Self.makers(2))
    for _ in 0..<4 { isWhole(try game.line("n"), draw: 2000) }
    let reload = try game.edit("game.cpp", Self.game(2))
    let before = try game.last(before: reload, with: "n")
    let after = try game.line("n")
    #expect(after["v"] == "2" && after.number("n") == before.number("n").map { min($0 + 1, 400) })
    isWhole(after, draw: 2000)
    try game.edit("makers.cpp", Self.makers(3))
    isWhole(try game.line("n"), draw: 3000)
    try game.stop()
  }

  @Test("Swift: casts, conformances, generics and closures, both ways", arguments: SwiftMode.all)
  func swift(_ mode: SwiftMode) throws {
    func source(_ version: Int) -> String {
      """
      import Glibc
      protocol Shape { func area() -> Int }
      protocol Named { var name: String { get } }
      class Base { func kind() -> Int { 1 } }
      final class Circle: Base, Shape, Named {
        var radius = 2
        func area() -> Int { radius * \(version) }
        override func kind() -> Int { 2 }
        var name: String { "circle" }
      }
      struct Square: Shape { var side = 3; func area() -> Int { side * 10 * \(version) } }
      enum Choice: Equatable { case none, some(Int) }
      struct Box<T> { var value: T; func tell() -> String { "\\(T.self)" } }
      var things: [Any] = []
      var bases: [Base] = []
      var closures: [() -> Int] = []
      func add() {
        things.append(Circle()); things.append(Square()); things.append(Box(value: Circle()))
        things.append(Choice.some(4))
        bases.append(Circle())
        let captured = closures.count
        closures.append { captured * 0 + \(version) }
      }
      @c public func tick() {
        if bases.count < 200 { add() }
        let n = bases.count
        var circles = 0, shapes = 0, named = 0, boxes = 0, choices = 0, squares = 0, area = 0
        for thing in things {
          if thing is Circle { circles += 1 }
          if let shape = thing as? any Shape { shapes += 1; area = max(area, shape.area()) }
          if let one = thing as? any Named, one.name == "circle" { named += 1 }
          if let box = thing as? Box<Circle>, box.tell() == "Circle" { boxes += 1 }
          if let choice = thing as? Choice, choice == .some(4) { choices += 1 }
          if thing is Square { squares += 1 }
        }
        let kinds = bases.count { $0.kind() == 2 && ($0 as? Circle) != nil && type(of: $0) == Circle.self }
        let called = closures.count { $0() > 0 }
        fputs("v=\(version) n=\\(n) circles=\\(circles) shapes=\\(shapes) named=\\(named) boxes=\\(boxes) "
          + "choices=\\(choices) squares=\\(squares) kinds=\\(kinds) called=\\(called) area=\\(area)\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source(1)], swift: mode)
    for _ in 0..<3 { try game.line("n") }
    for version in 2...4 {
      let reload = try game.edit("game.swift", source(version))
      let before = try game.last(before: reload, with: "n")
      for step in 1...3 {
        let line = try game.line("n")
        let count = line.number("n") ?? 0
        #expect(
          count == before.number("n").map { min($0 + step, 200) } && line["v"] == "\(version)")
        for key in ["circles", "named", "boxes", "choices", "squares", "kinds", "called"] {
          #expect(line.number(key) == count, "\(key): \(line)")
        }
        #expect(
          line.number("shapes") == count * 2 && line.number("area") == 30 * version, "\(line)")
      }
    }
    try game.stop()
  }
}
