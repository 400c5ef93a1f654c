// What a link costs a process that has linked before: no system call (FEATURES B4). A filter ends the process at the
// first one.
import Glibc
import LoaderEngine
import TestFixtures
import Testing

@Suite("A warm link", .serialized)
struct WarmLinkTests {
  /// Twenty functions that call each other, the process and earlier links; variables of all kinds, strings, a table of
  /// addresses: an object of 10 KB.
  static func source(_ number: Int) -> String {
    func step(_ index: Int) -> String { "step_\(number)_\(index % 20)" }
    let functions = (0..<20).map { index in
      """
      static int seen_\(index);
      long \(step(index))(long n) {
        seen_\(index)++;
        total_\(number)[n & 7] += seen_\(index) + \(number);
        if (n > \(index)) note = names[n & 1];
        return n < 1 ? (long)strlen(note) + base : \(step(index + 1))(n - 1) + \(step(index + 7))(n / 2);
      }
      """
    }
    let declarations = (0..<20).map { "long \(step($0))(long);" }.joined(separator: "\n")
    let table = (0..<20).map(step).joined(separator: ", ")
    return """
      #include <string.h>
      extern long base;
      \(declarations)
      long total_\(number)[8] = {\(number)};
      static const char *note = "unit \(number)";
      static const char *const names[2] = {"first name of \(number)", "second name of \(number)"};
      \(functions.joined(separator: "\n"))
      static long (*const steps[])(long) = {\(table)};
      long run_\(number)(long n) { return steps[n % 20](n) * 0 + \(number); }

      """
  }

  private static func objects(_ numbers: Range<Int>) throws -> [[UInt8]] {
    try numbers.map { try Array(Compiled.object(.gcc, source($0), flags: ["-O2", "-fPIC"])) }
  }

  /// A context that has linked, replaced and removed before, and an allocator that has memory.
  private static func warmContext(_ objects: [[UInt8]]) throws -> LinkContext {
    // glibc's malloc.h: M_TOP_PAD, M_MMAP_THRESHOLD and, so that there is one heap, M_ARENA_MAX.
    typealias Option = @convention(c) (Int32, Int32) -> Int32
    let set = unsafeBitCast(try #require(dlsym(nil, "mallopt")), to: Option.self)
    for (option, value) in [(-2, 64 << 20), (-3, 1 << 30), (-8, 1)] as [(Int32, Int32)] {
      _ = set(option, value)
    }
    let context = LinkContext()
    try context.link("long base = 5;")
    for _ in 0..<3 {
      var linked = try context.link([ObjectSource(objects[0], name: "unit.o")])
      for bytes in objects {
        linked = try context.link([ObjectSource(bytes, name: "unit.o")], replacing: linked)
      }
      linked.remove()
    }
    free(malloc(1 << 20))
    return context
  }

  @Test("A link, its first call and its removal make no system call")
  func noSystemCall() async {
    await #expect(processExitsWith: .success) {
      let objects = try WarmLinkTests.objects(0..<2)
      guard (9_000...16_000).contains(objects[0].count) else { _exit(3) }
      let context = try WarmLinkTests.warmContext(objects)
      // Other threads that run may be at rewritten code: they are told, which is the one call there may be.
      let allowed = [SystemCallFilter.membarrier]
      guard SystemCallFilter.only(allowed).install() else { _exit(1) }
      for round in 0..<300 {
        let linked = try context.link([ObjectSource(objects[round % 2], name: "unit.o")])
        guard try linked.call("run_\(round % 2)", 3) == round % 2 else { _exit(2) }
        linked.remove()
      }
      _exit(0)
    }
  }

  @Test("A link into memory that no code has run in makes none at all, whatever threads there are")
  func fresh() async {
    await #expect(processExitsWith: .success) {
      let objects = try WarmLinkTests.objects(0..<12)
      let context = try WarmLinkTests.warmContext(Array(objects[..<3]))
      var kept: [LinkedObjects] = []
      kept.reserveCapacity(16)
      // All memory that was given back is in use again.
      for bytes in objects[..<4] {
        kept.append(try context.link([ObjectSource(bytes, name: "unit.o")]))
      }
      guard SystemCallFilter.only([]).install() else { _exit(1) }
      for number in 4..<12 {
        let linked = try context.link([ObjectSource(objects[number], name: "unit.o")])
        guard try linked.call("run_\(number)", 3) == number else { _exit(2) }
        kept.append(linked)
      }
      _exit(0)
    }
  }

  @Test("A context's first link does make system calls: the filter would tell")
  func filterWorks() async {
    await #expect(processExitsWith: .signal(SIGSYS)) {
      let objects = try WarmLinkTests.objects(0..<1)
      let source = try ObjectSource(objects[0], name: "unit.o")
      guard SystemCallFilter.only([SystemCallFilter.membarrier]).install() else { _exit(1) }
      _ = try LinkContext().link([source])
      _exit(0)
    }
  }
}
