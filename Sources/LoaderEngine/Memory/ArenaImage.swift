// Filling a slot with an image: each byte is written once, straight to its final place. What the image
// before left behind is overwritten or cleared, never the pages that are known to be clean.
internal import CLoaderSupport
internal import Glibc

/// An image in a slot of the image arena.
final class ArenaImage: ImageMapping, @unchecked Sendable {
  // Sound: the slot is this image's alone until deinit gives it back; `fill` runs before it is handed out.
  private let space: ArenaSpace
  private let slot: ArenaSlot

  init(_ slot: ArenaSlot, of space: ArenaSpace) {
    self.slot = slot
    self.space = space
  }

  deinit { space.give(back: slot) }

  var range: AddressRange { slot.range }
  var writableRanges: [WritableRange] { slot.writableRanges }

  /// Nothing is left to do for the protections, which are final from the start. Relocated text may
  /// have run before as another image's: then all cores are told.
  func seal() throws(LinkError) {
    if slot.relocatesText && !slot.isFresh { ArenaImage.synchronise() }
    if space.isHardened { try space.protectAlias(slot, PROT_NONE) }
  }

  /// Writes the image's bytes and zeroes.
  ///
  /// - Throws: what reading the source throws.
  func fill(_ request: MappingRequest) throws(LinkError) {
    let isLaidOut = !slot.isFresh && slot.segments == request.segments
    if isLaidOut && slot.relocatesText == request.relocatesText {
      // What may be written is where it was.
    } else {
      slot.writableRanges = ranges(request)
    }
    slot.relocatesText = request.relocatesText
    slot.name = request.source.name
    if slot.isFresh { return try write(request, keepsText: false, clearsGaps: false) }

    let keepsText = isLaidOut && !request.relocatesText && showsText(of: request)
    // Until it is whole again, nothing is known of what lies between its segments.
    slot.segments = []
    var rewritesText = false
    slot.shape.forEachRun { run in
      switch run.kind {
      case .hole, .data: break
      case .constants, .readOnlyAfterRelocation: slot.reveal(run)
      case .text:
        guard !keepsText else { return }
        slot.reveal(run)
        rewritesText = true
      }
    }
    try write(request, keepsText: keepsText, clearsGaps: !isLaidOut)
    if rewritesText && !request.relocatesText { ArenaImage.synchronise() }
  }

  /// Whether the run view already shows the image's code, as when a library is loaded again: then it need
  /// not be written, and no core need be told.
  private func showsText(of request: MappingRequest) -> Bool {
    var end: UInt64 = 0
    for segment in request.segments where segment.isVisible {
      guard segment.pages.lowerBound >= end else { return false }
      end = segment.pages.upperBound
      guard segment.access.contains(.execute) else { continue }
      guard segment.size == segment.fileSize,
        let bytes = request.source.borrow(at: segment.fileOffset, count: Int(segment.size)),
        memcmp(bytes, slot.base + Int(segment.offset), Int(segment.size)) == 0
      else { return false }
    }
    return true
  }

  /// - Parameters:
  ///   - keepsText: pages of text are left as they are.
  ///   - clearsGaps: what lies between segments on read-only pages is cleared, too.
  private func write(_ request: MappingRequest, keepsText: Bool, clearsGaps: Bool)
    throws(LinkError)
  {
    var pieces = SlotPieces(slot)
    var reading = ScatteredRead(request.source)
    let isFresh = slot.isFresh
    func clear(upTo end: UInt64, isGap: Bool) {
      pieces.forEach(upTo: end) { run, start, count in
        switch run.kind {
        case .hole: return
        case .data: if isFresh || ArenaSlot.isLeftToKernel(run) { return }
        case .text: if isFresh || keepsText || (isGap && !clearsGaps) { return }
        case .constants, .readOnlyAfterRelocation:
          if isFresh || (isGap && !clearsGaps) { return }
        }
        memset(slot.view(run.kind) + Int(start), 0, count)
      }
    }
    for segment in request.segments where segment.isVisible {
      clear(upTo: segment.offset, isGap: true)
      try pieces.forEach(upTo: segment.offset + segment.fileSize) {
        (run, start, count) throws(LinkError) in
        if keepsText && run.kind == .text { return }
        let fileOffset = segment.fileOffset + (start - segment.offset)
        try reading.read(at: fileOffset, into: slot.view(run.kind) + Int(start), count: count)
      }
      clear(upTo: segment.end, isGap: false)
    }
    clear(upTo: request.size, isGap: true)
    try reading.finish()
    slot.segments = request.segments
  }

  /// What may be written, split where the view changes.
  private func ranges(_ request: MappingRequest) -> [WritableRange] {
    var result: [WritableRange] = []
    result.reserveCapacity(request.segments.count + 1)
    var pieces = SlotPieces(slot)
    for segment in request.segments where request.writes(segment) {
      pieces.forEach(upTo: segment.offset) { _, _, _ in }
      pieces.forEach(upTo: segment.end) { run, start, count in
        result.append(
          WritableRange(
            offset: start, size: UInt64(count), place: slot.view(run.kind) + Int(start)))
      }
    }
    return result
  }

  /// Tells the cores that code was rewritten at an address where they may have run other code.
  ///
  /// In a process of one thread no system call is needed (see `hl_sync_rewritten`).
  private static func synchronise() { _ = hl_sync_rewritten() }
}

/// A walk over a slot from its first byte to its last, cut where the kind of page changes.
private struct SlotPieces {
  private let shape: ImageShape
  private var index = 0
  private var run: PageRun
  private var at: UInt64 = 0

  init(_ slot: ArenaSlot) {
    shape = slot.shape
    run = shape[0, from: 0]
  }

  /// Visits what lies between the last place and `end`.
  @inline(__always)
  mutating func forEach<E: Error>(
    upTo end: UInt64, _ body: (PageRun, UInt64, Int) throws(E) -> Void
  ) throws(E) {
    while at < end {
      if at >= run.end {
        index += 1
        guard index < shape.count else { return }
        run = shape[index, from: run.end]
      }
      let stop = min(end, run.end)
      try body(run, at, Int(stop - at))
      at = stop
    }
  }
}
