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
  private var localSlots: [LibrarySymbol.Key: SlotIndex] = [:]
  private let space: LinkSpace
  private let dependencies: Dependencies
  private let code: LibraryCode
  private let initialiserTables: [Range<UInt64>]
  private var table: SymbolTable = .empty
  private var failure: LinkError?

  /// Maps the library and plans its variables.
  ///
  /// - Throws: `LinkError`, `StateRefusal`.
  init(
    _ unit: Unit, _ file: LibraryFile, _ space: LinkSpace, _ context: LinkContext,
    _ arguments: ArgumentVector
  ) throws {
    self.unit = unit
    self.file = file
    self.space = space
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
    var dependencies = Dependencies(context, group, needed)
    try dependencies.gather()
    try group.checkVersions(in: dependencies.providers)
    self.dependencies = dependencies
    let image = group.images[0]
    plan = try LibraryPlan(file, unit: unit.name, bias: image.provider.bias, old: old)
    code = LibraryCode(file, image.provider.view)
    if let at = code.undecoded, old != nil {
      throw StateRefusal(unit: unit.name, symbol: "", reason: .undecodableCode(at: at))
    }
    if plan.keepsThreads, let before = old?.image { image.adoptThreadStorage(of: before) }
    collectExports()
    binder.link = self
  }

  private var bias: UInt64 { group.images[0].provider.bias }

  // MARK: define

  private func collectExports() {
    let provider = group.images[0].provider
    provider.lookup.forEachExported { _, symbol in
      guard let text = provider.lookup.name(of: symbol), symbol.st_shndx != 0xFFF1,
        symbol.visibility != UInt8(STV_HIDDEN)
      else { return }
      let id = space.names.intern(text)
      let key = LibrarySymbol.Key(name: text.string, ordinal: 0, isLocal: false)
      let kind: Definition.Kind
      if symbol.isThreadLocal {
        kind = .threadLocal
      } else if provider.view.isExecutable(symbol.st_value) {
        kind = .function
      } else {
        kind = plan.home(of: key) != nil ? .data : .constant
      }
      exports.append(
        LibraryExport(
          id: id, address: symbol.st_value, size: symbol.st_size, kind: kind,
          isIndirect: symbol.type == UInt8(STT_GNU_IFUNC)))
    }
  }

  /// Puts the exports into the table of the next generation. What an object defines wins, as for ld.
  ///
  /// - Throws: `LinkError.noSpace`.
  func define(in draft: inout SymbolTable.Draft) throws(LinkError) {
    for export in exports {
      if let other = draft[export.id], other.unit != unit.id { continue }
      var definition = Definition(
        address: bias &+ export.address, size: export.size, unit: unit.id, kind: export.kind,
        isWeak: true)
      switch export.kind {
      case .function: definition.slot = try space.slots.slot(of: export.id).value
      case .data:
        let key = LibrarySymbol.Key(
          name: space.names[export.id].string, ordinal: 0, isLocal: false)
        if let home = plan.home(of: key) { definition.address = home.home }
      case .threadLocal:
        guard case .fixed(_, _, let start) = group.images[0].provider.threadStorage else {
          continue
        }
        definition.address = start &+ export.address
      default: break
      }
      draft.define(export.id, definition)
    }
  }

  // MARK: bind and redirect

  /// Binds all references.
  ///
  /// - Parameter table: the symbols of the next generation.
  /// - Throws: `LinkError`, `StateRefusal`.
  func bind(_ table: SymbolTable) throws {
    self.table = table
    try group.relocate(global: [dependencies.globalScope], local: dependencies.localScope())
    if let failure { throw failure }
    try redirect()
    try group.resolveIndirect()
    noteSlots()
    try group.seal()
    try group.register()
  }

  func address(of name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64? {
    guard image === group.images[0], let id = space.names.find(name.string),
      let found = table[id]
    else { return nil }
    switch found.kind {
    case .function: return space.slots.stub(SlotIndex(found.slot)).value
    case .data, .constant, .part, .absolute: return found.address
    case .none, .threadLocal: return nil
    }
  }

  func fallback(for name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64? {
    guard isForCall, image === group.images[0] else { return nil }
    let id = space.names.intern(name)
    deferred.insert(id)
    return stub(of: id)
  }

  func target(of virtual: UInt64, at place: UInt64, in image: MappedImage) -> UInt64? {
    guard image === group.images[0], !initialiserTables.contains(where: { $0.contains(place) })
    else { return nil }
    if let piece = plan.piece(at: virtual) { return piece.home &+ (virtual - piece.start) }
    return stub(at: virtual)
  }

  private func stub(of id: SymbolID) -> UInt64? {
    do { return space.slots.stub(try space.slots.slot(of: id)).value } catch {
      failure = error
      return nil
    }
  }

  /// The stub of the function that begins at a virtual address.
  private func stub(at virtual: UInt64) -> UInt64? {
    guard let function = file.function(at: virtual) else {
      if file.isExecutable(virtual), code.stretch(at: virtual) != nil {
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
        guard let address = try meaning(of: reference, in: stretch),
          address != bias &+ reference.target
        else { continue }
        let displacement = Int64(bitPattern: address &- (bias &+ reference.next))
        guard let narrow = Int32(exactly: displacement) else {
          throw LinkError(
            file: file.name,
            .outOfReach(site(reference), symbol: name(of: reference), address: address))
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
  private func meaning(of reference: CodeReference, in stretch: LibraryCode.Stretch) throws
    -> UInt64?
  {
    switch reference.kind {
    case .branch: return nil
    case .access:
      return plan.piece(at: reference.target).map { $0.home &+ (reference.target - $0.start) }
    case .address:
      if file.isExecutable(reference.target) {
        guard let function = file.function(at: reference.target),
          !function.isPart
        else { return nil }
        return stub(at: reference.target)
      }
      let piece = plan.piece(at: reference.target)
      guard let before = plan.ends(at: reference.target) else {
        return piece.map { $0.home &+ (reference.target - $0.start) }
      }
      let end = before.home &+ before.size
      guard let piece, piece.home != end else { return end }
      // The end of one or the start of the next: who takes both ends of the first walks over it.
      let takesFirst = stretch.references.contains { index in
        let other = code.references[index]
        return other.kind == .address && other.target >= before.start
          && other.target < before.start &+ before.size
      }
      if takesFirst {
        throw LinkError(
          file: file.name,
          .ambiguous(
            site(reference), section: piece.symbol.section,
            candidates: [before.symbol.name, piece.symbol.name]))
      }
      return piece.home
    }
  }

  private func site(_ reference: CodeReference) -> LinkError.Site {
    LinkError.Site(
      file: file.name, section: ".text", offset: reference.field, relocation: "displacement")
  }

  private func name(of reference: CodeReference) -> String {
    plan.piece(at: reference.target)?.symbol.name ?? file.function(at: reference.target)?.name ?? ""
  }

  // MARK: the result

  /// Where the slots of this library's functions lead from the next generation on.
  private func noteSlots() {
    let provider = group.images[0].provider
    for export in exports where export.kind == .function {
      guard let found = table[export.id], found.unit == unit.id else { continue }
      var body = bias &+ export.address
      if export.isIndirect {
        guard let chosen = provider.resolved(body, by: LinkedCode.resolve) else { continue }
        body = chosen
      }
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
    return version
  }()

  /// What has to be done to kept variables at the safe point.
  private(set) var carries: [LibraryCarry] = []

  func planCarries() {
    guard let old else { return }
    carries = plan.pieces.map { piece in
      guard piece.isKept, let before = old.plan.home(of: piece.symbol.key) else {
        return LibraryCarry(symbol: piece.symbol.name, home: 0, size: 0, oldSize: 0)
      }
      var carry = LibraryCarry(
        symbol: piece.symbol.name, home: piece.home, size: piece.symbol.size, oldSize: before.size)
      carry.image = version.firstBytes(at: piece.symbol.address, size: piece.symbol.size)
      carry.oldImage = old.firstBytes(at: before.address, size: before.size)
      return carry
    }
  }

  /// Nothing new may need an initialiser that also made what lives.
  ///
  /// - Throws: `StateRefusal.needsReset`.
  func checkInitialisers() throws -> [Verdict] {
    guard let old else { return [] }
    var verdicts: [Verdict] = []
    for function in file.functions where LibraryLink.isInitialiser(function.name) {
      if let before = old.fingerprints[function.name], before != version.fingerprints[function.name]
      {
        verdicts.append(
          Verdict(unit: unit.name, symbol: function.name, fate: .initialiserNotRun))
      }
      guard let stretch = code.stretch(at: function.address) else { continue }
      for index in stretch.references where code.references[index].kind != .branch {
        if let piece = plan.piece(at: code.references[index].target), !piece.isKept {
          throw StateRefusal(
            unit: unit.name, symbol: piece.symbol.name,
            reason: .needsReset(initialiser: function.name))
        }
      }
    }
    return verdicts
  }

  private static func isInitialiser(_ name: String) -> Bool {
    ["_GLOBAL__sub_I_", "_GLOBAL__I_", "__cxx_global_var_init", "_Z41__static_initialization"]
      .contains { name.hasPrefix($0) }
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
}
