// Functions inside functions: gcc puts a piece of code on the stack to pass one on.
// run: 4
// gcc: -fgnu89-inline
// clang: none
#include <stdio.h>
#include <stdlib.h>

static int apply(int (*function)(int), int value) { return function(value) + function(value + 1); }

int main(int argc, char **argv) {
  int base = argc > 1 ? atoi(argv[1]) : 1, calls = 0;
  int add(int x) { calls++; return x + base; }
  int compare(const void *a, const void *b) { calls++; return (*(const int *)a - *(const int *)b) * base; }
  int values[] = {3, 1, 2};
  printf("%d\n", apply(add, 10));
  qsort(values, 3, sizeof(int), compare);
  printf("%d %d %d %d\n", values[0], values[1], values[2], calls > 2);
  return base;
}
