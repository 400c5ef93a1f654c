// A shared object as the content of a unit: its bytes, read once and never mapped from the file, and what its
// sections and symbols say about the functions and variables in it.
internal import CLoaderSupport
package import LoaderEngine

/// A validated shared object, not loaded.
package final class LibraryFile: @unchecked Sendable {
  // Sound: written in init only.
  let name: String
  let contents: FileContents
  let bytes: Bytes
  let headers: ImageHeaders
  let sections: ImageSections
  /// Functions with code, by address; of aliases the global one comes first.
  let functions: [LibrarySymbol]
  /// Mutable variables, by address.
  let variables: [LibrarySymbol]
  /// Named read-only data, by address.
  let constants: [LibrarySymbol]
  /// Thread-local variables, by offset in the template.
  let threadVariables: [LibrarySymbol]
  /// ELF: DT_SONAME, and DT_NEEDED in order.
  let soname: NameView?
  let needed: [String]
  /// Words and bytes as in the file.
  let view: SegmentView
  let words: LibraryWords
  /// Addresses of what the linker defines at the edges of sections.
  let edges: Set<UInt64>
  /// Sections whose bytes are the program's state.
  let stateSections: [Int]
  private let functionStarts: [UInt64: Int]
  private let data: [LibrarySymbol.Key: LibrarySymbol]
  private let provider: SymbolProvider

  /// - Throws: `LinkError`: what is no shared object of this machine, or has no section headers.
  package init(_ bytes: Bytes, contents: FileContents, name: String) throws(LinkError) {
    self.name = name
    self.contents = contents
    self.bytes = bytes
    headers = try ImageHeaders(ImageSource(contents, name: name))
    guard headers.kind == .sharedObject else {
      throw LinkError(
        file: name, .unsupported(what: "an executable", help: "link it with -shared"))
    }
    let sections = try ImageSections(bytes, name: name)
    self.sections = sections
    guard let dynamic = headers.dynamic else {
      throw LinkError(
        file: name, .unsupported(what: "no dynamic section", help: "link it with -shared"))
    }
    view = SegmentView(headers, in: contents)
    let provider = try SymbolProvider(
      dynamic, view, name: name, bias: 0,
      range: AddressRange(start: Address(0), size: headers.size), isHost: false)
    if provider.entries.isPIE {
      throw LinkError(
        file: name,
        .unsupported(what: "not a relocatable object", help: "pass an object made with `cc -c`"))
    }
    words = LibraryWords(provider)
    soname = provider.soname
    needed = provider.entries.needed.indices.compactMap { provider.neededName($0)?.string }
    var functions: [LibrarySymbol] = []
    var variables: [LibrarySymbol] = []
    var constants: [LibrarySymbol] = []
    var threadVariables: [LibrarySymbol] = []
    var edges: Set<UInt64> = []
    let headers = self.headers
    let holdsState = Set(
      sections.sections.indices.filter { LibraryFile.holdsState(sections, $0, headers) })
    var ordinals: [String: Int] = [:]
    for index in 1..<max(sections.symbols.count, 1) {
      let raw = sections.symbols[index]
      guard let section = sections.section(ofSymbol: index), raw.st_name != 0 else { continue }
      let isLocal = index < sections.firstGlobal
      let text = sections.name(ofSymbol: index)
      let name = text.string
      var symbol = LibrarySymbol(
        name: name, ordinal: 0, isLocal: isLocal, address: raw.st_value, size: raw.st_size,
        section: section, isWeak: raw.isWeakBinding,
        isPart: isLocal && FunctionNames.isPart(text))
      if isLocal {
        symbol.ordinal = ordinals[name, default: 0]
        ordinals[name] = symbol.ordinal + 1
      }
      let place = sections.sections[section]
      if raw.isThreadLocal {
        threadVariables.append(symbol)
      } else if raw.isFunction {
        if place.isExecutable, symbol.address &- place.address < place.size {
          functions.append(symbol)
        }
      } else if LibraryFile.linkerMade.contains(name) {
        edges.insert(symbol.address)
      } else if symbol.address &- place.address < place.size {
        let room = place.size - (symbol.address - place.address)
        symbol.size = name == "__dso_handle" ? min(8, room) : min(symbol.size, room)
        if holdsState.contains(section) {
          if [STT_OBJECT, STT_NOTYPE].contains(Int32(raw.type)) { variables.append(symbol) }
        } else if raw.type == UInt8(STT_OBJECT), symbol.size > 0,
          LibraryFile.holdsConstants(sections, section)
        {
          constants.append(symbol)
        }
      }
    }
    if !variables.contains(where: { $0.name == "__dso_handle" }),
      let handle = words.selfReference(in: holdsState.map { sections.sections[$0] })
    {
      variables.append(
        LibrarySymbol(
          name: "__dso_handle", ordinal: 0, isLocal: true, address: handle, size: 8, section: 0,
          isWeak: false, isPart: false))
    }
    functions.sort { ($0.address, $0.isLocal ? 1 : 0) < ($1.address, $1.isLocal ? 1 : 0) }
    self.functions = functions
    self.variables = LibraryFile.withSizes(variables, sections)
    self.constants = constants.sorted { ($0.address, $1.size) < ($1.address, $0.size) }
    self.edges = edges
    self.provider = provider
    data = Dictionary(
      (self.constants + self.variables).map { ($0.key, $0) }, uniquingKeysWith: { $1 })
    stateSections = holdsState.sorted()
    self.threadVariables = threadVariables.sorted { $0.address < $1.address }
    functionStarts = Dictionary(
      functions.enumerated().map { ($1.address, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The function that begins at a virtual address.
  func function(at address: UInt64) -> LibrarySymbol? {
    functionStarts[address].map { functions[$0] }
  }

  /// A variable or constant by name.
  func datum(of key: LibrarySymbol.Key) -> LibrarySymbol? { data[key] }

  /// What its debug data is about.
  var layoutSource: LayoutSource {
    .image(LayoutSource.LinkedImage(name: name, bytes: bytes, sections: sections))
  }

  /// The variable of a name at a place.
  func variable(_ name: NameView, at address: UInt64, isThreadLocal: Bool) -> LibrarySymbol? {
    let sorted = isThreadLocal ? threadVariables : variables
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle].address < address { low = middle + 1 } else { high = middle }
    }
    let text = name.string
    while low < sorted.count, sorted[low].address == address {
      if sorted[low].name == text { return sorted[low] }
      low += 1
    }
    return nil
  }

  /// The name of a symbol of `.dynsym`.
  func dynamicName(_ index: UInt32) -> String {
    provider.lookup.symbol(index).flatMap { provider.lookup.name(of: $0) }?.string ?? ""
  }

  /// First bytes of a thread-local variable in a new thread.
  func threadBytes(of symbol: LibrarySymbol) -> [UInt8] {
    guard let template = headers.threadTemplate else { return [] }
    return (0..<symbol.size).map { index in
      let offset = symbol.address &+ index
      guard offset < template.fileSize else { return 0 }
      return view.pointer(template.address &+ offset, 1)?.load(as: UInt8.self) ?? 0
    }
  }

  func isExecutable(_ address: UInt64) -> Bool {
    sections.sections.contains {
      $0.isExecutable && $0.isAllocated && address &- $0.address < $0.size
    }
  }

  /// Whether the library holds records of the Swift runtime.
  var isSwift: Bool {
    sections.sections.indices.contains { sections.name(ofSection: $0).hasPrefix("swift5_") }
  }

  /// Virtual addresses of the tables of initialisers and finalisers: their words are called, not kept.
  var initialiserTables: [Range<UInt64>] {
    [14, 15, 16].flatMap { initialiserTables(ofType: $0) }
  }

  /// The same of one kind (gABI: SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY).
  func initialiserTables(ofType type: UInt32) -> [Range<UInt64>] {
    sections.sections.filter { $0.type == type && $0.size % 8 == 0 }.map {
      $0.address..<($0.address &+ $0.size)
    }
  }

  /// The section of state that an address lies in.
  func stateSection(of address: UInt64) -> Int? {
    stateSections.first {
      address &- sections.sections[$0].address < sections.sections[$0].size
    }
  }

  /// Whether a section's bytes are the program's state: they stay writable, and the linker did not make them.
  private static func holdsState(
    _ sections: ImageSections, _ index: Int, _ headers: ImageHeaders
  ) -> Bool {
    let section = sections.sections[index]
    guard section.isAllocated, section.isWritable, !section.isThreadLocal, !section.isExecutable,
      section.type == UInt32(SHT_PROGBITS) || section.isNoBits
    else { return false }
    let relro = headers.readOnlyAfterRelocation
    let start = section.address &- headers.base
    if start >= relro.lowerBound, start &+ section.size <= relro.upperBound { return false }
    let name = sections.name(ofSection: index)
    return !name.hasPrefix(".got") && !name.hasPrefix(".data.rel.ro")
      && !name.hasPrefix(".bss.rel.ro") && !name.hasPrefix(".relro_padding")
      && !(name == ".tm_clone_table")
      && !name.hasPrefix(".plt")
  }

  /// Whether named data of a section that is no state is a constant of the program.
  private static func holdsConstants(_ sections: ImageSections, _ index: Int) -> Bool {
    let section = sections.sections[index]
    guard section.isAllocated, !section.isThreadLocal, !section.isExecutable,
      section.type == UInt32(SHT_PROGBITS) || section.isNoBits
    else { return false }
    let name = sections.name(ofSection: index)
    return !name.hasPrefix(".got") && !name.hasPrefix(".plt") && !name.hasPrefix(".eh_frame")
      && !name.hasPrefix(".gcc_except_table") && !(name == ".tm_clone_table")
  }

  private static let linkerMade: Set = [
    "_end", "_edata", "edata", "end", "__bss_start", "__TMC_END__", "__data_start", "data_start",
    "_DYNAMIC", "_GLOBAL_OFFSET_TABLE_", "__end__", "_fini", "_init",
  ]

  /// A symbol without a size reaches to the next one, or to the end of its section.
  private static func withSizes(_ found: [LibrarySymbol], _ sections: ImageSections)
    -> [LibrarySymbol]
  {
    var sorted = found.sorted { ($0.address, $1.size) < ($1.address, $0.size) }
    for index in sorted.indices where sorted[index].size == 0 {
      let section = sections.sections[sorted[index].section]
      var end = section.address &+ section.size
      if let next = sorted[(index + 1)...].first(where: { $0.address > sorted[index].address }) {
        end = min(end, next.address)
      }
      sorted[index].size = end - sorted[index].address
    }
    return sorted
  }
}

/// A function or variable of a library.
struct LibrarySymbol {
  var name: String
  /// Which of several local symbols of that name.
  var ordinal: Int
  var isLocal: Bool
  /// Virtual address; of a thread-local variable its offset in the template.
  var address: UInt64
  /// Size in bytes.
  var size: UInt64
  var section: Int
  var isWeak: Bool
  /// A part of a function, which belongs to its body.
  var isPart: Bool

  struct Key: Hashable {
    var name: String
    var ordinal: Int
    var isLocal: Bool
  }
  /// How its contents are listed.
  var fingerprintName: String { ordinal == 0 ? name : "\(name)#\(ordinal)" }
  var key: Key { Key(name: name, ordinal: ordinal, isLocal: isLocal) }
}
