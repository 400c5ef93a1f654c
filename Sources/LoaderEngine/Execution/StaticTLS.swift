// Thread-local storage of linked code: a reserved part of the static TLS block, at one offset from the
// thread pointer for all threads, so that local-exec and initial-exec code can be loaded late.
internal import CLoaderSupport
internal import Synchronization

/// The reserved block and what is handed out of it. Its owner serialises.
package final class StaticTLS: @unchecked Sendable {
  // One block for the process, whoever links into it.
  private static let allocator = Mutex(
    RangeAllocator(AddressRange(start: Address(64), size: UInt64(HL_STATIC_TLS_BYTES) - 64)))
  private var held: [AddressRange] = []
  /// Linked code outlives this: what it has stays its own.
  package var mustStay = false
  /// Offset of the block from the thread pointer, modulo 2^64.
  package let base: UInt64
  /// Module id and offset of the block in that module, for `__tls_get_addr`; nil when the process's
  /// loader does not tell.
  package let module: (id: UInt64, offset: UInt64)?

  package init() {
    base = UInt64(bitPattern: hl_static_tls_offset())
    var id: UInt64 = 0
    var offset: UInt64 = 0
    module = hl_static_tls_module(&id, &offset) == 0 ? (id, offset) : nil
  }

  /// Space in every thread's block: its offset from the thread pointer.
  ///
  /// - Throws: `LinkError.noSpace` when the block is full.
  package func allocate(_ size: UInt64, alignment: UInt64) throws(LinkError) -> UInt64 {
    // The block itself is 64-byte aligned; the thread pointer too (psABI: at least 64 on x86-64).
    guard alignment <= 64,
      let range = StaticTLS.allocator.withLock({ $0.allocate(size, alignment: alignment) })
    else {
      throw LinkError(
        file: "", .noSpace(what: "static thread-local storage", requested: size))
    }
    held.append(range)
    return base &+ range.start.value
  }

  deinit {
    if mustStay { return }
    StaticTLS.allocator.withLock { allocator in held.forEach { allocator.release($0) } }
  }

  package func release(_ offset: UInt64, _ size: UInt64) {
    let range = AddressRange(start: Address(offset &- base), size: max(size, 1))
    held.removeAll { $0 == range }
    StaticTLS.allocator.withLock { $0.release(range) }
  }

  /// Gives new threads, and the calling one, the first bytes of their variables.
  package func initialise(_ offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(LinkError) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    let code = hl_static_tls_initialise(Int(offset &- base), start, bytes.count)
    guard code == 0 else {
      throw LinkError(
        file: "",
        .system(
          SystemError(call: "mprotect", subject: "initial thread-local bytes", code: code)))
    }
  }
}
