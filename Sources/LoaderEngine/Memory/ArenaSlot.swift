// A stretch of the image arena that has been mapped for one shape of image, and can be used again and
// again. Read-only pages are pages of a memfd: the run view shows them privately with their final protection
// (a debugger cannot write breakpoints into a shared view), the linker writes them through a shared alias.
// Data is anonymous, and written where it lies.
internal import CLoaderSupport
internal import Glibc

/// Mapped memory of one shape. Owned by one image at a time, or by the free list.
final class ArenaSlot: @unchecked Sendable {
  // Sound: handed from owner to owner under the arena's lock.
  let range: AddressRange
  let shape: ImageShape
  /// Where it runs.
  let base: UnsafeMutableRawPointer
  /// Where the linker writes its read-only pages.
  let alias: UnsafeMutableRawPointer
  /// Never used: all zero, and in no core's pipeline.
  var isFresh = true
  /// The image that was last mapped here: what lies outside its segments is zero.
  var segments: [LoadSegment] = []
  /// What that image's source is called.
  var name = ""
  var writableRanges: [WritableRange] = []
  var relocatesText = false
  /// When it was given back, as the arena counts.
  var stamp: UInt64 = 0
  /// How often this process had forked when the image was mapped.
  var forks: UInt32 = 0

  init(
    range: AddressRange, shape: ImageShape, base: UnsafeMutableRawPointer,
    alias: UnsafeMutableRawPointer
  ) {
    self.range = range
    self.shape = shape
    self.base = base
    self.alias = alias
  }

  /// Data beyond this many bytes in a row is neither brought in ahead nor cleared by hand: the kernel
  /// does both, page by page, as they are touched.
  static let mostPopulatedData: UInt64 = 1 << 20

  @inline(__always) static func isLeftToKernel(_ run: PageRun) -> Bool {
    run.kind == .data && run.size > mostPopulatedData
  }

  /// Where the linker writes a page of a kind.
  @inline(__always) func view(_ kind: PageKind) -> UnsafeMutableRawPointer {
    kind == .data ? base : alias
  }

  /// Maps the slot's pages with their final protections and brings them in. System calls: one or two for
  /// each group of read-only pages, two for data, two to bring in the group.
  ///
  /// - Parameter offset: of the slot in the memfd.
  func map(_ descriptor: Int32, offset: UInt64) -> Bool {
    var isMapped = true
    var group: (start: UInt64, end: UInt64)?
    func mapGroup() {
      guard let (start, end) = group else { return }
      group = nil
      let size = Int(end - start)
      let got = mmap(
        base + Int(start), size, PROT_READ, MAP_PRIVATE | MAP_FIXED, descriptor,
        off_t(offset + start))
      isMapped = isMapped && got != MAP_FAILED
      shape.forEachRun { run in
        guard run.kind == .text, run.start >= start, run.end <= end else { return }
        let code = mprotect(base + Int(run.start), Int(run.size), PROT_READ | PROT_EXEC)
        isMapped = isMapped && code == 0
      }
      // The alias first: it allocates the pages that the run view then shows. Kernels before 5.14 fault
      // them in one by one instead.
      guard isMapped else { return }
      _ = hl_populate(alias + Int(start), size, 1)
      _ = hl_populate(base + Int(start), size, 0)
    }
    shape.forEachRun { run in
      switch run.kind {
      case .hole: mapGroup()
      case .constants, .text, .readOnlyAfterRelocation:
        group = (group?.start ?? run.start, run.end)
      case .data:
        mapGroup()
        let code = mprotect(base + Int(run.start), Int(run.size), PROT_READ | PROT_WRITE)
        isMapped = isMapped && code == 0
        if code == 0, !ArenaSlot.isLeftToKernel(run) {
          _ = hl_populate(base + Int(run.start), Int(run.size), 1)
        }
      }
    }
    mapGroup()
    return isMapped
  }

  /// Gives large data back to the kernel when an image goes.
  func retire() {
    isFresh = false
    shape.forEachRun { run in
      guard ArenaSlot.isLeftToKernel(run) else { return }
      madvise(base + Int(run.start), Int(run.size), MADV_DONTNEED)
    }
  }

  /// Drops the private copies that a debugger made of pages in a run, so that it shows what is written
  /// through the alias from now on. Asked by writing a byte and looking for it, because a removed
  /// breakpoint leaves equal bytes on a page that is private all the same.
  func reveal(_ run: PageRun) {
    let pages = Int(run.size / pageSize)
    var page = 0
    while page < pages {
      let at = Int(run.start) + page * Int(pageSize)
      page += hl_hidden_page(alias + at, base + at, pages - page)
      guard page < pages else { return }
      madvise(base + Int(run.start) + page * Int(pageSize), Int(pageSize), MADV_DONTNEED)
      page += 1
    }
  }
}
