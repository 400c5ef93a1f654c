// An ELF file in memory that describes linked code to a debugger: where it is (sections without bytes at
// their run-time addresses), what it is called (.symtab), how to walk its frames (.eh_frame) and what it
// was made from (debug sections, final). It is an executable, ET_EXEC: a reader relocates nothing.
internal import CLoaderSupport
internal import Glibc

/// A finished image. It must outlive what reads it.
package final class DebugImage: @unchecked Sendable {
  // Sound: written only before init returns.
  package let bytes: UnsafeRawBufferPointer
  /// Objects whose debug data is not in it, and why.
  package let omitted: [LinkError]
  /// Relocations of debug data that could not be applied.
  package let skippedRelocations: Int

  /// Describes objects.
  ///
  /// - Parameter unwindTable: an address near the code where nothing is: the copy of the unwind tables
  ///   counts from there.
  package init(_ units: [DebugUnit], unwindTable: Address) {
    let places = SectionPlaces(units)
    let sections = DebugSections(units)
    let unwind = DebugUnwind(units)
    var symbols = DebugSymbols(places)
    symbols.add(units)
    var file = ImageFile(places)
    let unwindSection = file.add(
      ".eh_frame", flags: UInt64(SHF_ALLOC), address: unwindTable.value, size: unwind.size,
      alignment: 8)
    let debug = sections.combined.filter { $0.size > 0 }
    let first = file.count
    for section in debug {
      _ = file.add(section.name, size: section.size, alignment: section.alignment)
    }
    let image = file.write(symbols)
    var relocation = DebugRelocation(units, sections)
    let relocations = units.map { DebugImage.relocationSections(of: $0.linked.object) }
    unwind.write(to: image + file.offset(unwindSection), address: unwindTable.value) {
      unit, section, place, size, address in
      for list in relocations[unit][section] ?? [] {
        relocation.apply(
          list, of: unit, to: place, size: size, address: address, tombstone: 0)
      }
    }
    for (index, section) in debug.enumerated() {
      let start = image + file.offset(first + index)
      for part in section.parts {
        let place = start + Int(part.offset)
        memcpy(place, part.bytes.base, part.bytes.count)
        for list in relocations[part.unit][part.section] ?? [] {
          relocation.apply(
            list, of: part.unit, to: place, size: UInt64(part.bytes.count), address: part.offset,
            tombstone: section.tombstone)
        }
      }
    }
    bytes = UnsafeRawBufferPointer(start: image, count: file.size)
    omitted = sections.omitted
    skippedRelocations = relocation.skipped
  }

  /// Describes the stubs of a program: a section named `.plt` and symbols `NAME@plt` (or `plt:NAME`), by which a debugger
  /// knows to step through them.
  package init(stubsOf space: LinkSpace) {
    let stubs = AddressRange(
      start: space.arena.stubs.start, size: UInt64(space.slots.count + 1) * X86_64.cellSize)
    let places = SectionPlaces([SectionPlaces.Place(range: stubs, isCode: true)])
    var symbols = DebugSymbols(places)
    space.slots.forEachStub { slot, symbol in
      let name = space.names[symbol].withoutUnit
      // gdb finds `Shape::area` in a mangled name with `@plt` behind it, and would stop in the stub, too.
      symbols.add(
        name.isMangled ? "plt:" : "", name, name.isMangled ? "" : "@plt",
        address: space.slots.stub(slot).value, size: X86_64.thunkOffset, type: UInt8(STT_FUNC),
        isLocal: false)
    }
    let unwind = X86_64.stubUnwindTable(stubs)
    var file = ImageFile(places, codeName: ".plt")
    let unwindSection = file.add(
      ".eh_frame", flags: UInt64(SHF_ALLOC), address: space.arena.slotBanks.start.value,
      size: UInt64(unwind.count), alignment: 8)
    let image = file.write(symbols)
    unwind.withUnsafeBytes { table in
      if let base = table.baseAddress {
        memcpy(image + file.offset(unwindSection), base, table.count)
      }
    }
    bytes = UnsafeRawBufferPointer(start: image, count: file.size)
    omitted = []
    skippedRelocations = 0
  }

  deinit { free(UnsafeMutableRawPointer(mutating: bytes.baseAddress)) }

  /// The sections that hold relocations for each section.
  private static func relocationSections(of object: ObjectFile) -> [Int: [Int]] {
    var lists: [Int: [Int]] = [:]
    for section in object.relocationSections {
      let target = Int(object.sections[section].info)
      if !object.sections[target].isAllocated || object.name(ofSection: target) == ".eh_frame" {
        lists[target, default: []].append(section)
      }
    }
    return lists
  }
}

extension NameView {
  /// A function's name without what tells local ones of several units apart.
  package var withoutUnit: NameView {
    var start = count
    let text = UnsafeRawBufferPointer(start: base, count: count)
    while start > 0, text[start - 1] != 1 { start -= 1 }
    return dropFirst(start)
  }

  /// C++, Rust, D, Swift.
  fileprivate var isMangled: Bool {
    hasPrefix("_Z") || hasPrefix("_R") || hasPrefix("_D") || hasPrefix("$s")
  }
}
