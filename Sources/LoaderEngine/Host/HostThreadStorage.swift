// Whether, and at which offset from the thread pointer, the thread-local block of a library of the process lies
// in the static block: asked of the process's loader once per module.
internal import CLoaderSupport

package enum HostThreadStorage {
  /// Offset of a module's block from the thread pointer, the same for all threads, modulo 2^64; nil when
  /// there is none.
  package static func offset(ofModule id: UInt64) -> UInt64? {
    var raw = hl_thread_variable()
    guard hl_host_tls_offset(id, 0, &raw) == 0, raw.is_static != 0 else { return nil }
    return UInt64(bitPattern: raw.thread_offset)
  }
}
