// Calls of functions that no unit defines: they end up in the host's handler, with everything the caller
// passed still in its registers. psABI AMD64, 3.2.3.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Undefined calls", .serialized)
struct LazyCallTests {
  /// A session whose undefined functions are found in a second one, so that both sides are C.
  final class Pair: Sendable {
    let caller: Session
    let callee: Session

    init(_ caller: String, _ callee: String, flags: [String]) throws {
      let inner = try Session()
      try inner.add(c: callee, name: "callee.o", flags: flags)
      try inner.start()
      self.callee = inner
      self.caller = try Session()
      try self.caller.add(c: caller, name: "caller.o", flags: flags)
      self.caller.onUndefinedCall { name in
        errno = 999  // what a handler does with it must not be seen
        LazyCallTests.disturb()
        return try? inner.address(of: name)
      }
      try self.caller.start()
    }

    func run() throws -> Int32 { try caller.call("run") }
  }

  /// Vector and integer work, so that registers that were not saved show it.
  @inline(never)
  static func disturb() {
    var numbers = (0..<64).map { Double($0) * 1.5 }
    for index in numbers.indices.dropFirst() { numbers[index] += numbers[index - 1].squareRoot() }
    withExtendedLifetime("\(numbers.reduce(0, +)) \(ProcessInfo.processInfo.processIdentifier)") {}
  }

  @Test("A varargs call keeps its doubles and their count")
  func varargs() throws {
    let pair = try Pair(
      """
      int format(char *out, const char *pattern, ...);
      int strcmp(const char *, const char *);
      int run(void) {
        char out[200];
        format(out, "%.1f %.2f %d %.1f %s %.1f %.1f %.1f %.1f", 1.5, 2.25, 3, 4.5, "five", 6.5, 7.5, 8.5, 9.5);
        return strcmp(out, "1.5 2.25 3 4.5 five 6.5 7.5 8.5 9.5");
      }
      """,
      """
      #include <stdarg.h>
      #include <stdio.h>
      int format(char *out, const char *pattern, ...) {
        va_list list; va_start(list, pattern);
        int n = vsnprintf(out, 200, pattern, list);
        va_end(list); return n;
      }
      """, flags: ["-O1"])
    #expect(try pair.run() == 0)
    #expect(try pair.run() == 0)
  }

  @Test("Eight doubles, six integers and more on the stack arrive", arguments: ["-O0", "-O2"])
  func arguments(_ level: String) throws {
    let pair = try Pair(
      """
      int many(double, double, double, double, double, double, double, double,
               long, long, long, long, long, long, long, double, float);
      int run(void) {
        return many(1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18.5, 19.5f);
      }
      """,
      """
      int many(double a, double b, double c, double d, double e, double f, double g, double h,
               long i, long j, long k, long l, long m, long n, long o, double p, float q) {
        return a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8
          && i == 11 && j == 12 && k == 13 && l == 14 && m == 15 && n == 16 && o == 17
          && p == 18.5 && q == 19.5f;
      }
      """, flags: [level])
    #expect(try pair.run() == 1)
  }

