// gdb and linked code: breakpoints by line and by name, set before the code exists, variables, frames and
// steps, as in a program that ld made.
import Foundation
import Testing

@Suite("gdb knows linked code", .serialized)
struct DebuggerTests {
  static let caller = """
    struct point { int x, y; };
    struct point origin = {3, 4};
    extern int scale(int factor, const struct point *where);
    static int calls;
    int main(int argc, char **argv) {
      calls = calls + argc;
      int got = scale(calls + 10, &origin);  // call
      return got - 36;  // back
    }
    """
  static let callee = """
    struct point { int x, y; };
    static int helper(int value) {
      return value + 2;
    }
    int scale(int factor, const struct point *where) {
      volatile int helped = helper(factor);
      int product = helped * where->x;  // product
      return product - 3;  // result
    }
    """

  struct Debug: CustomTestStringConvertible, Sendable {
    var compiler: Compiler
    var flags: [String]
    /// Arguments of objcopy for the objects.
    var pack: [String] = []
    var testDescription: String { ([compiler.program] + flags + pack).joined(separator: " ") }
    var isOptimised: Bool { flags.contains("-O2") }
  }

  /// Of every kind one; the others with HOTLINK_LONG_TESTS=1.
  static let builds =
    [
      Debug(compiler: .gcc, flags: ["-O0", "-gdwarf-5"]),
      Debug(compiler: .gcc, flags: ["-O2", "-g"]),
      Debug(compiler: .gcc, flags: ["-O0", "-g"], pack: ["--compress-debug-sections=zstd"]),
      Debug(compiler: .gcc, flags: ["-O0", "-g", "-gsplit-dwarf"]),
      Debug(compiler: .clang, flags: ["-O0", "-gdwarf-4"]),
      Debug(compiler: .clang, flags: ["-O2", "-gdwarf-5", "-gz"]),
    ]
    + (ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1" ? moreBuilds : [])

  private static let moreBuilds = [
    Debug(compiler: .gcc, flags: ["-O0", "-gdwarf-4"]),
    Debug(compiler: .gcc, flags: ["-O0", "-g3", "-ffunction-sections", "-fdata-sections"]),
    Debug(compiler: .gcc, flags: ["-O0", "-g", "-gz"]),
    Debug(compiler: .gcc, flags: ["-O0", "-g"], pack: ["--compress-debug-sections=zlib-gnu"]),
    Debug(compiler: .gcc, flags: ["-O0", "-g", "-fdebug-types-section", "-fPIC"]),
    Debug(compiler: .clang, flags: ["-O0", "-gdwarf-5", "-gz"]),
    Debug(compiler: .clang, flags: ["-O2", "-gdwarf-5"]),
  ]

  @Test("Breakpoints, variables, frames, steps", GdbTests.whenPermitted, arguments: builds)
  func program(_ debug: Debug) throws {
    let folder = try TemporaryFolder()
    var objects: [String] = []
    for (name, text) in [("caller", Self.caller), ("callee", Self.callee)] {
      let object = try debug.compiler.object(text, name, flags: debug.flags, in: folder)
      if !debug.pack.isEmpty { try Tool.output("objcopy", debug.pack + [object]) }
      objects.append(object)
    }
    let line = GdbSession.line("// product", in: Self.callee)
    let told = try GdbSession.start(
      ["run"] + objects,
      [
        "break callee.c:\(line)", "break caller.c:main", "run", "backtrace 1", "continue",
        "info args",
        "info locals", "print *where", "print origin.y", "print &origin == where", "backtrace",
        "finish", "info source", "kill",
      ], in: folder.root)
    #expect(told.contains("Breakpoint 2, main (argc="), "by name\n\(told)")
    #expect(told.contains("Breakpoint 1, scale ("), "by line\n\(told)")
    #expect(told.contains("callee.c:\(line)"), "\(told)")
    #expect(told.contains("factor = 11") || debug.isOptimised, "\(told)")
    #expect(told.contains("helped = 13"), "\(told)")
    #expect(told.contains("= {x = 3, y = 4}"), "\(told)")
    #expect(told.contains("= 4\n"), "a global variable\n\(told)")
    #expect(told.contains("= 1\n"), "its address\n\(told)")
    #expect(told.contains(" main (argc="), "the frame of the other unit\n\(told)")
    #expect(told.contains("hl_call_main"), "frames of the host\n\(told)")
    #expect(told.contains("caller.c:"), "\(told)")
    #expect(told.contains("Value returned is $"), "\(told)")
    #expect(told.contains("= 36\n"), "\(told)")
  }

  @Test("A step goes through the stub, next over it", GdbTests.whenPermitted)
  func steps() throws {
    let folder = try TemporaryFolder()
    let objects = try [("caller", Self.caller), ("callee", Self.callee)].map { name, text in
      try Compiler.gcc.object(text, name, flags: ["-g", "-O0"], in: folder)
    }
    let call = GdbSession.line("// call", in: Self.caller)
    let told = try GdbSession.start(
      ["run"] + objects,
      [
        "break caller.c:\(call)", "run", "step", "step", "backtrace 3", "finish", "next", "finish",
        "run", "next", "info line", "print got", "kill",
      ], in: folder.root)
    #expect(told.contains("scale (factor=11, where=0x"), "into another unit\n\(told)")
    #expect(told.contains("\nhelper (value=11) at "), "and a static function\n\(told)")
    #expect(told.contains("#1  0x") && told.contains(" in scale (factor=11"), "\(told)")
    let back = GdbSession.line("// back", in: Self.caller)
    #expect(told.contains("\n\(back)\t  return got - 36;"), "over the call\n\(told)")
    #expect(told.contains("= 36\n"), "\(told)")
  }

  @Test(
    "C++: methods, templates, objects, exceptions", GdbTests.whenPermitted,
    arguments: [
      Debug(compiler: .gxx, flags: ["-O0", "-g"]),
      Debug(compiler: .gxx, flags: ["-O0", "-gdwarf-4", "-fdebug-types-section"]),
      Debug(compiler: .clangxx, flags: ["-O0", "-g", "-std=c++17"]),
    ])
  func cxx(_ debug: Debug) throws {
    let shapes = """
      #include <stdexcept>
      #include <vector>
      struct Shape { int sides; virtual int area(int scale) const; virtual ~Shape() {} };
      template <class T> T twice(T value) {
        T result = value + value;
        return result;  // template
      }
      int Shape::area(int scale) const {
        std::vector<int> all(sides, scale);
        int sum = 0;
        for (int one : all) sum += one;
        if (sum > 20) throw std::runtime_error("too large");  // throw
        return twice(sum);
      }
      """
    let main = """
      #include <stdexcept>
      template <class T> T twice(T value) {
        T result = value + value;
        return result;  // template
      }
      struct Shape { int sides; virtual int area(int scale) const; virtual ~Shape() {} };
      int main() {
        Shape square; square.sides = 4;
        int got = square.area(twice(2));
        try { square.area(100); } catch (const std::runtime_error &error) { return got - 32; }
        return 1;
      }
      """
    let folder = try TemporaryFolder()
    let objects = [
      try debug.compiler.object(main, "main", flags: debug.flags, in: folder),
      try debug.compiler.object(shapes, "shapes", flags: debug.flags, in: folder),
    ]
    let told = try GdbSession.start(
      ["run", "-lstdc++"] + objects,
      [
        "break Shape::area", "break shapes.cpp:\(GdbSession.line("// throw", in: shapes))",
        "catch throw", "run", "print *this", "continue", "print sum", "info locals", "delete 1 2",
        "continue", "backtrace", "kill",
      ], in: folder.root)
    #expect(told.contains("Breakpoint 1, Shape::area (this=0x"), "\(told)")
    #expect(told.contains("sides = 4"), "\(told)")
    #expect(told.contains("= 16\n"), "\(told)")
    #expect(told.contains("exception thrown"), "\(told)")
    #expect(told.contains(" in Shape::area (this=0x") && told.contains("scale=100"), "\(told)")
    #expect(told.contains(" main () at ") && told.contains("main.cpp:"), "\(told)")
  }

  @Test("Units without debug data have their names", GdbTests.whenPermitted)
  func names() throws {
    let folder = try TemporaryFolder()
    let objects = try [("caller", Self.caller), ("callee", Self.callee)].map { name, text in
      try Compiler.gcc.object(text, name, flags: ["-O2"], in: folder)
    }
    let told = try GdbSession.start(
      ["run"] + objects,
      ["break scale", "run", "backtrace", "info symbol scale", "kill"], in: folder.root)
    #expect(told.contains("Breakpoint 1") && told.contains(" in scale ()"), "\(told)")
    #expect(told.contains(" in main ()") && told.contains("hl_call_main"), "\(told)")
  }

  @Test("--debug says when", GdbTests.whenPermitted, arguments: ["off", "lazy", "on"])
  func modes(_ mode: String) throws {
    let game = try WatchHarness(
      ["game.c": "int frames;\nvoid tick(void) {\n  frames++;\n}\n"],
      Toolchain.gcc.with("-g"), arguments: ["--debug", mode])
    let told = try GdbSession.attach(
      game.pid,
      [
        "maint info jit", "echo attached\\n", "tbreak game.c:3",
        // Looking for a debugger takes a fifth of a second at most; here it has a thousand frames.
        mode == "off" ? "echo never\\n" : "continue", "maint info jit",
      ], in: game.directory)
    let entries = told.components(separatedBy: "attached\n").map(GdbSession.images)
    #expect(entries.count == 2)
    #expect((entries[0] > 0) == (mode == "on"), "\(told)")
    #expect((entries[1] > 0) == (mode != "off"), "\(told)")
    if mode != "off" { #expect(told.contains("tick () at game.c:3"), "\(told)") }
    try game.stop()
  }

  @Test("Another JIT's list is used, so that a process has one")
  func oneList() throws {
    let folder = try TemporaryFolder()
    let library = try folder.write(
      """
      struct list { unsigned version, action; void *relevant, *first; };
      struct list __jit_debug_descriptor = {1, 0, 0, 0};
      void __jit_debug_register_code(void) {}
      """, to: "other.c")
    try Tool.output("gcc", ["-shared", "-fPIC", library, "-o", folder.path("other.so")])
    let object = try Compiler.gcc.object(
      """
      extern struct list { unsigned version, action; void *relevant, *first; } __jit_debug_descriptor;
      int main(void) { return __jit_debug_descriptor.first ? 7 : 3; }
      """, flags: ["-fPIC", "-g"], in: folder)
    for (mode, code) in [("on", 7), ("off", 3)] as [(String, Int32)] {
      let outcome = try Tool.hotlink(
        ["run", "--debug", mode, object], environment: ["LD_PRELOAD": folder.path("other.so")])
      #expect(outcome.end == .exited(code), "\(mode): \(outcome.stderr)")
    }
  }

  @Test("Damaged debug data is left out by name; the program runs")
  func damaged() throws {
    let folder = try TemporaryFolder()
    let object = try Compiler.gcc.object(
      Self.callee + "\nint main(void) { return 5; }\n", flags: ["-g", "-gz"], in: folder)
    // The packed bytes of .debug_info, behind its header of 24 bytes.
    let headers = try Tool.output("readelf", ["-SW", object])
    let row = try #require(
      headers.split(separator: "\n").first { $0.contains(" .debug_info ") && $0.contains(" C ") })
    let columns = row.split(separator: " ")
    let address = try #require(columns.firstIndex { $0.count == 16 })
    let offset = try #require(Int(columns[address + 1], radix: 16))
    var bytes = folder.bytes("unit.o")
    for index in 26..<34 { bytes[offset + index] ^= 0xA5 }
    try folder.write(bytes, to: "damaged.o")
    let outcome = try Tool.hotlink(["run", "--debug", "on", folder.path("damaged.o")])
    #expect(outcome.end == .exited(5))
    #expect(
      outcome.stderr.contains(
        "warning: debug data left out: malformed compressed section '.debug_info'"),
      "\(outcome.stderr)")
    #expect(outcome.stderr.contains("damaged.o"))
  }
}
