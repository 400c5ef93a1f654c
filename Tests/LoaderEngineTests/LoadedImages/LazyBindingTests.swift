// Functions that are bound when they are first called: nothing of the call may be lost on the way, whoever
// calls at the same time. psABI AMD64, “Procedure Linkage Table”; Intel SDM 1, chapter 13.
import Glibc
import LoaderEngine
import Synchronization
import SystemPackage
import TestFixtures
import Testing

@Suite("Lazy binding")
struct LazyBindingTests {
  static let lazy = {
    var options = ImageOptions()
    options.binding = .lazy
    return options
  }()

  /// Ways that linkers write a PLT.
  enum Style: String, CaseIterable, Sendable {
    case ld, ibt, lld, gold, ldWithoutRelro

    var flags: [String] {
      switch self {
      case .ld: ["-Wl,-z,lazy"]
      case .ibt: ["-Wl,-z,lazy", "-fcf-protection=full", "-Wl,-z,ibtplt"]
      case .lld: ["-Wl,-z,lazy", "-fuse-ld=lld"]
      case .gold: ["-Wl,-z,lazy", "-fuse-ld=gold"]
      case .ldWithoutRelro: ["-Wl,-z,lazy", "-Wl,-z,norelro"]
      }
    }
  }

  // MARK: what a call carries

  @Test("printf takes doubles, whose count is in al", arguments: Style.allCases, Origin.allCases)
  func variadic(style: Style, origin: Origin) throws {
    let image = try SharedObject(
      "variadic\(style)", flags: style.flags + ["-fno-builtin"],
      """
      #include <stdio.h>
      static char text[200];
      const char *run(void) {
        snprintf(text, sizeof text, "%g %g %d %g %g %s %g %g %g %g %g %d", 1.5, 2.5, 3, 4.5, 5.5, "x", 6.5,
          7.5, 8.5, 9.5, 10.5, 11);
        return text;
      }
      """
    ).load(origin, options: Self.lazy)
    #expect(try image.text("run") == "1.5 2.5 3 4.5 5.5 x 6.5 7.5 8.5 9.5 10.5 11")
  }

  static let wide = SharedObject(
    "wide",
    """
    typedef double v4 __attribute__((vector_size(32)));
    typedef double v8 __attribute__((vector_size(64)));
    typedef float v4f __attribute__((vector_size(16)));
    __attribute__((target("avx"))) v4 sum4(v4 a, v4 b, v4 c, v4 d, v4 e, v4 f, v4 g, v4 h) {
      return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8;
    }
    __attribute__((target("avx512f"))) v8 sum8(v8 a, v8 b, v8 c, v8 d, v8 e, v8 f, v8 g, v8 h) {
      return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8;
    }
    v4f sum2(v4f a, v4f b, v4f c, v4f d, v4f e, v4f f, v4f g, v4f h) {
      return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8;
    }
    long double extended(long double a, double b) { return a * b; }
    """)

