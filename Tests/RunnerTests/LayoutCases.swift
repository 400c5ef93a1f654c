// Edits of types, one a case: a program that keeps something of the type, and what the type becomes.
import Foundation
import Testing

/// An edit of declarations in a small program.
struct LayoutCase: CustomTestStringConvertible, Sendable {
  var name: String
  /// Declarations before and after.
  var before: String
  var after: String
  /// What the first frame does.
  var first: String
  /// An `int` that must stay the same.
  var sum: String
  /// Parts of the reason when it is refused.
  var told: [String] = []
  var isCxx = false

  var testDescription: String { name }
  var file: String { isCxx ? "game.cpp" : "game.c" }

  func source(_ declarations: String) -> String {
    """
    \(isCxx ? "extern \"C\"" : "extern") int dprintf(int, const char *, ...);
    \(declarations)
    static int frames;
    __attribute__((noinline)) static int sum(void) { return \(sum); }
    __attribute__((noinline)) static void first(void) { \(first) }
    \(isCxx ? "extern \"C\" " : "")void tick(void) {
      if (frames == 0) first();
      if (++frames % 50 == 0) dprintf(1, "frames=%d sum=%d\\n", frames, sum());
    }
    """
  }
}

extension LayoutCase {
  static let inC = [
    LayoutCase(
      name: "a field added at the end", before: "struct p { int a; float b; }; struct p it;",
      after: "struct p { int a; float b; int c; }; struct p it;", first: "it.a = 3; it.b = 4;",
      sum: "it.a + (int)it.b", told: ["'it'", "it.c is new", "game.o"]),
    LayoutCase(
      name: "a field added before others", before: "struct p { int a; float b; }; struct p it[4];",
      after: "struct p { int z; int a; float b; }; struct p it[4];",
      first: "it[2].a = 3; it[2].b = 4;", sum: "it[2].a + (int)it[2].b",
      told: ["it[].z is new", "it[].a moved from +0 to +4"]),
    LayoutCase(
      name: "a field removed", before: "struct p { int a; int gone; float b; }; struct p it;",
      after: "struct p { int a; float b; }; struct p it;", first: "it.a = 3; it.b = 4;",
      sum: "it.a + (int)it.b", told: ["it.gone is gone", "it.b moved from +8 to +4"]),
    LayoutCase(
      name: "fields reordered", before: "struct p { int a; int b; }; struct p it;",
      after: "struct p { int b; int a; }; struct p it;", first: "it.a = 3; it.b = 40;",
      sum: "it.a * 2 + it.b", told: ["it.a moved from +0 to +4", "it.b moved from +4 to +0"]),
    LayoutCase(
      name: "a field retyped with the same size",
      before: "struct p { int a; int b; }; struct p it;",
      after: "struct p { int a; float b; }; struct p it;", first: "it.a = 3; it.b = 4;",
      sum: "it.a + (int)it.b", told: ["it.b was int and is float"]),
    // Nothing comes or goes: only what a member refers to.
    LayoutCase(
      name: "a field retyped to a type that was there",
      before: "float other; struct p { int a; int b; }; struct p it;",
      after: "float other; struct p { int a; float b; }; struct p it;",
      first: "it.a = 3; it.b = 4; other = 1;", sum: "it.a + (int)it.b + (int)other",
      told: ["it.b was int and is float"]),
    LayoutCase(
      name: "a plain variable retyped with the same size", before: "static volatile int it;",
      after: "static volatile float it;", first: "it = 7;", sum: "(int)it",
      told: ["it was int and is float"]),
    LayoutCase(
      name: "a structure on the heap",
      before: "struct p { int a; }; struct p *it; void *malloc(unsigned long);",
      after: "struct p { int z; int a; }; struct p *it; void *malloc(unsigned long);",
      first: "it = malloc(sizeof *it); it->a = 5;", sum: "it->a",
      told: ["what 'it' points to", "it->z is new", "it->a moved"]),
    LayoutCase(
      name: "a list that leads back to itself",
      before: "struct n { struct n *next; int v; }; struct n one, *it = &one;",
      after: "struct n { struct n *next; struct n *back; int v; }; struct n one, *it = &one;",
      first: "one.next = it; one.v = 9;", sum: "it->next->next->v", told: ["'it'", "back is new"]),
    LayoutCase(
      name: "an enumerator inserted", before: "enum m { IDLE, RUN }; struct { enum m m; } it;",
      after: "enum m { IDLE, WALK, RUN }; struct { enum m m; } it;", first: "it.m = RUN;",
      sum: "(int)it.m", told: ["enumerator RUN was 1 and is 2"]),
    LayoutCase(
      name: "a bit field widened", before: "struct { unsigned a : 3; unsigned b : 5; } it;",
      after: "struct { unsigned a : 4; unsigned b : 5; } it;", first: "it.a = 5; it.b = 17;",
      sum: "it.a + it.b", told: ["it.a had 3 bits and has 4 bits", "it.b moved"]),
    LayoutCase(
      name: "a union's member", before: "union u { int i; float f; }; union u it;",
      after: "union u { int i; double f; }; union u it;", first: "it.i = 6;", sum: "it.i",
      told: ["it.f was float and is double"]),
    LayoutCase(
      name: "the length of an array in a structure",
      before: "struct p { int a[4]; int b; }; struct p it;",
      after: "struct p { int a[6]; int b; }; struct p it;", first: "it.a[3] = 5; it.b = 6;",
      sum: "it.a[3] + it.b", told: ["it.a had 4 elements and has 6", "it.b moved"]),
    LayoutCase(
      name: "a structure in a structure",
      before: "struct v { int x; }; struct p { struct v v[2]; int b; }; struct p it;",
      after: "struct v { int x, y; }; struct p { struct v v[2]; int b; }; struct p it;",
      first: "it.v[1].x = 5; it.b = 6;", sum: "it.v[1].x + it.b", told: ["it.v[].y is new"]),
    LayoutCase(
      name: "what a typedef stands for", before: "typedef int hp; struct { hp a; } it;",
      after: "typedef float hp; struct { hp a; } it;", first: "it.a = 6;", sum: "(int)it.a",
      told: ["it.a was int and is float"]),
    LayoutCase(
      name: "the type of stored callbacks",
      before: "static int f(int x) { return x; } struct { int (*call)(int); int n; } it;",
      after:
        "static int f(int x, int y) { return x + y; } struct { int (*call)(int, int); int n; } it;",
      first: "it.call = (void *)f; it.n = 8;", sum: "it.n", told: ["it.call"]),
    LayoutCase(
      name: "a static variable of a function",
      before: "struct p { int a; }; static struct p *get(void) { static struct p it; return &it; }",
      after:
        "struct p { int z, a; }; static struct p *get(void) { static struct p it; return &it; }",
      first: "get()->a = 4;", sum: "get()->a", told: ["it.z is new"]),
    LayoutCase(
      name: "a thread-local variable",
      before: "struct p { int a; }; static _Thread_local struct p it;",
      after: "struct p { int z, a; }; static _Thread_local struct p it;", first: "it.a = 4;",
      sum: "it.a", told: ["it.z is new"]),
  ]

