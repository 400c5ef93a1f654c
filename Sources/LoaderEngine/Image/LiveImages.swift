// The images that are loaded now, by address: for who asks what an address belongs to, and for the end of the
// process, when those that are still there run their finalisers.
internal import Synchronization

/// All live image groups of the process.
package enum LiveImages {
  private struct State {
    // Unowned: a group takes itself out when it goes.
    var groups: [Unmanaged<ImageGroup>] = []
    var isWatchingExit = false
  }

  // Sound: entries are alive while they are listed; a group leaves the list before it goes.
  private nonisolated(unsafe) static var state = State()
  private static let lock = Mutex<Void>(())

  static func add(_ group: ImageGroup) {
    lock.withLock { _ in
      state.groups.append(Unmanaged.passUnretained(group))
      guard !state.isWatchingExit else { return }
      state.isWatchingExit = true
      LinkedCode.atExit { finishAll() }
    }
  }

  static func remove(_ group: ImageGroup) {
    lock.withLock { _ in
      state.groups.removeAll { $0.toOpaque() == Unmanaged.passUnretained(group).toOpaque() }
    }
  }

  /// Gives a group the place in the order of finalisers that another has.
  static func move(_ group: ImageGroup, behind other: ImageGroup) {
    lock.withLock { _ in
      let own = Unmanaged.passUnretained(group)
      state.groups.removeAll { $0.toOpaque() == own.toOpaque() }
      let place = state.groups.firstIndex {
        $0.toOpaque() == Unmanaged.passUnretained(other).toOpaque()
      }
      state.groups.insert(own, at: place.map { $0 + 1 } ?? state.groups.count)
    }
  }

  /// The image that an address lies in.
  package static func image(at address: Address) -> MappedImage? {
    lock.withLock { _ in
      for group in state.groups {
        for image in group._withImages where image.mapping.range.contains(address) { return image }
      }
      return nil
    }
  }

  /// All images, in the order they were loaded.
  package static var all: [MappedImage] {
    lock.withLock { _ in state.groups.flatMap { $0._withImages } }
  }

  /// At the end of the process: finalisers of what is still loaded, the latest first.
  private static func finishAll() {
    let groups = lock.withLock { _ in state.groups.map { $0.takeUnretainedValue() } }
    for group in groups.reversed() { group.finish() }
  }
}

extension Unmanaged<ImageGroup> {
  fileprivate var _withImages: [MappedImage] { takeUnretainedValue().images }
}
