// The objects of a context: one table of names, one set of stubs. A link adds a set of objects to it, or puts one in
// the place of another; functions move with one store, as in a reload (FLOW 3).
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// What the objects of a context share.
final class ObjectNamespace: @unchecked Sendable {
  /// Units that are none: symbols of the host, and of images.
  static let hostUnit: UInt32 = .max - 4
  static let imageUnit: UInt32 = .max - 3

  let space: LinkSpace
  /// Held while anything below is read or written, and while code is linked.
  let lock = ProcessLock()
  /// Held while a function is made because it was called.
  let making = ProcessLock()
  let arguments: ArgumentVector
  let numbers = UnitNumbers()
  var table = SymbolTable.empty
  /// In the order they were linked.
  var sets: [ObjectSet] = []
  var owners: [UInt32: WeakSet] = [:]
  var names: [UInt32: String] = [:]
  /// Weak definitions that another set's goes before.
  private var alternatives: [SymbolID: [(unit: UInt32, definition: Definition)]] = [:]
  /// Definitions of removed sets that others still refer to.
  private var retained: [SymbolID] = []
  var undefinedCall: (@Sendable (String) throws -> UndefinedCall?)?
  /// What a runtime of the process knows and cannot forget: it stays.
  private var pinned: [ObjectSet] = []
  var generation = 0

  struct WeakSet {
    weak var set: ObjectSet?
  }

  init(_ arguments: ArgumentVector) throws(LinkError) {
    let tag = LazyCalls.takeTag()
    space = try LinkSpace(.automatic, tag: tag)
    self.arguments = arguments
    LazyCalls.register(self, tag: tag)
    LinkedCode.atExit { [weak self] in self?.finishAll() }
  }

  /// The Swift runtime keeps pointers to records for ever.
  func pin(_ set: ObjectSet) {
    pinned.append(set)
    space.arena.keepForever()
    space.threadStorage.mustStay = true
  }

  /// Runs the initialisers of a set that was linked.
  func start(_ set: ObjectSet) { set.start(arguments) }

  // MARK: who refers to whom

  /// Sets whose variables and constants a link refers to. Functions are reached by way of stubs.
  func dependencies(of set: LinkedSet, _ units: [UInt32]) -> [ObjectSet] {
    var found: [ObjectIdentifier: ObjectSet] = [:]
    for linked in set.objects {
      for id in linked.globals {
        guard let definition = set.definition(of: id), definition.kind != .function,
          let owner = owners[definition.unit]?.set, !units.contains(definition.unit)
        else { continue }
        found[ObjectIdentifier(owner)] = owner
      }
    }
    return Array(found.values)
  }

  func noteAlternatives(_ set: LinkedSet) {
    for linked in set.objects {
      for index in linked.object.firstGlobal..<linked.object.symbols.count {
        let id = linked.globalID(index)
        let kind = linked.kind(ofSymbol: index)
        guard kind != .none, let winner = set.definition(of: id), winner.unit != linked.unit,
          linked.object.symbols[index].type != UInt8(STT_GNU_IFUNC),
          let address = linked.address(ofSymbol: index)
        else { continue }
        var own = Definition(
          address: address, size: linked.object.symbols[index].st_size, unit: linked.unit,
          kind: kind, isWeak: true)
        own.slot = winner.slot
        alternatives[id, default: []].append((linked.unit, own))
      }
    }
  }

  /// The next definition of a name, once the first one's set goes.
  private func alternative(to id: SymbolID, without set: ObjectSet) -> Definition? {
    guard var list = alternatives[id] else { return nil }
    list.removeAll { owners[$0.unit]?.set == nil || set.units.contains($0.unit) }
    let found = list.isEmpty ? nil : list.removeFirst().definition
    alternatives[id] = list.isEmpty ? nil : list
    return found
  }

  // MARK: remove

