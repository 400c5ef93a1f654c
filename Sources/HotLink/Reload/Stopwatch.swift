// Times for reports.
internal import CLoaderSupport
internal import Glibc

/// Microseconds since it was made. Linux: `CLOCK_MONOTONIC`.
struct Stopwatch {
  private let start = Stopwatch.now()

  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  var microseconds: Double { Double(Stopwatch.now() - start) / 1000 }
}
