// What becomes of the data of a shared object when a new build of it replaces the old one. Text and data of a
// library lie at one distance, so a new copy brings data of its own; but code reaches them by displacements that
// can be redirected. A variable or named constant that was there before stays where it is.
internal import CLoaderSupport
internal import LoaderEngine

/// Where the data of a library is, for one version of it.
struct LibraryPlan {
  /// A variable or constant, with those that share its bytes.
  struct Piece {
    /// Virtual address in this version, size in bytes.
    var start: UInt64
    var size: UInt64
    /// Where it is in the program.
    var home: UInt64
    var symbol: LibrarySymbol
    var isConstant: Bool
    var isKept = false
    /// Kept, and the first bytes are others than before.
    var isEdited = false
    /// In its old place or in a new one, it begins anew.
    var isReset = false
    var protection = Protection.writable

    var end: UInt64 { start &+ size }
    /// Its initialiser may run.
    var isFresh: Bool { !isKept || isReset }
    /// Home minus virtual address: where two neighbours have the same one, nothing between them matters.
    var distance: UInt64 { home &- start }
  }

  private(set) var pieces: [Piece] = []
  private(set) var remarks: [Verdict] = []
  /// Thread-local variables go on in the old version's storage.
  private(set) var keepsThreads = false
  let bias: UInt64
  private let unit: String
  private var homes: [LibrarySymbol.Key: Home] = [:]
  private var claimed: Set<UInt64> = []
  /// Of the old version: those that go on under another key.
  private var renamed: Set<LibrarySymbol.Key> = []
  /// What the layout guard said about variables of another type.
  private let decisions: LayoutDecisions

  struct Home {
    /// Where it is in the program.
    var home: UInt64
    /// Size in bytes.
    var size: UInt64
    /// Virtual address in this version.
    var address: UInt64
    var isConstant: Bool
    var protection: Protection
  }

  /// What the pages of a home are.
  enum Protection {
    case writable, readOnly
    /// Read-only, with code or with writable data beside: they cannot be changed for a moment.
    case mixed
  }

  /// - Parameters:
  ///   - bias: run-time address minus virtual address of the new image.
  ///   - old: the version it replaces.
  ///   - unkept: constants that must not stay where they are.
  /// - Throws: `StateRefusal`.
  init(
    _ file: LibraryFile, unit: String, bias: UInt64, old: LibraryVersion?,
    unkept: Set<LibrarySymbol.Key> = [], decisions: LayoutDecisions = LayoutDecisions()
  ) throws {
    self.bias = bias
    self.decisions = decisions
    self.unit = unit
    try place(file.variables, areConstants: false, file, old, unkept)
    try place(file.constants, areConstants: true, file, old, unkept)
    pieces.sort { $0.start < $1.start }
    guard let old else { return }
    for (key, home) in old.plan.homes.sorted(by: { $0.key.name < $1.key.name })
    where homes[key] == nil && !home.isConstant && !renamed.contains(key) {
      remarks.append(Verdict(unit: unit, symbol: key.name, fate: .removed))
    }
    try planUnnamed(file, old)
    try planThreads(file, old)
  }

  private mutating func place(
    _ symbols: [LibrarySymbol], areConstants: Bool, _ file: LibraryFile, _ old: LibraryVersion?,
    _ unkept: Set<LibrarySymbol.Key>
  ) throws {
    var position = 0
    while position < symbols.count {
      var end = symbols[position].address &+ symbols[position].size
      var next = position + 1
      while next < symbols.count, symbols[next].address < end {
        end = max(end, symbols[next].address &+ symbols[next].size)
        next += 1
      }
      let aliases = symbols[position..<next]
      let symbol = symbols[position]
      var piece = Piece(
        start: symbol.address, size: end - symbol.address, home: bias &+ symbol.address,
        symbol: symbol, isConstant: areConstants)
      piece.protection = LibraryPlan.protection(piece.start..<end, file)
      if let old {
        if areConstants {
          if unkept.isDisjoint(with: aliases.map(\.key)) {
            try keepConstant(&piece, aliases, file, old)
          } else {
            remarks.append(Verdict(unit: unit, symbol: symbol.name, fate: .moved))
          }
        } else {
          try keepVariable(&piece, aliases, file, old)
        }
      }
      pieces.append(piece)
      for alias in aliases {
        homes[alias.key] = Home(
          home: piece.home &+ (alias.address - piece.start), size: alias.size,
          address: alias.address, isConstant: areConstants, protection: piece.protection)
      }
      position = next
    }
  }

  private mutating func keepVariable(
    _ piece: inout Piece, _ aliases: ArraySlice<LibrarySymbol>, _ file: LibraryFile,
    _ old: LibraryVersion
  ) throws {
    for alias in aliases {
      let key = old.key(of: alias.key, in: file)
      guard let before = old.plan.homes[key], !before.isConstant else { continue }
      if key != alias.key { renamed.insert(key) }
      let decision = decisions.byKey[alias.key]
      if decision?.isReset == true { piece.isReset = true }
      // It gets another type, and needs another place.
      if decision != nil, before.size < alias.size { return }
      guard before.size >= alias.size else {
        throw StateRefusal(
          unit: unit, symbol: alias.name,
          reason: .noRoomToGrow(from: before.size, to: alias.size, room: before.size))
      }
      guard !piece.isKept else { continue }
      // Two that shared their bytes before can share only one home.
      let home = before.home &- (alias.address - piece.start)
      guard claimed.insert(home).inserted else { continue }
      piece.home = home
      piece.isKept = true
      piece.symbol = alias
      piece.isEdited =
        old.fingerprint(of: key) != file.fingerprint(of: alias) || file.holdsLabels(alias)
    }
  }

