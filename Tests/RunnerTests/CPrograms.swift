// Programs in C, each about one thing a linker and a start-up have to get right. They print what they see.

extension TestProgram {
  static let cPrograms: [TestProgram] = [
    arguments, exitInside, constructors, common, weak, encapsulated, threadLocal, pointers, jumps,
    aliases, indirect, bigData, extendedPrecision,
  ]

  static let arguments = TestProgram(
    name: "argc, argv, envp, standard input, exit code",
    sources: [
      Source(
        compiler: .gcc,
        text: """
          #include <stdio.h>
          #include <stdlib.h>
          #include <string.h>
          int total(int n, const int *v);
          int main(int argc, char **argv, char **envp) {
            printf("%d\\n", argc);
            for (int i = 1; i < argc; i++) printf("[%s]\\n", argv[i]);
            printf("%s\\n", argv[argc] == NULL ? "ends" : "does not end");
            int seen = 0;
            for (char **e = envp; *e; e++) if (!strcmp(*e, "HOT_TEST=yes it is")) seen++;
            printf("%d %s\\n", seen, getenv("HOT_TEST"));
            char line[100]; while (fgets(line, sizeof line, stdin)) printf("read %s", line);
            fprintf(stderr, "to stderr\\n");
            int v[3] = {20, 1, argc};
            return total(3, v);
          }
          """),
      Source(
        compiler: .gcc,
        text: "int total(int n, const int *v) { int s = 0; while (n--) s += v[n]; return s; }"),
    ], arguments: ["one", "", "three with spaces", "--json", "-x"],
    input: Array("first\nsecond\n".utf8), environment: ["HOT_TEST": "yes it is"])

  static let exitInside = c(
    "exit from inside, with handlers",
    """
    #include <stdio.h>
    #include <stdlib.h>
    void deep(int);
    static void last(void) { puts("registered first, runs last"); }
    static void first(void) { puts("registered last, runs first"); }
    int main(void) { atexit(last); atexit(first); printf("no newline at the end"); deep(5); return 1; }
    """,
    """
    #include <stdlib.h>
    void deep(int n) { if (n == 0) exit(77); deep(n - 1); }
    """)

  static let constructors = c(
    "constructors by priority, destructors at exit",
    """
    #include <stdio.h>
    #include <stdlib.h>
    void say(const char *);
    __attribute__((constructor)) static void plain(void) { say("constructor, unit 0"); }
    __attribute__((constructor(300))) static void late(void) { say("constructor 300, unit 0"); }
    __attribute__((constructor(101))) static void early(void) { say("constructor 101, unit 0"); }
    __attribute__((destructor)) static void end(void) { say("destructor, unit 0"); }
    __attribute__((destructor(101))) static void very_end(void) { say("destructor 101, unit 0"); }
    __attribute__((destructor(300))) static void near_end(void) { say("destructor 300, unit 0"); }
    static void handler(void) { say("atexit"); }
    int main(void) { atexit(handler); say("main"); return 3; }
    """,
    """
    #include <stdio.h>
    static int count;
    void say(const char *what) { printf("%d %s\\n", ++count, what); }
    __attribute__((constructor(200))) static void middle(int argc, char **argv, char **envp) {
      say(argc > 0 && argv[0] && envp[0] ? "constructor 200, unit 1, with arguments" : "without");
    }
    __attribute__((constructor)) static void plain(void) { say("constructor, unit 1"); }
    __attribute__((destructor)) static void end(void) { say("destructor, unit 1"); }
    __attribute__((destructor(200))) static void near_end(void) { say("destructor 200, unit 1"); }
    """)

  static let common: TestProgram = {
    var program = c(
      "COMMON symbols: one, of the largest size and alignment; a definition wins",
      """
      #include <stdio.h>
      #include <stdint.h>
      int tentative; char buffer[16]; long defined_elsewhere; double wide[4] __attribute__((aligned(64)));
      void fill(void); int *where(void);
      int main(void) {
        fill();
        printf("%d %s %ld %d %d\\n", tentative, buffer, defined_elsewhere, where() == &tentative,
               (int)((uintptr_t)wide % 64));
        return tentative;
      }
      """,
      """
      #include <string.h>
      int tentative; char buffer[4096]; long defined_elsewhere = 42; double wide[4];
      void fill(void) { tentative = 9; memset(buffer, 'x', 4095); buffer[3] = 0; wide[3] = 1; }
      int *where(void) { return &tentative; }
      """)
    for index in program.sources.indices { program.sources[index].flags = ["-fcommon"] }
    return program
  }()