  static let hasAVX: Bool =
    (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
    .contains(" avx ") ?? false
  static let hasAVX512: Bool =
    (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
    .contains(" avx512f ") ?? false

  static func vectorSources(_ bits: Int) -> (String, String) {
    let lanes = bits / 64
    let type = "typedef double V __attribute__((vector_size(\(bits / 8))));"
    return (
      """
      \(type)
      int vectors(V, V, V, V, V, V, V, V);
      static V fill(double x) { V v; for (int i = 0; i < \(lanes); i++) v[i] = x + i; return v; }
      int run(void) {
        return vectors(fill(10), fill(20), fill(30), fill(40), fill(50), fill(60), fill(70), fill(80));
      }
      """,
      """
      \(type)
      static int is(V v, double x) {
        for (int i = 0; i < \(lanes); i++) if (v[i] != x + i) return 0;
        return 1;
      }
      int vectors(V a, V b, V c, V d, V e, V f, V g, V h) {
        return is(a, 10) && is(b, 20) && is(c, 30) && is(d, 40) && is(e, 50) && is(f, 60)
          && is(g, 70) && is(h, 80);
      }
      """
    )
  }

  @Test("256-bit vectors arrive with their upper halves", .enabled(if: hasAVX))
  func wideVectors() throws {
    let (caller, callee) = LazyCallTests.vectorSources(256)
    #expect(try Pair(caller, callee, flags: ["-O1", "-mavx"]).run() == 1)
  }

  @Test("512-bit vectors arrive whole", .enabled(if: hasAVX512))
  func widestVectors() throws {
    let (caller, callee) = LazyCallTests.vectorSources(512)
    #expect(try Pair(caller, callee, flags: ["-O1", "-mavx512f"]).run() == 1)
  }

  @Test("errno, the static chain, callee-saved registers and the rounding mode are as before")
  func otherState() throws {
    let pair = try Pair(
      """
      #include <errno.h>
      int later(void);
      int run(void) {
        errno = 42;
        unsigned long out_rbx, out_r12, out_r13, out_r14, out_r15, rax_in;
        unsigned mode = 0x5f80, mode_after, mode_before;
        __asm__ volatile("stmxcsr %0" : "=m"(mode_before));
        __asm__ volatile(
          "ldmxcsr %6\\n\\t"
          "mov $0x1111, %%rbx\\n\\tmov $0x2222, %%r12\\n\\tmov $0x3333, %%r13\\n\\t"
          "mov $0x4444, %%r14\\n\\tmov $0x5555, %%r15\\n\\tmov $0x6666, %%r10\\n\\tmov $0x77, %%eax\\n\\t"
          "sub $256, %%rsp\\n\\tmov %%rsp, %%rdx\\n\\tand $-64, %%rsp\\n\\tpush %%rdx\\n\\tpush %%rdx\\n\\t"
          "call later@PLT\\n\\t"
          "pop %%rdx\\n\\tpop %%rdx\\n\\tmov %%rdx, %%rsp\\n\\tadd $256, %%rsp\\n\\t"
          "stmxcsr %5\\n\\t"
          "mov %%rbx, %0\\n\\tmov %%r12, %1\\n\\tmov %%r13, %2\\n\\tmov %%r14, %3\\n\\tmov %%r15, %4\\n\\t"
          : "=m"(out_rbx), "=m"(out_r12), "=m"(out_r13), "=m"(out_r14), "=m"(out_r15), "=m"(mode_after)
          : "m"(mode)
          : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
            "r15", "memory", "cc");
        __asm__ volatile("" : "=a"(rax_in));
        __asm__ volatile("ldmxcsr %0" : : "m"(mode_before));
        if (errno != 42) return 1;
        if (out_rbx != 0x1111 || out_r12 != 0x2222 || out_r13 != 0x3333) return 2;
        if (out_r14 != 0x4444 || out_r15 != 0x5555) return 3;
        if ((mode_after & 0x7fc0) != (mode & 0x7fc0)) return 4;
        extern unsigned long seen_r10(void), seen_rax(void);
        return seen_r10() == 0x6666 ? seen_rax() == 0x77 ? 0 : 6 : 5;
      }
      """,
      """
      volatile unsigned long saved_r10, saved_rax;
      __attribute__((naked)) int later(void) {
        __asm__("mov %r10, saved_r10(%rip)\\n\\tmov %rax, saved_rax(%rip)\\n\\txor %eax, %eax\\n\\tret");
      }
      unsigned long seen_r10(void) { return saved_r10; }
      unsigned long seen_rax(void) { return saved_rax; }
      """, flags: ["-O1"])
    #expect(try pair.run() == 0)
  }

  @Test("A function that a later unit defines is called without the handler")
  func definedLater() throws {
    let session = try Session(["a.o": "int later(void); int f(void) { return later(); }"])
    let stub: IntFunction = { 5 }
    let address = Address(UInt64(UInt(bitPattern: unsafeBitCast(stub, to: UnsafeRawPointer.self))))
    session.onUndefinedCall { _ in address }
    try session.start()
    #expect(try session.call("f") == 5 && session.call("f") == 5)
    try session.add(c: "int later(void) { return 6; }", name: "b.o")
    #expect(session.takeNew())
    #expect(try session.call("f") == 6)
    session.remove("b.o")
    #expect(session.takeNew())
    #expect(try session.call("f") == 5, "gone again: the handler answers")
  }

  @Test("Many threads may make the same first call")
  func threads() throws {
    let pair = try Pair(
      """
      #include <pthread.h>
      int later(int);
      static void *body(void *argument) { return (void *)(long)later((int)(long)argument); }
      int run(void) {
        pthread_t threads[16]; long sum = 0;
        for (long i = 0; i < 16; i++) pthread_create(&threads[i], 0, body, (void *)i);
        for (int i = 0; i < 16; i++) { void *result; pthread_join(threads[i], &result); sum += (long)result; }
        return (int)sum;
      }
      """, "int later(int n) { return n * 2; }", flags: ["-O1"])
    #expect(try pair.run() == 240)
  }

  @Test(
    "Without a handler, or when it has no answer, the process ends and names the function",
    arguments: [false, true])
  func noHandler(hasHandler: Bool) async throws {
    let result = await #expect(
      processExitsWith: .signal(SIGABRT), observing: [\.standardErrorContent]
    ) { [hasHandler = hasHandler as Bool] in
      let session = try Session([
        "a.o": "int nobody_has_this(void); int f(void) { return nobody_has_this(); }"
      ])
      if hasHandler { session.onUndefinedCall { _ in nil } }
      try session.start()
      _ = try session.call("f")
    }
    let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(said.contains("nobody_has_this"), "\(said)")
  }

  @Test("A weak function that nobody defines is null, and null in the pointer")
  func weak() throws {
    let session = try Session([
      "a.o": """
      __attribute__((weak)) int maybe(void);
      int (*pointer)(void) = maybe;
      int f(void) { return maybe ? maybe() : pointer == 0 ? 7 : 8; }
      """
    ])
    try session.start()
    #expect(try session.call("f") == 7)
    try session.add(c: "int maybe(void) { return 9; }", name: "b.o")
    #expect(session.takeNew())
    #expect(try session.call("f") == 9)
  }
}
