// What all generations of one program share: the arena, names and their numbers, stubs, GOT, interned
// constants and the process's own libraries.

/// The shared ground of a program's link contexts. Its owner serialises linking.
package final class LinkSpace: @unchecked Sendable {
  package let arena: Arena
  package let names = SymbolNames()
  package let slots: SlotTable
  package let got: GlobalOffsetTable
  package let constants: ConstantPool
  package let host = HostProcess()
  package let threadStorage: StaticTLS
  package let threadModules = ThreadModules()
  package let copies = HostCopies()
  /// Which versions of symbols are the default ones.
  package let versions = VersionedNames()
  /// Variables that headers define are the process's where it has them: of code that joins a running program.
  package var sharesVariables = false
  /// Of the first set that took effect.
  package internal(set) var bounds: ImageBounds?

  /// - Parameters:
  ///   - tag: below 2,048; tells the spaces of a process apart in lazy calls.
  ///   - isLow: below 2 GiB, for code that has addresses in 32 bits.
  package init(
    _ backing: Arena.BackingChoice = .automatic, tag: UInt32 = 0, isLow: Bool = false
  ) throws(LinkError) {
    arena = try Arena(backing, isLow: isLow)
    threadStorage = StaticTLS()
    slots = try SlotTable(arena, tag: tag)
    got = GlobalOffsetTable(arena)
    constants = ConstantPool(arena)
  }

  /// The number of a global symbol: `foo@@VER` is `foo`.
  package func id(of object: ObjectFile, _ index: Int) -> SymbolID {
    let name = object.name(ofSymbol: index)
    guard let mark = name.versionMark else { return names.intern(name) }
    return versions.id(
      of: name, mark: mark, isDefined: object.place(ofSymbol: index) != .undefined, names)
  }

  /// A space at addresses of its own choice, to look at what a link would be there: nothing in it runs.
  package init(imaginary layout: ArenaLayout) throws(LinkError) {
    arena = try Arena(imaginary: layout)
    threadStorage = StaticTLS(imaginary: ())
    slots = try SlotTable(arena, tag: 0)
    got = GlobalOffsetTable(arena)
    constants = ConstantPool(arena)
  }

  /// The number of a local symbol, made of its unit and name: local functions of two units that share
  /// a name have identities of their own.
  package func localID(unit: UInt32, name: String, ordinal: Int) -> SymbolID {
    names.intern("\(unit)\u{1}\(ordinal)\u{1}" + name)
  }

  /// The number that stands for the module of all thread-local variables: local dynamic access.
  package var moduleID: SymbolID { names.intern("\u{1}module") }

  /// What a number stands for: a name, and the unit that it is local to.
  package func meaning(of id: SymbolID) -> (name: String, unit: UInt32?, ordinal: Int) {
    let text = names[id].string
    if text == "\u{1}module" { return ("", nil, 0) }
    let parts = text.split(separator: "\u{1}", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let unit = UInt32(parts[0]), let ordinal = Int(parts[1]) else {
      return (text, nil, 0)
    }
    return (String(parts[2]), unit, ordinal)
  }
}
