// One of two loads of the same library: its words, and what they mean there. Words are read through the view
// of its segments, so nothing outside of them is touched.
internal import CLoaderSupport

/// The library as one loader has it.
struct LoadedSide {
  let provider: SymbolProvider
  private let images: [SymbolProvider]
  /// The same library as the other loader has it, when that is an image of the process.
  private let twin: SymbolProvider?
  private let blocks: [Block]

  /// A thread-local block of the calling thread.
  private struct Block {
    var start: UInt64
    var provider: SymbolProvider
  }

  init(_ provider: SymbolProvider, among images: [SymbolProvider], twin: SymbolProvider?) {
    self.provider = provider
    self.images = images
    self.twin = twin
    var blocks: [Block] = []
    for image in images + (provider.isHost ? [] : [provider]) {
      let start: Address? =
        switch image.threadStorage {
        case .none: nil
        case .module(let id), .host(let id): ThreadLocalModule.address(module: id, offset: 0)
        case .fixed(_, _, let offset): Address(hl_own_thread_pointer()) &+ offset
        }
      if let start { blocks.append(Block(start: start.value, provider: image)) }
    }
    self.blocks = blocks
  }

  /// The bytes at a virtual address; nil when they are not in one segment.
  func pointer(_ place: UInt64, _ width: UInt64) -> UnsafeRawPointer? {
    provider.view.pointer(place, width)
  }

  func word64(_ place: UInt64) -> UInt64? {
    pointer(place, 8)?.loadUnaligned(as: UInt64.self)
  }

  func word32(_ place: UInt64) -> UInt32? {
    pointer(place, 4)?.loadUnaligned(as: UInt32.self)
  }

  // MARK: meanings

  func meaning(ofPointer value: UInt64) -> WordMeaning {
    // The end counts too: `_end`, and arrays that are walked backwards.
    if value &- provider.range.start.value <= provider.range.size {
      return .inside(.library, offset: value &- provider.bias)
    }
    for image in images where image !== provider {
      if image.range.contains(Address(value)) {
        return .inside(module(image), offset: value &- image.bias)
      }
    }
    return .plain(value)
  }

  /// Of what __tls_get_addr is called with.
  func meaning(ofModule id: UInt64, offset: UInt64) -> WordMeaning {
    switch provider.threadStorage {
    case .module(id), .host(id): return .thread(.library, offset: offset)
    case .fixed(id, let start, _) where offset &- start < 1 << 40:
      return .thread(.library, offset: offset &- start)
    default: break
    }
    for image in images {
      if case .host(id) = image.threadStorage { return .thread(module(image), offset: offset) }
    }
    return id == 0 ? .plain(offset) : .thread(.other("module \(id)"), offset: offset)
  }

  /// Of a distance from the thread pointer.
  func meaning(ofThreadOffset offset: UInt64) -> WordMeaning {
    let address = Address(hl_own_thread_pointer()).value &+ offset
    var best: Block?
    for block in blocks where block.start <= address && block.start > (best?.start ?? 0) {
      best = block
    }
    // Null, and what an undefined weak variable makes of it, lies far below all blocks.
    guard let best, address - best.start < 1 << 32 else { return .plain(address) }
    return .thread(module(best.provider), offset: address - best.start)
  }

  /// What the two words of a TLS descriptor give when they are asked as compiled code asks them; nil when
  /// they are no descriptor.
  func result(ofDescriptorAt place: UInt64) -> UInt64? {
    guard let descriptor = pointer(place, 16),
      images.contains(where: { $0.view.isExecutable(resolver(descriptor) &- $0.bias) })
    else { return nil }
    return UInt64(bitPattern: hl_tls_descriptor_call(descriptor))
  }

  private func resolver(_ descriptor: UnsafeRawPointer) -> UInt64 {
    descriptor.loadUnaligned(as: UInt64.self)
  }

  private func module(_ image: SymbolProvider) -> WordMeaning.Module {
    if image === provider { return .library }
    return .other(image === twin ? "self as the other loader has it" : image.name)
  }
}