  static let weak = c(
    "weak definitions and weak references",
    """
    #include <stdio.h>
    __attribute__((weak)) int overridden(void) { return 1; }
    __attribute__((weak)) int own(void) { return 2; }
    __attribute__((weak)) int value = 3;
    extern int nobody(void) __attribute__((weak));
    extern int no_data __attribute__((weak));
    extern int somebody(void) __attribute__((weak));
    int through(void);
    int main(void) {
      printf("%d %d %d\\n", overridden(), own(), value);
      printf("%s %s %s\\n", nobody ? "has nobody" : "null", &no_data ? "has data" : "null",
             somebody ? "has somebody" : "null");
      if (nobody) nobody();
      return through() + (somebody ? somebody() : 0);
    }
    """,
    """
    int overridden(void) { return 10; }
    int value = 30;
    int somebody(void) { return 7; }
    __attribute__((weak)) int own(void) { return 20; }
    int through(void) { return own() + overridden() + value; }
    """)

  static let encapsulated = c(
    "__start_ and __stop_ over all objects",
    """
    #include <stdio.h>
    struct test { const char *name; int (*run)(void); };
    extern struct test __start_tests[], __stop_tests[];
    static int one(void) { return 1; }
    static int two(void) { return 2; }
    static struct test a __attribute__((section("tests"), used)) = {"one", one};
    static struct test b __attribute__((section("tests"), used)) = {"two", two};
    extern int __start_numbers[], __stop_numbers[];
    int main(void) {
      int sum = 0;
      for (struct test *t = __start_tests; t < __stop_tests; t++) {
        int value = t->run(); printf("%s %d\\n", t->name, value); sum += value;
      }
      for (int *n = __start_numbers; n < __stop_numbers; n++) printf("number %d\\n", *n);
      return sum;
    }
    """,
    """
    struct test { const char *name; int (*run)(void); };
    static int three(void) { return 3; }
    static struct test c __attribute__((section("tests"), used)) = {"three", three};
    static int x __attribute__((section("numbers"), used)) = 7;
    static int y __attribute__((section("numbers"), used)) = 8;
    """)

  static let threadLocal: TestProgram = {
    var program = c(
      "thread-local variables of two units in two threads",
      """
      #include <errno.h>
      #include <pthread.h>
      #include <stdio.h>
      __thread int counter = 5; static __thread char name[40] = "initial"; __thread long zero;
      extern __thread int other; extern int bump(int); extern _Alignas(64) __thread char line[64];
      static void *run(void *argument) {
        printf("%s: %d %ld %d %s\\n", (char *)argument, counter, zero, other, name);
        counter += 10; zero++; snprintf(name, sizeof name, "changed by %s", (char *)argument);
        errno = 33; bump(100);
        printf("%s: %d %ld %d %s %d\\n", (char *)argument, counter, zero, other, name, errno);
        return &other == 0 ? 0 : (void *)((unsigned long)line % 64);
      }
      int main(void) {
        run("main");
        pthread_t thread; void *result = "";
        pthread_create(&thread, 0, run, "second"); pthread_join(thread, &result);
        printf("main: %d %ld %d %s %d\\n", counter, zero, other, name, errno);
        return counter + (int)(long)result;
      }
      """,
      """
      __thread int other = -1; _Alignas(64) __thread char line[64] = "aligned";
      static __thread int hidden = 1000;
      int bump(int by) { other += by + hidden++; return other; }
      """)
    program.linkFlags = ["-pthread"]
    return program
  }()

  static let pointers = c(
    "function pointers are equal everywhere; tables; callbacks of libc",
    """
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    int compare(const void *, const void *);
    typedef int (*comparison)(const void *, const void *);
    comparison given(void); int same(comparison);
    static int (*const table[])(const char *) = {puts, puts};
    static int words(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
    static const char *names[] = {"pear", "apple", "fig", "kiwi"};
    static const char *kind(int x) {
      switch (x) {
      case 0: return "zero"; case 1: return "one"; case 2: return "two"; case 3: return "three";
      case 4: return "four"; case 5: return "five"; case 60: return "sixty"; default: return "many";
      }
    }
    int main(void) {
      int values[] = {5, 2, 60, 1, 4};
      qsort(values, 5, sizeof *values, compare);
      for (int i = 0; i < 5; i++) printf("%s ", kind(values[i]));
      qsort(names, 4, sizeof *names, words);
      for (int i = 0; i < 4; i++) printf("%s ", names[i]);
      printf("%d %d\\n", given() == compare, same(compare));
      table[1]("through a table");
      return same(words);
    }
    """,
    """
    typedef int (*comparison)(const void *, const void *);
    int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
    comparison given(void) { return compare; }
    int same(comparison c) { return c == compare; }
    """)

