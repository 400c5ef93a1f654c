// Destructors of thread_local objects in a loaded image run when their threads end, which may be long
// after the image was asked to go. Whoever still owes one keeps the image. Itanium C++ ABI, 3.3.6.
internal import CLoaderSupport
internal import Glibc

/// Counts the pending thread-exit destructors of one image, by the address of its `__dso_handle`.
///
/// An image that has one ends with `handOver`, never by just dropping its memory.
package final class ThreadExitLedger: @unchecked Sendable {
  // nil once closed. Its owner serialises `handOver`; `pending` may be asked from anywhere before.
  private var range: OpaquePointer?

  /// - Parameter addresses: where the image's `__dso_handle` may be: all of the image.
  package init(_ addresses: AddressRange) throws(LinkError) {
    range = hl_exit_range_create(UInt(addresses.start.value), UInt(addresses.end.value))
    guard range != nil else {
      throw LinkError(
        file: "",
        .system(SystemError(call: "calloc", subject: "thread-exit destructors", code: ENOMEM)))
    }
  }

  deinit { if let range { _ = hl_exit_range_close(range, nil, nil) } }

  /// Destructors that wait for their threads to end.
  package var pending: Int { range.map { hl_exit_range_pending($0) } ?? 0 }

  /// Takes over what keeps the image's memory. It is released now when nothing is pending, else on
  /// the thread that runs the last destructor, after it.
  ///
  /// - Returns: whether it went at once.
  @discardableResult
  package func handOver(_ owner: consuming AnyObject) -> Bool {
    guard let range else { return true }
    self.range = nil
    return hl_exit_range_close(
      range, { owner in if let owner { Unmanaged<AnyObject>.fromOpaque(owner).release() } },
      Unmanaged.passRetained(owner).toOpaque()) != 0
  }

  /// `__cxa_thread_atexit` and `__cxa_thread_atexit_impl` for loaded images. A handle in no ledger's
  /// range goes to the process's own function.
  package static var register: Address { Address(hl_cxa_thread_atexit_entry()) }
}
