// What tcc makes of a small program: calls, globals of every kind, structures, doubles, function pointers, varargs.
// run: 3 four
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int global = 7, zeroed[100], common;
static double real = 2.5;
static const char *names[] = {"one", "two", "three"};
struct pair { int a; double b; char c[12]; };
static struct pair table[] = {{1, 1.5, "first"}, {2, 2.5, "second"}};
typedef int (*operation)(int, int);
static int add(int a, int b) { return a + b; }
static int multiply(int a, int b) { return a * b; }
static operation operations[] = {add, multiply};
static int compare(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
static double average(int count, ...) {
  va_list list;
  double sum = 0;
  va_start(list, count);
  for (int i = 0; i < count; i++) sum += va_arg(list, double);
  va_end(list);
  return sum / count;
}
static struct pair swap(struct pair p) { struct pair q = {(int)p.b, p.a, "swapped"}; return q; }
static void ending(void) { printf("at exit %d\n", global); }
int main(int argc, char **argv) {
  atexit(ending);
  for (int i = 1; i < argc; i++) printf("%s\n", argv[i]);
  global += argc;
  zeroed[99] = 5;
  common = zeroed[99] * 2;
  printf("%d %d %d %.2f\n", global, zeroed[0], common, real * average(3, 1.0, 2.0, 6.0));
  for (int i = 0; i < 2; i++) printf("%d %s %.1f\n", operations[i](6, 7), table[i].c, table[i].b);
  qsort(names, 3, sizeof *names, compare);
  struct pair p = swap(table[1]);
  printf("%s %s %d %.1f %s\n", names[0], names[2], p.a, p.b, p.c);
  unsigned long long big = 1234567890123456789ULL;
  printf("%llu %lld %f %Lf\n", big / 1000, (long long)big % 997, (double)big, (long double)big);
  switch (argc) { case 1: return 10; case 3: fprintf(stderr, "on the error stream\n"); return 33; default: return 2; }
}
