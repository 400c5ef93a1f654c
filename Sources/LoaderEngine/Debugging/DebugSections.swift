// The debug sections of several objects, put together as `ld` does: those of one name one behind the
// other, each object's part where its alignment says. COMDAT groups of debug data (type units, macro
// units) are taken from the first object that has them; they have no owner in the program.
internal import CLoaderSupport

/// What of each object's debug data goes where.
struct DebugSections {
  /// A section of an object in a combined one.
  struct Part {
    var unit: Int
    var section: Int
    var offset: UInt64
    var bytes: Bytes
  }

  struct Combined {
    let name: StaticString
    var parts: [Part] = []
    /// Size in bytes.
    var size: UInt64 = 0
    var alignment: UInt64 = 1
    /// What a reference to code that was not linked reads as (ld, lld): a pair of zeros would end a list
    /// of ranges.
    var tombstone: UInt64 {
      NameView(name) == ".debug_ranges" || NameView(name) == ".debug_loc" ? 1 : 0
    }
  }

  /// In the order in which linkers write them. Indices (`.debug_names`, `.debug_pubnames`) are left out:
  /// debuggers make their own when there is none.
  private static let names: [StaticString] = [
    ".debug_aranges", ".debug_info", ".debug_abbrev", ".debug_line", ".debug_frame", ".debug_str",
    ".debug_loc", ".debug_ranges", ".debug_types", ".debug_macro", ".debug_macinfo",
    ".debug_line_str", ".debug_loclists", ".debug_rnglists", ".debug_addr", ".debug_str_offsets",
    ".debug_macro_str",
  ]
  private static let absent = UInt64.max

  private(set) var combined = names.map { Combined(name: $0) }
  /// Offset of each section in its combined one, by unit and section.
  private var offsets: [[UInt64]] = []
  /// Objects whose debug data could not be read, and why.
  private(set) var omitted: [LinkError] = []
  private var kept: [GroupMember: UInt64] = [:]

  private struct GroupMember: Hashable {
    var signature: String
    var kind: Int
    var size: UInt64
  }

  init(_ units: [DebugUnit]) {
    offsets.reserveCapacity(units.count)
    for (index, unit) in units.enumerated() {
      do { try add(unit.linked.object, index) } catch {
        offsets.append([])
        omitted.append(error)
      }
    }
  }

  /// Where an object's section begins in its combined one; nil when it is not there.
  func offset(ofSection section: Int, unit: Int) -> UInt64? {
    guard section < offsets[unit].count, offsets[unit][section] != DebugSections.absent else {
      return nil
    }
    return offsets[unit][section]
  }

  private mutating func add(_ object: ObjectFile, _ unit: Int) throws(LinkError) {
    var found: [(section: Int, kind: Int, bytes: Bytes)] = []
    for section in object.sections.indices {
      let header = object.sections[section]
      guard !header.isAllocated, !header.isNoBits, header.size > 0,
        header.flags & UInt64(SHF_EXCLUDE) == 0,
        let kind = DebugSections.kind(object.name(ofSection: section)),
        let bytes = try object.unpackedContents(ofSection: section)
      else { continue }
      found.append((section, kind, bytes))
    }
    // GATE: everything of this object can be read.
    guard !found.isEmpty else {
      offsets.append([])
      return
    }
    var places = [UInt64](repeating: DebugSections.absent, count: object.sections.count)
    let signatures = groupSignatures(object)
    for (section, kind, bytes) in found {
      if let signature = signatures[section] {
        let member = GroupMember(signature: signature, kind: kind, size: UInt64(bytes.count))
        if let first = kept[member] {
          places[section] = first
          continue
        }
        kept[member] = append(section, kind, bytes, object, unit, &places)
      } else {
        _ = append(section, kind, bytes, object, unit, &places)
      }
    }
    offsets.append(places)
  }

  private mutating func append(
    _ section: Int, _ kind: Int, _ bytes: Bytes, _ object: ObjectFile, _ unit: Int,
    _ places: inout [UInt64]
  ) -> UInt64 {
    let header = object.sections[section]
    let isPacked = header.flags & UInt64(SHF_COMPRESSED) != 0
    // A compressed section's header tells the alignment of what is packed; debug data has none above 8.
    let alignment = isPacked ? 1 : min(header.alignment, 16)
    let offset = aligned(combined[kind].size, to: alignment)
    combined[kind].parts.append(Part(unit: unit, section: section, offset: offset, bytes: bytes))
    combined[kind].size = offset + UInt64(bytes.count)
    combined[kind].alignment = max(combined[kind].alignment, alignment)
    places[section] = offset
    return offset
  }

  /// The signatures of groups that debug sections are members of, by section.
  private func groupSignatures(_ object: ObjectFile) -> [Int: String] {
    var signatures: [Int: String] = [:]
    for group in object.groups where group.isComdat {
      for member in group.members
      where !object.sections[member].isAllocated
        && DebugSections.kind(object.name(ofSection: member)) != nil
      {
        signatures[member] = object.signature(of: group).string
      }
    }
    return signatures
  }

  private static func kind(_ name: NameView) -> Int? {
    if name.hasPrefix(".debug_") { return names.firstIndex { name == $0 } }
    guard name.hasPrefix(".zdebug_") else { return nil }
    let rest = name.dropFirst(8)
    return names.firstIndex { NameView($0).dropFirst(7) == rest }
  }
}
