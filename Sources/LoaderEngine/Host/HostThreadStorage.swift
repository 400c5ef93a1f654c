// Whether, and at which offset from the thread pointer, the thread-local block of a library of the process lies
// in the static block: asked of the process's loader once per module.
internal import CLoaderSupport
internal import Synchronization

package enum HostThreadStorage {
  private static let known = Mutex<[UInt64: UInt64?]>([:])

  /// Offset of a module's block from the thread pointer, the same for all threads, modulo 2^64; nil when
  /// there is none.
  package static func offset(ofModule id: UInt64) -> UInt64? {
    if let answer = known.withLock({ $0[id] }) { return answer }
    var raw = hl_thread_variable()
    let answer =
      hl_host_tls(ThreadLocalModule.address(module: id, offset: 0).pointer, &raw) == 0
        && raw.is_static != 0
      ? UInt64(bitPattern: raw.thread_offset) : nil
    known.withLock { $0[id] = .some(answer) }
    return answer
  }
}
