// Return addresses of the calling thread, found by unwind tables. Linux: backtrace(3).
internal import CLoaderSupport

/// The calling thread's stack.
package enum CallStack {
  /// Return addresses, innermost first, without those of asking.
  package static func addresses(depth: Int) -> [Address] {
    let depth = min(max(depth, 0), 4096)
    let found = [UnsafeRawPointer?](unsafeUninitializedCapacity: depth + 2) { buffer, count in
      count = buffer.baseAddress.map { Int(hl_call_stack($0, Int32(depth + 2))) } ?? 0
    }
    return found.dropFirst(2).compactMap { $0.map { Address($0) } }
  }
}
