// Loops that must be compiled C, so that what they measure is the call and not Swift around it.
#ifndef CBENCH_H
#define CBENCH_H

/// Calls `function` `count` times, each time with what it returned before.
long bench_call(long (*function)(long), long count);

/// The same loop over a function of this program, by name: a direct call.
long bench_call_direct(long count);

#endif