  static let jumps = c(
    "setjmp, signals, varargs, computed goto",
    """
    #include <setjmp.h>
    #include <signal.h>
    #include <stdarg.h>
    #include <stdio.h>
    extern void leave(jmp_buf, int); extern double sum(int, ...);
    static volatile sig_atomic_t caught;
    static void handler(int number) { caught = number; }
    static int machine(const char *program) {
      static void *labels[] = {&&add, &&twice, &&end};
      int value = 1;
      goto *labels[*program++ - '0'];
      add: value++; goto *labels[*program++ - '0'];
      twice: value *= 2; goto *labels[*program++ - '0'];
      end: return value;
    }
    int main(void) {
      jmp_buf place; volatile int rounds = 0;
      int value = setjmp(place);
      rounds++;
      if (value < 3) leave(place, value + 1);
      signal(SIGUSR1, handler); raise(SIGUSR1);
      printf("%d %d %d %.2f %d\\n", value, rounds, caught == SIGUSR1, sum(3, 1.5, 2.25, -0.5), machine("00112"));
      return rounds;
    }
    """,
    """
    #include <setjmp.h>
    #include <stdarg.h>
    void leave(jmp_buf place, int value) { longjmp(place, value); }
    double sum(int n, ...) { va_list list; va_start(list, n); double s = 0; while (n--) s += va_arg(list, double); va_end(list); return s; }
    """)

  static let aliases = c(
    "aliases and hidden symbols",
    """
    #include <stdio.h>
    int alias(int); __attribute__((visibility("hidden"))) int concealed(int);
    extern int also; extern int twin;
    int main(void) {
      also = 8;
      printf("%d %d %d\\n", alias(1), concealed(2), *(volatile int *)&twin);
      return &also == (int *volatile)&twin;
    }
    """,
    """
    int real(int x) { return x + 100; }
    int alias(int) __attribute__((alias("real")));
    __attribute__((visibility("hidden"))) int concealed(int x) { return real(x) * 2; }
    int twin = 1; extern int also __attribute__((alias("twin")));
    """)

  static let indirect = c(
    "indirect functions (IFUNC) are resolved once and called from anywhere",
    """
    #include <stdio.h>
    int chosen(int); int (*given(void))(int);
    int main(void) { printf("%d %d\\n", chosen(3), given()(4)); return 0; }
    """,
    """
    static int fast(int x) { return x * 1000; }
    static int (*resolve(void))(int) { return fast; }
    int chosen(int) __attribute__((ifunc("resolve")));
    int (*given(void))(int) { return chosen; }
    """)

  static let bigData = c(
    "large .bss, pages of .data, constants, aligned beyond a page",
    """
    #include <stdint.h>
    #include <stdio.h>
    static char huge[64 << 20]; static int filled[5000] = {[4999] = 1};
    _Alignas(8192) static char aligned[100] = "far";
    extern const char *const messages[]; extern const double roots[];
    int main(void) {
      huge[0] = 1; huge[sizeof huge - 1] = 2;
      printf("%d %d %d %s %s %.3f\\n", huge[0] + huge[sizeof huge - 1], filled[4999],
             (int)((uintptr_t)aligned % 8192), aligned, messages[2], roots[1]);
      for (int i = 0; messages[i]; i++) puts(messages[i]);
      return 0;
    }
    """,
    """
    const char *const messages[] = {"ends", "its ends", "common ends", "ends", 0};
    const double roots[] = {1, 1.41421356, 1.7320508};
    """)

  static let extendedPrecision = c(
    "long double, complex and 128-bit arithmetic, libm",
    """
    #include <complex.h>
    #include <math.h>
    #include <stdio.h>
    long double product(long double, long double); unsigned __int128 wide(unsigned long, unsigned long);
    int main(void) {
      double complex z = csqrt(-4.0 + 0.0 * I);
      unsigned __int128 w = wide(~0ul, ~0ul) / 12345;
      printf("%.6Lf %.3f %.3f %.6f %lx\\n", product(1.5L, 2.0L), creal(z), cimag(z), pow(2.0, 0.5), (long)(w >> 64));
      return (int)lround(sin(1.0) * 100);
    }
    """,
    """
    long double product(long double a, long double b) { return a * b; }
    unsigned __int128 wide(unsigned long a, unsigned long b) { return (unsigned __int128)a * b; }
    """
  ).linking("-lm")

  func linking(_ flags: String...) -> TestProgram {
    var copy = self
    copy.linkFlags += flags
    return copy
  }
}
