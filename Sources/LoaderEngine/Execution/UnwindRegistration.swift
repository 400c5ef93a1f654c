// Makes linked code known to the unwinder. One registration per stretch of text: libgcc expects
// registered ranges not to overlap or nest, searches them by their lowest address, and pays for each.
internal import Glibc

/// A registered `.eh_frame` table; withdrawn when dropped.
package final class UnwindRegistration: @unchecked Sendable {
  private typealias Function = @convention(c) (UnsafeMutableRawPointer) -> Void
  private static let register = function("__register_frame")
  private static let deregister = function("__deregister_frame")
  private typealias Finder =
    @convention(c) (UnsafeRawPointer, UnsafeMutableRawPointer) -> UnsafeRawPointer?
  private static let find = dlsym(nil, "_Unwind_Find_FDE").map {
    unsafeBitCast($0, to: Finder.self)
  }
  private let start: UnsafeMutableRawPointer

  /// - Parameters:
  ///   - start: the first CIE of a table that ends with a zero word, in memory that stays.
  ///   - warmedBy: an address that the table covers: the unwinder then reads and sorts the table now (1.5 ms
  ///     for 50,000 records) and not at the first throw.
  /// - Returns: nil when the process has no unwinder.
  package init?(_ start: Address, warmedBy address: Address? = nil) {
    guard let register = UnwindRegistration.register, UnwindRegistration.deregister != nil,
      let pointer = UnsafeMutableRawPointer(bitPattern: UInt(start.value))
    else { return nil }
    self.start = pointer
    register(pointer)
    if let code = address?.pointer, let find = UnwindRegistration.find {
      // Linux: `struct dwarf_eh_bases`, three words.
      withUnsafeTemporaryAllocation(of: UInt.self, capacity: 3) { bases in
        if let base = bases.baseAddress { _ = find(code, UnsafeMutableRawPointer(base)) }
      }
    }
  }

  deinit { UnwindRegistration.deregister?(start) }

  // By name: a statically linked unwinder would be another one than the program throws with.
  private static func function(_ name: String) -> Function? {
    dlsym(nil, name).map { unsafeBitCast($0, to: Function.self) }
  }
}