  static let inCxx = [
    LayoutCase(
      name: "a base class added", before: "struct B { int x = 1; }; struct D { int a = 2; }; D it;",
      after: "struct B { int x = 1; }; struct D : B { int a = 2; }; D it;", first: "it.a = 5;",
      sum: "it.a", told: ["base class B of D is new", "it.a moved from +0 to +4"], isCxx: true),
    LayoutCase(
      name: "a base class that changed",
      before: "struct B { int x; }; struct D : B { int a; }; D it;",
      after: "struct B { int x, y; }; struct D : B { int a; }; D it;", first: "it.a = 5; it.x = 6;",
      sum: "it.a + it.x", told: ["y is new"], isCxx: true),
    LayoutCase(
      name: "the first virtual function",
      before: "struct S { int n; int f() { return n; } }; S it;",
      after: "struct S { int n; virtual int f() { return n; } }; S it;", first: "it.n = 5;",
      sum: "it.f()", told: ["'it'"], isCxx: true),
    LayoutCase(
      name: "a virtual function added",
      before: "struct S { virtual int f() { return n; } int n = 0; }; S one, *it = &one;",
      after:
        "struct S { virtual int f() { return n; } virtual int g() { return 1; } int n = 0; }; S one, *it = &one;",
      first: "it->n = 5;", sum: "it->f()", told: ["virtual function g() of S is new"], isCxx: true),
    LayoutCase(
      name: "a virtual function removed",
      before:
        "struct S { virtual int g() { return 1; } virtual int f() { return n; } int n = 0; }; S one, *it = &one;",
      after: "struct S { virtual int f() { return n; } int n = 0; }; S one, *it = &one;",
      first: "it->n = 5;", sum: "it->f()", told: ["virtual function g() of S is gone"], isCxx: true),
    LayoutCase(
      name: "virtual functions reordered",
      before:
        "struct S { virtual int f() { return n; } virtual int g() { return 1; } int n = 0; }; S one, *it = &one;",
      after:
        "struct S { virtual int g() { return 1; } virtual int f() { return n; } int n = 0; }; S one, *it = &one;",
      first: "it->n = 5;", sum: "it->f() + it->g()", told: ["virtual function f() of S moved"],
      isCxx: true),
    LayoutCase(
      name: "a template's member",
      before: "template <class T> struct Box { T value; int n; }; static Box<int> it;",
      after: "template <class T> struct Box { int n; T value; }; static Box<int> it;",
      first: "it.n = 3; it.value = 40;", sum: "it.n * 2 + it.value",
      told: ["Box<int>", "it.value moved"], isCxx: true),
    LayoutCase(
      name: "a template's argument",
      before: "template <class T> struct Box { T value; }; namespace ns { Box<int> it; }",
      after: "template <class T> struct Box { T value; }; namespace ns { Box<float> it; }",
      first: "ns::it.value = 40;", sum: "(int)ns::it.value",
      told: ["ns::it.value was int and is float"], isCxx: true),
    LayoutCase(
      name: "a static member",
      before: "struct S { struct T { int a; }; static inline T it; }; int use = S::it.a;",
      after: "struct S { struct T { int z, a; }; static inline T it; }; int use = S::it.a;",
      first: "S::it.a = 5;", sum: "S::it.a", told: ["S::it.z is new"], isCxx: true),
    LayoutCase(
      name: "a captured variable of a stored closure",
      before: """
        static int n; template <class F> struct Keeper { F f; };
        static auto make() { int k = 4; return [k] { return k + n; }; } static Keeper<decltype(make())> it{make()};
        """,
      after: """
        static int n; template <class F> struct Keeper { F f; };
        static auto make() { int k = 4, m = 0; return [m, k] { return k + n + m; }; } static Keeper<decltype(make())> it{make()};
        """, first: "n = 5; __asm__ volatile(\"\" : : \"r\"(&it) : \"memory\");", sum: "it.f()",
      told: ["'it'", "m is new"], isCxx: true),
    LayoutCase(
      name: "objects of derived classes in a container",
      before: """
        struct S { virtual int f() = 0; }; struct A : S { int v = 3; int f() override { return v; } };
        template <class T> struct List { T *items[4]; int count; }; static List<S> it; static A a;
        """,
      after: """
        struct S { virtual int e() { return 0; } virtual int f() = 0; }; struct A : S { int v = 3; int f() override { return v; } };
        template <class T> struct List { T *items[4]; int count; }; static List<S> it; static A a;
        """, first: "it.items[it.count++] = &a; a.v = 7;", sum: "it.items[0]->f()",
      told: ["virtual function"], isCxx: true),
    LayoutCase(
      name: "a member of a class that only a base class pointer leads to",
      before: """
        struct S { virtual int f() = 0; }; struct A : S { int v = 3; int f() override { return v; } };
        static S *it; static S *make() { static char room[64]; struct Place { void *at; }; return (S *)room; }
        inline void *operator new(decltype(sizeof 0), void *place) { return place; }
        """,
      after: """
        struct S { virtual int f() = 0; }; struct A : S { int z = 1; int v = 3; int f() override { return v; } };
        static S *it; static S *make() { static char room[64]; struct Place { void *at; }; return (S *)room; }
        inline void *operator new(decltype(sizeof 0), void *place) { return place; }
        """, first: "it = new (make()) A; ((A *)it)->v = 7;", sum: "it->f()",
      told: ["it->(A).z is new"], isCxx: true),
  ]

