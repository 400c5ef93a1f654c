// A shared object as the content of a unit: its bytes, read once and never mapped from the file, and what its
// sections and symbols say about the functions and variables in it.
internal import CLoaderSupport
package import LoaderEngine

/// A validated shared object, not loaded.
package final class LibraryFile: @unchecked Sendable {
  // Sound: written in init only.
  let name: String
  let contents: FileContents
  let headers: ImageHeaders
  let sections: ImageSections
  /// Functions with code, by address; of aliases the global one comes first.
  let functions: [LibrarySymbol]
  /// Mutable variables, by address.
  let variables: [LibrarySymbol]
  /// Thread-local variables, by offset in the template.
  let threadVariables: [LibrarySymbol]
  /// ELF: DT_SONAME, and DT_NEEDED in order.
  let soname: NameView?
  let needed: [String]
  private let functionStarts: [UInt64: Int]

  /// - Throws: `LinkError`: what is no shared object of this machine, or has no section headers.
  package init(_ bytes: Bytes, contents: FileContents, name: String) throws(LinkError) {
    self.name = name
    self.contents = contents
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
    let provider = try SymbolProvider(
      dynamic, SegmentView(headers, in: contents), name: name, bias: 0,
      range: AddressRange(start: Address(0), size: headers.size), isHost: false)
    if provider.entries.isPIE {
      throw LinkError(
        file: name,
        .unsupported(what: "not a relocatable object", help: "pass an object made with `cc -c`"))
    }
    soname = provider.soname
    needed = provider.entries.needed.indices.compactMap { provider.neededName($0)?.string }
    var functions: [LibrarySymbol] = []
    var variables: [LibrarySymbol] = []
    var threadVariables: [LibrarySymbol] = []
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
      } else if LibraryFile.holdsState(sections, section), !LibraryFile.linkerMade.contains(name),
        raw.type == UInt8(STT_OBJECT) || raw.type == UInt8(STT_NOTYPE),
        symbol.address &- place.address < place.size
      {
        symbol.size = min(symbol.size, place.size - (symbol.address - place.address))
        variables.append(symbol)
      }
    }
    functions.sort { ($0.address, $0.isLocal ? 1 : 0) < ($1.address, $1.isLocal ? 1 : 0) }
    self.functions = functions
    self.variables = LibraryFile.withSizes(variables, sections)
    self.threadVariables = threadVariables.sorted { $0.address < $1.address }
    functionStarts = Dictionary(
      functions.enumerated().map { ($1.address, $0) }, uniquingKeysWith: { first, _ in first })
  }

  var hash: UInt64 { contents.hash }

  /// The function that begins at a virtual address.
  func function(at address: UInt64) -> LibrarySymbol? {
    functionStarts[address].map { functions[$0] }
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
    sections.sections.filter { [14, 15, 16].contains($0.type) }.map {
      $0.address..<($0.address &+ $0.size)
    }
  }

  /// Sections whose bytes are the program's state: writable, and not made by the linker.
  static func holdsState(_ sections: ImageSections, _ index: Int) -> Bool {
    let section = sections.sections[index]
    guard section.isAllocated, section.isWritable, !section.isThreadLocal, !section.isExecutable,
      section.type == UInt32(SHT_PROGBITS) || section.isNoBits
    else { return false }
    let name = sections.name(ofSection: index)
    return !name.hasPrefix(".got") && !name.hasPrefix(".data.rel.ro")
      && !(name == ".tm_clone_table") && !name.hasPrefix(".plt")
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
  var key: Key { Key(name: name, ordinal: ordinal, isLocal: isLocal) }
}
