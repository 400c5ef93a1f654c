// The host's loops. `leaf.c` is a file of its own so that nothing is inlined.
#include "CBench.h"

long bench_direct_leaf(long);

long bench_call(long (*function)(long), long count) {
  long value = 0;
  for (long i = 0; i < count; i++) value = function(value);
  return value;
}

long bench_call_direct(long count) {
  long value = 0;
  for (long i = 0; i < count; i++) value = bench_direct_leaf(value);
  return value;
}
