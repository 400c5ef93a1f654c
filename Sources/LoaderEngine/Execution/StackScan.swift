// Whether any thread may still be inside a stretch of code: conservatively, every aligned word of every
// stack that looks like an address in it counts.
internal import CLoaderSupport

/// Looks for addresses in a few ranges on stacks.
package final class StackScan {
  private var ranges: [AddressRange] = []
  private var low: UInt64 = 0
  private var high: UInt64 = 0
  /// For each range, whether a word on a stack lies in it.
  package private(set) var hits: [Bool] = []
  /// Words that lie in a range, and whose stack they are on: the first ones, at most as many as fit.
  package struct Hit: BitwiseCopyable, Hashable, Sendable {
    package var range: Int32
    package var thread: Int32
    package var address: UInt64
  }
  private let found: UnsafeMutableBufferPointer<Hit>
  private var count = 0
  package var words: [Hit] { Array(found[..<count]) }

  package init() {
    found = .allocate(capacity: 256)
    // Room for what is mostly asked for: nothing is allocated at the host's safe point.
    ranges.reserveCapacity(32)
    hits.reserveCapacity(32)
  }

  /// Begins to look for so many ranges, and knows of no hit.
  package func begin(_ count: Int, _ range: (Int) -> AddressRange) {
    ranges.removeAll(keepingCapacity: true)
    hits.removeAll(keepingCapacity: true)
    self.count = 0
    low = .max
    high = 0
    for index in 0..<count {
      let range = range(index)
      ranges.append(range)
      hits.append(false)
      guard range.size > 0 else { continue }
      low = min(low, range.start.value)
      high = max(high, range.end.value)
    }
  }

  deinit { found.deallocate() }

  /// - Returns: false when the stack's bounds are unknown.
  package func scanOwnStack() -> Bool {
    hl_scan_stack(StackScan.visit, Unmanaged.passUnretained(self).toOpaque()) == 0
  }

  /// - Returns: how many threads did not answer.
  package func scanOtherThreads(except own: [Int32], stubs: AddressRange) -> Int32 {
    let context = Unmanaged.passUnretained(self).toOpaque()
    return own.withUnsafeBufferPointer {
      hl_scan_threads(
        StackScan.visit, context, $0.baseAddress, $0.count, UInt(stubs.start.value),
        UInt(stubs.end.value), 10)
    }
  }

  // Runs in signal handlers of other threads, one at a time: it touches memory made beforehand only.
  private static let visit:
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<UInt>?, UnsafePointer<UInt>?
    ) -> Void = { context, from, to in
      guard let context, let from, let to else { return }
      let scan = Unmanaged<StackScan>.fromOpaque(context).takeUnretainedValue()
      // The host waits for this: one comparison a word.
      let low = scan.low
      let size = scan.high > low ? scan.high - low : 0
      var word = from
      while word < to {
        let value = UInt64(word.pointee)
        if value &- low < size { scan.mark(value) }
        word += 1
      }
    }

  private func mark(_ value: UInt64) {
    for index in ranges.indices where ranges[index].contains(Address(value)) {
      hits[index] = true
      guard count < found.count else { continue }
      found.initializeElement(
        at: count,
        to: Hit(range: Int32(truncatingIfNeeded: index), thread: hl_scan_subject(), address: value))
      count += 1
    }
  }
}
