// Where linked code and data live: one address window near the process's libraries, divided into
// stubs, text, constants, slot tables, GOT and data. Chunks are populated ahead, so that a link in a
// warm process makes no system call and takes no page fault (DESIGN section 3: a mapping round costs
// 16 µs, a copy into memory that is there 0.15 µs).
internal import CLoaderSupport
internal import Glibc

/// A piece of arena memory: where it runs and where the linker writes it.
package struct Allocation: Hashable, Sendable {
  package var range: AddressRange
  package var kind: Arena.Kind

  package init(range: AddressRange, kind: Arena.Kind) {
    self.range = range
    self.kind = kind
  }

  package static func == (left: Allocation, right: Allocation) -> Bool {
    left.range == right.range
  }
}

/// The memory of all linked code of a process. Not thread-safe: its owner serialises.
package final class Arena: @unchecked Sendable {
  package enum Kind: Int, Hashable, Sendable, CaseIterable { case text, constants, data }
  package enum BackingChoice: Sendable { case automatic, anonymous }
  /// Bytes up to which memory is made ready before it is handed out.
  private static let readyAtOnce: UInt64 = 512 << 10

  private struct Region {
    var allocator: RangeAllocator
    var populatedEnd: Address
    /// Bytes that are made ready at a time, at least: few for a small program, and twice as many each time.
    var chunk: UInt64
    let largestChunk: UInt64
  }

  package let window: AddressWindow
  package let stubs: AddressRange
  package let slotBanks: AddressRange
  package let got: AddressRange
  package let backing: any ArenaBacking
  private var regions: [Region]
  /// Added to the run-time address of data, gives where the linker writes it.
  private let dataOffset: Int
  /// Nothing is mapped at the addresses: this arena is for looking.
  package let isImaginary: Bool
  /// Text below this address was never handed out before: nothing stale can be in a core's pipeline.
  private var freshText: Address
  /// Much memory is made ready by another thread, while what is to lie in it is still looked for.
  private var readying: Errand?
  /// Text allocations whose space was used before, until they are sealed.
  private var reused: Set<Address> = []

  /// - Parameter isLow: below 2 GiB.
  package init(_ choice: BackingChoice = .automatic, isLow: Bool = false) throws(LinkError) {
    let mib: UInt64 = 1 << 20
    isImaginary = false
    dataOffset = 0
    window =
      isLow ? try AddressWindow(low: 1024 * mib) : try AddressWindow(size: 1024 * mib)
    var next = window.range.start
    func take(_ size: UInt64) -> AddressRange {
      defer { next = next &+ size }
      return AddressRange(start: next, size: size)
    }
    stubs = take(16 * mib)
    let text = take(112 * mib)
    let constants = take(64 * mib)
    slotBanks = take(16 * mib)
    got = take(8 * mib)
    let data = take(window.range.end &- next)
    let code = AddressRange(start: stubs.start, size: stubs.size + text.size)
    if choice == .automatic, let memfd = MemfdBacking(text: code, constants: constants) {
      backing = memfd
    } else {
      backing = try AnonymousBacking(text: code, constants: constants)
    }
    let writable = AddressRange(
      start: slotBanks.start, size: slotBanks.size + got.size + data.size)
    let writableStart = UnsafeMutableRawPointer(bitPattern: UInt(writable.start.value))
    guard mprotect(writableStart, Int(writable.size), PROT_READ | PROT_WRITE) == 0 else {
      throw LinkError(file: "", .system(SystemError("mprotect", "data of linked code")))
    }
    if let writableStart {
      hl_name_mapping(writableStart, Int(writable.size), "hotlink data")
    }
    regions = [(text, 1024 << 10), (constants, 512 << 10), (data, 512 << 10)].map {
      Region(
        allocator: RangeAllocator($0.0), populatedEnd: $0.0.start, chunk: UInt64($0.1 / 8),
        largestChunk: UInt64($0.1))
    }
    freshText = text.start
  }

  /// An arena at any address, for a link that is only looked at.
  ///
  /// - Throws: `LinkError.noSpace` when it does not fit below 2^64.
  package init(imaginary layout: ArenaLayout) throws(LinkError) {
    var next = layout.base.value
    var isTooLarge = false
    func take(_ size: UInt64, alignment: UInt64 = 64) -> AddressRange {
      let start = aligned(next, to: alignment)
      let (end, overflows) = start.addingReportingOverflow(size)
      isTooLarge = isTooLarge || overflows || start < next
      next = end
      return AddressRange(start: Address(start), size: size)
    }
    let text = take(layout.text, alignment: 1)
    let constants = take(layout.constants, alignment: 1)
    let data = take(layout.data, alignment: 1)
    got = take(layout.got)
    slotBanks = take(layout.slotBanks, alignment: 4096)
    stubs = take(layout.stubs)
    guard !isTooLarge else {
      throw LinkError(
        file: "",
        .unsupported(
          what: "a link at \(layout.base) reaches beyond 2^64", help: "choose a lower address"))
    }
    let all = AddressRange(start: layout.base, size: next - layout.base.value)
    window = AddressWindow(imaginary: all)
    let imaginary = try ImaginaryBacking(all)
    backing = imaginary
    dataOffset = imaginary.writableOffset
    isImaginary = true
    regions = [text, constants, data].map {
      Region(allocator: RangeAllocator($0), populatedEnd: $0.end, chunk: 1, largestChunk: 1)
    }
    freshText = text.start
  }

  deinit { waitUntilReady() }

  /// Address space for `size` bytes. Its pages are made ready, those of a large stretch until `waitUntilReady`; a large
  /// stretch of data has its pages when it is touched.
  ///
  /// - Throws: `LinkError.noSpace`.
  package func allocate(_ kind: Kind, _ size: UInt64, alignment: UInt64) throws(LinkError)
    -> Allocation
  {
    var size = max(size, 1)
    var alignment = alignment
    if kind == .text {
      size = aligned(size, to: backing.textGranularity)
      alignment = max(alignment, backing.textGranularity)
    }
    guard let range = regions[kind.rawValue].allocator.allocate(size, alignment: alignment) else {
      throw LinkError(file: "", .noSpace(what: "\(kind) of linked code", requested: size))
    }
    if range.end > regions[kind.rawValue].populatedEnd {
      try populate(kind, upTo: range)
    }
    if kind == .text {
      if range.start < freshText {
        reused.insert(range.start)
        try backing.reopen(range)
      }
      if range.end > freshText { freshText = range.end }
    }
    return Allocation(range: range, kind: kind)
  }

  /// Gives address space back. The caller vouches that nothing refers to it any more.
  package func release(_ allocation: Allocation) {
    if allocation.kind == .data { clear(allocation.range) }
    regions[allocation.kind.rawValue].allocator.release(allocation.range)
  }

  /// Data that is handed out is zero, as `.bss` must be.
  private func clear(_ range: AddressRange) {
    let size = Int(range.size)
    let start = place(range.start, .data)
    guard size > 1 << 20 else {
      memset(start, 0, size)
      return
    }
    // A large one was hardly touched: its whole pages are given back, its edges written.
    let low = Int(aligned(range.start.value, to: 4096) - range.start.value)
    let high = Int((range.end.value & ~0xFFF) - range.start.value)
    memset(start, 0, low)
    madvise(start + low, high - low, MADV_DONTNEED)
    memset(start + high, 0, size - high)
  }

  /// Where the linker writes what runs at `address`.
  @inline(__always)
  package func place(_ address: Address, _ kind: Kind) -> UnsafeMutableRawPointer {
    let bits = Int(truncatingIfNeeded: address.value)
    let pointer = UnsafeMutableRawPointer(
      bitPattern: bits &+ (kind == .data ? dataOffset : backing.writableOffset))
    return pointer.unsafelyUnwrapped  // inside the window, which does not begin at zero
  }

  /// Where the linker writes the arena byte at `address`, and nil for one outside the arena.
  package func place(of address: Address) -> UnsafeMutableRawPointer? {
    guard window.range.contains(address) else { return nil }
    return place(address, address < slotBanks.start ? .constants : .data)
  }

  /// Whether `address` is one of text or constants, which the program cannot write.
  package func isReadOnly(_ address: Address) -> Bool {
    window.range.contains(address) && address < slotBanks.start
  }

  /// What runs at `address`; nil unless all of it lies in the arena.
  package func bytes(at address: Address, count: Int) -> [UInt8]? {
    guard window.range.contains(address), UInt64(count) <= window.range.end &- address,
      let start = isImaginary ? UnsafeRawPointer(place(address, .data)) : address.pointer
    else { return nil }
    return [UInt8](UnsafeRawBufferPointer(start: start, count: count))
  }

  package func seal(_ allocation: Allocation) throws(LinkError) {
    guard allocation.kind == .text else { return }
    // Pages that were never run before cannot be a debugger's.
    let isReused = reused.remove(allocation.range.start) != nil
    if isReused || backing.sealsFreshText { try backing.seal(allocation.range) }
  }

  /// Leaves everything mapped for the rest of the process.
  package func keepForever() {
    window.mustStay = true
    backing.mustStay = true
  }

  /// Bytes handed out of each kind.
  package func used(_ kind: Kind) -> UInt64 { regions[kind.rawValue].allocator.used }

  /// Where memory of a kind has been handed out or made ready so far.
  package func extent(_ kind: Kind) -> AddressRange {
    let region = regions[kind.rawValue]
    let start = region.allocator.region.start
    return AddressRange(start: start, size: region.populatedEnd &- start)
  }

  /// Whether another thread may still be making pages ready.
  package var isReadying: Bool { readying != nil }

  /// Returns when no page that was handed out is still being made ready: who writes much waits for that, since two threads
  /// in one page take longer.
  package func waitUntilReady() {
    readying?.wait()
    readying = nil
  }

  private func populate(_ kind: Kind, upTo range: AddressRange) throws(LinkError) {
    let region = regions[kind.rawValue]
    let wanted = range.end &- region.populatedEnd
    let limit = region.allocator.region.end
    if kind == .data && wanted > 16 << 20 {
      // A large .bss: pages come when they are touched.
      regions[kind.rawValue].populatedEnd = range.end
      return
    }
    let size = min(aligned(wanted, to: region.chunk), limit &- region.populatedEnd)
    let fresh = AddressRange(start: region.populatedEnd, size: size)
    if kind == .data {
      if let start = UnsafeMutableRawPointer(bitPattern: UInt(fresh.start.value & ~0xFFF)) {
        _ = hl_populate(start, Int(aligned(fresh.size, to: 4096)), 1)
      }
    } else if fresh.size > Arena.readyAtOnce {
      readying = Errand { [backing, readying] in
        readying?.wait()
        try? backing.populate(fresh, isText: kind == .text)
      }
    } else {
      try backing.populate(fresh, isText: kind == .text)
    }
    regions[kind.rawValue].populatedEnd = fresh.end
    regions[kind.rawValue].chunk = min(region.chunk * 2, region.largestChunk)
  }
}