  /// Edits that change nothing of what is kept.
  static let harmless = [
    LayoutCase(
      name: "comments and lines", before: "struct p { int a; }; struct p it;",
      after: "/* moved\n\n\n\n down */\nstruct p {\n  int a; // health\n};\nstruct p it;",
      first: "it.a = 3;", sum: "it.a"),
    LayoutCase(
      name: "another name for a local variable",
      before: "struct p { int a; }; struct p it; static int f(int x) { int y = x; return y; }",
      after:
        "struct p { int a; }; struct p it; static int f(int z) { int long_name = z; return long_name; }",
      first: "it.a = 3;", sum: "f(it.a)"),
    LayoutCase(
      name: "an unrelated type, added before", before: "struct p { int a; }; struct p it;",
      after:
        "struct other { double d; char c[3]; }; enum e { ONE }; struct p { int a; }; struct p it;",
      first: "it.a = 3;", sum: "it.a"),
    LayoutCase(
      name: "a type that nothing keeps",
      before:
        "struct t { int a; }; static int f(int x) { struct t t = { x }; return t.a; } int it;",
      after:
        "struct t { int z, a; }; static int f(int x) { struct t t = { 0, x }; return t.a; } int it;",
      first: "it = 3;", sum: "f(it)"),
    LayoutCase(
      name: "an enumerator at the end", before: "enum m { IDLE, RUN }; enum m it;",
      after: "enum m { IDLE, RUN, FLY }; enum m it;", first: "it = RUN;", sum: "(int)it"),
    LayoutCase(
      name: "another name for the same type", before: "typedef int hp; struct { hp a; } it;",
      after: "typedef int health; struct { health a; } it;", first: "it.a = 3;", sum: "it.a"),
    LayoutCase(
      name: "a type that is only declared",
      before: "struct far; struct { struct far *f; int a; } it;",
      after: "struct far { int x; }; struct { struct far *f; int a; } it;", first: "it.a = 3;",
      sum: "it.a"),
    LayoutCase(
      name: "const and signedness", before: "struct { int a; const char *s; } it;",
      after: "struct { unsigned a; char *s; } it;", first: "it.a = 3;", sum: "(int)it.a"),
    LayoutCase(
      name: "a method that is not virtual",
      before: "struct S { int a = 0; int f() { return a; } }; S it;",
      after:
        "struct S { int a = 0; int g() { return 1; } static int h() { return 2; } int f() { return a + h() - 2; } }; S it;",
      first: "it.a = 3;", sum: "it.f()", isCxx: true),
    LayoutCase(
      name: "an override",
      before:
        "struct S { virtual int f() { return n; } virtual int g() { return 1; } int n = 0; }; struct D : S { int f() override { return n; } }; D one; S *it = &one;",
      after:
        "struct S { virtual int f() { return n; } virtual int g() { return 1; } int n = 0; }; struct D : S { int g() override { return 1; } int f() override { return n; } }; D one; S *it = &one;",
      first: "it->n = 5;", sum: "it->f() + it->g()", isCxx: true),
    LayoutCase(
      name: "access, friends and nested types",
      before:
        "class S { public: int a = 0; private: int b = 1; public: int f() { return a + b; } }; S it;",
      after:
        "class S { friend struct X; using number = int; struct N { double d; }; public: number a = 0; protected: int b = 1; public: int f() { return a + b; } }; S it;",
      first: "it.a = 3;", sum: "it.f()", isCxx: true),
    LayoutCase(
      name: "captures of a closure that nothing keeps",
      before:
        "int it; template <class F> int call(F f) { return f(); } static int run() { int k = it; return call([k] { return k; }); }",
      after:
        "int it; template <class F> int call(F f) { return f(); } static int run() { int k = it, m = 0; return call([m, k] { return k + m; }); }",
      first: "it = 5;", sum: "run()", isCxx: true),
  ]
}

extension Toolchain {
  /// With debug data: as people build games.
  static let debugging = [
    Toolchain(c: "gcc", flags: ["-g"]),
    Toolchain(c: "gcc", flags: ["-g", "-Og", "-ffunction-sections", "-fdata-sections"]),
    Toolchain(c: "clang", flags: ["-g", "-O2", "-fdata-sections"]),
  ]
  /// How debug data is written.
  static let debugFormats = [
    ["-gdwarf-4"], ["-gdwarf-5"], ["-gdwarf-4", "-fdebug-types-section"],
    ["-gdwarf-5", "-fdebug-types-section"], ["-gz"], ["-gdwarf-4", "-gz=zlib"], ["-gdwarf64"],
  ]
  static let gccDebug = Toolchain(c: "gcc", flags: ["-g"])
  static let clangDebug = Toolchain(c: "clang", flags: ["-g"])
  static let gccDebugSections = Toolchain(c: "gcc", flags: ["-g", "-fdata-sections"])
}
