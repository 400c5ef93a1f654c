// A system call that failed: which one, on what, and errno.
internal import Glibc

/// The failure of a system call.
public struct SystemError: Error, Hashable, Sendable {
  /// The call as in its manual page, for example `mmap`.
  public var call: String
  /// What it was applied to: a path, or what the memory was for.
  public var subject: String
  /// `errno` after the call.
  public var code: Int32

  public init(call: String, subject: String, code: Int32) {
    self.call = call
    self.subject = subject
    self.code = code
  }

  package init(_ call: String, _ subject: String) {
    self.init(call: call, subject: subject, code: errno)
  }

  /// The text of `errno` (Linux: `strerror`).
  public var message: String { String(cString: strerror(code)) }
}
