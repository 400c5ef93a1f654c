// Programs in C++ and Swift, each about one thing their runtimes ask of a linker.

extension TestProgram {
  static let cxxPrograms: [TestProgram] = [
    exceptions, staticOrder, sharedInline, dynamicTypes, cxxThreadLocal, library, tasks,
  ]

  static let exceptions = cxx(
    "exceptions thrown in one unit and caught in another",
    """
    #include <cstdio>
    #include <stdexcept>
    #include <string>
    struct Own { int code; }; struct Derived : Own { Derived(int c) : Own{c} {} };
    void thrower(int kind); int guarded(int kind);
    struct Local { const char *name; ~Local() { std::printf("~%s\\n", name); } };
    static int attempt(int kind) {
      Local local{"attempt"};
      try { Local inner{"inner"}; thrower(kind); return 0; }
      catch (const Derived &d) { return 100 + d.code; }
      catch (const Own &o) { return 200 + o.code; }
      catch (const std::out_of_range &e) { std::printf("%s\\n", e.what()); return 3; }
      catch (const std::exception &e) { std::printf("%s\\n", e.what()); return 4; }
      catch (int i) { return i; }
    }
    int main() {
      int sum = 0;
      for (int kind = 0; kind < 6; kind++) {
        try { int got = attempt(kind); std::printf("%d: %d\\n", kind, got); sum += got; }
        catch (...) { std::printf("%d: something else\\n", kind); sum += 1; }
      }
      std::printf("guarded %d\\n", guarded(2));
      try { try { thrower(1); } catch (...) { throw; } } catch (const Own &o) { std::printf("again %d\\n", o.code); }
      return sum & 0x7f;
    }
    """,
    """
    #include <cstdio>
    #include <stdexcept>
    #include <string>
    #include <vector>
    struct Own { int code; }; struct Derived : Own { Derived(int c) : Own{c} {} };
    struct Noise { ~Noise() { std::printf("~Noise\\n"); } };
    void thrower(int kind) {
      Noise noise; std::string text(200, 'x');
      switch (kind) {
      case 0: throw Own{1}; case 1: throw Derived(2); case 2: std::vector<int>(3).at(7); break;
      case 3: throw std::runtime_error("runtime " + text.substr(0, 3)); case 4: throw 5;
      default: throw "a string";
      }
    }
    int guarded(int kind) { try { thrower(kind); } catch (const std::logic_error &) { return 1; } return 0; }
    """)

  static let staticOrder = cxx(
    "static initialisers in the order of units, destructors in reverse",
    """
    #include <iostream>
    #include <string>
    struct Loud { std::string name; Loud(const char *n) : name(n) { std::cout << "+" << name << "\\n"; }
                  ~Loud() { std::cout << "-" << name << std::endl; } };
    extern int depends; Loud &lazy(); extern Loud second;
    Loud first("first");
    static int seen = depends;
    int main() {
      std::cout << "main " << seen << " " << depends << " " << second.name << "\\n";
      lazy(); lazy();
      std::cerr << "on cerr\\n";
      return seen;
    }
    """,
    """
    #include <iostream>
    #include <string>
    struct Loud { std::string name; Loud(const char *n) : name(n) { std::cout << "+" << name << "\\n"; }
                  ~Loud() { std::cout << "-" << name << std::endl; } };
    extern int third();
    int depends = third();
    Loud second("second");
    Loud &lazy() { static Loud only("lazy"); return only; }
    """,
    """
    #include <iostream>
    __attribute__((init_priority(150))) static struct Early { Early() : value(6) {} int value; } early;
    int third() { return early.value; }
    """)

