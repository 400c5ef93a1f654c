// What debug data is about: an object, whose sections have no addresses yet, or a shared object, which a linker has
// put together. The guard reads both alike.
internal import CLoaderSupport
internal import LoaderEngine

/// The sections and symbols that a unit's debug data describes.
enum LayoutSource {
  case object(ObjectFile)
  case image(LinkedImage)

  /// A shared object as a file.
  struct LinkedImage {
    var name: String
    var bytes: Bytes
    var sections: ImageSections
  }

  /// Addresses in debug data are final.
  var isLinked: Bool {
    if case .image = self { true } else { false }
  }

  // MARK: sections

  var sectionCount: Int {
    switch self {
    case .object(let object): object.sections.count
    case .image(let image): image.sections.sections.count
    }
  }

  func isAllocated(_ section: Int) -> Bool {
    switch self {
    case .object(let object): object.sections[section].isAllocated
    case .image(let image): image.sections.sections[section].isAllocated
    }
  }

  func name(ofSection section: Int) -> NameView {
    switch self {
    case .object(let object): object.name(ofSection: section)
    case .image(let image): image.sections.name(ofSection: section)
    }
  }

  /// - Throws: `LinkError` for what cannot be unpacked.
  func unpackedContents(ofSection section: Int) throws(LinkError) -> Bytes? {
    switch self {
    case .object(let object): return try object.unpackedContents(ofSection: section)
    case .image(let image):
      return try image.sections.unpackedContents(
        ofSection: section, in: image.bytes, file: image.name)
    }
  }

  // MARK: symbols

  var symbols: RecordTable<Elf64_Sym> {
    switch self {
    case .object(let object): object.symbols
    case .image(let image): image.sections.symbols
    }
  }

  var firstGlobal: Int {
    switch self {
    case .object(let object): object.firstGlobal
    case .image(let image): image.sections.firstGlobal
    }
  }

  func name(ofSymbol symbol: Int) -> NameView {
    switch self {
    case .object(let object): object.name(ofSymbol: symbol)
    case .image(let image): image.sections.name(ofSymbol: symbol)
    }
  }

  func isGlobal(_ symbol: Int) -> Bool { symbol >= firstGlobal }

  /// The symbol of a name that is defined here; nil: none.
  func definedSymbol(named name: String) -> Int? {
    (1..<max(symbols.count, 1)).first { symbol in
      isDefined(symbol) && self.name(ofSymbol: symbol).string == name
    }
  }

  func isDefined(_ symbol: Int) -> Bool {
    switch self {
    case .object(let object): object.place(ofSymbol: symbol) != .undefined
    case .image(let image): image.sections.symbols[symbol].st_shndx != 0
    }
  }
}
