// `inspect` for people: an ElfScan as tables. Addresses, offsets and sizes are hexadecimal, counts are
// decimal; names stand last, where their length disturbs nothing.
import LoaderEngine

struct InspectText {
  var file: String
  var scan: ElfScan

  var text: String {
    var text = file + "\n" + header
    if !scan.segments.isEmpty { text += part("segments", scan.segments.count) + segments }
    if !scan.sections.isEmpty { text += part("sections", scan.sections.count) + sections }
    if !scan.groups.isEmpty { text += part("groups", scan.groups.count) + groups }
    for table in scan.symbolTables {
      text += part("symbols in \(name(table.section))", table.symbols.count) + symbols(table)
    }
    for table in scan.relocationTables {
      text += part("relocations in \(name(table.section))", table.relocations.count)
      text += relocations(table)
    }
    if !scan.dynamic.isEmpty { text += part("dynamic entries", scan.dynamic.count) + dynamic }
    if !scan.notes.isEmpty { text += part("notes", scan.notes.count) + notes }
    return text
  }

  private func part(_ title: String, _ count: Int) -> String { "\n\(title): \(count)\n" }

  private var header: String {
    var text = "  \(scan.is64Bit ? "ELF64" : "ELF32"), "
    text += "\(scan.isBigEndian ? "big" : "little")-endian, \(ElfNames.machine(scan.machine)), "
    text += "\(ElfNames.type(scan.type)), \(ElfNames.osABI(scan.osABI))\n"
    text += "  entry \(hex(scan.entry)), flags \(hex(UInt64(scan.flags)))\n"
    if let id = scan.buildID { text += "  build id \(Messages.bytes(id))\n" }
    return text
  }

  private var segments: String {
    var table = Columns([
      ">#", "type", "flags", ">offset", ">address", ">file size", ">memory size", ">align",
    ])
    for (index, segment) in scan.segments.enumerated() {
      table.add([
        String(index), ElfNames.segment(segment.type), ElfNames.segmentFlags(segment.flags),
        hex(segment.offset), hex(segment.address), hex(segment.fileSize),
        hex(segment.memorySize), hex(segment.alignment),
      ])
    }
    return table.text
  }

  private var sections: String {
    var table = Columns([
      ">#", "type", "flags", ">address", ">offset", ">size", ">entry", ">link", ">info", ">align",
      "name",
    ])
    for (index, section) in scan.sections.enumerated() {
      table.add([
        String(index), ElfNames.section(section.type, machine: scan.machine),
        ElfNames.sectionFlags(section.flags, machine: scan.machine), hex(section.address),
        hex(section.offset), hex(section.size), String(section.entrySize), String(section.link),
        String(section.info), String(section.alignment), section.name,
      ])
    }
    return table.text
  }

  private var groups: String {
    var table = Columns([">#", "kind", "members", "signature"])
    for group in scan.groups {
      table.add([
        String(group.section), group.isComdat ? "COMDAT" : "plain",
        group.members.map(String.init).joined(separator: " "), group.signature,
      ])
    }
    return table.text
  }

  private func symbols(_ symbols: ElfScan.SymbolTable) -> String {
    var table = Columns([
      ">#", ">value", ">size", "type", "binding", "visibility", ">section", "name",
    ])
    for (index, symbol) in symbols.symbols.enumerated() {
      table.add([
        String(index), hex(symbol.value), String(symbol.size), ElfNames.symbol(symbol.type),
        ElfNames.binding(symbol.binding), ElfNames.visibility(symbol.visibility),
        place(symbol.place), symbol.name,
      ])
    }
    return table.text
  }

  private func place(_ place: ElfScan.Place) -> String {
    switch place {
    case .undefined: "UND"
    case .absolute: "ABS"
    case .common: "COM"
    case .section(let index): String(index)
    case .reserved(let index): hex(UInt64(index))
    }
  }

  private func relocations(_ relocations: ElfScan.RelocationTable) -> String {
    var table = Columns(["section", ">offset", "type", "field", "formula", "symbol and addend"])
    for relocation in relocations.relocations {
      let notation = scan.notation(of: relocation)
      table.add([
        scan.section(of: relocation, in: relocations).map(name) ?? "", hex(relocation.offset),
        notation?.name ?? String(relocation.type), notation?.field ?? "", notation?.formula ?? "",
        symbol(relocation),
      ])
    }
    return table.text
  }

  /// `memcpy - 0x4`.
  private func symbol(_ relocation: ElfScan.Relocation) -> String {
    guard let addend = relocation.addend else { return relocation.symbol }
    if relocation.symbol.isEmpty { return hex(UInt64(bitPattern: addend)) }
    guard addend != 0 else { return relocation.symbol }
    return "\(relocation.symbol) \(addend < 0 ? "-" : "+") \(hex(addend.magnitude))"
  }

  private var dynamic: String {
    var table = Columns(["tag", ">value", "text"])
    for entry in scan.dynamic {
      let value =
        ElfNames.dynamicIsCount(entry.tag) ? String(entry.value) : hex(entry.value)
      table.add([ElfNames.dynamic(entry.tag), value, entry.text ?? ""])
    }
    return table.text
  }

  private var notes: String {
    var table = Columns(["owner", "what", "section", "bytes"])
    for note in scan.notes {
      let shown = note.descriptor.prefix(32)
      table.add([
        note.owner, ElfNames.note(note.type, owner: note.owner), note.section,
        Messages.bytes(Array(shown)) + (shown.count < note.descriptor.count ? "…" : ""),
      ])
    }
    return table.text
  }

  private func name(_ section: Int) -> String { scan.sections[section].name }
  private func hex(_ value: UInt64) -> String { Messages.hex(value) }
}