  @Test("SSE, AVX and AVX-512 arguments arrive whole", arguments: Style.allCases)
  func vectors(style: Style) throws {
    let image = try SharedObject(
      "callswide\(style)", flags: style.flags, needs: [Self.wide],
      """
      typedef double v4 __attribute__((vector_size(32)));
      typedef double v8 __attribute__((vector_size(64)));
      typedef float v4f __attribute__((vector_size(16)));
      v4 sum4(v4, v4, v4, v4, v4, v4, v4, v4) __attribute__((target("avx")));
      v8 sum8(v8, v8, v8, v8, v8, v8, v8, v8) __attribute__((target("avx512f")));
      v4f sum2(v4f, v4f, v4f, v4f, v4f, v4f, v4f, v4f);
      long double extended(long double, double);
      #define ALL(call, T, n) \\
        T in[8], expected = {0}; \\
        for (int i = 0; i < 8; i++) for (int k = 0; k < n; k++) { \\
          in[i][k] = 10 * i + k + 1; expected[k] += (i + 1) * (10 * i + k + 1); } \\
        T out = call(in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]); \\
        for (int k = 0; k < n; k++) if (out[k] != expected[k]) return k + 1; \\
        return 0;
      __attribute__((target("avx"))) static long four(void) { ALL(sum4, v4, 4) }
      __attribute__((target("avx512f"))) static long eight(void) { ALL(sum8, v8, 8) }
      long run2(void) { ALL(sum2, v4f, 4) }
      long run4(void) { return __builtin_cpu_supports("avx") ? four() : 0; }
      long run8(void) { return __builtin_cpu_supports("avx512f") ? eight() : 0; }
      long run10(void) { return extended(3.0L, 4.0) == 12.0L ? 0 : 1; }
      """
    ).load(.memory, options: Self.lazy)
    for name in ["run2", "run4", "run8", "run10"] { #expect(try image.call(name) == 0, "\(name)") }
  }

  /// Writes down every register it is entered with.
  static let registers = SharedObject(
    "registers",
    """
    __asm__(".text; .globl record; .type record, @function; record:"
      "movq %rax, 0(%r15); movq %rcx, 8(%r15); movq %rdx, 16(%r15); movq %rsi, 24(%r15);"
      "movq %rdi, 32(%r15); movq %r8, 40(%r15); movq %r9, 48(%r15); movq %r10, 56(%r15);"
      "movq %rbx, 64(%r15); movq %rbp, 72(%r15); movq %r12, 80(%r15); movq %r13, 88(%r15);"
      "movq %r14, 96(%r15); movq %rsp, 104(%r15); stmxcsr 112(%r15); fnstcw 116(%r15);"
      "movdqu %xmm0, 128(%r15); movdqu %xmm7, 144(%r15); movdqu %xmm15, 160(%r15); ret;"
      ".size record, .-record");
    """)

  @Test(
    "Every register arrives: rax, r10 of nested functions, Swift's r12, r13, r14, and the modes")
  func allRegisters() throws {
    let image = try SharedObject(
      "enters", flags: ["-Wl,-z,lazy"], needs: [Self.registers],
      """
      __asm__(".text; .globl enter; .type enter, @function; enter:"
        "pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15;"
        "subq $24, %rsp; movq %rdi, %r15; stmxcsr (%rsp); movl $0x7f80, 4(%rsp); ldmxcsr 4(%rsp);"
        "fnstcw 8(%rsp); movw $0x0c7f, 12(%rsp); fldcw 12(%rsp);"
        "movl $0x11, %eax; movq %rax, %xmm0; movl $0x77, %eax; movq %rax, %xmm7;"
        "movl $0xff, %eax; movq %rax, %xmm15;"
        "movl $1001, %eax; movl $1002, %ecx; movl $1003, %edx; movl $1004, %esi; movl $1005, %edi;"
        "movl $1006, %r8d; movl $1007, %r9d; movl $1008, %r10d; movl $1009, %ebx; movl $1010, %ebp;"
        "movl $1011, %r12d; movl $1012, %r13d; movl $1013, %r14d; movq %rsp, 120(%r15);"
        "call record@PLT; fldcw 8(%rsp); ldmxcsr (%rsp); addq $24, %rsp;"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx; xorl %eax, %eax; ret;"
        ".size enter, .-enter");
      long enter(long *);
      static long seen[24];
      long run(void) {
        enter(seen);
        for (int i = 0; i < 13; i++) if (seen[i] != 1001 + i) return i + 1;
        if (seen[13] != seen[15] - 8) return 14;
        if ((seen[14] & 0xffffffff) != 0x7f80) return 15;
        if ((seen[14] >> 32 & 0xffff) != 0x0c7f) return 16;
        if (seen[16] != 0x11 || seen[18] != 0x77 || seen[20] != 0xff) return 17;
        return 0;
      }
      """
    ).load(.memory, options: Self.lazy)
    #expect(try image.call("run") == 0, "the first call, through the loader")
    #expect(try image.call("run") == 0, "the second, bound")
  }

  @Test("errno is what the caller left")
  func errnoKept() throws {
    // What happens on the way may well fail.
    var options = Self.lazy
    var observer = LinkObserver()
    observer.lazyCall = { _ in
      errno = EIO
      return nil
    }
    options.observer = observer
    let target = SharedObject("quiet", "long quiet(void) { return 5; }")
    let image = try SharedObject(
      "keeps", flags: ["-Wl,-z,lazy"], needs: [target],
      """
      #include <errno.h>
      long quiet(void);
      long run(void) { errno = 123; quiet(); return errno; }
      """
    ).load(.memory, options: options)
    #expect(try image.call("run") == 123)
  }

  @Test("An exception passes a call that has just been bound")
  func exceptions() throws {
    let thrower = SharedObject(
      "lazythrower", .gxx, "void thrower(long n) { if (n) throw n; }")
    let image = try SharedObject(
      "lazycatcher", .gxx, flags: ["-Wl,-z,lazy"], needs: [thrower],
      """
      void thrower(long n);
      extern "C" long run(long n, long) { try { thrower(n); } catch (long m) { return m; } return -1; }
      """
    ).load(.memory, options: Self.lazy)
    #expect(try image.call("run", 6) == 6)
  }

  // MARK: races

  static let slots = 2000
  static let manyFunctions = SharedObject(
    "manyfunctions", flags: ["-O0"],
    (0..<slots).map { "long f\($0)(long x) { return x + \($0); }" }.joined(separator: "\n"))
  static let manyCalls = SharedObject(
    "manycalls", flags: ["-O0", "-Wl,-z,lazy", "-Wl,-Bsymbolic"], needs: [manyFunctions],
    (0..<slots).map { "long f\($0)(long);" }.joined(separator: "\n")
      + (0..<8).map { part in
        "\nstatic long part\(part)(void) { long s = 0;\n"
          + (slots / 8 * part..<slots / 8 * (part + 1)).map { "s += f\($0)(1);" }
          .joined(separator: "\n") + "return s; }"
      }.joined()
        + """

        long run(long first) {
          static long (*const parts[])(void) = { part0, part1, part2, part3, part4, part5, part6, part7 };
          long sum = 0;
          for (long i = 0; i < 8; i++) sum += parts[(first + i) % 8]();
          return sum;
        }
        """)

  @Test("Eight threads race for 2,000 slots, a hundred times")
  func race() throws {
    let context = LinkContext()
    let functions = try Self.manyFunctions.load(.memory, in: context)
    let bytes = FileContents(try Self.manyCalls.bytes())
    let workers = (0..<8).map { _ in Worker() }
    defer { for worker in workers { worker.end() } }
    let expected = Self.slots + Self.slots * (Self.slots - 1) / 2
    let wrong = Atomic(0)
    for round in 0..<100 {
      let image = try context.loadLibrary(
        ImageSource(bytes, name: "race"), options: Self.lazy)
      let run: Symbol<Image.Function> = try image.symbol("run")
      let ready = Atomic(0)
      let running = workers.enumerated().map { number, worker in
        Worker.alongside(worker) {
          ready.add(1, ordering: .relaxed)
          while ready.load(ordering: .relaxed) < 8 { sched_yield() }
          // Half of them all start at the same slot.
          if run.value(number % 2 == 0 ? 0 : number, 0) != expected {
            wrong.add(1, ordering: .relaxed)
          }
        }
      }
      for run in running { run.wait() }
      #expect(run.value(round, 0) == expected, "round \(round)")
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    withExtendedLifetime(functions) {}
  }

  // MARK: what is bound, and when

  static let halfDefined = """
    long defined_nowhere(long);
    long __attribute__((weak)) also_nowhere(long);
    long run(long n) { return defined_nowhere(n); }
    long fine(void) { return 7; }
    long has_weak(void) { return also_nowhere != 0; }
    """

  @Test("An undefined function that nobody calls does no harm", arguments: Style.allCases)
  func notCalled(style: Style) throws {
    let image = try SharedObject("half\(style)", flags: style.flags, Self.halfDefined).load(
      .memory, options: Self.lazy)
    #expect(try image.call("fine") == 7)
    #expect(try image.call("has_weak") == 0)
  }

  final class Calls: Sendable {
    let names = Mutex<[String]>([])
  }

  @Test("When it is called, the host's handler may supply an address")
  func handler() throws {
    let calls = Calls()
    var observer = LinkObserver()
    observer.unresolvedCall = { event in
      calls.names.withLock { $0.append(event.symbol) }
      let instead: @convention(c) (Int) -> Int = { $0 * 3 }
      return Address(UInt64(UInt(bitPattern: unsafeBitCast(instead, to: Int.self))))
    }
    var options = Self.lazy
    options.observer = observer
    let image = try SharedObject("handled", flags: ["-Wl,-z,lazy"], Self.halfDefined).load(
      .memory, options: options)
    #expect(try image.call("run", 14) == 42)
    #expect(calls.names.withLock { $0 } == ["defined_nowhere"])
  }

  @Test("Without a handler the call is reported and returns zero: nothing ends by itself")
  func withoutHandler() async {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardErrorContent]
    ) {
      let image = try SharedObject(
        "unhandled", flags: ["-Wl,-z,lazy"], LazyBindingTests.halfDefined
      ).load(.memory, options: LazyBindingTests.lazy)
      #expect(try image.call("run", 14) == 0)
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("defined_nowhere"))
  }

