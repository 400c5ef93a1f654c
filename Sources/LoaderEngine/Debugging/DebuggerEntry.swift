// An image in the list that debuggers read (GDB's JIT interface): there from init to deinit.
internal import CLoaderSupport

/// A registered image.
package final class DebuggerEntry: @unchecked Sendable {
  package let image: DebugImage
  private let entry: OpaquePointer?

  /// Shows the image; a debugger that is there stops the process, reads it, and goes on.
  package init(_ image: DebugImage) {
    self.image = image
    entry = image.bytes.baseAddress.flatMap { hl_debug_register($0, image.bytes.count) }
  }

  deinit {
    if let entry { hl_debug_unregister(entry) }
  }
}

/// Who looks at this process.
package enum Debugger {
  /// Whether a debugger is attached. One small file is read (Linux: TracerPid in /proc/self/status).
  package static var isAttached: Bool { hl_tracer() != 0 }

  /// Whether one has a breakpoint where it is told of new code. One byte is read: to ask the kernel takes as long as a tenth
  /// of a link.
  static var isListening: Bool { hl_debugger_listens() != 0 }
}
