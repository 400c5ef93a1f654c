// What a shared object or executable says about itself, read without mapping it: for tools, and for who wants to
// decide before loading. Loading from a scan reads nothing twice. gABI chapter 5; psABI AMD64, “Program
// Property”.
internal import CLoaderSupport

/// The metadata of an image that is not loaded.
public struct ImageScan: Sendable {
  public enum Kind: Sendable {
    /// ET_DYN, to be loaded into a process.
    case sharedObject
    /// ET_DYN, a program (DF_1_PIE, or with an interpreter and an entry point).
    case positionIndependentExecutable
    /// ET_EXEC: at its fixed address only.
    case executable
  }

  /// A symbol that the image needs.
  public struct Import: Hashable, Sendable {
    public var name: String
    /// Empty when none is asked for.
    public var version: String
    public var isWeak: Bool
    /// The gABI's number of its type.
    public var type: UInt8
  }

  /// A version that the image needs of a library.
  public struct NeededVersion: Hashable, Sendable {
    public var library: String
    public var version: String
    public var isWeak: Bool
  }

  /// The bytes, read once; pass it to `LinkContext.load(_: ImageScan)`.
  public let source: ImageSource
  public let kind: Kind
  public let name: String
  public let soname: String?
  public let needed: [String]
  public let rpath: String?
  public let runpath: String?
  public let segments: [LoadSegment]
  /// Address space from the first page to the end of the last, bytes.
  public let size: UInt64
  public let alignment: UInt64
  /// Virtual address of the first page, and of the entry point (0: none).
  public let base: UInt64
  public let entry: UInt64
  /// Pages that are read-only after relocation, as offsets from the first page.
  public let readOnlyAfterRelocation: Range<UInt64>
  /// Size of a thread's block and of its initial bytes; nil without thread-local variables.
  public let threadStorage: (size: UInt64, initialised: UInt64, alignment: UInt64)?
  /// What the image defines for others; addresses are virtual.
  public let exports: [Image.Export]
  public let imports: [Import]
  public let neededVersions: [NeededVersion]
  /// How many relocations of each type it has, by the psABI's names; RELR counts its words as
  /// `R_X86_64_RELATIVE (RELR)`.
  public let relocations: [String: Int]
  public let bindsNow: Bool
  public let isSymbolic: Bool
  public let relocatesText: Bool
  public let hasStaticTLS: Bool
  public let wantsExecutableStack: Bool
  /// Compiled for indirect-branch tracking, and for shadow stacks (`.note.gnu.property`).
  public let tracksIndirectBranches: Bool
  public let usesShadowStack: Bool
  /// The linker's identification of this build (`NT_GNU_BUILD_ID`).
  public let buildID: [UInt8]?

  /// Reads an image's metadata.
  ///
  /// - Throws: `LinkError`: not an image of this machine, or malformed.
  public init(_ source: ImageSource) throws(LinkError) {
    let contents = try source.contents()
    self.source = source.holding(contents)
    let headers = try ImageHeaders(self.source)
    let view = SegmentView(headers, in: contents)
    name = source.name
    segments = headers.segments
    size = headers.size
    alignment = headers.alignment
    base = headers.base
    entry = headers.entry
    readOnlyAfterRelocation = headers.readOnlyAfterRelocation
    threadStorage = headers.threadTemplate.map { ($0.size, $0.fileSize, $0.alignment) }
    wantsExecutableStack = headers.wantsExecutableStack
    let notes = ImageNotes(headers, view)
    buildID = notes.buildID
    tracksIndirectBranches = notes.features & 1 != 0
    usesShadowStack = notes.features & 2 != 0
    guard let dynamic = headers.dynamic else {
      // Linked statically: nothing for a loader to do.
      kind = headers.kind == .executable ? .executable : .positionIndependentExecutable
      soname = nil
      needed = []
      rpath = nil
      runpath = nil
      exports = []
      imports = []
      neededVersions = []
      relocations = [:]
      bindsNow = false
      isSymbolic = false
      relocatesText = false
      hasStaticTLS = false
      return
    }
    let provider = try SymbolProvider(
      dynamic, view, name: source.name, bias: 0,
      range: AddressRange(start: Address(headers.base), size: headers.size), isHost: false)
    let entries = provider.entries
    if headers.kind == .executable {
      kind = .executable
    } else {
      kind =
        entries.isPIE || headers.hasInterpreter && headers.entry != 0
        ? .positionIndependentExecutable : .sharedObject
    }
    soname = provider.soname?.string
    needed = entries.needed.indices.compactMap { provider.neededName($0)?.string }
    rpath = provider.rpath?.string
    runpath = provider.runpath?.string
    bindsNow = entries.bindsNow
    isSymbolic = entries.isSymbolic
    relocatesText = entries.relocatesText
    hasStaticTLS = entries.hasStaticTLS
    exports = provider.exports
    neededVersions =
      provider.versions?.needs.map {
        NeededVersion(library: $0.file.string, version: $0.version.text, isWeak: $0.isWeak)
      } ?? []
    let references = ImageReferences(provider)
    imports = references.imports
    relocations = references.counts
    // The provider's tables point into the contents, which the source holds.
    withExtendedLifetime(contents) {}
  }
}

