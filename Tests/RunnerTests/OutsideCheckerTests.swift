// The promise of `hotlink check --json --bytes`: a checker that has only the objects and this output can compute
// every relocation again. Here it does so, over what compilers make at many flags.
import Foundation
import Testing

@Suite struct OutsideCheckerTests {
  static let c = """
    extern int shared, table_size; extern int far_away(int); extern const char *name(int);
    static int local = 3; int zeros[40]; static int hidden_zeros[8];
    __thread int depth = 5; static __thread long ticks; extern __thread int elsewhere;
    static int helper(int x) { return x * local + hidden_zeros[x & 7]; }
    int (*const table[])(int) = { helper, far_away };
    int *pointer = &shared, *inside = &zeros[7]; char *volatile text = "a string";
    double scale(double x) { return x * 2.75 + 0.5; }
    int choose(int n) {
      switch (n) {
      case 0: return helper(shared); case 1: return far_away(depth); case 2: return ++ticks;
      case 3: return elsewhere; case 4: return *pointer + zeros[3]; case 5: return name(n)[0];
      case 6: return table[shared & 1](n); default: return table_size;
      }
    }
    """
  static let d = """
    int shared = 4, table_size __attribute__((weak)) = 2; __thread int elsewhere;
    extern int choose(int); extern void never(void) __attribute__((weak));
    int far_away(int x) { if (never) never(); return x > 40 ? x : choose(x) + 1; }
    const char *name(int n) { static const char *const names[] = { "one", "two", "a string" };
      return names[n % 3]; }
    """
  static let cxx = """
    #include <cstddef>
    struct Shape { virtual ~Shape() {} virtual int sides() const { return 0; } };
    template <typename T> struct Cell { static T value; }; template <typename T> T Cell<T>::value = 3;
    inline int twice(int x) { static int calls; return 2 * x + ++calls; }
    struct Square : Shape { int sides() const override { if (Cell<int>::value > 9) throw 7; return 4; } };
    thread_local int uses = 2;
    int measure(const Shape &shape) { try { return shape.sides() + twice(uses); } catch (int e) { return e; } }
    int run() { Square square; return measure(square); }
    """

  struct Build: Sendable, CustomTestStringConvertible {
    var compiler: Compiler
    var flags: [String]
    var testDescription: String { ([compiler.program] + flags).joined(separator: " ") }
  }

  static let builds: [Build] =
    [
      ["-O0"], ["-O2", "-fPIC"], ["-O2", "-fPIC", "-fno-plt"], ["-O1", "-mcmodel=medium"],
      ["-O1", "-mcmodel=large"], ["-O2", "-fno-pic", "-ffunction-sections", "-fdata-sections"],
    ].flatMap { flags in
      [Compiler.gcc, .clang].map { Build(compiler: $0, flags: flags) }
    } + [
      Build(compiler: .gcc, flags: ["-O1", "-mcmodel=large", "-fPIC"]),
      Build(compiler: .gcc, flags: ["-O2", "-fPIC", "-mtls-dialect=gnu2"]),
      Build(compiler: .clang, flags: ["-O2", "-fPIC", "-Wa,--crel,--allow-experimental-crel"]),
      Build(compiler: .gxx, flags: ["-O0", "-fPIC"]),
      Build(compiler: .gxx, flags: ["-O2", "-fPIC"]),
      Build(compiler: .clangxx, flags: ["-O2", "-ffunction-sections", "-g"]),
    ]

  static func objects(_ build: Build, in folder: TemporaryFolder) throws -> [String] {
    if build.compiler.suffix == "cpp" {
      return [try build.compiler.object(cxx, "shapes", flags: build.flags, in: folder)]
    }
    return [
      try build.compiler.object(c, "first", flags: build.flags, in: folder),
      try build.compiler.object(d, "second", flags: build.flags, in: folder),
    ]
  }

  /// In every way of binding and laying out.
  static let manners = [
    ["--base", "0x20000000", "--direct"], ["--base", "0x20000000"],
    ["--base", "0x20000000", "--direct", "--no-relax"], ["--base", "0x20000000", "--merge"], [],
  ]

