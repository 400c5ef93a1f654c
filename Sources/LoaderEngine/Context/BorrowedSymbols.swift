// What objects find outside the namespace and the process: in images of their context, or with the caller's resolver.
internal import CLoaderSupport

extension ObjectNamespace {
  /// Names that the objects want and only an image of the context, or the caller's resolver, has.
  func define(
    _ sources: [ObjectSource], in draft: borrowing SymbolTable.Draft, from scopes: [Scope],
    _ resolver: (@Sendable (String) -> HostSymbol?)?, _ borrowed: inout [SymbolID]
  ) throws(LinkError) {
    let scopes = scopes.filter { !$0.providers.isEmpty }
    guard !scopes.isEmpty || resolver != nil else { return }
    var own: Set<SymbolID> = []
    var wanted: [SymbolID] = []
    for source in sources {
      let object = source.object
      for index in object.firstGlobal..<object.symbols.count {
        let id = space.names.intern(object.name(ofSymbol: index))
        if object.place(ofSymbol: index) == .undefined {
          wanted.append(id)
        } else {
          own.insert(id)
        }
      }
    }
    for id in wanted where !own.contains(id) && draft[id] == nil {
      let name = space.names[id]
      guard !LinkedSet.isMadeByLinker(name), space.host.find(id, name) == nil,
        space.host.findThreadLocal(id, name) == nil
      else { continue }
      var found: HostSymbol?
      for scope in scopes where found == nil { found = try symbol(name, in: scope) }
      if found != nil { borrowed.append(id) }
      if let found = found ?? resolver?(name.string) {
        let unit =
          borrowed.last == id ? ObjectNamespace.imageUnit : ObjectNamespace.hostUnit
        draft.define(id, try definition(of: id, found, unit))
      }
    }
  }

  private func symbol(_ name: NameView, in scope: Scope) throws(LinkError) -> HostSymbol? {
    var request = LookupRequest(SymbolName(name))
    request.takesNewest = true
    guard let found = scope.find(request) else { return nil }
    if found.symbol.isThreadLocal {
      throw LinkError(
        file: found.provider.name,
        .unsupported(
          what: "thread-local variable '\(name.string)' of a loaded image",
          help: "give the image a function that returns its address"))
    }
    guard let address = Image.address(of: found) else { return nil }
    return HostSymbol(address, found.symbol.isFunction ? .function : .data)
  }

  func definition(of id: SymbolID, _ symbol: HostSymbol, _ unit: UInt32)
    throws(LinkError) -> Definition
  {
    var made = Definition(
      address: symbol.address.value, size: 0, unit: unit, kind: .constant, isWeak: false)
    switch symbol.kind {
    case .data: break
    case .absolute: made.kind = .absolute
    case .function
    where unit == ObjectNamespace.imageUnit && space.arena.window.reaches(symbol.address):
      break  // the address that the image itself takes of it
    case .function:
      let slot = try space.slots.slot(of: id)
      space.slots.bind(slot, to: symbol.address.value)
      made.kind = .function
      made.slot = slot.value
    }
    return made
  }
}
