// Shared objects among the units of a program: mapped before objects are linked, because objects refer to what
// they export; bound afterwards, because they refer to what objects define.
internal import CLoaderSupport
internal import LoaderEngine
internal import Synchronization

/// The names by which a program's libraries know each other.
final class LibraryNames: Sendable {
  private let names = Mutex<Set<String>>([])

  func add(_ file: LibraryFile, soname: NameView?) {
    names.withLock { names in
      if let soname { names.insert(soname.string) }
      names.insert(String(file.name.split(separator: "/").last ?? ""))
    }
  }

  func contains(_ name: NameView) -> Bool {
    let last = name.string.split(separator: "/").last.map(String.init) ?? ""
    return names.withLock { $0.contains(last) }
  }
}

extension Program {
  /// Maps the libraries of a change, those that others need first.
  ///
  /// - Throws: `LinkError`, `StateRefusal`.
  func mapLibraries(_ changes: [UnitChange], _ guarded: GuardedLayouts) throws -> [LibraryLink] {
    var files: [LibraryFile] = []
    for change in changes {
      if case .library(let file)? = change.content {
        files.append(file)
        libraryNames.add(file, soname: file.soname)
      }
    }
    return try LibraryOrder.sorted(files).map { try map($0, guarded) }
  }

  private func map(_ file: LibraryFile, _ guarded: GuardedLayouts) throws -> LibraryLink {
    let unit = makeUnit(file.name)
    let link = try LibraryLink(
      unit, file, space, libraryContext, arguments, isStrict: options.isStrict,
      guarded.decisions[unit.id] ?? LayoutDecisions())
    // What it brings along, the next one finds.
    libraryContext.note(link.group)
    return link
  }

  /// The table for a link: without what changed libraries had, with what they have now. What an object defines
  /// wins, as for ld; the first library before the others.
  ///
  /// - Throws: `LinkError.noSpace`.
  func table(_ table: SymbolTable, with links: [LibraryLink], without removed: [Unit])
    throws(LinkError) -> SymbolTable
  {
    guard !links.isEmpty || hasHadLibraries else { return table }
    let draft = SymbolTable.Draft(from: table)
    let gone = links.map(\.unit) + removed
    for unit in gone {
      for export in unit.library?.exports ?? [] where draft[export.id]?.unit == unit.id {
        draft.remove(export.id)
      }
    }
    let fresh = Dictionary(
      links.map { ($0.unit.id, $0) }, uniquingKeysWith: { first, _ in first })
    for unit in units {
      let link = fresh[unit.id]
      guard link != nil || !gone.contains(where: { $0 === unit }) else { continue }
      guard let group = link?.group ?? unit.library?.group else { continue }
      for export in link?.exports ?? unit.library?.exports ?? [] where draft[export.id] == nil {
        if let definition = try LibraryVersion.definition(
          of: export, in: group, unit: unit.id, space)
        {
          draft.define(export.id, definition)
        }
      }
    }
    return draft.table
  }

  /// Libraries outside a change that refer to something that is now somewhere else.
  ///
  /// - Throws: `StateRefusal` for what went away and is still referred to; what mapping them throws.
  func followers(of table: SymbolTable, _ links: [LibraryLink], _ removed: [Unit]) throws
    -> [LibraryLink]
  {
    guard !links.isEmpty || hasHadLibraries else { return [] }
    let changed = links.map(\.unit) + removed
    var found: [LibraryLink] = []
    for unit in units {
      guard let version = unit.library, !changed.contains(where: { $0 === unit }) else { continue }
      var follows = version.unbound.contains { id in table[id].map { $0.kind != .none } ?? false }
      for (id, address) in version.bound {
        guard let now = table[id].flatMap({ LibraryVersion.meaning(of: $0, space) }) else {
          // A function that is gone has a slot, which says so when it is called.
          if let before = generation.table[id], before.kind == .function { continue }
          throw StateRefusal(
            unit: unit.name, symbol: space.names[id].string,
            reason: .stillReferenced(by: [unit.name]))
        }
        if let before = generation.table[id], table[id]?.turns(before) == true {
          throw StateRefusal(turned: before, space.names[id].string, by: unit.name)
        }
        if now != address { follows = true }
      }
      if follows { found.append(try map(version.file, GuardedLayouts())) }
    }
    return found
  }

