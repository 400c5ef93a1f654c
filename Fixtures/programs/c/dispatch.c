// What gcc leaves to libgcc and to the loader: versions of a function by processor, 128-bit numbers, atomics.
// run: 7
// link: -lm
#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int one(int x) { return x + 1; }
#if !defined(__code_model_large__)  // ld refuses what gcc makes of it there
static int two(int x) { return x + 2; }
static int (*choose(void))(int) { return (__builtin_cpu_init(), __builtin_cpu_supports("sse2")) ? one : two; }
int chosen(int) __attribute__((ifunc("choose")));
#else
#define chosen one
#endif
int (*volatile kept)(int) = chosen;

#if !defined(__clang__) && !defined(__code_model_large__)
__attribute__((target_clones("default", "avx2", "sse4.2")))
#endif
long total(const int *values, int count) {
  long sum = 0;
  for (int i = 0; i < count; i++) sum += values[i] * 3L;
  return sum;
}

static void print(unsigned __int128 value) {
  char text[50], *at = text + 49;
  *at = 0;
  do { *--at = '0' + (int)(value % 10); value /= 10; } while (value);
  puts(at);
}

int main(int argc, char **argv) {
  int seed = argc > 1 ? atoi(argv[1]) : 3, values[100];
  for (int i = 0; i < 100; i++) values[i] = i * seed;
  printf("%ld %d %d\n", total(values, 100), chosen(seed), kept(seed));
  unsigned __int128 big = 1;
  for (int i = 0; i < 23; i++) big *= (unsigned)(seed + i);
  print(big);
  print(big / (unsigned)(seed * 1000003) + big % 1000003);
  __int128 negative = -(__int128)(big >> 3);
  printf("%d %.0f %.0Lf\n", negative < 0, (double)negative, (long double)negative);
  printf("%d %d %d\n", __builtin_popcountl(0xF0F0F0F0u * (unsigned long)seed), __builtin_clz(seed), __builtin_parity(seed));
  double complex z = csqrt(-1.0 * seed) * cexp(I * seed), w = z * (1 + 2 * I) / (3 - I * seed);
  printf("%.12f %.12f %.12f\n", creal(w), cimag(w), cabs(z));
  __float128 wide = seed / (__float128)3;
  wide = wide * wide - 1;
  printf("%.17g %.17g %d\n", (double)wide, (double)(wide * 1e20), wide > 0);
  printf("%.10f %.10f %.10Lf\n", tgamma(seed / 2.0), erf(1.0 / seed), fmal(seed, 1.5L, 2));
  int over;
  printf("%d %d\n", __builtin_mul_overflow(seed, 0x7fffffff, &over), __builtin_add_overflow(seed, 1, &over));
  long long counter = 0;
  __atomic_fetch_add(&counter, seed, __ATOMIC_SEQ_CST);
  printf("%lld %d\n", counter, __builtin_cpu_supports("sse2") != 0);
  return seed;
}
