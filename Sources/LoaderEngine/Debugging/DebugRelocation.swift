// Applies the relocations of debug data and of the debugger's copy of unwind tables. Nothing here may
// refuse a program: what cannot be applied is left out and counted.
internal import CLoaderSupport

/// Writes references into combined sections.
struct DebugRelocation {
  let units: [DebugUnit]
  let sections: DebugSections
  private let rows = RowTable.shared
  /// Relocations that name no symbol, leave their section, or make no sense in debug data.
  private(set) var skipped = 0

  init(_ units: [DebugUnit], _ sections: DebugSections) {
    self.units = units
    self.sections = sections
  }

  /// Relocates one object's section.
  ///
  /// - Parameters:
  ///   - place: where its `size` bytes stand.
  ///   - address: what `P` begins at.
  ///   - tombstone: for references to what was not linked.
  mutating func apply(
    _ relocationSection: Int, of unit: Int, to place: UnsafeMutableRawPointer, size: UInt64,
    address: UInt64, tombstone: UInt64
  ) {
    let object = units[unit].linked.object
    let relocations = object.relocations(inSection: relocationSection)
    let symbolCount = object.symbols.count
    for index in 0..<relocations.count {
      let relocation = relocations[index]
      let type = Int(relocation.type)
      guard type < X86_64.typeCount, let formula = rows.formulas[type] else {
        skipped += 1
        continue
      }
      let width = rows.fields[type].width
      // GATE: no unchecked offset past here.
      guard relocation.r_offset <= size, UInt64(width) <= size - relocation.r_offset,
        relocation.symbol < symbolCount
      else {
        skipped += 1
        continue
      }
      let p = address &+ relocation.r_offset
      var value: UInt64
      switch formula {
      case .none, .descriptorCall: continue
      case .absolute, .moduleOffset, .threadOffset:
        value = target(relocation, unit) ?? tombstone
      case .pcRelative, .branch:
        // Nothing there: the table's own address, where no code is.
        value = target(relocation, unit).map { $0 &- p } ?? 0
      case .size: value = object.symbols[relocation.symbol].st_size
      default:
        skipped += 1
        continue
      }
      let to = place + Int(relocation.r_offset)
      switch width {
      case 8: to.storeBytes(of: value, as: UInt64.self)
      case 4: to.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
      case 2: to.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
      default: to.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
      }
    }
  }

  @inline(__always)
  private func target(_ relocation: Elf64_Rela, _ unit: Int) -> UInt64? {
    let addend = UInt64(bitPattern: relocation.r_addend)
    switch units[unit].meaning(ofSymbol: relocation.symbol, addend: addend) {
    case .address(let address): return address
    case .section(let section, let offset):
      return sections.offset(ofSection: section, unit: unit).map { $0 &+ offset }
    case .absent: return nil
    }
  }
}
