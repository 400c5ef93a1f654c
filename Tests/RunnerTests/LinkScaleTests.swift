// Sizes: chains of calls through thousands of objects, half a gigabyte of zeroes, thread-local variables of thousands
// of objects. A tenth of it by default, all with HOTLINK_LONG_TESTS=1.
import Foundation
import Testing

@Suite struct LinkScaleTests {
  static let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"
  static let share = isLong ? 1 : 10

  /// No recursion over objects, and mappings by the chunk of memory, not by the object.
  @Test func chainThroughManyObjects() throws {
    let count = 10_000 / Self.share
    let folder = try TemporaryFolder()
    let chain = try GeneratedObjects.make(
      count,
      of: "int chain_MMMMM(int x); int chain_NNNNN(int x) { return chain_MMMMM(x + 1) + 1; }",
      flags: ["-O1"], "chain", in: folder)
    let last = String(100_000 + count).dropFirst()
    let main = try Compiler.gcc.object(
      """
      #include <stdio.h>
      int chain_00000(int);
      static int mappings(void) {
        int lines = 0, c; FILE *maps = fopen("/proc/self/maps", "r");
        while ((c = fgetc(maps)) != EOF) lines += c == '\\n';
        fclose(maps); return lines;
      }
      int chain_\(last)(int x) { return x; }
      int main(void) { printf("%d %d\\n", chain_00000(0), mappings()); return 0; }
      """, "main", in: folder)
    let one = try Tool.hotlink(
      ["run", main]
        + [
          Compiler.gcc.object(
            "int chain_\(last)(int); int chain_00000(int x) { return chain_\(last)(x) ; }", "one",
            in: folder)
        ])
    let all = try Tool.hotlink(["run", main] + chain, timeout: 300)
    #expect(all.end == .exited(0), "\(all.stderr)")
    let numbers = all.stdout.split { !$0.isNumber }.compactMap { Int($0) }
    let alone = one.stdout.split { !$0.isNumber }.compactMap { Int($0) }
    #expect(numbers.count == 2 && alone.count == 2)
    #expect(numbers.first == 2 * count)
    #expect((numbers.last ?? .max) - (alone.last ?? 0) < 16, "\(numbers) \(alone)")
  }

  @Test func halfAGigabyteOfZeroesTakesNoMemory() throws {
    let folder = try TemporaryFolder()
    let main = try Compiler.gcc.object(
      """
      #include <stdio.h>
      static char big[512u << 20]; extern char more[100 << 20];
      static long resident(void) {
        long size, pages; FILE *f = fopen("/proc/self/statm", "r");
        if (fscanf(f, "%ld %ld", &size, &pages) != 2) return -1;
        fclose(f); return pages * 4 / 1024;
      }
      int main(void) {
        long before = resident();
        big[0] = 1; big[sizeof big - 1] = 2; big[300u << 20] = 3; more[99 << 20] = 4;
        printf("%d %d\\n", big[0] + big[sizeof big - 1] + big[300u << 20] + big[7] + more[99 << 20],
          before < 150);
        return 0;
      }
      """, "main", flags: ["-O1"], in: folder)
    let more = try Compiler.gcc.object("char more[100 << 20];", "more", in: folder)
    let outcome = try Tool.hotlink(["run", main, more])
    #expect(outcome.end == .exited(0), "\(outcome.stderr)")
    #expect(outcome.stdout == "10 1\n")
  }

