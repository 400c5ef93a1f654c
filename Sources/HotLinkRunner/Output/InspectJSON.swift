// `inspect --json`: an ElfScan as one object. Addresses, offsets and sizes are numbers; types have the
// document's names where it gives one.
import LoaderEngine

struct InspectJSON {
  var file: String
  var scan: ElfScan

  var value: JSON {
    .object([
      ("file", .string(file)), ("class", .string(scan.is64Bit ? "ELF64" : "ELF32")),
      ("data", .string(scan.isBigEndian ? "big-endian" : "little-endian")),
      ("machine", .string(ElfNames.machine(scan.machine))),
      ("type", .string(ElfNames.type(scan.type))), ("entry", .unsigned(scan.entry)),
      ("flags", .unsigned(UInt64(scan.flags))),
      ("buildID", scan.buildID.map { .string(Messages.bytes($0)) } ?? .null),
      ("segments", .array(scan.segments.map(segment))),
      ("sections", .array(scan.sections.indices.map(section))),
      (
        "symbols",
        .array(scan.symbolTables.flatMap { table in table.symbols.map { symbol($0, table) } })
      ),
      (
        "relocations",
        .array(
          scan.relocationTables.flatMap { table in
            table.relocations.map { relocation($0, table) }
          })
      ),
      ("dynamic", .array(scan.dynamic.map(dynamic))), ("notes", .array(scan.notes.map(note))),
      ("groups", .array(scan.groups.map(group))),
    ])
  }

  private func segment(_ segment: ElfScan.Segment) -> JSON {
    .object([
      ("type", .string(ElfNames.segment(segment.type))),
      ("flags", .string(ElfNames.segmentFlags(segment.flags))),
      ("offset", .unsigned(segment.offset)), ("address", .unsigned(segment.address)),
      ("fileSize", .unsigned(segment.fileSize)), ("memorySize", .unsigned(segment.memorySize)),
      ("align", .unsigned(segment.alignment)),
    ])
  }

  private func section(_ index: Int) -> JSON {
    let section = scan.sections[index]
    return .object([
      ("index", .count(index)), ("name", .string(section.name)),
      ("type", .string(ElfNames.section(section.type, machine: scan.machine))),
      ("flags", .string(ElfNames.sectionFlags(section.flags, machine: scan.machine))),
      ("address", .unsigned(section.address)), ("offset", .unsigned(section.offset)),
      ("size", .unsigned(section.size)), ("link", .unsigned(UInt64(section.link))),
      ("info", .unsigned(UInt64(section.info))), ("align", .unsigned(section.alignment)),
      ("entsize", .unsigned(section.entrySize)),
    ])
  }

  private func symbol(_ symbol: ElfScan.Symbol, _ table: ElfScan.SymbolTable) -> JSON {
    .object([
      ("name", .string(symbol.name)), ("value", .unsigned(symbol.value)),
      ("size", .unsigned(symbol.size)), ("type", .string(ElfNames.symbol(symbol.type))),
      ("binding", .string(ElfNames.binding(symbol.binding))),
      ("visibility", .string(ElfNames.visibility(symbol.visibility))),
      ("section", place(symbol.place)), ("table", .count(table.section)),
    ])
  }

  private func place(_ place: ElfScan.Place) -> JSON {
    switch place {
    case .undefined: .string("UND")
    case .absolute: .string("ABS")
    case .common: .string("COM")
    case .section(let index): .count(index)
    case .reserved(let index): .string(Messages.hex(UInt64(index)))
    }
  }

  private func relocation(
    _ relocation: ElfScan.Relocation, _ table: ElfScan.RelocationTable
  ) -> JSON {
    let notation = scan.notation(of: relocation)
    let section = scan.section(of: relocation, in: table)
    return .object([
      ("section", section.map { .string(scan.sections[$0].name) } ?? .null),
      ("table", .count(table.section)), ("target", section.map { .count($0) } ?? .null),
      ("offset", .unsigned(relocation.offset)),
      ("type", notation.map { .string($0.name) } ?? .unsigned(UInt64(relocation.type))),
      ("formula", notation.map { .string($0.formula) } ?? .null),
      ("field", notation.map { .string($0.field) } ?? .null),
      ("symbol", .string(relocation.symbol)),
      ("addend", relocation.addend.map { .integer($0) } ?? .null),
    ])
  }

  private func dynamic(_ entry: ElfScan.DynamicEntry) -> JSON {
    .object([
      ("tag", .string(ElfNames.dynamic(entry.tag))), ("value", .unsigned(entry.value)),
      ("text", entry.text.map { .string($0) } ?? .null),
    ])
  }

  private func note(_ note: ElfScan.Note) -> JSON {
    .object([
      ("section", .string(note.section)), ("owner", .string(note.owner)),
      ("type", .unsigned(UInt64(note.type))),
      ("name", .string(ElfNames.note(note.type, owner: note.owner))),
      ("bytes", .string(Messages.bytes(note.descriptor))),
    ])
  }

  private func group(_ group: ElfScan.Group) -> JSON {
    .object([
      ("section", .count(group.section)), ("signature", .string(group.signature)),
      ("comdat", .bool(group.isComdat)), ("members", .array(group.members.map { .count($0) })),
    ])
  }
}

extension ElfScan {
  /// A relocation's type in words; nil for machines whose types have no names here.
  func notation(of relocation: Relocation) -> RelocationNotation? {
    machine == 62 ? X86_64.notation(relocation.type) : nil
  }
}
