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
  func open(_ name: String, mode: Int32, for caller: MappedImage) throws(LinkError) -> ImageGroup?
}

package enum Introspection {
  /// What a handle of ours stands for; how often it was given out.
  private struct Handle {
    var group: ImageGroup
    var count: Int
  }

  private static let handles = Mutex<[UInt: Handle]>([:])

  /// Connects the C half. Once, before the first image is bound.
  static let isReady: Void = {
    var functions = hl_introspection()
    functions.describe = { address, facts in
      guard let address, let facts else { return 0 }
      return Introspection.describe(Address(address), facts) ? 1 : 0
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
      let found = Introspection.symbol(
        request, UInt(bitPattern: handle), Address(caller), &isOurs.pointee)
      return found.flatMap { Image.address(of: $0)?.pointer }
    }
    hl_set_introspection(&functions)
  }()

  private static func describe(
    _ address: Address, _ facts: UnsafeMutablePointer<hl_address_facts>
  ) -> Bool {
    guard let image = LiveImages.image(at: address), let record = image.liveRecord else {
      return false
    }
    facts.initialize(to: hl_address_facts())
    facts.pointee.file = record.name
    facts.pointee.base = image.mapping.range.start.pointer
    if let found = image.provider.definition(at: address),
      let text = image.provider.lookup.name(of: found.symbol)
    {
      // Names in a string table end in NUL, and stay as long as the image.
      facts.pointee.symbol = text.base.assumingMemoryBound(to: CChar.self)
      facts.pointee.address = Address(found.address).pointer
      facts.pointee.entry = (image.provider.lookup.symbols + Int(found.index) * 24)
        .assumingMemoryBound(to: Elf64_Sym.self)
    }
    return true
  }

  // MARK: handles

  private static func open(
    _ name: String, _ mode: Int32, _ caller: Address,
    _ message: UnsafeMutableBufferPointer<CChar>
  ) -> UnsafeMutableRawPointer? {
    guard let image = LiveImages.image(at: caller), let opener = image.options.opener else {
      return nil
    }
    do throws(LinkError) {
      guard let group = try opener.open(name, mode: mode, for: image) else { return nil }
      let key = UInt(bitPattern: Unmanaged.passUnretained(group).toOpaque())
      handles.withLock { $0[key, default: Handle(group: group, count: 0)].count += 1 }
      return UnsafeMutableRawPointer(bitPattern: key)
    } catch {
      let text = Array("\(name): \(error.reason)".utf8.prefix(message.count - 1)) + [0]
      for (index, byte) in text.enumerated() { message[index] = CChar(bitPattern: byte) }
      return nil
    }
  }

  private static func close(_ key: UInt) -> Bool {
    // The last reference is dropped outside the lock: finalisers run then.
    var last: ImageGroup?
    let isOurs = handles.withLock { handles in
      guard let handle = handles[key] else { return false }
      if handle.count > 1 {
        handles[key]?.count -= 1
      } else {
        last = handle.group
        handles[key] = nil
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
    if let group = handles.withLock({ $0[handle]?.group }) {
      isOurs = 1
      return group.localScope.find(request)
    }
    guard let image = LiveImages.image(at: caller) else { return nil }
    switch handle {
    case 0:  // RTLD_DEFAULT
      isOurs = 1
      for scope in image.scopes {
        if let found = scope.find(request) { return found }
      }
      return nil
    case UInt.max:
      // RTLD_NEXT: after the caller; the process's libraries are at the end of its list.
      isOurs = 1
      let local = image.scopes.last ?? Scope.empty
      let own = local.providers.firstIndex { $0 === image.provider } ?? -1
      return local.find(request, from: own + 1) ?? image.scopes.first?.find(request, from: 1)
    default: return nil
    }
  }
}
