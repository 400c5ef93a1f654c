// FLOW 2 for callers of the library: objects become part of a context, one link after the other, as a compiler
// emits them.
//
//     link      names, stubs and data of earlier links are there; functions of later ones may be called
//     replace   new objects take the place of earlier ones: all functions move with one store
//     remove    names go at once, memory with its last holder

extension LinkContext {
  /// Links relocatable objects into this context and runs their initialisers.
  ///
  /// They see what was linked here before, the process's own symbols, promoted images and `options.images`. A function
  /// that nobody defines yet may be called all the same: a later link may define it, see `onUndefinedCall`.
  /// The context keeps them until `LinkedObjects.remove()`.
  ///
  /// - Parameter old: objects whose place they take. Calls and pointers to functions lead to the new bodies at
  ///   once, all together; variables begin anew, and whoever was bound to the old ones keeps them. The finalisers
  ///   of the old objects run last.
  /// - Throws: `LinkError`; nothing has changed then.
  @discardableResult
  public func link(
    _ objects: [ObjectSource], replacing old: LinkedObjects? = nil,
    options: ObjectOptions = ObjectOptions()
  ) throws(LinkError) -> LinkedObjects {
    let program = try objectProgram()
    let (set, generation) = try program.namespace.link(
      objects, replacing: old?.members, options, promoted: promoted)
    // GATE: visible, no way back.
    if self.options.runsInitialisers { program.namespace.start(set) }
    if let old { program.namespace.finish(old.members) }
    return LinkedObjects(program, set, generation)
  }

  /// Gives objects that are linked later a symbol of the host. A function's name can be given again: all callers
  /// move.
  ///
  /// - Throws: `LinkError.duplicate` when an object defines the name.
  public func define(_ name: String, _ symbol: HostSymbol) throws(LinkError) {
    try objectProgram().namespace.define(name, symbol)
  }

  /// A function that may not be linked yet. The pointer stays valid and equal as long as the context, and
  /// always calls the newest definition.
  ///
  /// - Parameter type: a `@convention(c)` function type.
  /// - Throws: `LinkError.noSpace` when there are too many functions.
  public func function<Function>(named name: String, as type: Function.Type = Function.self)
    throws(LinkError) -> Symbol<Function>
  {
    let program = try objectProgram()
    return Symbol(try program.namespace.stub(of: name), heldBy: program)
  }

  /// What happens when linked code calls a function that nobody has defined: the handler may supply an address, or
  /// objects that define it, compiled then and there. Without an answer the process ends with a message
  /// that names the function. It runs on the calling thread, one call at a time; an error it throws ends the process.
  public func onUndefinedCall(_ handler: (@Sendable (String) throws -> UndefinedCall?)?)
    throws(LinkError)
  {
    try objectProgram().namespace.onUndefinedCall(handler)
  }
}

extension ObjectNamespace {
  /// Links objects and makes them part of the namespace; nothing of them has run then.
  ///
  /// - Parameter old: a set whose place they take.
  /// - Throws: `LinkError`; nothing has changed then.
  func link(
    _ sources: [ObjectSource], replacing old: ObjectSet?, _ options: ObjectOptions,
    promoted: (groups: [ImageGroup], scope: Scope)
  ) throws(LinkError) -> (set: ObjectSet, generation: Int) {
    try lock.withLock { () throws(LinkError) in
      forgetRetained()
      let base = SymbolTable.Draft(from: table)
      var changes: [SlotTable.Change] = []
      if let old { withdraw(old, from: base, &changes) }
      var inputs = sources.map { LinkInput(object: $0.object, unit: numbers.take()) }
      let units = inputs.map(\.unit)
      var isLinked = false
      defer { if !isLinked { numbers.giveBack(units) } }
      if sources.contains(where: { SwiftRuntime.hasRecords($0.object) }) {
        inputs.append(
          LinkInput(object: try SwiftRuntime.registrationObject(), unit: SwiftRuntime.unit))
      }
      for source in sources {
        for library in SwiftRuntime.autolinkedLibraries(source.object) {
          try? space.host.open(library: library)
        }
      }
      let groups = promoted.groups + options.images.compactMap(\.group)
      let scopes = [promoted.scope] + options.images.compactMap { $0.group?.localScope }
      var borrowed: [SymbolID] = []
      try define(sources, in: base, from: scopes, options.resolver, &borrowed)
      let set = try ObjectLinker.link(
        inputs, against: base.table, in: space, options: linkOptions(options, inputs))
      let memory = ObjectMemory(set, units, numbers, lock)
      isLinked = true  // from here on the memory gives the numbers back
      let made = try ObjectSet(
        memory, dependencies(of: set, units), borrowed.isEmpty ? [] : groups)
      let committed = try set.commit()
      // GATE: no way back.
      let draft = SymbolTable.Draft(from: committed)
      for id in borrowed { draft.remove(id) }
      table = draft.table
      for change in set.gotChanges { space.got.set(change.entry, change.value) }
      let defined = Set(set.slotChanges.map(\.slot))
      space.slots.publish(set.slotChanges + changes.filter { !defined.contains($0.slot) })
      for (slot, resolver) in set.indirectFunctions {
        space.slots.bind(slot, to: LinkedCode.resolve(resolver).value)
      }
      for (unit, source) in zip(units, sources) {
        owners[unit] = WeakSet(set: made)
        names[unit] = source.name
      }
      noteAlternatives(set)
      if inputs.count > sources.count { pin(made) }
      if let old { sets.removeAll { $0 === old } }
      sets.append(made)
      generation += 1
      return (made, generation)
    }
  }

  private func linkOptions(_ options: ObjectOptions, _ inputs: [LinkInput]) -> LinkOptions {
    var link = LinkOptions()
    link.deferUndefinedCalls = !options.isStrict
    link.isRemovable = true
    link.observer = options.observer
    let names = names
    link.unitName = {
      $0 == ObjectNamespace.hostUnit ? "the host" : names[$0] ?? "an image of the context"
    }
    return link
  }
}
