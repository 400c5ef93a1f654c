// From a symbol of an image to the definition it means: locality, scope, version, uniqueness, IFUNC and
// interposition, in ld.so's order. One answer per symbol of an image is kept, so that a symbol with ten
// relocations is looked up once.
internal import CLoaderSupport
internal import Synchronization

/// What a reference means.
struct Binding {
  var address: UInt64
  /// nil: an undefined weak symbol, or an address an observer gave.
  var provider: SymbolProvider?
  var symbol: Elf64_Sym
  /// The address is that of an IFUNC's resolver, which cannot run yet, or not at all.
  var isUnresolvedIndirect = false
}

extension MappedImage {
  /// Looks up the definition that symbol `index` of this image means.
  ///
  /// - Parameter isForCall: of a JUMP_SLOT or thread-local relocation.
  /// - Returns: nil when nobody defines it and it is not weak.
  /// - Throws: `LinkError.malformed` for an index or a name outside its table.
  func bind(_ index: UInt32, isForCall: Bool, isLazy: Bool = false, isCopy: Bool = false)
    throws(LinkError) -> Binding?
  {
    let lookup = provider.lookup
    guard let symbol = lookup.symbol(index) else {
      throw LinkError(
        file: name,
        .malformed(
          structure: "relocation", offset: UInt64(index),
          detail: "symbol \(index) lies outside the symbol table"))
    }
    let binder = options.binder
    if let binder, symbol.binding != UInt8(STB_LOCAL), !symbol.isThreadLocal,
      let text = lookup.name(of: symbol),
      let address = binder.address(of: text, isForCall: isForCall, in: self)
    {
      return Binding(address: address, provider: nil, symbol: symbol)
    }
    let visibility = symbol.visibility
    if symbol.binding == UInt8(STB_LOCAL) || visibility == UInt8(STV_HIDDEN)
      || visibility == UInt8(STV_INTERNAL)
      || (visibility == UInt8(STV_PROTECTED) && symbol.st_shndx != 0)
    {
      return resolve(FoundSymbol(provider: provider, index: index, symbol: symbol))
    }
    guard let text = lookup.name(of: symbol) else {
      throw LinkError(
        file: name,
        .malformed(
          structure: "symbol \(index)", offset: UInt64(symbol.st_name),
          detail: "its name leaves the string table"))
    }
    var request = LookupRequest(SymbolName(text), version: lookup.version(of: index))
    request.isForCall = isForCall
    var binding = find(request, isCopy: isCopy).map { resolve($0) }
    if options.observer?.binding != nil || isLazy && options.observer?.lazyCall != nil {
      observe(&binding, symbol, text, request, isLazy)
    }
    if binding == nil, !symbol.isWeakBinding, let binder,
      let address = binder.fallback(for: text, isForCall: isForCall, in: self)
    {
      return Binding(address: address, provider: nil, symbol: symbol)
    }
    if binding == nil, symbol.isWeakBinding {
      return Binding(address: 0, provider: nil, symbol: symbol)
    }
    return binding
  }

  /// The definition of a thread-local variable that symbol `index` means, before anything is bound.
  func definition(ofThreadLocal index: UInt32) -> FoundSymbol? {
    guard index != 0, let symbol = provider.lookup.symbol(index),
      symbol.binding != UInt8(STB_LOCAL), let text = provider.lookup.name(of: symbol)
    else { return nil }
    var request = LookupRequest(SymbolName(text), version: provider.lookup.version(of: index))
    request.isForCall = true
    return find(request, isCopy: false)
  }

  private func find(_ request: LookupRequest, isCopy: Bool) -> FoundSymbol? {
    var found: FoundSymbol?
    // gABI, DT_SYMBOLIC: the image's own symbols first.
    if provider.entries.isSymbolic, !isCopy {
      let own = provider.lookup.find(request)
      if own != 0, let symbol = provider.lookup.symbol(own) {
        found = FoundSymbol(provider: provider, index: own, symbol: symbol)
      }
    }
    for scope in scopes where found == nil {
      found = scope.find(request, except: isCopy ? provider : nil)
    }
    if let found, found.symbol.binding == 10 {  // STB_GNU_UNIQUE
      let (chosen, owner) = UniqueSymbols.definition(for: found, request)
      // What is found through the scopes is held by them already.
      if let owner, owner !== self, !scopes.contains(where: { $0.holds(chosen.provider) }) {
        keep(owner)
      }
      return chosen
    }
    return found
  }

  private func resolve(_ found: FoundSymbol) -> Binding {
    var address = found.address
    if found.symbol.type == UInt8(STT_GNU_IFUNC), found.symbol.st_shndx != 0 {
      guard found.provider.isRelocated,
        let chosen = found.provider.resolved(address, by: LinkedCode.resolve)
      else {
        return Binding(
          address: address, provider: found.provider, symbol: found.symbol,
          isUnresolvedIndirect: true)
      }
      address = chosen
    }
    if found.provider.isHost { address = Interposition.replacement(of: address) }
    return Binding(address: address, provider: found.provider, symbol: found.symbol)
  }

  private func observe(
    _ binding: inout Binding?, _ symbol: Elf64_Sym, _ text: NameView, _ request: LookupRequest,
    _ isLazy: Bool
  ) {
    let event = BindingEvent(
      image: name, symbol: text.string, version: request.version?.text ?? "",
      provider: binding?.provider?.name ?? "", address: Address(binding?.address ?? 0),
      isLazy: isLazy)
    let answer =
      isLazy
      ? options.observer?.lazyCall?(event) ?? options.observer?.binding?(event)
      : options.observer?.binding?(event)
    if let answer {
      binding = Binding(address: answer.value, provider: nil, symbol: symbol)
    }
  }
}

/// Symbols of which the process has one, whoever defines them (GNU: STB_GNU_UNIQUE), by name alone: ld.so
/// lets a version decide which definition is found, not which one it stands for. A library of the
/// process that has it wins; among ours the first that was bound. Ours never pin an image: a definition
/// that is unmapped gives its name free.
enum UniqueSymbols {
  private struct Entry {
    weak var provider: SymbolProvider?
    var index: UInt32
  }

  private static let table = Mutex<[String: Entry]>([:])

  /// The one definition, and what keeps it.
  static func definition(for found: FoundSymbol, _ request: LookupRequest) -> (
    FoundSymbol, owner: MappedImage?
  ) {
    let key = request.name.view.string
    if let known = table.withLock({ living($0[key]) }) { return known }
    // Without our lock: the process's loader has one of its own, and calls initialisers with it.
    let chosen = found.provider.isHost ? found : HostUnique.definition(request.name) ?? found
    return table.withLock { table in
      // Another thread may have been first.
      if let known = living(table[key]) { return known }
      table[key] = Entry(provider: chosen.provider, index: chosen.index)
      return (chosen, chosen.provider.owner as? MappedImage)
    }
  }

  private static func living(_ entry: Entry?) -> (FoundSymbol, owner: MappedImage?)? {
    guard let entry, let provider = entry.provider else { return nil }
    let owner = provider.owner as? MappedImage
    // An image that is about to go is no owner any more.
    guard owner != nil || provider.isHost, let symbol = provider.lookup.symbol(entry.index) else {
      return nil
    }
    return (FoundSymbol(provider: provider, index: entry.index, symbol: symbol), owner)
  }
}
