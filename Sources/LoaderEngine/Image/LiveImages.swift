// The images that are loaded now, by address: for who asks what an address belongs to, and for the end of the
// process, when those that are still there run their finalisers.
internal import Synchronization

/// All live image groups of the process.
package enum LiveImages {
  private struct Entry {
    var identity: ObjectIdentifier
    // A group that is going cannot be held any more: nobody gets it from here.
    weak var group: ImageGroup?
  }

  private struct State {
    var entries: [Entry] = []
    var isWatchingExit = false
  }

  private static let state = Mutex(State())

  static func add(_ group: ImageGroup) {
    state.withLock { state in
      state.entries.append(Entry(identity: ObjectIdentifier(group), group: group))
      guard !state.isWatchingExit else { return }
      state.isWatchingExit = true
      LinkedCode.atExit { finishAll() }
    }
  }

  static func remove(_ group: ImageGroup) {
    let identity = ObjectIdentifier(group)
    state.withLock { state in state.entries.removeAll { $0.identity == identity } }
  }

  // Held by the caller, so that the last reference is never dropped with the lock held.
  private static var groups: [ImageGroup] {
    state.withLock { state in state.entries.compactMap(\.group) }
  }

  /// Gives a group the place in the order of finalisers that another has.
  static func move(_ group: ImageGroup, behind other: ImageGroup) {
    let (identity, place) = (ObjectIdentifier(group), ObjectIdentifier(other))
    state.withLock { state in
      guard let from = state.entries.firstIndex(where: { $0.identity == identity }) else { return }
      let entry = state.entries.remove(at: from)
      let to = state.entries.firstIndex { $0.identity == place }
      state.entries.insert(entry, at: to.map { $0 + 1 } ?? state.entries.count)
    }
  }

  /// The image that an address lies in.
  package static func image(at address: Address) -> Image? {
    for group in groups {
      for image in group.images where image.mapping.range.contains(address) {
        return Image(image, of: group)
      }
    }
    return nil
  }

  /// All images, in the order they were loaded.
  package static var all: [Image] {
    groups.flatMap { group in group.images.map { Image($0, of: group) } }
  }

  /// At the end of the process: finalisers of what is still loaded, the latest first.
  private static func finishAll() {
    for group in groups.reversed() { group.finish() }
  }
}