  static let sharedInline = cxx(
    "inline functions, variables and templates are one over units",
    """
    #include <cstdio>
    inline int &counter() { static int value = [] { std::puts("initialised"); return 10; }(); return value; }
    inline int shared = 5;
    template <class T> struct Box { static int made; T value; Box(T v) : value(v) { made++; } };
    template <class T> int Box<T>::made = 0;
    int other(); int *where(); bool same(int &(*)());
    int main() {
      counter()++; shared++; Box<int> box(1); Box<long> wide(2);
      std::printf("%d\\n", other());
      std::printf("%d %d %d %d %d %d\\n", counter(), shared, Box<int>::made, Box<long>::made, where() == &counter(), same(counter));
      return counter();
    }
    """,
    """
    #include <cstdio>
    inline int &counter() { static int value = [] { std::puts("initialised"); return 10; }(); return value; }
    inline int shared = 5;
    template <class T> struct Box { static int made; T value; Box(T v) : value(v) { made++; } };
    template <class T> int Box<T>::made = 0;
    int other() { counter() += 5; shared += 7; Box<int> a(1), b(2); return counter() * 100 + shared; }
    int *where() { return &counter(); }
    bool same(int &(*f)()) { return f == counter; }
    """)

  static let dynamicTypes = cxx(
    "virtual calls, dynamic_cast and typeid over units",
    """
    #include <cstdio>
    #include <memory>
    #include <typeinfo>
    struct Shape { virtual ~Shape() = default; virtual double area() const = 0; };
    struct Named { virtual const char *name() const { return "named"; } virtual ~Named() = default; };
    struct Circle : Shape, virtual Named { double r; Circle(double r) : r(r) {} double area() const override; const char *name() const override { return "circle"; } };
    struct Square : Shape { double area() const override { return 4; } };
    std::unique_ptr<Shape> make(int kind); const std::type_info &typeOf(const Shape &);
    double Circle::area() const { return r * r * 3; }
    int main() {
      int casts = 0;
      for (int kind = 0; kind < 3; kind++) {
        auto shape = make(kind);
        std::printf("%.1f %d %d\\n", shape->area(), typeid(*shape) == typeOf(*shape), typeid(*shape) == typeid(Circle));
        if (auto circle = dynamic_cast<Circle *>(shape.get())) { casts++; std::puts(circle->name()); }
        if (auto named = dynamic_cast<Named *>(shape.get())) { casts += 10; std::puts(named->name()); }
      }
      return casts;
    }
    """,
    """
    #include <memory>
    #include <typeinfo>
    struct Shape { virtual ~Shape() = default; virtual double area() const = 0; };
    struct Named { virtual const char *name() const { return "named"; } virtual ~Named() = default; };
    struct Circle : Shape, virtual Named { double r; Circle(double r) : r(r) {} double area() const override; const char *name() const override { return "circle"; } };
    struct Square : Shape { double area() const override { return 4; } };
    std::unique_ptr<Shape> make(int kind) { if (kind == 1) return std::make_unique<Circle>(2); return std::make_unique<Square>(); }
    const std::type_info &typeOf(const Shape &s) { return typeid(s); }
    """)

  static let cxxThreadLocal = cxx(
    "thread_local objects with constructors and destructors",
    """
    #include <cstdio>
    #include <string>
    #include <thread>
    struct Loud { std::string name; Loud(const char *n) : name(n) { std::printf("+%s\\n", n); } ~Loud() { std::printf("-%s\\n", name.c_str()); } };
    extern thread_local int plain; extern thread_local std::string text; int touch(); Loud &perThread();
    thread_local Loud mine("mine");
    int main() {
      plain++; text += " main"; mine.name += " of main";
      std::thread([] { std::printf("%d %s\\n", plain, text.c_str()); touch(); perThread().name += " of second"; mine.name += " of second"; }).join();
      std::printf("%d %s %d\\n", plain, text.c_str(), touch());
      perThread();
      return plain;
    }
    """,
    """
    #include <cstdio>
    #include <string>
    struct Loud { std::string name; Loud(const char *n) : name(n) { std::printf("+%s\\n", n); } ~Loud() { std::printf("-%s\\n", name.c_str()); } };
    thread_local int plain = 40; thread_local std::string text = "text";
    int touch() { static thread_local int count = 0; plain++; return ++count; }
    Loud &perThread() { thread_local Loud own("perThread"); return own; }
    """)

