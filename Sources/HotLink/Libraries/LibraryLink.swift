// A library unit on its way into the next generation.
//
//     map        beside what runs; nothing refers to it
//     plan       each variable stays where it is, or is new
//     define     its exports stand in the symbol table before objects are linked
//     bind       references to functions become stubs, references to variables lead to where they live
//     redirect   code that reaches variables and functions of its own by displacements does the same
//
// A throw, or dropping this, unmaps it.
internal import CLoaderSupport
internal import LoaderEngine
internal import Synchronization

/// One library being linked.
final class LibraryLink: ReferenceBinder, @unchecked Sendable {
  let unit: Unit
  let file: LibraryFile
  let old: LibraryVersion?
  let group: ImageGroup
  let plan: LibraryPlan
  private(set) var exports: [LibraryExport] = []
  /// Functions it calls that nobody defines.
  private(set) var deferred: Set<SymbolID> = []
  private(set) var slotChanges: [SlotTable.Change] = []
  /// Functions whose addresses could not be led to a stub.
  private(set) var immovable: [String] = []
  /// What it was bound to among the units, and what it asked for in vain.
  private var bound: [SymbolID: UInt64] = [:]
  private var unbound: Set<SymbolID> = []
  private var localSlots: [LibrarySymbol.Key: SlotIndex] = [:]
  private let space: LinkSpace
  private let dependencies: Dependencies
  private let code: LibraryCode
  private let redirection: LibraryRedirection
  private let decisions: LayoutDecisions
  private let initialiserTables: [Range<UInt64>]
  private let isStrict: Bool
  private var table: SymbolTable = .empty
  private var failure: LinkError?

  /// Maps the library and plans its variables.
  ///
  /// - Throws: `LinkError`, `StateRefusal`.
  init(
    _ unit: Unit, _ file: LibraryFile, _ space: LinkSpace, _ context: LinkContext,
    _ arguments: ArgumentVector, isStrict: Bool, _ decisions: LayoutDecisions
  ) throws {
    self.decisions = decisions
    self.unit = unit
    self.file = file
    self.space = space
    self.isStrict = isStrict
    old = unit.library
    initialiserTables = file.initialiserTables
    if old != nil, file.isSwift {
      throw StateRefusal(unit: unit.name, symbol: "", reason: .swiftLibrary)
    }
    var options = ImageOptions()
    options.redirectsText = true
    let binder = LateBinder()
    options.binder = binder
    group = ImageGroup(arguments: arguments)
    group.append(
      try MappedImage.open(
        ImageSource(file.contents, name: file.name), kind: .sharedObject,
        by: context.options.mapper, options))
    var needed = ImageOptions()
    needed.textRelocations = .allowed
    needed.binder = binder
    var dependencies = Dependencies(context, group, needed)
    try dependencies.gather()
    try group.checkVersions(in: dependencies.providers)
    self.dependencies = dependencies
    let image = group.images[0]
    code = LibraryCode(file, image.provider.view)
    if let at = code.undecoded, old != nil {
      throw StateRefusal(unit: unit.name, symbol: "", reason: .undecodableCode(at: at))
    }
    redirection = try LibraryLink.redirection(
      file, code, unit: unit.name, bias: image.provider.bias, old: old, decisions)
    plan = redirection.plan
    if plan.keepsThreads, let before = old?.image { image.adoptThreadStorage(of: before) }
    collectExports()
    try image.makeThreadStorage(fixedIfPossible: exports.contains { $0.kind == .threadLocal })
    binder.link = self
  }

  /// The plan that keeps all variables, and every constant whose edges nobody walks over.
  private static func redirection(
    _ file: LibraryFile, _ code: LibraryCode, unit: String, bias: UInt64, old: LibraryVersion?,
    _ decisions: LayoutDecisions
  ) throws -> LibraryRedirection {
    var unkept: Set<LibrarySymbol.Key> = []
    while true {
      let plan = try LibraryPlan(
        file, unit: unit, bias: bias, old: old, unkept: unkept, decisions: decisions)
      let redirection = LibraryRedirection(file: file, code: code, plan: plan)
      let more = old == nil ? [] : try redirection.unkeepable()
      if more.isSubset(of: unkept) { return redirection }
      unkept.formUnion(more)
    }
  }

  private var bias: UInt64 { group.images[0].provider.bias }

  // MARK: define

  private func collectExports() {
    let provider = group.images[0].provider
    provider.lookup.forEachExported { index, symbol in
      guard let text = provider.lookup.name(of: symbol), symbol.st_shndx != 0xFFF1,
        symbol.visibility != UInt8(STV_HIDDEN), !provider.lookup.isHidden(index)
      else { return }
      let id = space.names.intern(text)
      let key = LibrarySymbol.Key(name: text.string, ordinal: 0, isLocal: false)
      let home = plan.home(of: key)
      var export = LibraryExport(
        id: id, address: symbol.st_value, size: symbol.st_size, kind: .constant,
        home: home?.home ?? bias &+ symbol.st_value,
        isIndirect: symbol.type == UInt8(STT_GNU_IFUNC))
      if symbol.isThreadLocal {
        export.kind = .threadLocal
      } else if provider.view.isExecutable(symbol.st_value), home == nil {
        export.kind = .function
      } else if let home, !home.isConstant {
        export.kind = .data
      }
      exports.append(export)
    }
  }

