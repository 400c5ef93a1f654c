// A function's identity outlives its bodies: whoever holds its address, a vtable or a witness table from
// before the edit calls the new body.
import Testing

@Suite("What was stored before an edit calls the new body")
struct IdentityScenarios {
  @Test("A function pointer in a global, in a table and on the heap", arguments: Toolchain.all)
  func functionPointer(_ toolchain: Toolchain) throws {
    func source(_ value: Int) -> String {
      """
      #include <stdio.h>
      #include <stdlib.h>
      int value(void) { return \(value); }
      int (*stored)(void);
      int (*const table[])(void) = { value };
      struct node { int (*call)(void); } *node;
      void tick(void) {
        if (!stored) {
          stored = value;
          node = malloc(sizeof *node);
          node->call = stored;
        }
        dprintf(1, "stored=%d table=%d heap=%d address=%p equal=%d%d\\n",
          stored(), table[0](), node->call(), (void *)value, stored == value, table[0] == value);
      }
      """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    let first = try game.line("stored")
    #expect(first.text.hasPrefix("stored=1 table=1 heap=1 "))
    #expect(first["equal"] == "11")
    for value in 2...4 {
      try game.edit("game.c", source(value))
      let line = try game.line("stored")
      #expect(line.text.hasPrefix("stored=\(value) table=\(value) heap=\(value) "))
      #expect(line["address"] == first["address"], "the address of a function across generations")
      #expect(line["equal"] == "11")
    }
    try game.stop()
  }

  @Test("A function pointer given to another unit", arguments: Toolchain.few)
  func pointerAcrossUnits(_ toolchain: Toolchain) throws {
    let registry = """
      #include <stdio.h>
      static int (*registered)(int);
      void set(int (*function)(int)) { registered = function; }
      int twice(int x);
      void enter(void);
      void tick(void) {
        if (!registered) enter();
        dprintf(1, "v=%d equal=%d\\n", registered(10), registered == twice);
      }
      """
    func plugin(_ factor: Int) -> String {
      """
      void set(int (*)(int));
      int twice(int x) { return \(factor) * x; }
      void enter(void) { set(twice); }
      """
    }
    let game = try WatchHarness(["registry.c": registry, "plugin.c": plugin(2)], toolchain)
    #expect(try game.line("v").text == "v=20 equal=1")
    try game.edit("plugin.c", plugin(3))
    #expect(try game.line("v").text == "v=30 equal=1")
    try game.edit("registry.c", registry + "\nint padding(void) { return 1; }\n")
    #expect(try game.line("v").text == "v=30 equal=1")
    try game.stop()
  }

  @Test("C++ objects with vtables on the heap", arguments: Toolchain.all)
  func virtualFunctions(_ toolchain: Toolchain) throws {
    func source(_ value: Int) -> String {
      """
      #include <cstdio>
      struct Shape {
        virtual ~Shape() {}
        virtual int area() const = 0;
        virtual int corners() const { return \(value) + 100; }
      };
      struct Named { virtual int name() const { return \(value) + 200; } };
      struct Square : Shape, Named {
        int side = 7;
        int area() const override { return \(value) * side; }
        int name() const override { return \(value) + 300; }
      };
      Shape *shape;
      int (Shape::*member)() const;
      extern "C" void tick() {
        if (!shape) {
          shape = new Square;
          member = &Shape::area;
        }
        Named *named = dynamic_cast<Named *>(shape);
        dprintf(1, "area=%d corners=%d name=%d member=%d\\n",
          shape->area(), shape->corners(), named ? named->name() : -1, (shape->*member)());
      }
      """
    }
    let game = try WatchHarness(["game.cpp": source(1)], toolchain)
    #expect(try game.line().text == "area=7 corners=101 name=301 member=7")
    for value in 2...4 {
      try game.edit("game.cpp", source(value))
      #expect(
        try game.line().text
          == "area=\(value * 7) corners=\(value + 100) name=\(value + 300) member=\(value * 7)")
    }
    try game.stop()
  }

  @Test("An object of one unit called by another through its base", arguments: Toolchain.few)
  func virtualAcrossUnits(_ toolchain: Toolchain) throws {
    let header = """
      #include <cstdio>
      struct Actor { virtual ~Actor(); virtual int act() = 0; };
      Actor *make();
      """
    func plugin(_ value: Int) -> String {
      """
      #include "actor.hpp"
      Actor::~Actor() {}
      struct Enemy final : Actor { int n = 0; int act() override { return ++n * \(value); } };
      Actor *make() { return new Enemy; }
      """
    }
    let game = try WatchHarness(
      [
        "actor.hpp": header, "plugin.cpp": plugin(1),
        "main.cpp": """
        #include "actor.hpp"
        static Actor *actor;
        extern "C" void tick() {
          if (!actor) actor = make();
          dprintf(1, "v=%d\\n", actor->act());
        }
        """,
      ], toolchain)
    let first = try game.line()
    #expect(first["v"] == "1")
    let reload = try game.edit("plugin.cpp", plugin(1000))
    let before = try #require(game.last(before: reload).number("v"))
    #expect(try game.line().number("v") == (before + 1) * 1000, "same object, new body")
    try game.stop()
  }

