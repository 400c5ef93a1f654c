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
}
