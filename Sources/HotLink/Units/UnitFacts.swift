// What can be told about a file before it is linked, for `hotlink doctor`: how its sections are made and what its
// compiler left in it.
internal import CLoaderSupport
package import LoaderEngine
package import SystemPackage

/// One object of a file: itself, or a member of an archive.
package struct UnitFacts: Sendable {
  package var name: String
  package var isLibrary = false
  package var hasDebugData = false
  /// Debug data that says nothing about types (`-g1`), and such that is in another file (`-gsplit-dwarf`).
  package var lacksTypes = false
  package var hasSplitDebugData = false
  package var functions = 0
  package var variables = 0
  /// Several functions, or variables, share a section although there could be one for each.
  package var sharesText = false
  package var sharesData = false
  /// The intermediate code of a link-time optimiser is beside the machine code.
  package var hasIntermediateCode = false
  /// Relocations that want an address in 32 bits.
  package var absoluteReferences = 0
  /// Texts of `.comment` and `.GCC.command.line`.
  package var compilers: [String] = []
  package var commandLine = ""
  /// Hooks by name that C++ has mangled: nobody calls them.
  package var mangledHooks: [String] = []

  /// Reads a file as a session does.
  ///
  /// - Throws: `LinkError`, as a session would.
  package static func read(_ path: FilePath) throws(LinkError) -> [UnitFacts] {
    let contents = try FileContents(reading: path)
    let file = try UnitReader.parse(Bytes(contents), path: path)
    if let object = file.object { return [UnitFacts(object, name: path.string)] }
    if let library = file.library {
      var facts = UnitFacts(name: path.string)
      facts.isLibrary = true
      facts.hasDebugData = library.sections.sections.indices.contains {
        library.sections.name(ofSection: $0) == ".debug_info"
      }
      if !library.isSwift { facts.look(at: library.layoutSource) }
      return [facts]
    }
    return file.members.map { UnitFacts($0.object, name: $0.name) }
  }

  private init(name: String) { self.name = name }

  init(_ object: ObjectFile, name: String) {
    self.init(name: name)
    let symbols = SymbolsBySection(object)
    for index in object.sections.indices {
      let section = object.sections[index]
      let title = object.name(ofSection: index)
      if title == ".debug_info" || title == ".zdebug_info" { hasDebugData = true }
      if title.hasPrefix(".gnu.lto_") || title == ".llvm.lto" { hasIntermediateCode = true }
      if title == ".comment", let bytes = object.contents(ofSection: index)?.array {
        compilers += UnitFacts.texts(bytes)
      }
      if title == ".GCC.command.line", let bytes = object.contents(ofSection: index)?.array {
        commandLine += UnitFacts.texts(bytes).joined(separator: " ")
      }
      guard section.isAllocated, section.size > 0 else { continue }
      let named = symbols[index].filter { object.symbols[$0].st_size > 0 }
      if section.isExecutable {
        let starts = Set(
          named.filter { object.symbols[$0].isFunction }.map { object.symbols[$0].st_value })
        functions += starts.count
        sharesText = sharesText || (title == ".text" && starts.count > 1)
      } else if SectionRole.of(section, title).isState {
        let starts = Set(named.map { object.symbols[$0].st_value })
        variables += starts.count
        sharesData = sharesData || ((title == ".data" || title == ".bss") && starts.count > 1)
      }
    }
    if !object.isSwift { look(at: .object(object)) }
    // swiftc has its own way to keep them apart: each reference has a relocation.
    if object.sections.indices.contains(where: { object.name(ofSection: $0).hasPrefix("swift5_") })
    {
      sharesText = false
      sharesData = false
    }
    for list in object.relocationSections
    where object.sections[Int(object.sections[list].info)].isAllocated {
      let relocations = object.relocations(inSection: list)
      for index in 0..<relocations.count {
        // R_X86_64_32, R_X86_64_32S
        if relocations[index].type == 10 || relocations[index].type == 11 {
          absoluteReferences += 1
        }
      }
    }
    for index in object.firstGlobal..<object.symbols.count where object.symbols[index].isFunction {
      let symbol = object.name(ofSymbol: index)
      if symbol.hasPrefix("_Z20hotlink_after_reload")
        || symbol.hasPrefix("_Z21hotlink_before_reload")
      {
        mangledHooks.append(symbol.string)
      }
    }
  }

  /// Sees what the layout guard would; Swift's types it knows without debug data.
  private mutating func look(at source: LayoutSource) {
    guard hasDebugData else { return }
    let sight = UnitLayouts(source).sight
    lacksTypes = sight == .blind
    hasSplitDebugData = sight == .split
  }

  /// Texts that end in NUL.
  private static func texts(_ bytes: [UInt8]) -> [String] {
    bytes.prefix(1 << 16).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }
}