/// What the relocations of an image refer to.
private struct ImageReferences {
  var counts: [String: Int] = [:]
  var imports: [ImageScan.Import] = []

  init(_ provider: SymbolProvider) {
    var seen: Set<Int> = []
    for table in [provider.entries.relocations, provider.entries.jumpSlots] where !table.isEmpty {
      guard let start = provider.view.pointer(table.address, table.size) else { continue }
      var byType: [UInt32: Int] = [:]
      for index in 0..<Int(table.size / 24) {
        let entry = (start + index * 24).loadUnaligned(as: Elf64_Rela.self)
        byType[entry.type, default: 0] += 1
        guard entry.symbol != 0, seen.insert(entry.symbol).inserted,
          let symbol = provider.lookup.symbol(UInt32(entry.symbol)), symbol.st_shndx == 0,
          let text = provider.lookup.name(of: symbol)
        else { continue }
        imports.append(
          ImageScan.Import(
            name: text.string,
            version: provider.lookup.version(of: UInt32(entry.symbol))?.text ?? "",
            isWeak: symbol.isWeakBinding, type: symbol.type))
      }
      for (type, count) in byType { counts[X86_64.dynamicName(type), default: 0] += count }
    }
    let compact = provider.entries.compactRelative
    if !compact.isEmpty, let start = provider.view.pointer(compact.address, compact.size) {
      var words = 0
      for index in 0..<Int(compact.size / 8) {
        let word = (start + index * 8).loadUnaligned(as: UInt64.self)
        words += word & 1 == 0 ? 1 : (word >> 1).nonzeroBitCount
      }
      counts["R_X86_64_RELATIVE (RELR)"] = words
    }
  }
}

/// The notes of an image that matter to a loader.
private struct ImageNotes {
  var buildID: [UInt8]?
  /// GNU_PROPERTY_X86_FEATURE_1_AND: bit 0 IBT, bit 1 SHSTK.
  var features: UInt32 = 0

  init(_ headers: ImageHeaders, _ view: SegmentView) {
    for range in headers.notes {
      let size = range.upperBound - range.lowerBound
      guard let start = view.pointer(range.lowerBound, size) else { continue }
      var at: UInt64 = 0
      while size - at >= 12 {
        let note = (start + Int(at)).loadUnaligned(as: Elf64_Nhdr.self)
        let name = at + 12
        let contents = name + aligned(UInt64(note.n_namesz), to: 4)
        guard contents <= size, UInt64(note.n_descsz) <= size - contents else { break }
        if note.n_namesz == 4, (start + Int(name)).loadUnaligned(as: UInt32.self) == 0x0055_4E47 {
          read(note.n_type, start + Int(contents), Int(note.n_descsz))
        }
        // Properties are aligned to 8 bytes, other notes to 4.
        let next = contents + aligned(UInt64(note.n_descsz), to: note.n_type == 5 ? 8 : 4)
        guard next > at, next <= size else { break }
        at = next
      }
    }
  }

  private mutating func read(_ type: UInt32, _ bytes: UnsafeRawPointer, _ count: Int) {
    if type == 3 { buildID = [UInt8](UnsafeRawBufferPointer(start: bytes, count: count)) }
    guard type == 5 else { return }
    var at = 0
    while count - at >= 8 {
      let property = (bytes + at).loadUnaligned(as: UInt32.self)
      let size = Int((bytes + at + 4).loadUnaligned(as: UInt32.self))
      guard size <= count - at - 8 else { return }
      if property == 0xC000_0002, size >= 4 {
        features = (bytes + at + 8).loadUnaligned(as: UInt32.self)
      }
      at += 8 + ((size + 7) & ~7)
    }
  }
}