  private func checks(_ files: [String], _ options: [String], atLeast: Int) throws {
    let link = try CheckedLink(of: files, options)
    var checker = OutsideChecker(link)
    for file in files { try checker.check(file) }
    #expect(checker.faults.isEmpty, "\(options): \(checker.faults.prefix(5))")
    let count = checker.proven.values.reduce(0, +)
    #expect(count >= atLeast, "\(options): only \(count)")
    if options.contains("--no-relax") { #expect(checker.rewritten == 0) }
    if options.contains("--direct"), !options.contains("--no-relax") {
      #expect(checker.rewritten == link.relaxed.count { files.contains($0.image) })
    }
  }

  @Test(arguments: builds)
  func everyRelocationCanBeComputedAgain(_ build: Build) throws {
    let folder = try TemporaryFolder()
    let files = try OutsideCheckerTests.objects(build, in: folder)
    for options in OutsideCheckerTests.manners {
      // Code that knows its addresses to be low can lie nowhere else.
      if options.isEmpty,
        build.flags.contains("-fno-pic") || build.flags.contains("-mcmodel=medium")
      {
        continue
      }
      try checks(files, options, atLeast: 25)
    }
  }

  @Test(arguments: [["-Onone"], ["-O"]])
  func ofSwift(_ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let source = """
      protocol Animal { func legs() -> Int }
      final class Dog: Animal { var age = 3; func legs() -> Int { 4 + age } }
      struct Bird: Animal { func legs() -> Int { 2 } }
      var total = 5
      func sum<S: Sequence>(_ animals: S) -> Int where S.Element == any Animal {
        animals.reduce(0) { $0 + $1.legs() }
      }
      public func tick() -> Int { total += sum([Dog(), Bird()] as [any Animal]); return total }
      """
    let file = try Compiler.swiftc.object(source, flags: flags, in: folder)
    try checks([file], ["--base", "0x7f0000000000", "--direct"], atLeast: 60)
    try checks([file], [], atLeast: 60)
  }

  @Test func ofRust() throws {
    // Not every machine has it; where `rustc` runs, it is one more compiler.
    guard Tool.exists("rustc"), try Tool.run("rustc", ["--version"]).code == 0 else { return }
    let folder = try TemporaryFolder()
    try folder.write(
      """
      #![crate_type = "lib"]
      #[no_mangle] pub extern "C" fn total(n: usize) -> u64 {
        let v: Vec<String> = (0..n).map(|i| format!("{i} sheep")).collect();
        v.iter().map(|s| s.len() as u64).sum()
      }
      """, to: "unit.rs")
    let outcome = try Tool.run(
      "rustc",
      [
        "--emit=obj", "-O", "-C", "panic=abort", folder.path("unit.rs"), "-o",
        folder.path("unit.o"),
      ])
    guard outcome.code == 0 else { return }
    let file = folder.path("unit.o")
    let link = try CheckedLink(
      of: [file], ["--base", "0x7f0000000000", "--direct", "--allow-undefined"])
    var checker = OutsideChecker(link)
    try checker.check(file)
    #expect(checker.faults.isEmpty, "\(checker.faults.prefix(5))")
    #expect(checker.proven.values.reduce(0, +) > 5)
  }

  /// The checker itself: a link in which one byte is another is found out.
  @Test func aWrongByteIsFound() throws {
    let folder = try TemporaryFolder()
    let files = try OutsideCheckerTests.objects(
      Build(compiler: .gcc, flags: ["-O1", "-fPIC"]), in: folder)
    let link = try CheckedLink(of: files, ["--base", "0x400000", "--direct"])
    let object = try ElfBytes(files[0])
    var tried = 0
    for relocation in object.relocations where object.sections[relocation.section].name == ".text" {
      var broken = link
      guard
        let index = link.sections.firstIndex(where: { $0.image == files[0] && $0.name == ".text" }),
        ElfBytes.width(relocation.type) > 0
      else { continue }
      var bytes = link.sections[index].contents
      bytes[Int(relocation.offset) + 1] ^= 0x10
      broken.sections[index].bytes = bytes.map {
        String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)
      }
      .joined()
      var checker = OutsideChecker(broken)
      try checker.check(files[0])
      #expect(!checker.faults.isEmpty, "\(relocation)")
      tried += 1
    }
    #expect(tried > 8)
  }
}
