// The function that is called: as little as a function can do with its argument.
long bench_direct_leaf(long value) { return value + 1; }
