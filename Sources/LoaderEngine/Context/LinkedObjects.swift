// What a caller holds of objects that were linked. The context keeps them until they are removed; a symbol that is held
// keeps their memory even then. Compare: LLVM ORC's ResourceTracker.

internal import CLoaderSupport

/// Objects of one link, running.
public final class LinkedObjects: Sendable {
  let program: ObjectProgram
  let members: ObjectSet
  /// The number of their link in the context: later links have higher numbers.
  public let generation: Int

  init(_ program: ObjectProgram, _ set: ObjectSet, _ generation: Int) {
    self.program = program
    self.members = set
    self.generation = generation
  }

  /// What the objects are called.
  public var names: [String] {
    members.set.objects.filter { $0.unit != SwiftRuntime.unit }.map(\.object.name)
  }

  /// A symbol that these objects define.
  ///
  /// - Parameter type: a `@convention(c)` function type, or an unsafe pointer type for data.
  /// - Throws: `LinkError.undefined`.
  public func symbol<Value>(_ name: String, as type: Value.Type = Value.self) throws(LinkError)
    -> Symbol<Value>
  {
    guard let address = address(of: name) else {
      throw LinkError(
        file: names.first ?? "",
        .undefined([LinkError.UndefinedSymbol(name: name, sites: [], references: 1)]))
    }
    return Symbol(address, heldBy: self)
  }

  /// Where a symbol of these objects is, without a hold on them; nil when they do not define it, or were
  /// removed. A thread-local variable's address is the calling thread's.
  public func address(of name: String) -> Address? {
    let space = program.namespace
    return space.lock.withLock {
      guard let id = space.space.names.find(name), let found = space.definition(of: id),
        members.units.contains(found.unit)
      else { return nil }
      return space.address(of: found)
    }
  }

  /// What the objects define for others, in their order.
  public var exports: [Image.Export] {
    let space = program.namespace
    return space.lock.withLock {
      var found: [Image.Export] = []
      for linked in members.set.objects where linked.unit != SwiftRuntime.unit {
        for index in linked.object.firstGlobal..<linked.object.symbols.count {
          let symbol = linked.object.symbols[index]
          // 1, 2: STV_INTERNAL, STV_HIDDEN.
          guard let known = space.definition(of: linked.globalID(index)),
            known.unit == linked.unit, symbol.visibility != 1, symbol.visibility != 2
          else { continue }
          found.append(
            Image.Export(
              name: linked.object.name(ofSymbol: index).string, version: "",
              isDefaultVersion: true, address: space.address(of: known), size: symbol.st_size,
              type: symbol.type, isWeak: known.isWeak))
        }
      }
      return found
    }
  }

  /// Where the sections are that take memory.
  public var sections: [PlacedSection] {
    members.set.objects.flatMap { linked in
      linked.roles.indices.flatMap { section in
        linked.ranges(ofSection: section).map {
          PlacedSection(
            object: linked.object.name, section: linked.object.name(ofSection: section).string,
            range: $0, isThreadLocal: linked.roles[section].isThreadLocal)
        }
      }
    }
  }

  /// Bytes that the objects hold.
  public struct MemoryUse: Hashable, Sendable {
    /// Code, in pages of the arena's granularity.
    public var text: UInt64 = 0
    /// Constants, unwind tables, tables of initialisers.
    public var constants: UInt64 = 0
    /// Variables, with their room.
    public var data: UInt64 = 0
    /// In every thread's static block.
    public var threadLocal: UInt64 = 0
  }

  /// What the objects hold of memory.
  public var memoryUse: MemoryUse {
    let used = members.set.memoryUse
    return MemoryUse(
      text: used.text, constants: used.constants, data: used.data, threadLocal: used.threadLocal)
  }

  /// Relocations applied.
  public var relocationCount: Int { members.set.relocationCount }

  /// Functions that are called and that nobody had defined when the objects were linked.
  public var undefinedFunctions: [String] {
    let space = program.namespace
    return space.lock.withLock { members.set.deferredCalls.map { space.space.names[$0].string } }
  }

  /// Runs finalisers and the handlers of `__cxa_atexit`, and takes the objects out of the context. Their
  /// functions are undefined from then on. Code, data, unwind tables and thread-local storage go
  /// when no `Symbol` holds them, no later link refers to their data, and no thread owes a destructor.
  ///
  /// No thread may be inside their code then (as for `dlclose`).
  ///
  /// - Returns: false when they were removed before, or others had taken their place.
  @discardableResult
  public func remove() -> Bool { program.namespace.remove(members) }
}

/// Owns a namespace: the context and all that is held of it do. The last one to go runs finalisers.
final class ObjectProgram: Sendable {
  let namespace: ObjectNamespace

  init(_ arguments: ArgumentVector) throws(LinkError) {
    namespace = try ObjectNamespace(arguments)
  }

  deinit { namespace.finishAll() }
}
