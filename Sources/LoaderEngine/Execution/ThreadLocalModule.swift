// Thread-local storage of images that we load ourselves: general and local dynamic access, and TLS
// descriptors. psABI x86-64, "Thread-Local Storage"; Drepper, "ELF Handling For Thread-Local Storage".
internal import CLoaderSupport
internal import Glibc

/// A PT_TLS segment of a loaded image: every thread that touches it gets a block of its own.
///
/// Dropping it frees the blocks of all threads. None may be using the module then; a thread that does
/// so later ends the process with a message that names the module, whatever was loaded in between.
package final class ThreadLocalModule: Sendable {
  /// What R_X86_64_DTPMOD64 writes. Never an id of the process's own loader; never used twice.
  package let id: UInt64

  /// - Parameters:
  ///   - name: the image's, for messages.
  ///   - size: `p_memsz`, in bytes.
  ///   - alignment: `p_align`; 0 means 1.
  ///   - skew: where a block starts, modulo the alignment (`p_vaddr` modulo `p_align`).
  ///   - image: the first bytes, `p_filesz` of them at their run-time address. They are read when a
  ///     thread first touches the module, so they must be relocated by then and stay readable.
  /// - Throws: `LinkError.malformed` for an alignment that is no power of two, or bytes beyond the
  ///   size; `.noSpace` above 2 GiB or 1 MiB of alignment; `.system`.
  package init(
    name: String, size: UInt64, alignment: UInt64, skew: UInt64 = 0, image: AddressRange
  ) throws(LinkError) {
    let alignment = max(alignment, 1)
    guard alignment & (alignment - 1) == 0, skew < alignment, image.size <= size,
      image.size == 0 || image.start.pointer != nil
    else {
      throw LinkError(
        file: name,
        .malformed(
          structure: "PT_TLS", offset: 0,
          detail: "\(image.size) of \(size) bytes, alignment \(alignment), skew \(skew)"))
    }
    guard size <= HL_TLS_MOST_BYTES, alignment <= HL_TLS_MOST_ALIGNMENT else {
      throw LinkError(file: name, .noSpace(what: "thread-local storage", requested: size))
    }
    var id: UInt64 = 0
    let code = name.withCString { text in
      var facts = hl_tls_module(
        name: text, size: size, alignment: alignment, skew: skew, image: image.start.pointer,
        image_size: image.size)
      return hl_tls_module_create(&facts, &id)
    }
    guard code == 0 else {
      throw LinkError(
        file: name,
        .system(
          SystemError(call: "pthread_key_create", subject: "thread-local storage", code: code)))
    }
    self.id = id
  }

  deinit { hl_tls_module_drop(id) }

  /// How many threads have a block.
  package var blockCount: Int { hl_tls_blocks(id) }

  /// `__tls_get_addr` for loaded images; passes modules of the process's own loader on.
  package static var accessor: Address { Address(hl_tls_get_addr_entry()) }

  /// The calling thread's variable at an offset in its block, which is made if need be.
  package func address(offset: UInt64) -> Address {
    ThreadLocalModule.address(module: id, offset: offset)
  }

  /// The same for any module, ours or the process's.
  package static func address(module: UInt64, offset: UInt64) -> Address {
    var index = hl_tls_index(module: module, offset: offset)
    return hl_tls_get_addr(&index).map { Address(UnsafeRawPointer($0)) } ?? Address(0)
  }
}

/// The two words of a TLS descriptor (R_X86_64_TLSDESC).
package struct ThreadLocalDescriptor: Hashable, Sendable {
  /// The code that is called: it preserves every register but rax.
  package var resolver: Address
  /// What it finds in the second word.
  package var argument: UInt64

  /// A variable in the static block.
  ///
  /// - Parameter threadOffset: S + A, from the thread pointer.
  package static func fixed(threadOffset: UInt64) -> ThreadLocalDescriptor {
    ThreadLocalDescriptor(resolver: Address(hl_tls_descriptor()), argument: threadOffset)
  }

  /// A weak variable that nobody defines: its address is the addend.
  package static func undefined(addend: UInt64) -> ThreadLocalDescriptor {
    ThreadLocalDescriptor(resolver: Address(hl_tls_descriptor_undefined()), argument: addend)
  }
}

/// Owns what the descriptors of one image point at; lives as long as the image. Its owner serialises.
package final class ThreadLocalDescriptors: @unchecked Sendable {
  private static let chunk = 128
  private var chunks: [UnsafeMutablePointer<hl_tls_index>] = []
  private var used = ThreadLocalDescriptors.chunk

  package init() {}

  deinit { for chunk in chunks { chunk.deallocate() } }

  /// A variable in a module's block.
  ///
  /// - Parameters:
  ///   - module: a `ThreadLocalModule`'s id, or one of the process's own loader.
  ///   - offset: S + A, in the module's block.
  package func dynamic(module: UInt64, offset: UInt64) -> ThreadLocalDescriptor {
    if used == ThreadLocalDescriptors.chunk {
      chunks.append(.allocate(capacity: ThreadLocalDescriptors.chunk))
      used = 0
    }
    let record = chunks[chunks.count - 1] + used
    record.initialize(to: hl_tls_index(module: module, offset: offset))
    used += 1
    return ThreadLocalDescriptor(
      resolver: Address(hl_tls_descriptor_dynamic()), argument: Address(record).value)
  }
}
