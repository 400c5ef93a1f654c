// Points on CLOCK_MONOTONIC. Batches carry such a number to whoever measures the way from a writer's
// close to the running code, so it is not one of Swift's clocks: ContinuousClock counts BOOTTIME.
import Glibc

/// A point in time. Linux: CLOCK_MONOTONIC.
struct Moment: Comparable, Hashable, Sendable {
  var nanoseconds: UInt64

  static var now: Moment {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Moment(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }

  static func < (a: Moment, b: Moment) -> Bool { a.nanoseconds < b.nanoseconds }

  static func + (moment: Moment, span: Duration) -> Moment {
    let (seconds, attoseconds) = span.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    // A span that does not fit is as good as for ever, and stays far from wrapping.
    let limit = Int64.max / 2
    let shift = overflow ? limit : min(whole, limit) + attoseconds / 1_000_000_000
    return Moment(nanoseconds: UInt64(max(0, Int64(clamping: moment.nanoseconds) + shift)))
  }

  static func - (moment: Moment, span: Duration) -> Moment { moment + (.zero - span) }

  /// The time from `now` to here in whole milliseconds, rounded up so that it is over when they are.
  /// Linux: `poll`'s timeout.
  func timeout(from now: Moment) -> CInt {
    let wait = self > now ? nanoseconds - now.nanoseconds : 0
    return CInt(clamping: wait / 1_000_000 + (wait % 1_000_000 == 0 ? 0 : 1))
  }
}