  // MARK: bind and redirect

  /// Binds all references.
  ///
  /// - Parameters:
  ///   - table: the symbols of the next generation.
  ///   - others: the program's other libraries, for thread-local variables.
  /// - Throws: `LinkError`, `StateRefusal`.
  func bind(_ table: SymbolTable, others: [SymbolProvider]) throws {
    self.table = table
    try group.relocate(
      global: [dependencies.globalScope, Scope(others)], local: dependencies.localScope())
    if let failure { throw failure }
    try redirect()
    try group.resolveIndirect()
    noteSlots()
    try group.seal()
    try group.register()
  }

  func address(of name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64? {
    let id = space.names.intern(name)
    let address = table[id].flatMap { LibraryVersion.meaning(of: $0, space) }
    if image === group.images[0] {
      if let address { bound[id] = address } else { unbound.insert(id) }
    }
    return address
  }

  func fallback(for name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64? {
    guard isForCall, !isStrict, image === group.images[0] else { return nil }
    let id = space.names.intern(name)
    deferred.insert(id)
    unbound.remove(id)
    return stub(of: id)
  }

  func target(of virtual: UInt64, at place: UInt64, in image: MappedImage) -> UInt64? {
    guard image === group.images[0], !initialiserTables.contains(where: { $0.contains(place) })
    else { return nil }
    if file.isExecutable(virtual) { return stub(at: virtual) }
    return redirection.address(redirection.meaning(of: virtual, at: place), of: virtual)
  }

  // An array of initialisers may name exported functions: those are called through their stubs.
  func isCode(_ address: Address) -> Bool { space.arena.stubs.contains(address) }

  private func stub(of id: SymbolID) -> UInt64? {
    do { return space.slots.stub(try space.slots.slot(of: id)).value } catch {
      failure = error
      return nil
    }
  }

  /// The stub of the function that begins at a virtual address.
  private func stub(at virtual: UInt64) -> UInt64? {
    guard let function = file.function(at: virtual) else {
      if code.stretch(at: virtual) != nil {
        immovable.append("function at 0x" + String(virtual, radix: 16))
      }
      return nil
    }
    if function.isPart { return nil }
    if !function.isLocal {
      let id = space.names.intern(function.name)
      if let found = table[id], found.kind == .function, found.unit == unit.id {
        return space.slots.stub(SlotIndex(found.slot)).value
      }
    }
    let id = space.localID(unit: unit.id, name: function.name, ordinal: function.ordinal)
    let address = stub(of: id)
    if address != nil { localSlots[function.key] = space.slots.existingSlot(of: id) }
    return address
  }

  private func redirect() throws {
    let image = group.images[0]
    var writer = ImageWriter(image, includingText: true)
    for stretch in code.stretches {
      for index in stretch.references {
        let reference = code.references[index]
        guard let address = meaning(of: reference, in: stretch),
          address != bias &+ reference.target
        else { continue }
        let displacement = Int64(bitPattern: address &- (bias &+ reference.next))
        guard let narrow = Int32(exactly: displacement) else {
          throw LinkError(
            file: file.name,
            .outOfReach(
              redirection.site(reference), symbol: name(of: reference), address: address,
              value: displacement))
        }
        guard let place = writer.place(reference.field, 4) else {
          throw LinkError(
            file: file.name,
            .malformed(
              structure: "code", offset: reference.field, detail: "is in no segment of code"))
        }
        place.storeBytes(of: narrow, as: Int32.self)
      }
    }
  }

  /// The address a displacement in code shall lead to; nil: the one it has.
  private func meaning(of reference: CodeReference, in stretch: LibraryCode.Stretch) -> UInt64? {
    if reference.kind == .branch { return nil }
    if file.isExecutable(reference.target), plan.piece(at: reference.target) == nil {
      guard reference.kind == .address, file.function(at: reference.target) != nil else {
        return nil
      }
      return stub(at: reference.target)
    }
    return redirection.address(
      redirection.meaning(of: reference, in: stretch), of: reference.target)
  }

  private func name(of reference: CodeReference) -> String {
    plan.piece(at: reference.target)?.symbol.name ?? file.function(at: reference.target)?.name ?? ""
  }

  // MARK: the result

  /// Where the slots of this library's functions lead from the next generation on.
  private func noteSlots() {
    for export in exports where export.kind == .function {
      guard let found = table[export.id], found.unit == unit.id else { continue }
      guard let body = LibraryVersion.body(of: export, in: group) else { continue }
      slotChanges.append(SlotTable.Change(SlotIndex(found.slot), body))
    }
    for (key, slot) in old?.localSlots ?? [:] where localSlots[key] == nil {
      guard file.functions.contains(where: { $0.key == key }) else {
        immovable.append(key.name)
        continue
      }
      localSlots[key] = slot
    }
    for function in file.functions {
      if let slot = localSlots[function.key] {
        slotChanges.append(SlotTable.Change(slot, bias &+ function.address))
      }
    }
  }

  /// The version that runs from the next generation on.
  lazy var version: LibraryVersion = {
    let version = LibraryVersion(
      file, group, plan,
      fingerprints: code.fingerprints(file, group.images[0].provider.view), exports: exports,
      earlier: old)
    version.localSlots = localSlots
    version.bound = bound
    version.unbound = unbound
    version.unnamedSection = redirection.unnamedSection
    return version
  }()

  /// What has to be done to kept variables and constants at the safe point.
  private(set) var carries: [LibraryCarry] = []

  ///
  /// - Parameter policies: moving is none of a library's: its variables have no room of their own.
  func planCarries(_ policies: UnitPolicies) {
    guard let old else { return }
    let replaced = Set(decisions.byKey.keys.compactMap { plan.home(of: $0)?.home })
    for piece in plan.pieces where !replaced.contains(piece.home) {
      let symbol = piece.symbol
      var carry = LibraryCarry(
        symbol: symbol.name, home: piece.home, size: symbol.size, oldSize: symbol.size)
      if piece.isConstant {
        guard piece.isKept, piece.isEdited else { continue }
        carry.constant = bias &+ piece.start
        carry.isReadOnly = piece.protection == .readOnly
      } else if let before = old.plan.home(of: old.key(of: symbol.key, in: file)), piece.isKept {
        carry.oldSize = before.size
        switch policies[symbol.name] {
        case .hold: carry.kind = .held
        case .source: carry.kind = .source
        case .reset: carry.kind = .reset
        case .keep, .move, .resetWhenNeeded: break
        }
        let baseline = old.baseline(of: old.key(of: symbol.key, in: file))
        carry.oldImage = baseline
        carry.image = baseline
        if piece.isEdited || before.size != symbol.size || leadsToMoved(piece, old) {
          carry.image = version.firstBytes(at: symbol.address, size: symbol.size)
        } else {
          version.setBaseline(of: symbol.key, baseline)
        }
      } else {
        carry.home = 0
      }
      carries.append(carry)
    }
  }

  /// Whether first bytes of a piece are addresses of something that has another place than in the old version.
  private func leadsToMoved(_ piece: LibraryPlan.Piece, _ old: LibraryVersion) -> Bool {
    file.aims(of: piece.start..<piece.end).contains { key in
      guard let now = plan.home(of: key), let before = old.plan.home(of: old.key(of: key, in: file))
      else { return false }
      return now.home != before.home
    }
  }

  /// Variables that get another layout, each with its new place.
  var replacements: [Replacement] {
    decisions.byKey.values.sorted { $0.symbol < $1.symbol }.compactMap { decision in
      guard let symbol = decisions.byKey.first(where: { $0.value.symbol == decision.symbol })?.key,
        let home = plan.home(of: symbol)
      else { return nil }
      let first = version.firstBytes(at: home.address, size: home.size)
      return Replacement(
        unit: unit.name, decision, address: home.home,
        bytes: first.map { Array($0) } ?? [UInt8](repeating: 0, count: Int(home.size)))
    }
  }

  /// Functions of the new build that start what is new in it.
  private(set) var starters: [Address] = []

  /// Nothing new may need an initialiser that also made what lives.
  ///
  /// - Throws: `StateRefusal.needsReset`.
  func planInitialisers() throws -> [Verdict] {
    guard let old else { return [] }
    let initialisers = try LibraryInitialisers(
      file, code, plan, unit: unit.name, old: old.file
    ) { function in
      let name = function.fingerprintName
      return old.fingerprints[name].map { $0 != version.fingerprints[name] } ?? false
    }
    starters = initialisers.toRun.map { Address(bias &+ $0) }
    return initialisers.verdicts
  }
}

/// Stands in an image's options before its link is whole.
private final class LateBinder: ReferenceBinder, @unchecked Sendable {
  // Sound: set once, by the thread that relocates.
  weak var link: LibraryLink?

  func address(of name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64? {
    link?.address(of: name, isForCall: isForCall, in: image)
  }
  func fallback(for name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64? {
    link?.fallback(for: name, isForCall: isForCall, in: image)
  }
  func target(of virtual: UInt64, at place: UInt64, in image: MappedImage) -> UInt64? {
    link?.target(of: virtual, at: place, in: image)
  }
  func isCode(_ address: Address) -> Bool { link?.isCode(address) ?? false }
}
