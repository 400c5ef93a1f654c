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
  func mapLibraries(_ changes: [UnitChange]) throws -> [LibraryLink] {
    var files: [LibraryFile] = []
    for change in changes {
      if case .library(let file)? = change.content {
        files.append(file)
        libraryNames.add(file, soname: file.soname)
      }
    }
    var links: [LibraryLink] = []
    for file in LibraryOrder.sorted(files) {
      links.append(
        try LibraryLink(makeUnit(file.name), file, space, libraryContext, arguments))
    }
    return links
  }

  /// The table for a link: without what changed libraries had, with what they have now.
  func table(_ table: SymbolTable, with links: [LibraryLink], without removed: [Unit])
    throws(LinkError) -> SymbolTable
  {
    let gone = links.compactMap(\.old) + removed.compactMap(\.library)
    guard !links.isEmpty || !gone.isEmpty else { return table }
    var draft = SymbolTable.Draft(from: table)
    let units = Set(links.map(\.unit.id) + removed.map(\.id))
    for version in gone {
      for export in version.exports {
        if let known = draft[export.id], units.contains(known.unit) { draft.remove(export.id) }
      }
    }
    for link in links { try link.define(in: &draft) }
    return draft.table
  }

  /// Binds the libraries of a prepared generation and adds what they tell to its report.
  func bindLibraries(_ links: [LibraryLink], _ prepared: PreparedReload) throws {
    let table = prepared.set.table
    for link in links {
      try link.bind(table)
      prepared.report.relinked.append(link.unit.name)
      prepared.report.relocations += link.group.relocationCount
      prepared.report.immovable += link.immovable
      for id in link.deferred where table[id] == nil {
        prepared.report.undefinedFunctions.append(space.names[id].string)
      }
      prepared.report.verdicts += try link.checkInitialisers()
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
      link.planCarries()
    }
    for unit in prepared.removedUnits {
      prepared.report.removed += unit.library?.fingerprints.keys.sorted() ?? []
    }
    prepared.libraries = links
    prepared.clearedSlots += clearedSlots(links, prepared)
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

  /// What becomes of the libraries' variables, at the safe point.
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

  /// Runs the initialisers of libraries that are new: those of a replaced one have run.
  func startLibraries(_ links: [LibraryLink]) {
    for link in links where link.old == nil { link.group.start() }
  }

  /// Memory of replaced libraries.
  func libraryPins() -> [Pin] {
    units.compactMap { unit in
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
