// The images that the process's own loader has loaded, adopted as they stand: the program, its libraries,
// the vDSO. Their tables are read in place, so a symbol of libc is found as fast as one of ours, with its
// version, its type and its image. Linux: dl_iterate_phdr(3), dlopen(3).
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// Keeps a library of the process from being unloaded (Linux: `dlopen`, `dlclose`).
package final class HostHandle: @unchecked Sendable {
  package let handle: UnsafeMutableRawPointer
  init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }
  deinit { dlclose(handle) }
}

/// The process's images at one moment.
package final class HostImages: Sendable {
  /// In the order they were loaded.
  package let all: [SymbolProvider]
  /// What every image of the process sees: the program, its libraries, what was opened RTLD_GLOBAL.
  package let global: Scope
  private let changes: UInt64
  /// How many of `all` came with the program: they are never unloaded.
  private let initialCount: Int
  /// Those of `global` that may be unloaded.
  private let lateGlobal: [SymbolProvider]
  /// A filter over the names of those that came with the program: most of what every image sees.
  private let initialNames: NameFilter?

  private static let latest = Mutex<HostImages?>(nil)

  /// The process's images now. Costs a system-call-free look at the loader's counters when nothing has
  /// changed.
  package static func current() -> HostImages {
    let known = latest.withLock { $0 }
    if let known, known.changes == hl_host_image_changes() { return known }
    // Without our lock: the process's loader has one of its own, and calls initialisers with it.
    let fresh = HostImages(after: known)
    latest.withLock { $0 = fresh }
    return fresh
  }

  /// Forgets what is known, after a library's scope was changed (RTLD_NOLOAD | RTLD_GLOBAL).
  package static func refresh() { latest.withLock { $0 = nil } }

  private struct Adopted {
    var count = 0
    var images: [SymbolProvider] = []
  }

  private init(after previous: HostImages?) {
    var adopted = Adopted()
    // Their tables are read in the visit: the loader's lock keeps them mapped.
    let count = withUnsafeMutablePointer(to: &adopted) { list in
      hl_host_images(
        { context, image in
          guard let context, let image else { return }
          let list = context.assumingMemoryBound(to: Adopted.self)
          let given = String(cString: image.pointee.name)
          let name = list.pointee.count == 0 && given.isEmpty ? "/proc/self/exe" : given
          list.pointee.count += 1
          if let made = HostImages.adopt(image.pointee, name: name) {
            list.pointee.images.append(made)
          }
        }, list)
    }
    var known: [UInt64: SymbolProvider] = [:]
    for provider in previous?.all ?? [] { known[provider.range.start.value] = provider }
    var images: [SymbolProvider] = []
    for made in adopted.images {
      if let same = known[made.range.start.value], same.name == made.name,
        same.range == made.range, same.lookup.isSame(as: made.lookup)
      {
        images.append(same)
      } else {
        images.append(made)
      }
    }
    all = images
    changes = count
    // At the program's start the loader's list is its search order; what was opened later follows.
    var reached = Set<Int>([0])
    var queue = images.isEmpty ? [] : [0]
    while let next = queue.popLast() {
      for needed in 0..<images[next].entries.needed.count {
        guard let wanted = images[next].neededName(needed) else { continue }
        for index in images.indices where !reached.contains(index) && images[index].isNamed(wanted)
        {
          reached.insert(index)
          queue.append(index)
          break
        }
      }
    }
    initialCount = min((reached.max() ?? 0) + 1, images.count)
    var scope = images.prefix(initialCount).filter { !HostImages.isVDSO($0) }
    var late: [SymbolProvider] = []
    let isAsBefore =
      previous.map { previous in
        previous.initialNames?.providerCount == scope.count
          && zip(previous.global.providers, scope).allSatisfy { $0 === $1 }
      } ?? false
    initialNames = isAsBefore ? previous?.initialNames : NameFilter(scope)
    for image in images.dropFirst(initialCount) {
      guard let handle = HostImages.handle(image) else { continue }
      if HostImages.isGlobal(image, after: scope + late) { late.append(image) }
      withExtendedLifetime(handle) {}
    }
    scope += late
    lateGlobal = late
    global = Scope(scope, filter: initialNames)
  }

  /// Holds on the images that every image of the process sees, and that may be unloaded otherwise; nil
  /// when one of them is gone already.
  package func holdGlobal() -> [HostHandle]? {
    var handles: [HostHandle] = []
    for image in lateGlobal {
      guard let handle = HostImages.handle(image) else { return nil }
      handles.append(handle)
    }
    return handles
  }

  /// An image by what DT_NEEDED calls it.
  package func image(named name: NameView) -> SymbolProvider? {
    all.first { $0.isNamed(name) }
  }

  /// The image an address lies in.
  package func image(at address: Address) -> SymbolProvider? {
    all.first { $0.range.contains(address) && $0.view.part(of: address.value &- $0.bias) != nil }
  }

  /// What an image needs, breadth-first, without the image itself; what is not loaded is left out.
  package func dependencies(of image: SymbolProvider) -> [SymbolProvider] {
    var found: [SymbolProvider] = []
    var queue = [image]
    var next = 0
    while next < queue.count {
      let current = queue[next]
      next += 1
      for index in 0..<current.entries.needed.count {
        guard let name = current.neededName(index), let dependency = self.image(named: name),
          !queue.contains(where: { $0 === dependency })
        else { continue }
        queue.append(dependency)
        found.append(dependency)
      }
    }
    return found
  }

  /// Whether an image came with the program: it is never unloaded.
  package func isPermanent(_ image: SymbolProvider) -> Bool {
    all.prefix(initialCount).contains { $0 === image }
  }

  /// A hold on an image that was loaded later; nil when it is gone.
  package static func handle(_ image: SymbolProvider) -> HostHandle? {
    guard let raw = dlopen(image.name, RTLD_LAZY | RTLD_NOLOAD) else { return nil }
    let handle = HostHandle(raw)
    // Another one of this name may have come in its place. Linux: a handle is a link_map.
    let bias = raw.load(as: UInt64.self)
    return bias == image.bias ? handle : nil
  }

  /// Opens a library by what DT_NEEDED calls it, with the process's own search path.
  ///
  /// - Returns: the hold on it, or what the loader said.
  package static func open(_ name: String) -> Result<HostHandle, OpenFailure> {
    if let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) { return .success(HostHandle(handle)) }
    return .failure(OpenFailure(message: dlerror().map { String(cString: $0) } ?? name))
  }

  package struct OpenFailure: Error {
    package var message: String
  }

  private static func isVDSO(_ image: SymbolProvider) -> Bool {
    image.name.hasPrefix("linux-vdso") || image.name.hasPrefix("linux-gate")
  }

  /// The process's global scope (Linux: `dlopen` of NULL).
  private static let program = dlopen(nil, RTLD_LAZY).map(HostHandle.init)

  /// Whether the process's global scope leads to an image: asked for a symbol that nobody before it has.
  private static func isGlobal(_ image: SymbolProvider, after earlier: [SymbolProvider]) -> Bool {
    var answer: Bool?
    var tries = 0
    image.lookup.forEachExported { index, symbol in
      guard answer == nil, tries < 16,
        symbol.type == UInt8(STT_FUNC) || symbol.type == UInt8(STT_OBJECT),
        symbol.binding == UInt8(STB_GLOBAL), symbol.visibility == UInt8(STV_DEFAULT),
        symbol.st_value != 0, let text = image.lookup.name(of: symbol)
      else { return }
      tries += 1
      let request = LookupRequest(SymbolName(text))
      guard !earlier.contains(where: { $0.lookup.find(request) != 0 }) else { return }
      // By a handle: RTLD_DEFAULT would make the program depend on what it finds, for ever.
      let found = dlsym(program?.handle, text.base.assumingMemoryBound(to: CChar.self))
      answer = found == UnsafeMutableRawPointer(bitPattern: UInt(image.address(of: symbol)))
    }
    return answer ?? false
  }

  private static func adopt(_ raw: hl_host_image, name: String) -> SymbolProvider? {
    guard let headers = raw.headers else { return nil }
    var parts: [SegmentView.Part] = []
    var dynamic: Range<UInt64>?
    for index in 0..<Int(raw.header_count) {
      let header = headers[index]
      if header.p_type == UInt32(PT_LOAD), header.p_memsz > 0,
        let base = UnsafeRawPointer(bitPattern: UInt(raw.bias &+ header.p_vaddr))
      {
        parts.append(
          SegmentView.Part(
            start: header.p_vaddr, size: header.p_memsz,
            filled: min(header.p_filesz, header.p_memsz),
            base: base,
            access: SegmentAccess(rawValue: header.p_flags & 7)))
      }
      if header.p_type == UInt32(PT_DYNAMIC) {
        dynamic = header.p_vaddr..<(header.p_vaddr &+ header.p_memsz)
      }
    }
    guard let dynamic, let first = parts.first, let last = parts.last else { return nil }
    let start = (raw.bias &+ first.start) & ~0xFFF
    let range = AddressRange(
      start: Address(start),
      size: aligned(raw.bias &+ last.start &+ last.size, to: 4096) &- start)
    let provider = try? SymbolProvider(
      dynamic, SegmentView(parts), name: name, bias: raw.bias, range: range, isHost: true)
    if raw.tls_module != 0 { provider?.threadStorage = .host(id: raw.tls_module) }
    return provider
  }
}