  @Test(
    "An image that asks to be bound at once is", arguments: ["-Wl,-z,now", "-Wl,-z,now,-z,norelro"])
  func bindNow(flags: String) throws {
    let object = SharedObject(
      "eager", flags: flags.split(separator: " ").map(String.init), Self.halfDefined)
    let reason = LoadedImages.refusal { _ = try object.load(.memory, options: Self.lazy) }
    guard case .undefined(let symbols) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(symbols.map(\.name) == ["defined_nowhere"])
  }

  @Test("Each function is bound once, at its first call")
  func boundOnce() throws {
    let calls = Calls()
    var observer = LinkObserver()
    observer.lazyCall = { event in
      calls.names.withLock { $0.append(event.symbol) }
      return nil
    }
    var options = Self.lazy
    options.observer = observer
    let target = SharedObject("once1", "long one(void) { return 1; } long two(void) { return 2; }")
    let image = try SharedObject(
      "once2", flags: ["-Wl,-z,lazy"], needs: [target],
      "long one(void); long two(void); long a(void) { return one(); } long b(void) { return two(); }"
    ).load(.memory, options: options)
    #expect(calls.names.withLock { $0 } == [])
    #expect(try image.call("b") == 2)
    #expect(try image.call("b") == 2)
    #expect(calls.names.withLock { $0 } == ["two"])
    #expect(try image.call("a") == 1)
    #expect(calls.names.withLock { $0 } == ["two", "one"])
  }

  @Test("RELRO holds under lazy binding: all but the slots", arguments: Origin.allCases)
  func relro(origin: Origin) throws {
    let target = SharedObject("relro1", "long one(long x) { return x; }")
    let image = try SharedObject(
      "relro2", flags: ["-Wl,-z,lazy", "-Wl,-z,relro"], needs: [target],
      """
      long one(long);
      // Constant but for relocation; big enough for whole pages.
      static long (*const table[2000])(long) = { one, one };
      long (*const *constant(void))(long) { return table; }
      long variable = 5;
      long run(long n) { return one(n) + table[1](n) + variable++; }
      """
    ).load(origin, options: Self.lazy)
    let mapped = try #require(image.mapped)
    let sealed = mapped.headers.readOnlyAfterRelocation
    #expect(sealed.count >= 4 * 4096)
    let table = Address(UInt64(try image.call("constant")) + 8192)
    #expect(image.permissions(at: table).hasPrefix("r--"))
    // GNU ld seals the three reserved words of the table, too.
    let slots = mapped.provider.entries.pltGOT + 24
    #expect(image.permissions(at: mapped.address(slots)).hasPrefix("rw-"))
    #expect(try image.call("run", 10) == 25)
    #expect(try image.call("run", 10) == 26)
  }
}
