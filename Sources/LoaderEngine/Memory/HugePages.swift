// Huge pages for stretches of an image that are treated alike: where they fit, how they are asked for, and
// what the kernel really gave. A page of 2 MiB has one protection, so only the interior of a run counts.
// Linux: madvise(2), mmap(2), mremap(2), proc_pid_smaps(5).
internal import CLoaderSupport
internal import Glibc

/// How an image is placed so that huge pages fit into it.
struct HugePages {
  static let size: UInt64 = 2 << 20

  /// Which offset of the image lies at a multiple of 2 MiB.
  let bias: UInt64

  /// - Returns: nil when no run is as long as a huge page.
  init?(_ runs: [PageRun], alignment: UInt64) {
    let worthwhile = runs.filter { $0.kind != .hole && $0.size >= HugePages.size }
    guard let longest = worthwhile.max(by: { $0.size < $1.size }) else { return nil }
    // The longest run begins on a huge page, where the image's own alignment leaves the choice.
    bias = longest.start & (alignment - 1) == 0 && alignment < HugePages.size ? longest.start : 0
  }

  /// The whole huge pages inside a run, as bytes from the image's first page.
  private static func interior(of run: PageRun, base: UInt64) -> Range<UInt64>? {
    let low = aligned(base &+ run.start, to: size) &- base
    let high = ((base &+ run.end) & ~(size - 1)) &- base
    guard run.kind != .hole, low < high, high <= run.end else { return nil }
    return low..<high
  }

  /// Asks for huge pages; where there are none, the pages stay as they are.
  static func ask(_ policy: HugePagePolicy, for runs: [PageRun], in mapping: PrivateMapping)
    throws(LinkError)
  {
    for run in runs {
      guard let inside = interior(of: run, base: mapping.range.start.value) else { continue }
      let place = mapping.base + Int(inside.lowerBound)
      let length = Int(inside.upperBound - inside.lowerBound)
      if policy == .explicit, hl_map_huge(place, length) == 0 { continue }
      _ = madvise(place, length, MADV_HUGEPAGE)
    }
  }

  /// Bytes of a range that lie on huge pages now (Linux: `AnonHugePages` and `Private_Hugetlb` in
  /// /proc/self/smaps).
  static func granted(in range: AddressRange) -> UInt64 {
    guard let file = fopen("/proc/self/smaps", "re") else { return 0 }
    defer { fclose(file) }
    var bytes: UInt64 = 0
    var overlap: UInt64 = 0
    var line = [CChar](repeating: 0, count: 4608)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let fields = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
      guard let first = fields.first else { continue }
      if first.hasSuffix(":") {
        guard overlap > 0, ["AnonHugePages:", "Private_Hugetlb:"].contains(first),
          fields.count > 1, let kibibytes = UInt64(fields[1])
        else { continue }
        // The kernel may have merged the mapping with a neighbour's.
        bytes += min(kibibytes << 10, overlap)
        continue
      }
      let bounds = first.split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard bounds.count == 2 else { continue }
      let low = max(bounds[0], range.start.value)
      let high = min(bounds[1], range.end.value)
      overlap = low < high ? high - low : 0
    }
    return bytes
  }
}
