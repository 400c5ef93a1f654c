// What becomes of the mutable variables of a shared object when a new build of it replaces the old one. Text and
// data of a library lie at one distance, so a new copy brings data of its own; but code reaches them by
// displacements that can be redirected. A variable that was there before stays where it is.
internal import CLoaderSupport
internal import LoaderEngine

/// Where the variables of a library are, for one version of it.
struct LibraryPlan {
  /// A variable, with those that share its bytes.
  struct Piece {
    /// Virtual address in this version, size in bytes.
    var start: UInt64
    var size: UInt64
    /// Where it is in the program.
    var home: UInt64
    var symbol: LibrarySymbol
    var isKept: Bool
  }

  private(set) var pieces: [Piece] = []
  private(set) var remarks: [Verdict] = []
  /// Thread-local variables go on in the old version's storage.
  private(set) var keepsThreads = false
  private var homes: [LibrarySymbol.Key: Home] = [:]

  struct Home {
    /// Where it is in the program.
    var home: UInt64
    var size: UInt64
    /// Virtual address in this version.
    var address: UInt64
  }

  /// - Parameters:
  ///   - bias: run-time address minus virtual address of the new image.
  ///   - old: the version it replaces.
  /// - Throws: `StateRefusal`.
  init(_ file: LibraryFile, unit: String, bias: UInt64, old: LibraryVersion?) throws {
    var position = 0
    while position < file.variables.count {
      let symbol = file.variables[position]
      var end = symbol.address &+ symbol.size
      var next = position + 1
      while next < file.variables.count, file.variables[next].address < end {
        end = max(end, file.variables[next].address &+ file.variables[next].size)
        next += 1
      }
      var piece = Piece(
        start: symbol.address, size: end - symbol.address, home: bias &+ symbol.address,
        symbol: symbol, isKept: false)
      if let old, let before = old.plan.homes[symbol.key] {
        guard before.size >= symbol.size else {
          throw StateRefusal(
            unit: unit, symbol: symbol.name,
            reason: .noRoomToGrow(from: before.size, to: symbol.size, room: before.size))
        }
        piece.home = before.home
        piece.isKept = true
      }
      pieces.append(piece)
      for alias in position..<next {
        let symbol = file.variables[alias]
        homes[symbol.key] = Home(
          home: piece.home &+ (symbol.address - piece.start), size: symbol.size,
          address: symbol.address)
      }
      position = next
    }
    guard let old else { return }
    for (key, _) in old.plan.homes.sorted(by: { $0.key.name < $1.key.name }) where homes[key] == nil
    {
      remarks.append(Verdict(unit: unit, symbol: key.name, fate: .removed))
    }
    try planUnnamed(file, unit, old)
    try planThreads(file, unit, old)
  }

  /// Where a variable lives, by name.
  func home(of key: LibrarySymbol.Key) -> Home? { homes[key] }

  /// Bytes that no symbol names may be anybody's: a stripped library is replaced only when they are as
  /// before.
  private func planUnnamed(_ file: LibraryFile, _ unit: String, _ old: LibraryVersion) throws {
    guard !file.sections.isComplete || !old.file.sections.isComplete else { return }
    for index in file.sections.sections.indices
    where LibraryFile.holdsState(file.sections, index) {
      let section = file.sections.sections[index]
      let named = pieces.filter { $0.start &- section.address < section.size }
        .reduce(UInt64(0)) { $0 + $1.size }
      if section.size > named + 16 {
        throw StateRefusal(
          unit: unit, symbol: file.sections.name(ofSection: index).string,
          reason: .unnamedState(bytes: section.size - named))
      }
    }
  }

  private mutating func planThreads(_ file: LibraryFile, _ unit: String, _ old: LibraryVersion)
    throws
  {
    guard let before = old.file.headers.threadTemplate else { return }
    let isSame =
      file.headers.threadTemplate.map { $0.size == before.size } ?? false
      && file.threadVariables.map(\.key) == old.file.threadVariables.map(\.key)
      && file.threadVariables.map(\.address) == old.file.threadVariables.map(\.address)
    guard isSame else {
      throw StateRefusal(
        unit: unit, symbol: file.threadVariables.first?.name ?? "", reason: .threadLocalLayout)
    }
    keepsThreads = true
    for symbol in file.threadVariables {
      remarks.append(Verdict(unit: unit, symbol: symbol.name, fate: .kept))
    }
  }

  // MARK: references

  /// The piece that a virtual address lies in.
  func piece(at address: UInt64) -> Piece? {
    let index = pieces.partitionPoint { $0.start > address }
    guard index > 0, address - pieces[index - 1].start < pieces[index - 1].size else { return nil }
    return pieces[index - 1]
  }

  /// The piece that ends where another begins: an address taken there may mean the end of the first.
  func ends(at address: UInt64) -> Piece? {
    let index = pieces.partitionPoint { $0.start >= address }
    guard index > 0, pieces[index - 1].start &+ pieces[index - 1].size == address else {
      return nil
    }
    return pieces[index - 1]
  }
}

extension [LibraryPlan.Piece] {
  /// The first index whose piece satisfies a condition that all after it satisfy too.
  fileprivate func partitionPoint(_ isAfter: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isAfter(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