  /// Takes the names of a set out of a table; its functions lead to the next definition, or nowhere.
  func withdraw(
    _ set: ObjectSet, from draft: borrowing SymbolTable.Draft, _ changes: inout [SlotTable.Change]
  ) {
    let staysCallable = set.owesDestructors
    for linked in set.set.objects {
      for id in linked.globals {
        guard let definition = draft[id], definition.unit == linked.unit else { continue }
        let slot = SlotIndex(definition.slot)
        if definition.isWeak, definition.kind != .function, set.dependents > 0 {
          // Whoever defines it again, or has an own copy, means the one that is in use.
          retained.append(id)
        } else if let next = alternative(to: id, without: set) {
          draft.define(id, next)
          if slot != .none { changes.append(SlotTable.Change(slot, next.address)) }
        } else {
          draft.remove(id)
          if slot != .none, !staysCallable { changes.append(SlotTable.Change(slot, 0)) }
        }
      }
      guard !staysCallable else { continue }
      for slot in linked.localSlots.values { changes.append(SlotTable.Change(slot, 0)) }
    }
  }

  func forgetRetained() {
    guard !retained.isEmpty else { return }
    let draft = SymbolTable.Draft(from: table)
    retained.removeAll { id in
      guard let unit = draft[id]?.unit, owners[unit]?.set == nil else { return draft[id] == nil }
      draft.remove(id)
      return true
    }
    table = draft.table
  }

  /// Runs the finalisers of a set and takes its names away. Its memory goes with its last holder.
  ///
  /// - Returns: false when it was removed before.
  @discardableResult
  func remove(_ set: ObjectSet) -> Bool {
    let isThere = lock.withLock { sets.contains { $0 === set } }
    guard isThere else { return false }
    set.finish(arguments)
    return lock.withLock {
      guard let index = sets.firstIndex(where: { $0 === set }) else { return false }
      let draft = SymbolTable.Draft(from: table)
      var changes: [SlotTable.Change] = []
      withdraw(set, from: draft, &changes)
      table = draft.table
      space.slots.publish(changes)
      sets.remove(at: index)
      return true
    }
  }

  /// Runs the finalisers of a set that another has taken the place of.
  func finish(_ set: ObjectSet) { set.finish(arguments) }

  /// Runs all finalisers, the latest first; at the end of the process, or of the namespace.
  func finishAll() {
    let all = lock.withLock { sets }
    for set in all.reversed() { set.finish(arguments) }
  }

  // MARK: names

  /// The address that a name stands for: a function's stub, or its data; a thread-local variable's is the
  /// calling thread's.
  func address(of name: String) -> Address? {
    lock.withLock {
      guard let id = space.names.find(name), let found = table[id] else { return nil }
      return address(of: found)
    }
  }

  /// What a name stands for now. With the lock held.
  func definition(of id: SymbolID) -> Definition? { table[id] }

  func address(of definition: Definition) -> Address {
    switch definition.kind {
    case .function: space.slots.stub(SlotIndex(definition.slot))
    case .threadLocal: Address(hl_own_thread_pointer()) &+ definition.address
    default: Address(definition.address)
    }
  }

  /// The stub of a function that may not be defined yet.
  func stub(of name: String) throws(LinkError) -> Address {
    try lock.withLock { () throws(LinkError) in
      space.slots.stub(try space.slots.slot(of: space.names.intern(name)))
    }
  }

  /// Gives a name to something of the host; the one it had before is replaced.
  func define(_ name: String, _ symbol: HostSymbol) throws(LinkError) {
    try lock.withLock { () throws(LinkError) in
      let id = space.names.intern(name)
      if let known = table[id], known.unit != ObjectNamespace.hostUnit {
        var conflict = LinkError.SymbolConflicts()
        conflict.duplicates.append(
          LinkError.Duplicate(
            symbol: name,
            first: LinkError.Place(file: names[known.unit] ?? "an object of the context"),
            second: LinkError.Place(file: "the host")))
        throw LinkError(file: name, .conflicts(conflict))
      }
      let draft = SymbolTable.Draft(from: table)
      draft.define(id, try definition(of: id, symbol, ObjectNamespace.hostUnit))
      table = draft.table
    }
  }
}
