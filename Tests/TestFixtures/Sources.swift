// The sources that several suites break, link and reload.

package enum FixtureSource {
  /// C with data of every kind, a callback, a thread-local and an undefined function.
  package static let smallC = """
    static int counter;
    int tuned = 7;
    const char *greeting = "hello";
    static __thread int depth;
    extern int other(int);
    static int helper(int x) { return x + counter; }
    int tick(int n);
    int (*table[])(int) = { helper, tick };
    int tick(int n) {
      counter += n;
      depth++;
      return helper(n) + other(n) + tuned + table[0](n) + greeting[0];
    }
    """

  /// C++ with COMDAT groups, a vtable, typeinfo and a function-local static.
  package static let smallCXX = """
    struct Shape { virtual ~Shape() {} virtual int sides() const { return 0; } };
    template <typename T> struct Cell { static T value; };
    template <typename T> T Cell<T>::value = 3;
    inline int twice(int x) { static int calls; return 2 * x + ++calls; }
    struct Square : Shape { int sides() const override { return 4; } };
    int measure(const Shape &shape) { return shape.sides() + twice(Cell<int>::value); }
    int run() { Square square; return measure(square); }
    """

  /// C with thread-local variables by every model, an IFUNC, a large variable and a jump table.
  package static let threadLocal = """
    extern __thread int outside __attribute__((weak));
    static __thread long ticks; __thread int shared = 3;
    static __thread char buffer[40];
    __thread int early __attribute__((tls_model("initial-exec"))) = 9;
    static int one(void) { return 1; }
    static int (*choose(void))(void) { return one; }
    int chosen(void) __attribute__((ifunc("choose")));
    char huge[200000]; int values[4000] = { 1 };
    int step(int n) {
      switch (n) {
      case 0: return ++ticks; case 1: return shared++; case 2: return buffer[n + shared];
      case 3: return early; case 4: return chosen(); case 5: return huge[n] + values[n];
      case 6: return &outside ? outside : 0; default: return step(n - 7);
      }
    }
    """

  /// Swift with a class, a protocol, a generic function and global state.
  package static let smallSwift = """
    protocol Animal { func legs() -> Int }
    final class Dog: Animal { var age = 3; func legs() -> Int { 4 + age } }
    struct Bird: Animal { func legs() -> Int { 2 } }
    var total = 5
    func sum<S: Sequence>(_ animals: S) -> Int where S.Element == any Animal {
      animals.reduce(0) { $0 + $1.legs() }
    }
    @_cdecl("swift_tick") public func swiftTick() -> Int {
      let animals: [any Animal] = [Dog(), Bird()]
      total += sum(animals)
      return total
    }
    """
}
