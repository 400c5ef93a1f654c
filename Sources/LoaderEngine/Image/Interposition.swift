// A few functions of the process's libraries must know our images, or they answer wrongly: loaded code that
// asks for them gets ours, which pass on what is not theirs to answer. Recognised by address: one comparison
// a binding, no names.
internal import CLoaderSupport
internal import Glibc

/// Which functions of the process are replaced for code in our images.
package enum Interposition {
  private struct Entry {
    var original: UInt64
    var replacement: UInt64
  }

  private static let entries: [Entry] = {
    let names: [(String, Address)] = [
      ("__tls_get_addr", ThreadLocalModule.accessor),
      ("__cxa_thread_atexit_impl", ThreadExitLedger.register),
      ("__cxa_thread_atexit", ThreadExitLedger.register),
    ]
    var found = names.compactMap { name, replacement in
      dlsym(nil, name).map {
        Entry(original: UInt64(UInt(bitPattern: $0)), replacement: replacement.value)
      }
    }
    var name: UnsafePointer<CChar>?
    var function: UnsafeRawPointer?
    var index = 0
    while hl_replacement(index, &name, &function) != 0 {
      if let name, let function, let original = dlsym(nil, name) {
        found.append(
          Entry(
            original: UInt64(UInt(bitPattern: original)), replacement: Address(function).value))
      }
      index += 1
    }
    return found
  }()

  /// What code in our images gets for a function of the process.
  @inline(__always)
  package static func replacement(of address: UInt64) -> UInt64 {
    for entry in entries where entry.original == address { return entry.replacement }
    return address
  }

  /// The function of the process that a replacement stands for; otherwise the address itself.
  package static func original(of address: UInt64) -> UInt64 {
    for entry in entries where entry.replacement == address { return entry.original }
    return address
  }
}