  /// Variables that are reached by __tls_get_addr or a descriptor need no room in the static block.
  @Test(arguments: [
    ["-fPIC"], ["-fPIC", "-mtls-dialect=gnu2"], ["-fPIC", "-ftls-model=local-dynamic"],
  ])
  func threadLocalVariablesOfManyObjects(_ flags: [String]) throws {
    let count = 5000 / Self.share
    let folder = try TemporaryFolder()
    let last = String(100_000 + count).dropFirst()
    let units = try GeneratedObjects.make(
      count,
      of: """
        __thread char wide_NNNNN[256] = {1}; static __thread long counter_NNNNN = 3;
        static __thread short zero_NNNNN;
        int tls_MMMMM(int x);
        int tls_NNNNN(int x) {
          wide_NNNNN[200] += x; counter_NNNNN += x; zero_NNNNN += x;
          return tls_MMMMM(x) + wide_NNNNN[200] + wide_NNNNN[0] + (int)counter_NNNNN + zero_NNNNN;
        }
        """, flags: ["-O1"] + flags, "tls", in: folder)
    let main = try Compiler.gcc.object(
      """
      #include <pthread.h>
      #include <stdio.h>
      int tls_00000(int); int tls_\(last)(int x) { return x; }
      extern __thread char wide_00007[256];
      static void *thread(void *given) { printf("%d\\n", tls_00000(2)); return given; }
      int main(void) {
        pthread_t other;
        printf("%d\\n", tls_00000(1));
        pthread_create(&other, 0, thread, 0); pthread_join(other, 0);
        int again = tls_00000(1);
        printf("%d %d\\n", again, wide_00007[200]);
        return 0;
      }
      """, "main", in: folder)
    let outcome = try Tool.hotlink(["run", main] + units, timeout: 300)
    #expect(outcome.end == .exited(0), "\(outcome.stderr)")
    #expect(
      outcome.stdout == "\(7 * count + 1)\n\(10 * count + 2)\n\(10 * count + 1) 2\n", "\(flags)")
  }

  /// Initial-exec and local-exec ones lie in it, without a gap.
  @Test func threadLocalVariablesInTheStaticBlock() throws {
    let count = 5000 / Self.share
    let folder = try TemporaryFolder()
    let last = String(100_000 + count).dropFirst()
    let units = try GeneratedObjects.make(
      count,
      of: """
        __thread long own_NNNNN = 5; int tls_MMMMM(int x);
        int tls_NNNNN(int x) { own_NNNNN += x; return tls_MMMMM(x) + (int)own_NNNNN; }
        """, flags: ["-O1"], "tls", in: folder)
    let main = try Compiler.gcc.object(
      """
      #include <pthread.h>
      #include <stdio.h>
      int tls_00000(int); int tls_\(last)(int x) { return x; }
      static void *thread(void *given) { printf("%d\\n", tls_00000(2)); return given; }
      int main(void) {
        pthread_t other;
        printf("%d\\n", tls_00000(1));
        pthread_create(&other, 0, thread, 0); pthread_join(other, 0);
        return 0;
      }
      """, "main", in: folder)
    let outcome = try Tool.hotlink(["run", main] + units, timeout: 300)
    #expect(outcome.end == .exited(0), "\(outcome.stderr)")
    #expect(outcome.stdout == "\(6 * count + 1)\n\(7 * count + 2)\n")
  }

  @Test func whatDoesNotFitTheStaticBlockIsRefused() throws {
    let folder = try TemporaryFolder()
    let file = try Compiler.gcc.object(
      "__thread char wide[100000]; int main(void) { wide[5] = 1; return wide[6]; }", in: folder)
    let outcome = try Tool.hotlink(["run", file])
    #expect(outcome.end == .exited(2))
    #expect(outcome.stderr.contains("no space left for static thread-local storage"))
    #expect(outcome.stderr.contains("help: compile with -fPIC"), "\(outcome.stderr)")
    let movable = try Compiler.gcc.object(
      "__thread char wide[100000]; int main(void) { wide[5] = 1; return wide[6] + 3; }", "movable",
      flags: ["-fPIC"], in: folder)
    #expect(try Tool.hotlink(["run", movable]).end == .exited(3))
  }

  /// Static TLS lies on the stacks of threads: ours must not make small ones too small.
  @Test func threadsWithTheSmallestStack() throws {
    try TestProgram.c(
      "threads with the smallest stack",
      """
      #include <limits.h>
      #include <pthread.h>
      #include <stdio.h>
      static void *thread(void *given) { return (char *)given + 1; }
      int main(void) {
        pthread_attr_t attributes; pthread_t other; void *result = 0;
        pthread_attr_init(&attributes);
        printf("%d\\n", pthread_attr_setstacksize(&attributes, 5));
        printf("%d\\n", pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN));
        printf("%d\\n", pthread_create(&other, &attributes, thread, 0));
        pthread_join(other, &result);
        return result == (char *)1;
      }
      """
    ).expectSame()
  }

  /// A throw through code of many objects with functions in every order.
  @Test func throwingAmongManyFunctions() throws {
    let count = 500 / Self.share
    let folder = try TemporaryFolder()
    let functions = (0..<100).map { index in
      "\(index % 3 == 0 ? "__attribute__((cold)) " : "")int f_NNNNN_\(index)(int x) {"
        + " return outside(x) + \(index); }"
    }
    let units = try GeneratedObjects.make(
      count, of: "int outside(int);\n" + functions.joined(separator: "\n"),
      flags: ["-O2", "-fexceptions", "-fno-optimize-sibling-calls"], "many", in: folder)
    let main = try Compiler.gxx.object(
      """
      #include <cstdio>
      extern "C" int outside(int x) { if (x > 3) throw x; return x; }
      extern "C" int f_00007_51(int), f_00007_50(int);
      int main() {
        int sum = f_00007_50(1);
        for (int i = 4; i < 9; i++)
          try { sum += i % 2 ? f_00007_51(i) : f_00007_50(i); } catch (int x) { sum += x; }
        std::printf("%d\\n", sum);
      }
      """, "main", in: folder)
    let outcome = try Tool.hotlink(["run", main] + units, timeout: 300)
    #expect(outcome.end == .exited(0), "\(outcome.stderr)")
    #expect(outcome.stdout == "81\n")
  }
}