  static let library = cxx(
    "the standard library: containers, streams, functions, threads",
    """
    #include <algorithm>
    #include <functional>
    #include <iomanip>
    #include <iostream>
    #include <map>
    #include <mutex>
    #include <regex>
    #include <sstream>
    #include <thread>
    #include <vector>
    std::function<int(int)> adder(int); std::map<std::string, std::vector<int>> table();
    int main() {
      auto add = adder(5); std::vector<int> values{3, 1, 2}; std::sort(values.begin(), values.end(), std::greater<>());
      for (int v : values) std::cout << add(v) << ' ';
      for (auto &[key, list] : table()) std::cout << key << "=" << list.size() << ' ';
      std::ostringstream out; out << std::setw(8) << std::setfill('*') << std::hex << 48879 << std::fixed << std::setprecision(2) << ' ' << 3.14159;
      std::cout << out.str() << '\\n';
      std::mutex lock; int total = 0; std::vector<std::thread> threads;
      for (int i = 0; i < 4; i++) threads.emplace_back([&, i] { std::lock_guard guard(lock); total += i; });
      for (auto &thread : threads) thread.join();
      std::cout << std::regex_replace("hot reload", std::regex("o"), "0") << ' ' << total << std::endl;
      return total;
    }
    """,
    """
    #include <functional>
    #include <map>
    #include <string>
    #include <vector>
    std::function<int(int)> adder(int n) { return [n](int x) { return x + n; }; }
    std::map<std::string, std::vector<int>> table() { return {{"b", {1, 2}}, {"a", {1}}}; }
    """)

  /// `std::call_once` goes through thread-local variables of libstdc++ itself.
  static let tasks = cxx(
    "call_once, futures and tasks, which use the C++ library's own thread-local variables",
    """
    #include <future>
    #include <iostream>
    #include <mutex>
    #include <vector>
    int slowly(int);
    int main() {
      std::once_flag once; for (int i = 0; i < 3; i++) std::call_once(once, [] { std::cout << "once\\n"; });
      int total = 0; std::vector<std::future<int>> tasks;
      for (int i = 0; i < 4; i++) tasks.push_back(std::async(std::launch::async, slowly, i));
      for (auto &task : tasks) total += task.get();
      try { std::async(std::launch::async, slowly, -1).get(); }
      catch (const std::exception &e) { std::cout << e.what() << '\\n'; }
      return total;
    }
    """,
    """
    #include <stdexcept>
    int slowly(int x) { if (x < 0) throw std::runtime_error("in a task"); return x * 2; }
    """)

  static let swiftMain = TestProgram(
    name: "a Swift main through @_cdecl, with C beside it",
    sources: [
      Source(
        compiler: .swiftc,
        text: """
          protocol Shape { var area: Double { get } }
          struct Square: Shape { var side: Double; var area: Double { side * side } }
          final class Circle: Shape { var r: Double; init(_ r: Double) { self.r = r }
            var area: Double { r * r * 3 }; deinit { print("circle gone") } }
          enum Failure: Error { case odd(Int) }
          func halved(_ x: Int) throws -> Int { guard x % 2 == 0 else { throw Failure.odd(x) }; return x / 2 }
          func largest<T: Comparable>(_ values: [T]) -> T? { values.max() }
          @_silgen_name("from_c") func fromC(_ x: Int32) -> Int32
          let global: [String: Int] = ["one": 1, "two": 2]
          @_cdecl("called_by_c") public func calledByC(_ x: Int32) -> Int32 { x * 2 }
          @_cdecl("main") public func programMain(
            _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
          ) -> Int32 {
            do { let shapes: [any Shape] = [Square(side: 2), Circle(1)]
              print(shapes.map { $0.area }.reduce(0, +)) }
            do { print(try halved(4)); print(try halved(3)) } catch { print("caught \\(error)") }
            print(largest([3, 9, 2]) ?? 0, largest(["a", "c", "b"]) ?? "", global["two"] ?? 0)
            var words = Set("the quick the lazy".split(separator: " ").map(String.init)).sorted()
            words.append("\\(count) arguments")
            print(words.joined(separator: ", "))
            print((shapesByName["square"] as Any) is Square, fromC(20))
            return fromC(5)
          }
          nonisolated(unsafe) var shapesByName: [String: any Shape] = ["square": Square(side: 1)]
          """),
      Source(
        compiler: .gcc,
        text: "int called_by_c(int); int from_c(int x) { return called_by_c(x) + 1; }",
        flags: ["-fPIC"]),
    ], arguments: ["x", "y"])
}
