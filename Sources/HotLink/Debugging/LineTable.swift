// The line tables of a debugger's image, read by libdw: the image is an ordinary ELF file whose debug data
// is final.
internal import CLibDW
internal import LoaderEngine

/// Where the code of each line begins, in the order of addresses.
struct LineTable {
  private(set) var lines: [SourceLine] = []

  init(of image: DebugImage) {
    elf_version(UInt32(EV_CURRENT))
    // libelf reads what it is given; its interface has no const.
    guard let start = UnsafeMutableRawPointer(mutating: image.bytes.baseAddress),
      let elf = elf_memory(start.assumingMemoryBound(to: CChar.self), image.bytes.count)
    else { return }
    defer { elf_end(elf) }
    guard let dwarf = dwarf_begin_elf(elf, DWARF_C_READ, nil) else { return }
    defer { dwarf_end(dwarf) }
    read(dwarf)
    lines.sort { $0.address < $1.address }
  }

  private mutating func read(_ dwarf: OpaquePointer) {
    var offset: Dwarf_Off = 0
    var next: Dwarf_Off = 0
    var headerSize = 0
    while dwarf_nextcu(dwarf, offset, &next, &headerSize, nil, nil, nil) == 0 {
      var unit = Dwarf_Die()
      if dwarf_offdie(dwarf, offset + Dwarf_Off(headerSize), &unit) != nil { read(&unit) }
      offset = next
    }
  }

  private mutating func read(_ unit: inout Dwarf_Die) {
    var table: OpaquePointer?
    var count = 0
    guard dwarf_getsrclines(&unit, &table, &count) == 0 else { return }
    var names: [UnsafePointer<CChar>: String] = [:]
    for index in 0..<count {
      guard let line = dwarf_onesrcline(table, index) else { continue }
      var address: Dwarf_Addr = 0
      var number: Int32 = 0
      var isEnd = false
      guard dwarf_lineaddr(line, &address) == 0, dwarf_lineno(line, &number) == 0,
        dwarf_lineendsequence(line, &isEnd) == 0, !isEnd, number > 0, address > 1,
        let file = dwarf_linesrc(line, nil, nil)
      else { continue }
      // One string for each file: libdw gives the same pointer for the same.
      let name = names[file] ?? String(cString: file)
      names[file] = name
      lines.append(SourceLine(address: address, line: UInt32(number), file: name))
    }
  }
}
