// The C source of a unit that tells when it is called, for figures that measure another process. Its entry writes
// into a file that both have mapped: the value of its version and the time (CLOCK_MONOTONIC) of that version's first call.
//
// Functions, variables and types fill it up to the size wanted; all of them refer to each other, so that the guard
// has types to compare and the linker has references.

struct WatchedUnit {
  /// Where the entry finds the name of the file.
  static let variable = "HOTLINK_BENCH_PAGE"
  static let entry = "bench_tick"
  /// Versions, of which every second one has another local variable: its debug data differ as well.
  static let values = [1, 2]

  var functions: Int
  var value: Int

  var text: String {
    var text = """
      #include <fcntl.h>
      #include <stdlib.h>
      #include <sys/mman.h>
      #include <time.h>
      struct page { volatile long value, called, pause, last; };
      static struct page *page;
      static long now(void) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * 1000000000L + time.tv_nsec;
      }
      static struct page *map(void) {
        int file = open(getenv("\(Self.variable)"), O_RDWR);
        return mmap(0, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      }
      void bench_tick(void) {
        long time = now();
        if (!page) page = map();
        if (page->value != \(value)) {
          \(value == Self.values[1] ? "long pause = time - page->last;" : "")
          page->pause = \(value == Self.values[1] ? "pause" : "time - page->last");
          page->called = time;
          __atomic_store_n(&page->value, \(value)L, __ATOMIC_RELEASE);
          time = now();
        }
        page->last = time;
      }

      """
    for number in 0..<functions { text += function(number) }
    return text
  }

  private func function(_ number: Int) -> String {
    let half = number / 2
    let third = number / 3
    return """
      struct s\(number) { int a; float b; struct s\(half) *p; struct { short x, y; } at[3]; char name[\(number % 30 + 1)]; };
      struct s\(number) v\(number);
      enum e\(number) { A\(number), B\(number) = \(number + 1) };
      int f\(number)(struct s\(number) *s, enum e\(number) e, int n) {
        int sum = e == B\(number);
        for (int i = 0; i < 3; i++) sum += s->at[i].x * s->a + v\(number).at[i].y;
        switch (n & 7) {
        case 0: sum ^= f\(half)(&v\(half), A\(half), n >> 1) * \(number + 3); break;
        case 1: v\(third).a += sum + f\(third)(&v\(third), B\(third), n - 1); break;
        case 2: v\(number).b *= s->b + \(number % 7); break;
        case 3: s->name[0] ^= v\(half).name[0] + n; break;
        case 4: v\(third).at[n & 1].x -= sum; break;
        case 5: for (int i = 0; i < n; i++) v\(number).at[i % 3].y += i * s->a; break;
        }
        return s->p ? sum + s->p->a : sum + v\(number).name[0];
      }

      """
  }
}
