// One loaded content of a library unit. Its memory stays as long as the program: variables live in it, and
// literals and vtables that objects may point at; what goes is the way to its code.
internal import LoaderEngine
internal import Synchronization

/// A library unit as it was loaded once.
final class LibraryVersion: @unchecked Sendable {
  let file: LibraryFile
  let group: ImageGroup
  let plan: LibraryPlan
  let fingerprints: [String: UInt64]
  let exports: [LibraryExport]
  /// First bytes of the sections that hold state, by virtual address; what is missing is zero.
  private let images: [(range: Range<UInt64>, bytes: [UInt8])]
  /// Slots of local functions whose address somebody has.
  var localSlots: [LibrarySymbol.Key: SlotIndex] = [:]
  /// What variables last started from, where that is not in this version's image: an unedited one keeps the
  /// bytes of the build that made it. nil: zeros.
  private var baselines: [LibrarySymbol.Key: ArraySlice<UInt8>?] = [:]
  /// What it is bound to among the units, and what none of them had.
  var bound: [SymbolID: UInt64] = [:]
  var unbound: Set<SymbolID> = []
  /// What debug data says of its types. Read by the guard when it was new, or at the first change of its unit.
  lazy var layouts = UnitLayouts(file.layoutSource)
  /// A section of state that its symbols do not name.
  var unnamedSection: Int?
  /// The versions before it, whose variables are in use.
  let earlier: LibraryVersion?

  var image: MappedImage { group.images[0] }

  init(
    _ file: LibraryFile, _ group: ImageGroup, _ plan: LibraryPlan, fingerprints: [String: UInt64],
    exports: [LibraryExport], earlier: LibraryVersion?
  ) {
    self.file = file
    self.group = group
    self.plan = plan
    self.fingerprints = fingerprints
    self.exports = exports
    self.earlier = earlier
    images = LibraryVersion.firstBytes(file, group.images[0])
  }

  /// Runs its finalisers, and those of libraries that earlier versions brought along; once.
  func finish() {
    var version: LibraryVersion? = self
    while let current = version {
      current.group.finish()
      version = current.earlier
    }
  }

  private static let outliving = Mutex<[LibraryVersion]>([])

  /// Keeps libraries whose addresses outlive their session.
  static func keepForever(_ libraries: [LibraryVersion]) {
    outliving.withLock { $0 += libraries }
  }

  /// Bytes of memory of all versions before this one.
  var earlierBytes: UInt64 {
    var bytes: UInt64 = 0
    var version = earlier
    while let other = version {
      bytes += other.image.mapping.range.size
      version = other.earlier
    }
    return bytes
  }

  /// The address by which others know what a symbol stands for.
  static func meaning(of definition: Definition, _ space: LinkSpace) -> UInt64? {
    switch definition.kind {
    case .function: space.slots.stub(SlotIndex(definition.slot)).value
    case .data, .constant, .part, .absolute: definition.address
    case .none, .threadLocal: nil
    }
  }

  /// Where a function's code is; an IFUNC is asked.
  static func body(of export: LibraryExport, in group: ImageGroup) -> UInt64? {
    let provider = group.images[0].provider
    let address = provider.bias &+ export.address
    guard export.isIndirect else { return address }
    return provider.resolved(address, by: LinkedCode.resolve) ?? address
  }

  /// What an export stands for; nil for a thread-local variable without one offset for all threads.
  ///
  /// - Throws: `LinkError.noSpace`.
  static func definition(
    of export: LibraryExport, in group: ImageGroup, unit: UInt32, _ space: LinkSpace
  ) throws(LinkError) -> Definition? {
    let provider = group.images[0].provider
    var definition = Definition(
      address: export.home, size: export.size, unit: unit, kind: export.kind, isWeak: true)
    switch export.kind {
    case .function: definition.slot = try space.slots.slot(of: export.id).value
    case .threadLocal:
      guard case .fixed(_, _, let start) = provider.threadStorage else { return nil }
      definition.address = start &+ export.address
    default: break
    }
    return definition
  }

  /// What a variable or constant of a newer build is called here: by its name, also when a static was made global, or a
  /// global one static.
  func key(of key: LibrarySymbol.Key, in file: LibraryFile) -> LibrarySymbol.Key {
    guard key.ordinal == 0, plan.home(of: key) == nil else { return key }
    let other = LibrarySymbol.Key(name: key.name, ordinal: 0, isLocal: !key.isLocal)
    // Of several statics of one name nobody knows which.
    let second = LibrarySymbol.Key(name: key.name, ordinal: 1, isLocal: true)
    guard plan.home(of: other) != nil, file.datum(of: other) == nil, plan.home(of: second) == nil,
      file.datum(of: second) == nil
    else { return key }
    return other
  }

  /// A number for the first bytes of a variable or constant.
  func fingerprint(of key: LibrarySymbol.Key) -> UInt64? {
    file.datum(of: key).map { file.fingerprint(of: $0) }
  }

  /// The bytes a variable last started from; nil: zeros.
  func baseline(of key: LibrarySymbol.Key) -> ArraySlice<UInt8>? {
    if let known = baselines[key] { return known }
    return plan.home(of: key).flatMap { firstBytes(at: $0.address, size: $0.size) }
  }

  func setBaseline(of key: LibrarySymbol.Key, _ bytes: ArraySlice<UInt8>?) {
    baselines.updateValue(bytes, forKey: key)
  }

  private static func firstBytes(_ file: LibraryFile, _ image: MappedImage) -> [(
    range: Range<UInt64>, bytes: [UInt8]
  )] {
    file.stateSections.compactMap { index in
      let section = file.sections.sections[index]
      guard !section.isNoBits,
        let place = image.provider.view.pointer(section.address, section.size)
      else { return nil }
      return (
        section.address..<(section.address + section.size),
        [UInt8](UnsafeRawBufferPointer(start: place, count: Int(section.size)))
      )
    }
  }

  /// The first bytes of a variable; nil when they are zero.
  func firstBytes(at address: UInt64, size: UInt64) -> ArraySlice<UInt8>? {
    guard
      let image = images.first(where: {
        $0.range.lowerBound <= address && address + size <= $0.range.upperBound
      })
    else { return nil }
    let start = Int(address - image.range.lowerBound)
    return image.bytes[start..<(start + Int(size))]
  }
}

/// A symbol that a library defines for others.
struct LibraryExport {
  var id: SymbolID
  /// Virtual address.
  var address: UInt64
  var size: UInt64
  var kind: Definition.Kind
  /// Where it is in the program, for data.
  var home: UInt64
  /// The address is that of an IFUNC's resolver.
  var isIndirect: Bool
}
