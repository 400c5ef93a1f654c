// Interception for objects: a caller sees where every section goes and what every relocation writes, and may decide
// otherwise. Values passed in; a link without an observer pays one comparison a section for it.
internal import CLoaderSupport

/// A section that has its place.
public struct PlacedSection: Sendable {
  /// The object it comes from.
  public var object: String
  public var section: String
  /// Where it runs; for thread-local sections the offset from the thread pointer, modulo 2^64.
  public var range: AddressRange
  public var isThreadLocal: Bool
}

/// A relocation of an object about to be applied, or applied.
public struct ObjectRelocation: Sendable {
  /// The object it stands in.
  public var object: String
  /// The section it stands in.
  public var section: String
  /// Where it stands, in bytes from the section's start.
  public var offset: UInt64
  /// The psABI's number of its type.
  public var type: UInt32
  /// The symbol it refers to; empty for a section symbol.
  public var symbol: String
  public var addend: Int64
  /// Where it runs (psABI: `P`).
  public var place: Address
  /// What is written, before it is narrowed to the relocation's width.
  public var value: UInt64

  /// The psABI's name of its type.
  public var typeName: String { X86_64.dynamicName(type) }
}

/// What a caller wants to see and decide of a link. Functions are called on the thread that links.
public struct ObjectObserver: Sendable {
  /// When all sections have their places and nothing is written yet.
  public var placed: (@Sendable (PlacedSection) -> Void)?
  /// Before a relocation's value is written.
  public var willRelocate: (@Sendable (ObjectRelocation) -> LinkObserver.Decision)?
  /// After it was written.
  public var didRelocate: (@Sendable (ObjectRelocation) -> Void)?

  public init() {}

  var seesRelocations: Bool { willRelocate != nil || didRelocate != nil }
}

extension LinkedSet {
  /// Tells the observer where everything is.
  func tellPlaces() {
    guard let placed = options.observer?.placed else { return }
    for linked in objects {
      for section in linked.roles.indices where linked.roles[section] != .ignored {
        let name = linked.object.name(ofSection: section).string
        for range in linked.ranges(ofSection: section) {
          placed(
            PlacedSection(
              object: linked.object.name, section: name, range: range,
              isThreadLocal: linked.roles[section].isThreadLocal))
        }
      }
    }
  }
}

extension LinkedObject {
  /// Where a section runs: one range, or one for each piece.
  package func ranges(ofSection section: Int) -> [AddressRange] {
    guard roles[section] != .ignored else { return [] }
    if let table = pieces[section] {
      return table.pieces.map { AddressRange(start: Address($0.address), size: $0.size) }
    }
    let size = object.sections[section].size
    return size == 0
      ? [] : [AddressRange(start: Address(addresses[section]), size: size)]
  }
}

extension FixUp {
  /// What is to be written once the observer has seen it; nil when he wants nothing written.
  @inline(never)
  func decide(_ relocation: Elf64_Rela, _ value: UInt64, at place: UInt64) -> UInt64? {
    guard let decide = set.options.observer?.willRelocate else { return value }
    switch decide(event(relocation, value, place)) {
    case .proceed: return value
    case .skip: return nil
    case .write(let other): return other
    }
  }

  @inline(never)
  func tell(_ relocation: Elf64_Rela, _ value: UInt64, at place: UInt64) {
    set.options.observer?.didRelocate?(event(relocation, value, place))
  }

  private func event(_ relocation: Elf64_Rela, _ value: UInt64, _ place: UInt64)
    -> ObjectRelocation
  {
    ObjectRelocation(
      object: linked.object.name, section: linked.object.name(ofSection: section).string,
      offset: relocation.r_offset, type: relocation.type,
      symbol: linked.object.name(ofSymbol: relocation.symbol).string,
      addend: relocation.r_addend, place: Address(place), value: value)
  }
}