  private mutating func keepConstant(
    _ piece: inout Piece, _ aliases: ArraySlice<LibrarySymbol>, _ file: LibraryFile,
    _ old: LibraryVersion
  ) throws {
    let symbol = piece.symbol
    let key = old.key(of: symbol.key, in: file)
    guard let before = old.plan.homes[key], before.isConstant else { return }
    guard before.size == symbol.size, piece.size == symbol.size else {
      // What objects that live have pointers to by their class.
      if IdentityNames.shapesObjects(symbol.name) {
        throw StateRefusal(
          unit: unit, symbol: symbol.name,
          reason: .shapeChanged(from: before.size, to: symbol.size))
      }
      remarks.append(Verdict(unit: unit, symbol: symbol.name, fate: .moved))
      return
    }
    // A table of labels is its function's: old code may be running on the old one.
    guard !LibraryPlan.isReachedByItsEnd(symbol, file), !file.holdsLabels(symbol),
      claimed.insert(before.home).inserted
    else { return }
    piece.isEdited = old.fingerprint(of: key) != file.fingerprint(of: symbol)
    if piece.isEdited, before.protection == .mixed {
      remarks.append(Verdict(unit: unit, symbol: symbol.name, fate: .moved))
      return
    }
    piece.home = before.home
    piece.isKept = true
    piece.protection = before.protection
  }

  private static func protection(_ range: Range<UInt64>, _ file: LibraryFile) -> Protection {
    guard let part = file.view.part(of: range.lowerBound), !part.access.contains(.execute) else {
      return .mixed
    }
    let relro = file.headers.readOnlyAfterRelocation
    let start = range.lowerBound &- file.headers.base
    let end = range.upperBound &- file.headers.base
    if !part.access.contains(.write) { return .readOnly }
    if end <= relro.lowerBound || start >= relro.upperBound { return .writable }
    return start >= relro.lowerBound && end <= relro.upperBound ? .readOnly : .mixed
  }

  /// A vtable without functions: objects point behind its last word.
  private static func isReachedByItsEnd(_ symbol: LibrarySymbol, _ file: LibraryFile) -> Bool {
    guard symbol.name.hasPrefix("_ZTV"), symbol.size >= 16 else { return false }
    guard let word = file.words[symbol.address &+ symbol.size &- 8] else { return true }
    switch word.target {
    case .own(let address): return file.datum(at: address) != nil
    case .symbol(let index, _): return file.dynamicName(index).hasPrefix("_ZTI")
    }
  }

  /// Where a variable or constant lives, by name.
  func home(of key: LibrarySymbol.Key) -> Home? { homes[key] }

  /// Bytes that no symbol names may be anybody's: a stripped library is replaced only when it has none.
  private func planUnnamed(_ file: LibraryFile, _ old: LibraryVersion) throws {
    guard let index = old.unnamedSection else { return }
    throw StateRefusal(
      unit: unit, symbol: old.file.sections.name(ofSection: index).string,
      reason: .unnamedState(bytes: old.plan.unnamedBytes(of: index, old.file)))
  }

  /// Bytes of a section that no variable has.
  func unnamedBytes(of index: Int, _ file: LibraryFile) -> UInt64 {
    let section = file.sections.sections[index]
    let named = pieces.filter { $0.start &- section.address < section.size }
      .reduce(UInt64(0)) { $0 + $1.size }
    return section.size > named ? section.size - named : 0
  }

  private mutating func planThreads(_ file: LibraryFile, _ old: LibraryVersion) throws {
    guard let before = old.file.headers.threadTemplate else { return }
    guard let now = file.headers.threadTemplate else {
      for symbol in old.file.threadVariables {
        remarks.append(Verdict(unit: unit, symbol: symbol.name, fate: .removed))
      }
      return
    }
    let isSame =
      now.size == before.size
      && file.threadVariables.map(\.key) == old.file.threadVariables.map(\.key)
      && file.threadVariables.map(\.address) == old.file.threadVariables.map(\.address)
    guard isSame else {
      throw StateRefusal(
        unit: unit, symbol: file.threadVariables.first?.name ?? "", reason: .threadLocalLayout)
    }
    keepsThreads = true
    for symbol in file.threadVariables {
      let source = file.threadBytes(of: symbol)
      let first = old.file.threadBytes(of: symbol)
      remarks.append(
        Verdict(
          unit: unit, symbol: symbol.name,
          fate: source == first
            ? .kept : .keptOverEdit(value: Array(first.prefix(8)), source: Array(source.prefix(8))))
      )
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
    guard index > 0, pieces[index - 1].end == address else { return nil }
    return pieces[index - 1]
  }

  /// The first piece that begins behind an address.
  func next(after address: UInt64) -> Piece? {
    let index = pieces.partitionPoint { $0.start > address }
    return index < pieces.count ? pieces[index] : nil
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
