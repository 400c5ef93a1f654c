// Where an image's thread-local variables live. An image that reaches them by a fixed offset from the thread
// pointer (initial exec) gets a part of our static block; every other one a module, whose blocks are made
// when a thread first asks. psABI, “Thread-Local Storage”.
internal import CLoaderSupport

/// A part of the static block that an image holds; given back when dropped.
final class StaticThreadBlock: @unchecked Sendable {
  private static let shared = StaticTLS()
  let storage: StaticTLS
  /// Offset from the thread pointer, modulo 2^64.
  let threadOffset: UInt64
  private let start: UInt64
  private let size: UInt64

  /// - Parameter skew: where the block starts, modulo the alignment.
  init(size: UInt64, alignment: UInt64, skew: UInt64) throws(LinkError) {
    storage = StaticThreadBlock.shared
    self.size = size + skew
    start = try storage.allocate(self.size, alignment: alignment)
    threadOffset = start &+ skew
  }

  deinit { storage.release(start, size) }
}

extension MappedImage {
  /// Gives the image its thread-local storage, before anything refers to it.
  ///
  /// - Parameter fixedIfPossible: at one offset for all threads while there is room, so that code that was
  ///   not compiled for a late module can refer to it.
  package func makeThreadStorage(fixedIfPossible: Bool = false) throws(LinkError) {
    guard threadModule == nil, threadBlock == nil else { return }
    guard let template = headers.threadTemplate else { return }
    let mustBeFixed =
      provider.entries.hasStaticTLS || provider.isReachedByFixedOffset || usesFixedOffsets
    if let block = try block(for: template, mustBeFixed, fixedIfPossible) {
      threadBlock = block
      if let module = block.storage.module {
        provider.threadStorage = .fixed(
          module: module.id, offset: module.offset &+ (block.threadOffset &- block.storage.base),
          threadOffset: block.threadOffset)
      } else {
        provider.threadStorage = .fixed(module: 0, offset: 0, threadOffset: block.threadOffset)
      }
      return
    }
    let module = try ThreadLocalModule(
      name: name, size: template.size, alignment: template.alignment,
      skew: template.address & (template.alignment - 1),
      image: AddressRange(start: address(template.address), size: template.fileSize))
    threadModule = module
    provider.threadStorage = .module(id: module.id)
  }

  private func block(
    for template: ImageHeaders.ThreadTemplate, _ mustBeFixed: Bool,
    _ fixedIfPossible: Bool
  ) throws(LinkError) -> StaticThreadBlock? {
    guard mustBeFixed || fixedIfPossible else { return nil }
    do {
      return try StaticThreadBlock(
        size: template.size, alignment: template.alignment,
        skew: template.address & (template.alignment - 1))
    } catch {
      guard mustBeFixed else { return nil }
      throw LinkError(file: name, error.reason)
    }
  }

  /// Takes the thread-local variables of an earlier version over, with their values. The caller vouches
  /// that they are laid out alike, and keeps the earlier image.
  package func adoptThreadStorage(of other: MappedImage) {
    threadModule = other.threadModule
    threadBlock = other.threadBlock
    hasAdoptedThreads = true
    provider.threadStorage = other.provider.threadStorage
  }

  /// Whether a relocation asks for an offset from the thread pointer of a variable of its own.
  private var usesFixedOffsets: Bool {
    var found = false
    forEachFixedOffset { symbol in
      found =
        found || symbol == 0 || provider.lookup.symbol(symbol).map { $0.st_shndx != 0 } ?? false
    }
    return found
  }

  /// Tells other images of the group that this one reaches their variables by a fixed offset from the
  /// thread pointer, before they are given storage.
  func announceFixedOffsets() {
    // Linkers mark whoever has such code (gABI: DF_STATIC_TLS).
    guard provider.entries.hasStaticTLS else { return }
    forEachFixedOffset { symbol in
      guard let owner = definition(ofThreadLocal: symbol)?.provider, owner !== provider else {
        return
      }
      owner.isReachedByFixedOffset = true
    }
  }

  private func forEachFixedOffset(_ body: (UInt32) -> Void) {
    for table in [provider.entries.relocations, provider.entries.jumpSlots] where !table.isEmpty {
      guard let start = provider.view.pointer(table.address, table.size) else { continue }
      for index in 0..<Int(table.size / 24) {
        let entry = (start + index * 24).loadUnaligned(as: Elf64_Rela.self)
        if entry.type == X86_64.Dynamic.threadOffset { body(UInt32(entry.symbol)) }
      }
    }
  }

  /// Gives all threads the first bytes of variables at fixed offsets, after relocation.
  func initialiseThreads() throws(LinkError) {
    guard !hasAdoptedThreads, let block = threadBlock, let template = headers.threadTemplate,
      let start = address(template.address).pointer
    else { return }
    do {
      // All of it: what another image left behind the first bytes becomes zero.
      try block.storage.initialise([
        StaticTLS.Piece(
          offset: block.threadOffset, size: template.size,
          bytes: UnsafeRawBufferPointer(start: start, count: Int(template.fileSize)))
      ])
    } catch {
      throw LinkError(file: name, error.reason)
    }
  }
}
