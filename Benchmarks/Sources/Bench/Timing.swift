// Time, in nanoseconds of one clock.
internal import Glibc

/// Linux: clock_gettime(CLOCK_MONOTONIC).
func nanoseconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

/// How long the work takes once.
func timed(_ work: () throws -> Void) rethrows -> Double {
  let start = nanoseconds()
  try work()
  return nanoseconds() - start
}
