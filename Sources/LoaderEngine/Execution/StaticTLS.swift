// Thread-local storage of linked code: a reserved part of the static TLS block, at one offset from the
// thread pointer for all threads, so that local-exec and initial-exec code can be loaded late.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// The reserved block and what is handed out of it. Loads and unloads on several threads take from it and give back; an
/// imaginary one's owner serialises.
package final class StaticTLS: @unchecked Sendable {
  // One block for the process, whoever links into it.
  private static let allocator = Mutex(
    RangeAllocator(AddressRange(start: Address(64), size: UInt64(HL_STATIC_TLS_BYTES) - 64)))
  private let held = Mutex<[AddressRange]>([])
  /// Linked code outlives this: what it has stays its own.
  package var mustStay = false
  /// Offset of the block from the thread pointer, modulo 2^64.
  package private(set) var base: UInt64
  private let isImaginary: Bool
  private var imaginaryEnd: UInt64 = 0
  /// Module id and offset of the block in that module, for `__tls_get_addr`; nil when the process's
  /// loader does not tell.
  package let module: (id: UInt64, offset: UInt64)?

  package init() {
    isImaginary = false
    base = UInt64(bitPattern: hl_static_tls_offset())
    var id: UInt64 = 0
    var offset: UInt64 = 0
    module = hl_static_tls_module(&id, &offset) == 0 ? (id, offset) : nil
  }

  /// A block that no thread has, for links that are only looked at: laid out as an executable's, right
  /// below the thread pointer (psABI AMD64, “Thread-Local Storage”, variant II).
  package init(imaginary: Void) {
    isImaginary = true
    base = 0
    module = (1, 0)
    mustStay = true
  }

  /// Sets the block of a link aside whose variables are then allocated one by one.
  package func reserve(_ size: UInt64, alignment: UInt64) {
    guard isImaginary else { return }
    base = (base &- size) & ~(alignment &- 1)
    imaginaryEnd = base
  }

  /// Space in every thread's block: its offset from the thread pointer.
  ///
  /// - Throws: `LinkError.noSpace` when the block is full, `.unsupported` for more alignment than it has.
  package func allocate(_ size: UInt64, alignment: UInt64) throws(LinkError) -> UInt64 {
    if isImaginary {
      guard size <= 256 << 20 else {
        throw LinkError(
          file: "", .noSpace(what: "static thread-local storage", requested: size))
      }
      let start = aligned(imaginaryEnd, to: alignment)
      imaginaryEnd = start &+ size
      return start
    }
    // As the block itself is: ld.so aligns every thread's pointer to the most that a PT_TLS asks for.
    guard alignment <= UInt64(HL_STATIC_TLS_ALIGNMENT) else {
      throw LinkError(
        file: "",
        .unsupported(
          what: "static thread-local storage aligned to \(alignment) bytes",
          help: "compile with -ftls-model=global-dynamic, or align it to at most"
            + " \(HL_STATIC_TLS_ALIGNMENT)"))
    }
    guard let range = StaticTLS.allocator.withLock({ $0.allocate(size, alignment: alignment) })
    else {
      throw LinkError(
        file: "", .noSpace(what: "static thread-local storage", requested: size))
    }
    held.withLock { $0.append(range) }
    return base &+ range.start.value
  }

  deinit {
    if mustStay { return }
    let rest = held.withLock { $0 }
    StaticTLS.allocator.withLock { allocator in rest.forEach { allocator.release($0) } }
  }

  package func release(_ offset: UInt64, _ size: UInt64) {
    if isImaginary { return }
    let range = AddressRange(start: Address(offset &- base), size: max(size, 1))
    held.withLock { held in
      guard let index = held.lastIndex(of: range) else { return }
      held.swapAt(index, held.count - 1)
      held.removeLast()
    }
    StaticTLS.allocator.withLock { $0.release(range) }
  }

  /// First bytes of a range that `allocate` gave.
  package struct Piece {
    /// From the thread pointer, as `allocate` returned it.
    package var offset: UInt64
    /// In bytes; what is behind `bytes` becomes zero.
    package var size: UInt64
    package var bytes: UnsafeRawBufferPointer

    package init(offset: UInt64, size: UInt64, bytes: UnsafeRawBufferPointer) {
      (self.offset, self.size, self.bytes) = (offset, size, bytes)
    }
  }

  /// Gives every thread, running or to come, the first bytes of variables that nobody uses yet.
  package func initialise(_ offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(LinkError) {
    try initialise([Piece(offset: offset, size: UInt64(bytes.count), bytes: bytes)])
  }

  /// The same for all variables of a link: each thread is interrupted once, and none when the bytes
  /// are what threads have anyway.
  ///
  /// - Throws: `LinkError.unreachableThread` when one neither answers within two seconds nor can be
  ///   written from outside; `.system`.
  package func initialise(_ pieces: [Piece]) throws(LinkError) {
    let needed = pieces.filter { piece in
      let bytes = piece.bytes.prefix(Int(piece.size))
      let isStale = StaticTLS.touch(piece.offset &- base, piece.size)
      return piece.size > 0 && (isStale || bytes.contains { $0 != 0 })
    }
    guard !needed.isEmpty else { return }
    let raw = needed.map {
      hl_static_tls_piece(
        offset: Int($0.offset &- base), size: Int($0.size), bytes: $0.bytes.baseAddress,
        count: min($0.bytes.count, Int($0.size)))
    }
    var unreached: Int32 = 0
    switch hl_static_tls_initialise(raw, raw.count, 2000, &unreached) {
    case 0: return
    case ETIMEDOUT:
      throw LinkError(
        file: "", .unreachableThread(id: unreached, name: StaticTLS.nameOfThread(unreached)))
    case let code:
      throw LinkError(
        file: "",
        .system(
          SystemError(call: "mprotect", subject: "initial thread-local bytes", code: code)))
    }
  }

  // Which stretches of 64 bytes have held variables: threads may have any bytes there.
  private static let touched = Mutex([Bool](repeating: false, count: Int(HL_STATIC_TLS_BYTES) / 64))

  /// - Returns: whether any of the range was touched before.
  private static func touch(_ start: UInt64, _ size: UInt64) -> Bool {
    touched.withLock { touched in
      guard size > 0, start < UInt64(HL_STATIC_TLS_BYTES),
        size <= UInt64(HL_STATIC_TLS_BYTES) - start
      else { return true }
      var wasTouched = false
      for place in Int(start / 64)...Int((start + size - 1) / 64) {
        wasTouched = wasTouched || touched[place]
        touched[place] = true
      }
      return wasTouched
    }
  }

  private static func nameOfThread(_ task: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      hl_task_name(task, start, buffer.count)
      return String(cString: start)
    }
  }
}