  @Test("std::function and lambdas, or reported", arguments: Toolchain.all)
  func lambdas(_ toolchain: Toolchain) throws {
    func source(_ value: Int) -> String {
      """
      #include <cstdio>
      #include <functional>
      std::function<int()> callback;
      int (*plain)();
      static int captured = 10;
      static void prepare(int base) {
        callback = [base] { return \(value) + base; };
        plain = [] { return \(value); };
      }
      extern "C" void tick() {
        if (!callback) prepare(captured);
        dprintf(1, "callback=%d plain=%d\\n", callback(), plain());
      }
      """
    }
    let game = try WatchHarness(["game.cpp": source(1)], toolchain)
    #expect(try game.line().text == "callback=11 plain=1")
    let reload = try game.edit("game.cpp", source(2))
    let line = try game.line()
    #expect(
      line["callback"] == "12" || line["callback"] == "11" && reload.reportsOldBody(of: "M_invoke"))
    #expect(line["plain"] == "2" || line["plain"] == "1" && reload.reportsOldBody(of: "FUN"))
    try game.stop()
  }

  @Test("Swift protocol values, class instances and closures", arguments: SwiftMode.all)
  func swiftValues(_ mode: SwiftMode) throws {
    func source(_ value: Int) -> String {
      """
      import Glibc
      protocol Shape { func area() -> Int }
      extension Shape { func described() -> String { "\\(area())" } }
      struct Square: Shape {
        var side: Int
        func area() -> Int { \(value) * side }
      }
      class Animal { func sound() -> Int { \(value) + 100 } }
      final class Dog: Animal {
        var age = 0
        override func sound() -> Int { age += 1; return \(value) + 200 }
      }
      var shape: (any Shape)?
      var animal: Animal?
      var closure: (() -> Int)?
      var generic: [any Shape] = []
      @c public func tick() {
        if shape == nil {
          let side = Int(getpid() > 0 ? 7 : 8)
          shape = Square(side: side)
          animal = Dog()
          closure = { \(value) + side }
          generic = [Square(side: side), Square(side: side + 1)]
        }
        let area = shape!.area()
        let sum = generic.map { $0.described() }.joined(separator: ",")
        let same = shape is Square && animal is Dog
        fputs("area=\\(area) sound=\\(animal!.sound()) age=\\((animal as! Dog).age) "
          + "closure=\\(closure!()) sum=\\(sum) same=\\(same)\\n", stdout)
        fflush(stdout)
      }
      """
    }
    let game = try WatchHarness(["game.swift": source(1)], swift: mode)
    let first = try game.line()
    #expect(first.text == "area=7 sound=201 age=1 closure=8 sum=7,8 same=true")
    for value in 2...3 {
      let reload = try game.edit("game.swift", source(value))
      #expect(reload.swiftRegistrations == 0)
      let age = try #require(game.last(before: reload).number("age"))
      #expect(
        try game.line().text
          == "area=\(7 * value) sound=\(200 + value) age=\(age + 1) closure=\(7 + value) "
          + "sum=\(7 * value),\(8 * value) same=true")
    }
    try game.stop()
  }

  @Test("A static qsort comparator, or reported", arguments: Toolchain.all)
  func staticCallback(_ toolchain: Toolchain) throws {
    func source(_ sign: String) -> String {
      """
      #include <stdio.h>
      #include <stdlib.h>
      static int compare(const void *a, const void *b) {
        return \(sign)(*(const int *)a - *(const int *)b);
      }
      static int (*stored)(const void *, const void *);
      void tick(void) {
        if (!stored) stored = compare;
        int a[] = { 3, 1, 2 }, b[] = { 3, 1, 2 };
        qsort(a, 3, sizeof *a, stored);
        qsort(b, 3, sizeof *b, compare);
        dprintf(1, "stored=%d direct=%d\\n", a[0], b[0]);
      }
      """
    }
    let game = try WatchHarness(["game.c": source("")], toolchain)
    #expect(try game.line().text == "stored=1 direct=1")
    let reload = try game.edit("game.c", source("-"))
    let line = try game.line()
    #expect(line["direct"] == "3")
    #expect(line["stored"] == "3" || line["stored"] == "1" && reload.reportsOldBody(of: "compare"))
    // Again and again: the text it was taken from may be recycled by now.
    for round in 0..<6 {
      try game.edit("game.c", source(round % 2 == 0 ? "" : "-"))
      let line = try game.line()
      #expect(line["direct"] == (round % 2 == 0 ? "1" : "3"))
    }
    try game.stop()
  }
}
