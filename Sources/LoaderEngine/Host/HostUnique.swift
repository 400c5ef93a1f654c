// The process's loader keeps a table of GNU_UNIQUE symbols of its own; it tells by dlsym(3) on a library that
// has one.
internal import CLoaderSupport
internal import Glibc

package enum HostUnique {
  /// The process's definition of a unique symbol, whichever of its libraries has it, under whatever
  /// version; nil when none has.
  package static func definition(_ name: SymbolName) -> FoundSymbol? {
    let request = LookupRequest(name)
    let images = HostImages.current()
    for provider in images.all {
      // What may be unloaded is held before it is looked into.
      let held = images.isPermanent(provider) ? nil : HostImages.handle(provider)
      guard held != nil || images.isPermanent(provider) else { continue }
      defer { withExtendedLifetime(held) {} }
      let index = provider.lookup.find(request)
      guard index != 0, let symbol = provider.lookup.symbol(index), symbol.binding == 10 else {
        continue
      }
      // Its own table may name another library's.
      guard let handle = held ?? HostImages.handle(provider) else {
        return FoundSymbol(provider: provider, index: index, symbol: symbol)
      }
      let text = request.name.base.assumingMemoryBound(to: CChar.self)
      guard let address = dlsym(handle.handle, text),
        let owner = images.image(at: Address(UnsafeRawPointer(address)))
      else { return FoundSymbol(provider: provider, index: index, symbol: symbol) }
      let other = owner.lookup.find(request)
      guard other != 0, let definition = owner.lookup.symbol(other) else {
        return FoundSymbol(provider: provider, index: index, symbol: symbol)
      }
      return FoundSymbol(provider: owner, index: other, symbol: definition)
    }
    return nil
  }
}
