// The host loop of `watch`: update, call the entry, wait for the next frame.
import CLoaderSupport
import Glibc
import HotLink
import LoaderEngine
import Synchronization

struct FrameLoop {
  private let session: Session
  private let function: Address
  private let hz: Double
  private let limit: UInt64?
  private let control: LoopControl

  /// - Throws: `LinkError.undefined` when no unit defines the entry.
  init(
    _ session: Session, entry: String, hz: Double, limit: UInt64?, control: LoopControl
  ) throws(LinkError) {
    self.control = control
    self.session = session
    function = try session.address(of: entry)
    self.hz = hz
    self.limit = limit
  }

  /// Runs until the entry asks to stop, the limit is reached, or a signal comes.
  ///
  /// - Returns: how many frames were run.
  func run() -> UInt64 {
    let start = FrameLoop.now()
    let step: UInt64 = hz > 0 ? UInt64(1e9 / hz) : 0
    var due = start
    var last = start
    var frame = hl_frame(number: 0, time: 0, dt: hz > 0 ? 1 / hz : 0, stop: 0, reserved: 0)
    while limit.map({ frame.number < $0 }) ?? true, !StopRequest.isMade {
      session.update()
      if control.isPaused.load(ordering: .relaxed) {
        due = FrameLoop.now() + 5_000_000
        FrameLoop.sleep(until: due)
        continue
      }
      hl_call_frame(function.pointer, &frame)
      frame.number += 1
      control.frames.store(frame.number, ordering: .relaxed)
      if frame.stop != 0 { break }
      if step > 0 {
        due += step
        let now = FrameLoop.now()
        if now > due + 10 * step { due = now }  // after a long stop, do not catch up
        FrameLoop.sleep(until: due)
        let woke = FrameLoop.now()
        frame.time = Double(woke - start) / 1e9
        last = woke
      } else if frame.number & 1023 == 0 {
        let now = FrameLoop.now()
        frame.time = Double(now - start) / 1e9
        frame.dt = Double(now - last) / 1e9 / 1024
        last = now
      }
    }
    return frame.number
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private static func sleep(until due: UInt64) {
    var time = timespec(
      tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
    while !StopRequest.isMade, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR
    {}
  }
}

/// SIGINT and SIGTERM end the loop after the frame.
enum StopRequest {
  private static let flag = Atomic<Bool>(false)

  private static let restart = Atomic<Bool>(false)

  static var isMade: Bool { flag.load(ordering: .relaxed) }

  /// Whether the program is to be started anew.
  static var isForRestart: Bool { restart.load(ordering: .relaxed) }

  static func askForRestart() {
    restart.store(true, ordering: .relaxed)
    flag.store(true, ordering: .relaxed)
  }

  static func install() {
    for number in [SIGINT, SIGTERM] {
      // A second one ends the process even when a frame never returns.
      signal(number) { number in
        if StopRequest.flag.exchange(true, ordering: .relaxed) { _exit(128 + number) }
      }
    }
  }
}
