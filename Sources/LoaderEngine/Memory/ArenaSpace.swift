// The image arena's address space: a window near the process's libraries, a memfd of the same size behind its
// read-only pages, and the slots that are in no use. All that takes system calls is here; taking and giving
// back a slot of a known shape takes none.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// Slots for images.
final class ArenaSpace: @unchecked Sendable {
  private struct State {
    var allocator: RangeAllocator
    /// By shape, each oldest first.
    var kept: [ImageShape: [ArenaSlot]] = [:]
    var keptBytes: UInt64 = 0
    var clock: UInt64 = 0
  }

  /// The writable view is PROT_NONE but while an image is mapped.
  let isHardened: Bool
  private let window: AddressWindow
  private let base: UnsafeMutableRawPointer
  private let alias: UnsafeMutableRawPointer
  private let descriptor: Int32
  private let mostKept: UInt64
  private static let mostCompared = 8
  private let state: Mutex<State>
  /// In a child after fork(2) the read-only pages are still the parent's: nothing is written there any more.
  private let depth = hl_fork_depth()

  /// - Returns: nil where the system denies executing a memfd, or has no such space.
  init?(size: UInt64, keeping mostKept: UInt64, isHardened: Bool) {
    self.mostKept = mostKept
    self.isHardened = isHardened
    let file = hl_memfd_create("hotlink images")
    guard file >= 0 else { return nil }
    guard ftruncate(file, off_t(size)) == 0, ArenaSpace.mayExecute(file),
      let window = try? AddressWindow(size: size),
      let base = UnsafeMutableRawPointer(bitPattern: UInt(window.range.start.value)),
      let alias = mmap(
        nil, Int(size), isHardened ? PROT_NONE : PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      alias != MAP_FAILED
    else {
      close(file)
      return nil
    }
    descriptor = file
    self.window = window
    self.base = base
    self.alias = alias
    state = Mutex(State(allocator: RangeAllocator(window.range)))
    hl_name_mapping(base, Int(size), "hotlink images")
    hl_watch_forks()
    hl_register_sync_cores()
  }

  deinit {
    munmap(alias, Int(window.range.size))
    close(descriptor)
  }

  private static func mayExecute(_ file: Int32) -> Bool {
    let size = Int(pageSize)
    let trial = mmap(nil, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0)
    guard trial != MAP_FAILED else { return false }
    munmap(trial, size)
    return true
  }

  /// A slot of a shape: one that was used before, or a new one.
  ///
  /// - Parameter name: of the source. Of the slots that came back last, the one that had an image of this name is taken:
  ///   it most likely shows the image's code already, which then need not be written (J1.memory: 5 of 30 µs).
  /// - Returns: nil when there is no space left.
  func take(_ shape: ImageShape, size: UInt64, for name: String) throws(LinkError) -> ArenaSlot? {
    guard hl_fork_depth() == depth else { return nil }
    let known = state.withLock { state -> ArenaSlot? in
      guard let place = state.kept.index(forKey: shape) else { return nil }
      let latest = state.kept.values[place].indices.suffix(ArenaSpace.mostCompared)
      guard let last = latest.last else { return nil }
      let index = latest.last { state.kept.values[place][$0].name == name } ?? last
      let slot = state.kept.values[place].remove(at: index)
      state.keptBytes -= slot.range.size
      return slot
    }
    let forks = hl_forks()
    guard let slot = known ?? make(shape, size: size) else { return nil }
    slot.forks = forks
    if isHardened, known != nil {
      do throws(LinkError) {
        try protectAlias(slot, PROT_READ | PROT_WRITE)
      } catch {
        unmap(slot)
        throw error
      }
    }
    return slot
  }

  private func make(_ shape: ImageShape, size: UInt64) -> ArenaSlot? {
    while true {
      let range = state.withLock { $0.allocator.allocate(size, alignment: shape.alignment) }
      if let range { return make(shape, range) }
      // Full: memory that is only kept goes first.
      guard let oldest = state.withLock({ ArenaSpace.removeOldest(&$0) }) else { return nil }
      unmap(oldest)
    }
  }

  private func make(_ shape: ImageShape, _ range: AddressRange) -> ArenaSlot? {
    let offset = range.start &- window.range.start
    let slot = ArenaSlot(
      range: range, shape: shape, base: base + Int(offset), alias: alias + Int(offset))
    let isOpen =
      !isHardened
      || mprotect(
        slot.alias, Int(range.size), PROT_READ | PROT_WRITE) == 0
    guard isOpen, slot.map(descriptor, offset: offset) else {
      unmap(slot)
      return nil
    }
    return slot
  }

  /// Takes a slot back whose image is gone, and lets go of the oldest when too much is kept.
  func give(back slot: ArenaSlot) {
    guard hl_fork_depth() == depth, slot.forks == hl_forks() else { return abandon(slot) }
    if isHardened { mprotect(slot.alias, Int(slot.range.size), PROT_NONE) }
    slot.retire()
    let isTooMuch = state.withLock { state in
      state.clock += 1
      slot.stamp = state.clock
      state.kept[slot.shape, default: []].append(slot)
      state.keptBytes += slot.range.size
      return state.keptBytes > mostKept
    }
    guard isTooMuch else { return }
    while let oldest = state.withLock({ state in
      state.keptBytes > mostKept ? ArenaSpace.removeOldest(&state) : nil
    }) {
      unmap(oldest)
    }
  }

  private static func removeOldest(_ state: inout State) -> ArenaSlot? {
    let oldest = state.kept.values.compactMap(\.first).min { $0.stamp < $1.stamp }
    guard let oldest else { return nil }
    state.kept[oldest.shape]?.removeFirst()
    if state.kept[oldest.shape]?.isEmpty == true { state.kept[oldest.shape] = nil }
    state.keptBytes -= oldest.range.size
    return oldest
  }

  /// Lays bare address space over a slot, as the window had before.
  private func lay(bare slot: ArenaSlot) -> Bool {
    let size = Int(slot.range.size)
    let got = mmap(
      slot.base, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0)
    guard got != MAP_FAILED else { return false }
    hl_name_mapping(slot.base, size, "hotlink images")
    return true
  }

  /// Gives memory back to the kernel and the addresses back to the allocator; keeps the addresses when
  /// the kernel keeps the memory, because a new slot must be zero.
  private func unmap(_ slot: ArenaSlot) {
    let offset = slot.range.start &- window.range.start
    guard lay(bare: slot),
      hl_punch_hole(descriptor, off_t(offset), off_t(slot.range.size)) == 0
    else { return }
    if isHardened { mprotect(slot.alias, Int(slot.range.size), PROT_NONE) }
    state.withLock { $0.allocator.release(slot.range) }
  }

  /// The process forked while the image was mapped: its read-only pages are the other process's too, so
  /// they are neither written nor freed. Parent and child each unmap their own view.
  private func abandon(_ slot: ArenaSlot) { _ = lay(bare: slot) }

  func protectAlias(_ slot: ArenaSlot, _ protection: Int32) throws(LinkError) {
    guard mprotect(slot.alias, Int(slot.range.size), protection) == 0 else {
      throw LinkError(file: "", .system(SystemError("mprotect", "the writable view of an image")))
    }
  }

  /// Bytes of slots that are kept for images to come.
  var keptBytes: UInt64 { state.withLock { $0.keptBytes } }
  var usedBytes: UInt64 { state.withLock { $0.allocator.used } }
}
