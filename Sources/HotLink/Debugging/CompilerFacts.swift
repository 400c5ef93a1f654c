// What debug data says about how a file was compiled: which compiler, with which flags, of which source, read by
// libdwfl, which applies the relocations of an object's debug sections (libdw alone does not).
// DWARF 5, section 3.1.1.
internal import CLibDW
internal import Glibc

/// The compilation units of a file.
package struct CompilerFacts: Sendable {
  package struct Unit: Sendable {
    /// `GNU C17 12.2.0 -mtune=generic -O2 -g`
    package var producer = ""
    /// The source, as an absolute path where the compiler's directory is known.
    package var source = ""
    /// DW_LANG_…
    package var language = 0
  }

  package private(set) var units: [Unit] = []

  /// Reads an object, a library, or all members of an archive. Of what cannot be read nothing is known.
  package init(of path: String) {
    elf_version(UInt32(EV_CURRENT))
    var callbacks = Dwfl_Callbacks()
    callbacks.find_elf = { _, _, _, _, _, _ in -1 }
    callbacks.find_debuginfo = { _, _, _, _, _, _, _, _ in -1 }
    callbacks.section_address = dwfl_offline_section_address
    withUnsafePointer(to: callbacks) { callbacks in
      guard let session = dwfl_begin(callbacks) else { return }
      defer { dwfl_end(session) }
      guard dwfl_report_offline(session, path, path, -1) != nil else { return }
      dwfl_report_end(session, nil, nil)
      var cursor: UnsafeMutablePointer<Dwarf_Die>?
      var bias: Dwarf_Addr = 0
      // libdwfl goes on to the next module by itself.
      while let unit = dwfl_nextcu(session, cursor, &bias) {
        cursor = unit
        units.append(CompilerFacts.read(unit))
        if units.count == 100_000 { return }
      }
    }
  }

  private static func read(_ die: UnsafeMutablePointer<Dwarf_Die>) -> Unit {
    var unit = Unit()
    unit.producer = text(die, 0x25)  // DW_AT_producer
    let name = text(die, 0x03)  // DW_AT_name
    let directory = text(die, 0x1B)  // DW_AT_comp_dir
    unit.source =
      name.isEmpty || name.hasPrefix("/") || directory.isEmpty ? name : "\(directory)/\(name)"
    let language = dwarf_srclang(die)
    unit.language = max(Int(language), 0)
    return unit
  }

  private static func text(_ die: UnsafeMutablePointer<Dwarf_Die>, _ name: UInt32) -> String {
    var attribute = Dwarf_Attribute()
    guard dwarf_attr(die, name, &attribute) != nil, let text = dwarf_formstring(&attribute) else {
      return ""
    }
    return String(cString: text)
  }
}
