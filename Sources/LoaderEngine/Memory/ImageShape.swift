// What two images must have in common for one to take the other's place in memory without a system call:
// the same kinds of pages in the same order. A key without storage of its own, because it is made for
// every image that is mapped.

/// Page counts by kind, in order, and the alignment.
struct ImageShape: Hashable, Sendable {
  /// An image with more runs is not worth a slot.
  static let mostRuns = 16
  private static let kindBits: UInt32 = 3

  /// Each: number of pages, and the kind in the lowest bits; zero beyond `count`.
  private var runs = SIMD16<UInt32>(repeating: 0)
  private(set) var count = 0
  let alignment: UInt64
  private var fingerprint: UInt64

  /// - Parameter request: valid.
  /// - Returns: nil when it has too many runs, or is too large.
  init?(_ request: MappingRequest) throws(LinkError) {
    alignment = request.alignment
    fingerprint = request.alignment
    guard request.size / pageSize < 1 << (32 - ImageShape.kindBits) else { return nil }
    var fits = true
    try request.forEachRun { run in
      guard count < ImageShape.mostRuns else {
        fits = false
        return
      }
      let word = UInt32(run.size / pageSize) << ImageShape.kindBits | run.kind.rawValue
      runs[count] = word
      count += 1
      fingerprint = (fingerprint ^ UInt64(word)) &* 0x9E37_79B9_7F4A_7C15
      fingerprint ^= fingerprint >> 29
    }
    guard fits else { return nil }
  }

  static func == (left: ImageShape, right: ImageShape) -> Bool {
    left.fingerprint == right.fingerprint && left.runs == right.runs
      && left.alignment == right.alignment
  }

  func hash(into hasher: inout Hasher) { hasher.combine(fingerprint) }

  /// Visits all runs in ascending order.
  @inline(__always) func forEachRun(_ body: (PageRun) -> Void) {
    var start: UInt64 = 0
    for index in 0..<count {
      let run = self[index, from: start]
      body(run)
      start = run.end
    }
  }

  /// The run of a number, which begins at `start`.
  @inline(__always) subscript(_ index: Int, from start: UInt64) -> PageRun {
    let word = runs[index]
    let pages = UInt64(word >> ImageShape.kindBits)
    return PageRun(
      kind: PageKind(rawValue: word & (1 << ImageShape.kindBits - 1)) ?? .hole, start: start,
      end: start + pages * pageSize)
  }
}
