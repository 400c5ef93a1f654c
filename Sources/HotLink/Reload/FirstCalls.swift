// Units that are linked when they are first needed: by a lazy call, or because somebody asks for a name.
internal import CLoaderSupport
internal import LoaderEngine
internal import Synchronization

extension SessionCore {
  /// What a function's first call leads to.
  func resolve(_ slot: SlotIndex) -> UInt64 {
    linking.lock()
    beginFirstCall()
    var isReady = false
    let space = linked.space
    let name = space.names[space.slots.symbol(of: slot)]
    var answer = space.slots.body(slot)?.value
    if answer == nil, linkWaiting(for: space.slots.symbol(of: slot), &isReady) {
      answer = space.slots.body(slot)?.value
    }
    if answer == nil, let found = space.host.find(space.slots.symbol(of: slot), name) {
      space.slots.bind(slot, to: found.address.value)
      answer = found.address.value
    }
    linking.unlock()
    endFirstCall(isReady)
    if let answer { return answer }
    let handler = state.withLock { $0.undefinedCall }
    if let address = handler?(name.string) { return address.value }
    hl_fatal("call of undefined function", name.string)
  }

  /// Links the unit that defines a name, when it waits.
  func linkWaiting(named name: String) throws(LinkError) {
    let generation = state.withLock { $0.generation }
    guard let id = linked.space.names.find(name), let found = generation.table[id],
      found.kind == .function, found.address == 0
    else { return }
    var isReady = false
    linking.lock()
    beginFirstCall()
    defer {
      linking.unlock()
      endFirstCall(isReady)
    }
    takeOffered()
    do {
      if try linked.linkWaiting(for: id) { isReady = relinkWhatIsReady() }
    } catch {
      guard case .link(let reason) = error.reason else { return }
      throw reason
    }
  }

  /// Links the unit of a function that is called for the first time. A unit that cannot be linked is
  /// told to the host; the call then ends as that of an undefined function.
  private func linkWaiting(for symbol: SymbolID, _ isReady: inout Bool) -> Bool {
    takeOffered()
    do {
      guard try linked.linkWaiting(for: symbol) else { return false }
    } catch {
      let handler = state.withLock { $0.handler }
      handler?(.refused(error))
      return false
    }
    isReady = relinkWhatIsReady()
    return true
  }

  /// A generation that is ready was linked without a unit that is linked now: once more.
  ///
  /// - Returns: whether it is ready again.
  private func relinkWhatIsReady() -> Bool {
    guard let ready = takeReady() else { return false }
    if makeReady(again: ready) { return true }
    requeue(ready.changes)
    wake()
    return false
  }

  /// Who waits for what is ready goes on waiting: it may be linked again. By who holds `linking`.
  private func beginFirstCall() {
    state.withLock { $0.isInFirstCall = $0.prepared != nil }
  }

  /// - Parameter isReady: what was ready is so again. Not told inside a lock, because the session may end with it.
  private func endFirstCall(_ isReady: Bool) {
    let isWaitedFor = state.withLock { state in
      defer { state.isInFirstCall = false }
      return state.isInFirstCall
    }
    guard isWaitedFor else { return }
    if isReady { markReady() }
    // The linker's thread has thought that there is nothing to look after.
    work.notify()
    idle.notify()
  }
}
