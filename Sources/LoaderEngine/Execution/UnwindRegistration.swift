// Makes linked code known to the unwinder. One registration per stretch of text: libgcc expects
// registered ranges not to overlap or nest, searches them by their lowest address, and pays for each.
internal import Glibc

/// A registered `.eh_frame` table; withdrawn when dropped.
package final class UnwindRegistration: @unchecked Sendable {
  private typealias Function = @convention(c) (UnsafeMutableRawPointer) -> Void
  private static let register = function("__register_frame")
  private static let deregister = function("__deregister_frame")
  private let start: UnsafeMutableRawPointer

  /// - Parameter start: the first CIE of a table that ends with a zero word, in memory that stays.
  /// - Returns: nil when the process has no unwinder.
  package init?(_ start: Address) {
    guard let register = UnwindRegistration.register, UnwindRegistration.deregister != nil,
      let pointer = UnsafeMutableRawPointer(bitPattern: UInt(start.value))
    else { return nil }
    self.start = pointer
    register(pointer)
  }

  deinit { UnwindRegistration.deregister?(start) }

  // By name: a statically linked unwinder would be another one than the program throws with.
  private static func function(_ name: String) -> Function? {
    dlsym(nil, name).map { unsafeBitCast($0, to: Function.self) }
  }
}
