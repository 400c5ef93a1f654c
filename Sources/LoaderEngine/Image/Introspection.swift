// Answers for code in our images that asks the loader about addresses, symbols and libraries: the Swift half of
// introspection.c. Linux: dladdr(3), dlsym(3), dlopen(3).
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// Opens libraries for code in our images.
package protocol LibraryOpener: AnyObject, Sendable {
  /// A library by what dlopen(3) was given.
  ///
  /// - Returns: nil when it is the process's affair.
  /// - Throws: `LinkError` when it is ours and cannot be loaded.
  func open(_ name: String, mode: Int32, for caller: MappedImage) throws(LinkError) -> Image?
  /// What images see besides the process's libraries and their own (Linux: RTLD_GLOBAL).
  var visible: (groups: [ImageGroup], scope: Scope) { get }
}

package enum Introspection {
  /// What a handle of ours stands for; how often it was given out.
  private struct Handle {
    var image: Image
    /// The image and what it needs, breadth-first.
    var searched: Scope
    var count: Int
  }

  private static let handles = Mutex<[UInt: Handle]>([:])
  /// What dlopen(3) gives for the program itself.
  private static let program = UInt(bitPattern: dlopen(nil, RTLD_LAZY))

  /// Connects the C half. Once, before the first image is bound.
  static let isReady: Void = {
    var functions = hl_introspection()
    functions.describe = { owner, address, facts in
      guard let owner, let address, let facts else { return }
      // Sound: the C half holds the lock that the image's record is taken out under.
      Unmanaged<MappedImage>.fromOpaque(owner)._withUnsafeGuaranteedRef {
        Introspection.describe(Address(address), in: $0.provider, facts)
      }
    }
    functions.open = { file, mode, caller, message, size in
      guard let file, let caller, let message else { return nil }
      return Introspection.open(
        String(cString: file), mode, Address(caller),
        UnsafeMutableBufferPointer(start: message, count: size))
    }
    functions.close = { handle in
      Introspection.close(UInt(bitPattern: handle)) ? 1 : 0
    }
    functions.symbol = { handle, name, version, caller, isOurs in
      guard let name, let caller, let isOurs else { return nil }
      var request = LookupRequest(SymbolName(NameView(base: name, count: strlen(name))))
      request.takesNewest = true
      if let version {
        let text = NameView(base: version, count: strlen(version))
        request.version = SymbolVersion(
          name: text.base, count: UInt32(text.count), hash: SymbolName(text).sysvHash,
          isExact: true, isDefined: false)
      }
      guard
        let found = Introspection.symbol(
          request, UInt(bitPattern: handle), Address(caller), &isOurs.pointee),
        let address = Image.address(of: found)
      else { return nil }
      return found.provider.isHost
        ? Address(Interposition.replacement(of: address.value)).pointer : address.pointer
    }
    functions.replacement = { address in
      address.flatMap { Address(Interposition.replacement(of: Address($0).value)).pointer }
    }
    hl_set_introspection(&functions)
  }()

  private static func describe(
    _ address: Address, in provider: SymbolProvider, _ facts: UnsafeMutablePointer<hl_address_facts>
  ) {
    guard let found = provider.definitionForLoader(at: address),
      let text = provider.lookup.name(of: found.symbol)
    else { return }
    // Names in a string table end in NUL, and stay as long as the image.
    facts.pointee.symbol = text.base.assumingMemoryBound(to: CChar.self)
    facts.pointee.address = Address(found.address).pointer
    facts.pointee.entry = (provider.lookup.symbols + Int(found.index) * 24)
      .assumingMemoryBound(to: Elf64_Sym.self)
  }

  // MARK: handles

  private static func open(
    _ name: String, _ mode: Int32, _ caller: Address,
    _ message: UnsafeMutableBufferPointer<CChar>
  ) -> UnsafeMutableRawPointer? {
    guard let asking = LiveImages.image(at: caller)?.mapped, let opener = asking.options.opener
    else { return nil }
    do throws(LinkError) {
      guard let image = try opener.open(name, mode: mode, for: asking),
        let handle = image.mapped?.liveRecord?.handle
      else { return nil }
      let searched = Scope(searchList(of: image))
      handles.withLock { handles in
        let key = UInt(bitPattern: handle)
        handles[key, default: Handle(image: image, searched: searched, count: 0)].count += 1
        // Never counted down again.
        if mode & RTLD_NODELETE != 0 { handles[key]?.count += 1 }
      }
      return handle
    } catch {
      let text = Array("\(name): \(error.reason)".utf8.prefix(message.count - 1)) + [0]
      for (index, byte) in text.enumerated() { message[index] = CChar(bitPattern: byte) }
      return nil
    }
  }

  private static func close(_ key: UInt) -> Bool {
    // The last reference is dropped outside the lock: finalisers run then.
    var last: Handle?
    let isOurs = handles.withLock { handles in
      guard let handle = handles[key] else { return false }
      if handle.count > 1 {
        handles[key]?.count -= 1
      } else {
        last = handles.removeValue(forKey: key)
      }
      return true
    }
    withExtendedLifetime(last) {}
    return isOurs
  }

  /// A symbol as dlsym(3) finds it for a caller in one of our images.
  private static func symbol(
    _ request: LookupRequest, _ handle: UInt, _ caller: Address, _ isOurs: inout Int32
  ) -> FoundSymbol? {
    if let searched = handles.withLock({ $0[handle]?.searched }) {
      isOurs = 1
      return searched.find(request)
    }
    guard let image = LiveImages.image(at: caller), let asking = image.mapped else { return nil }
    // What is visible now stays while it is looked into.
    let visible = asking.options.opener?.visible
    defer { withExtendedLifetime(visible) {} }
    switch handle {
    case 0:  // RTLD_DEFAULT: what nobody of these has, the process may have got since.
      return find(
        request,
        [asking.scopes.first, visible?.scope] + asking.scopes.dropFirst().map(Optional.some))
    case UInt.max:  // RTLD_NEXT: behind the caller, in the order of what was asked for.
      isOurs = 1
      let list = searchList(of: image.ofRoot)
      let own = list.firstIndex { $0 === asking.provider } ?? -1
      return Scope(list).find(request, from: own + 1)
    case program: return find(request, [asking.scopes.first, visible?.scope])
    default: return nil
    }
  }

  private static func find(_ request: LookupRequest, _ scopes: [Scope?]) -> FoundSymbol? {
    for scope in scopes {
      if let found = scope?.find(request) { return found }
    }
    return nil
  }

  /// An image and what it needs, breadth-first, the process's libraries among them: where dlsym(3) looks.
  private static func searchList(of image: Image) -> [SymbolProvider] {
    var groups: [ImageGroup] = image.group.map { [$0] } ?? []
    var next = 0
    while next < groups.count {
      for other in groups[next].dependencies where !groups.contains(where: { $0 === other }) {
        groups.append(other)
      }
      next += 1
    }
    let ours = groups.flatMap { $0.images.map(\.provider) }
    let theirs = HostImages.current()
    var list = [image.provider]
    next = 0
    while next < list.count {
      let needer = list[next]
      next += 1
      for index in needer.entries.needed.indices {
        guard let name = needer.neededName(index), !list.contains(where: { $0.isNamed(name) }),
          let found = ours.first(where: { $0.isNamed(name) }) ?? theirs.image(named: name)
        else { continue }
        list.append(found)
      }
    }
    return list
  }
}
