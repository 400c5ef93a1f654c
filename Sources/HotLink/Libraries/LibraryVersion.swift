// One loaded content of a library unit. Its memory stays as long as the program: variables live in it, and
// literals and vtables that objects may point at; what goes is the way to its code.
internal import LoaderEngine

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

  private static func firstBytes(_ file: LibraryFile, _ image: MappedImage) -> [(
    range: Range<UInt64>, bytes: [UInt8]
  )] {
    file.sections.sections.indices.compactMap { index in
      let section = file.sections.sections[index]
      guard LibraryFile.holdsState(file.sections, index), !section.isNoBits,
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
  /// The address is that of an IFUNC's resolver.
  var isIndirect: Bool
}
