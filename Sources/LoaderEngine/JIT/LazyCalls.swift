// Calls through a slot that leads nowhere yet: the trampoline asks here for an address. A function that
// is defined by now is bound; one that nobody defines goes to the host's handler.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// The programs of the process, by the tag in their slots' tokens.
package enum LazyCalls {
  private static let programs = Mutex<[UInt32: Weak]>([:])
  private static let nextTag = Atomic<UInt32>(0)

  private final class Weak: @unchecked Sendable {
    weak var resolver: (any LazyResolver)?
    init(_ resolver: any LazyResolver) { self.resolver = resolver }
  }

  package static func takeTag() -> UInt32 {
    let tag = nextTag.wrappingAdd(1, ordering: .relaxed).oldValue & 2047
    if tag == 0 {
      hl_lazy_prepare()
      hl_set_lazy_resolver { LazyCalls.resolve($0) }
    }
    return tag
  }

  package static func register(_ resolver: any LazyResolver, tag: UInt32) {
    programs.withLock { $0[tag] = Weak(resolver) }
  }

  private static func resolve(_ token: UInt64) -> UInt64 {
    let tag = UInt32(truncatingIfNeeded: token) >> SlotTable.tagShift
    let slot = SlotIndex(UInt32(truncatingIfNeeded: token) & (1 << SlotTable.tagShift - 1))
    let resolver = programs.withLock { $0[tag]?.resolver }
    guard let resolver else { abort() }  // the session is gone: its functions cannot be called
    return resolver.resolve(slot)
  }
}

/// Answers the lazy calls of one program.
package protocol LazyResolver: AnyObject, Sendable {
  /// The address to jump to.
  func resolve(_ slot: SlotIndex) -> UInt64
}
