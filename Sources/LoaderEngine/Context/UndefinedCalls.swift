// Calls of functions that nobody had defined when their callers were linked: the process is asked, then the host's
// handler, which may compile what is called. A function is made once, however many threads call it.
internal import CLoaderSupport

extension ObjectNamespace: LazyResolver {
  func onUndefinedCall(_ handler: (@Sendable (String) throws -> UndefinedCall?)?) {
    lock.withLock { undefinedCall = handler }
  }

  func resolve(_ slot: SlotIndex) -> UInt64 {
    if let known = bound(slot) { return known }
    // One thread makes it; the others find it made.
    making.lock()
    defer { making.unlock() }
    if let known = bound(slot) { return known }
    let id = space.slots.symbol(of: slot)
    let (name, handler) = lock.withLock { (space.names[id].string, undefinedCall) }
    if name.contains("\u{1}") { hl_fatal("call of a function that was removed", "") }
    do {
      switch try handler?(name) {
      case .address(let address)?:
        lock.withLock { space.slots.bind(slot, to: address.value) }
        return address.value
      case .objects(let sources)?:
        let made = try link(sources, replacing: nil, ObjectOptions(), promoted: ([], .empty))
        start(made.set)
        if let known = bound(slot) { return known }
        hl_fatal("what was compiled for a call does not define", name)
      case nil: break
      }
    } catch {
      hl_fatal("call of a function that cannot be linked", "\(name)': '\(error)")
    }
    hl_fatal("call of undefined function", name)
  }

  /// Where a slot leads, once the process has been asked too.
  private func bound(_ slot: SlotIndex) -> UInt64? {
    lock.withLock {
      if let body = space.slots.body(slot) { return body.value }
      let id = space.slots.symbol(of: slot)
      guard let found = space.host.find(id, space.names[id]) else { return nil }
      let address = Interposition.replacement(of: found.address.value)
      space.slots.bind(slot, to: address)
      return address
    }
  }
}