  /// Binds the libraries of a prepared generation and adds what they tell to its report.
  func bindLibraries(_ links: [LibraryLink], _ prepared: PreparedReload) throws {
    let table = prepared.set.table
    let mapped = Dictionary(
      links.map { ($0.unit.id, $0.group) }, uniquingKeysWith: { first, _ in first })
    let providers =
      links.isEmpty
      ? []
      : units.compactMap {
        (mapped[$0.id] ?? $0.library?.group)?.images.first?.provider
      }
    for link in links {
      try link.bind(table, others: providers)
      if let layouts = prepared.layouts[link.unit.id] { link.version.layouts = layouts }
      prepared.report.relinked.append(link.unit.name)
      prepared.report.relocations += link.group.relocationCount
      prepared.report.immovable += link.immovable
      for id in link.deferred.sorted() where table[id] == nil {
        prepared.report.undefinedFunctions.append(space.names[id].string)
      }
      prepared.report.verdicts += try link.planInitialisers()
      guard let old = link.old else {
        if generation.number > 0 {
          prepared.report.added += link.version.fingerprints.keys.sorted()
        }
        continue
      }
      let now = link.version.fingerprints
      prepared.report.changed += now.keys.filter {
        old.fingerprints[$0] != nil && old.fingerprints[$0] != now[$0]
      }.sorted()
      prepared.report.added += now.keys.filter { old.fingerprints[$0] == nil }.sorted()
      prepared.report.removed += old.fingerprints.keys.filter { now[$0] == nil }.sorted()
      link.planCarries(options.states.of(unit: link.unit.name))
      prepared.replacements += link.replacements
    }
    for unit in prepared.removedUnits {
      prepared.report.removed += unit.library?.fingerprints.keys.sorted() ?? []
    }
    prepared.libraries = links
    prepared.gotChanges = movedEntries(table, links)
    prepared.clearedSlots += clearedSlots(links, prepared) + inheritedSlots(links, prepared)
  }

  /// GOT entries of objects for what libraries have elsewhere now.
  private func movedEntries(_ table: SymbolTable, _ links: [LibraryLink])
    -> [(entry: Address, value: UInt64)]
  {
    // A look at each of very many units would be most of an edit.
    if !links.isEmpty { hasHadLibraries = true }
    guard hasHadLibraries else { return [] }
    let mapped = Dictionary(
      links.map { ($0.unit.id, $0.exports) }, uniquingKeysWith: { first, _ in first })
    return units.flatMap { mapped[$0.id] ?? $0.library?.exports ?? [] }.compactMap { export in
      guard let entry = space.got.existingEntry(export.id),
        let value = table[export.id].flatMap({ LibraryVersion.meaning(of: $0, space) }),
        space.got.value(entry) != value
      else { return nil }
      return (entry, value)
    }
  }

  /// Slots of functions that a library no longer exports and nobody else defines.
  private func clearedSlots(_ links: [LibraryLink], _ prepared: PreparedReload)
    -> [SlotTable.Change]
  {
    let gone = links.compactMap(\.old) + prepared.removedUnits.compactMap(\.library)
    return gone.flatMap(\.exports).compactMap { export in
      guard export.kind == .function, prepared.set.table[export.id] == nil,
        let slot = space.slots.existingSlot(of: export.id)
      else { return nil }
      return SlotTable.Change(slot, 0)
    }
  }

  /// Slots of functions that another unit had, and that fall to a library outside the change.
  private func inheritedSlots(_ links: [LibraryLink], _ prepared: PreparedReload)
    -> [SlotTable.Change]
  {
    guard hasHadLibraries else { return [] }
    var changes: [SlotTable.Change] = []
    for unit in units where !links.contains(where: { $0.unit === unit }) {
      guard let version = unit.library else { continue }
      for export in version.exports where export.kind == .function {
        guard let now = prepared.set.table[export.id], now.unit == unit.id,
          generation.table[export.id]?.unit != unit.id,
          let body = LibraryVersion.body(of: export, in: version.group)
        else { continue }
        changes.append(SlotTable.Change(SlotIndex(now.slot), body))
      }
    }
    return changes
  }

  /// What becomes of the libraries' data, at the safe point.
  func carryLibraries(_ links: [LibraryLink]) -> [Verdict] {
    links.flatMap { link in
      link.carries.map { $0.perform(unit: link.unit.name) } + link.plan.remarks
    }
  }

  /// Makes the new versions the units' own. Old ones stay in memory: variables live there, and what
  /// pointers may lead to.
  func takeOverLibraries(_ prepared: PreparedReload) {
    for unit in prepared.removedUnits {
      if let version = unit.library { removedLibraries.append(version) }
      unit.library = nil
    }
    for link in prepared.libraries { link.unit.library = link.version }
  }

  /// Runs the initialisers of libraries that are new; of a replaced one, those that start what is new in it.
  func startLibraries(_ links: [LibraryLink]) {
    for link in links {
      if let old = link.old { link.group.succeed(old.group) } else { link.group.start() }
      for starter in link.starters { LinkedCode.initialise(starter, arguments) }
    }
  }

  /// Memory of replaced libraries.
  func libraryPins() -> [Pin] {
    guard hasHadLibraries else { return [] }
    return units.compactMap { unit in
      guard let bytes = unit.library?.earlierBytes, bytes > 0 else { return nil }
      return Pin(unit: unit.name, bytes: bytes, reason: .constants)
    }
  }
}

/// The order in which libraries are initialised.
private enum LibraryOrder {
  /// Each after those of the list that it needs; in a circle, as found.
  static func sorted(_ files: [LibraryFile]) -> [LibraryFile] {
    var order: [LibraryFile] = []
    var seen: Set<String> = []
    func visit(_ file: LibraryFile) {
      guard seen.insert(file.name).inserted else { return }
      for name in file.needed {
        if let other = files.first(where: {
          $0.soname?.string == name || $0.name.hasSuffix("/" + name)
        }) {
          visit(other)
        }
      }
      order.append(file)
    }
    for file in files { visit(file) }
    return order
  }
}
