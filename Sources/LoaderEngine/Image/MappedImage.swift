// One shared object in memory, from the moment it is mapped to the moment it is unmapped. What is done to
// it on the way (relocation, registration with the unwinder, thread-local storage) hangs on it and goes
// with it: dropping the image is what undoes a load.
internal import CLoaderSupport
internal import Synchronization

/// A shared object or executable that is mapped.
package final class MappedImage: @unchecked Sendable {
  package let name: String
  package let headers: ImageHeaders
  package let mapping: any ImageMapping
  package let provider: SymbolProvider
  package let options: ImageOptions
  package let identity: ImageSource.FileIdentity?
  /// Where its references are looked up, in order.
  @exclusivity(unchecked) package var scopes: [Scope] = []
  // What keeps others usable: withdrawn before the memory goes.
  var threadModule: ThreadLocalModule?
  var threadBlock: StaticThreadBlock?
  var unwindRegistration: UnwindRegistration?
  var unwindCopy: NearbyPages?
  var lazyTable: LazyTable?
  var liveRecord: LiveRecord?
  var hasAdoptedThreads = false
  var descriptors: ThreadLocalDescriptors?
  private let late = Mutex(Late())

  /// What binding a function may add, which several threads do at once when it is done lazily.
  private struct Late {
    var ledger: ThreadExitLedger?
    /// Images of other groups that have variables this one refers to (GNU: STB_GNU_UNIQUE).
    var uniqueOwners: [MappedImage] = []
  }

  /// Maps an image and opens its tables.
  ///
  /// - Throws: `LinkError`; nothing stays mapped then.
  package init(
    _ source: ImageSource, _ headers: ImageHeaders, by mapper: any Mapper, _ options: ImageOptions
  )
    throws(LinkError)
  {
    name = source.name
    identity = source.identity
    self.headers = headers
    self.options = options
    for segment in headers.segments where segment.access.contains([.write, .execute]) {
      throw LinkError(
        file: source.name,
        .unsupported(
          what: "a segment that is writable and executable",
          help: "link it without -z rwx, --omagic or writable code sections"))
    }
    if headers.wantsExecutableStack {
      throw LinkError(
        file: source.name,
        .unsupported(what: "an executable stack", help: "link it with -z noexecstack"))
    }
    guard let dynamic = headers.dynamic else {
      throw LinkError(
        file: source.name,
        .unsupported(what: "no dynamic section", help: "link it with -shared"))
    }
    let relocatesText =
      options.redirectsText
      || (options.textRelocations == .allowed
        && MappedImage.relocatesText(source, headers, dynamic))
    let request = MappingRequest(
      source: source, size: headers.size, alignment: headers.alignment,
      fixedAddress: headers.kind == .executable ? Address(headers.base) : nil,
      segments: headers.segments,
      readOnlyAfterRelocation: headers.readOnlyAfterRelocation,
      relocatesText: relocatesText)
    (mapping, provider) = try MappedImage.map(request, headers, dynamic, by: mapper, options)
    provider.runsResolvers = options.runsResolvers
    provider.owner = self
    // Its linker has written offsets from the thread pointer into the code: those of the variables of
    // the program that runs already.
    if isExecutable, headers.threadTemplate != nil {
      throw LinkError(
        file: source.name,
        .unsupported(
          what: "thread-local variables of an executable",
          help: "link it with -shared, or run it in a process of its own"))
    }
    if provider.entries.relocatesText, options.textRelocations == .refused {
      throw LinkError(
        file: source.name,
        .unsupported(what: "text relocations (DT_TEXTREL)", help: "compile it with -fPIC"))
    }
  }

  deinit {
    // These read the image's memory: before it goes, which is what happens last.
    liveRecord = nil
    unwindRegistration = nil
    unwindCopy = nil
    lazyTable = nil
    threadModule = nil
    threadBlock = nil
    descriptors = nil
  }

  private typealias Mapped = (mapping: any ImageMapping, provider: SymbolProvider)

  private static func map(
    _ request: MappingRequest, _ headers: ImageHeaders, _ dynamic: Range<UInt64>,
    by mapper: any Mapper, _ options: ImageOptions
  ) throws(LinkError) -> Mapped {
    do {
      let mapped = try map(request, headers, dynamic, by: mapper)
      guard options.textRelocations == .allowed, !request.relocatesText,
        mapped.provider.entries.relocatesText
      else { return mapped }
    }
    // It asks for relocation of text, and its source did not have it in memory to be asked before: hardly one does.
    // What was mapped is gone by now, and its place free.
    var request = request
    request.relocatesText = true
    return try map(request, headers, dynamic, by: mapper)
  }

  private static func map(
    _ request: MappingRequest, _ headers: ImageHeaders, _ dynamic: Range<UInt64>,
    by mapper: any Mapper
  ) throws(LinkError) -> Mapped {
    let mapping = try mapper.map(request)
    let start = mapping.range.start
    let provider = try SymbolProvider(
      dynamic, SegmentView(headers, mappedAt: start), name: request.source.name,
      bias: start.value &- headers.base, range: mapping.range, isHost: false)
    return (mapping, provider)
  }

  /// Proves the headers of an image and maps it.
  ///
  /// - Parameter kind: what it must be; nil: whatever it is.
  /// - Throws: `LinkError`; nothing stays mapped then.
  package static func open(
    _ source: ImageSource, kind: ImageHeaders.Kind?, by mapper: any Mapper, _ options: ImageOptions
  ) throws(LinkError) -> MappedImage {
    let headers = try ImageHeaders(source)
    if kind == .sharedObject, headers.kind == .executable {
      throw LinkError(
        file: source.name,
        .unsupported(what: "an executable", help: "load it with loadExecutable"))
    }
    let image = try MappedImage(source, headers, by: mapper, options)
    if let soname = image.provider.soname, soname == "ld-linux-x86-64.so.2" {
      throw LinkError(
        file: source.name,
        .unsupported(
          what: "the process's own loader, of which there is one",
          help: "adopt it with LinkContext.adopt(named:)"))
    }
    if kind == .sharedObject, image.provider.entries.isPIE {
      throw LinkError(
        file: source.name,
        .unsupported(
          what: "a position-independent executable", help: "load it with loadExecutable"))
    }
    return image
  }

  /// Whether the dynamic section asks for relocation of text, which decides how the image is mapped. Only where the
  /// source has it in memory.
  private static func relocatesText(
    _ source: ImageSource, _ headers: ImageHeaders, _ dynamic: Range<UInt64>
  ) -> Bool {
    let count = Int(dynamic.upperBound - dynamic.lowerBound)
    for segment in headers.segments {
      let offset = dynamic.lowerBound &- headers.base &- segment.offset
      guard offset < segment.fileSize, UInt64(count) <= segment.fileSize - offset else { continue }
      guard let bytes = source.borrow(at: segment.fileOffset + offset, count: count) else {
        return false
      }
      for index in 0..<(count / 16) {
        let entry = (bytes + index * 16).loadUnaligned(as: Elf64_Dyn.self)
        if entry.d_tag == 0 { return false }
        if entry.d_tag == Int64(DT_TEXTREL) { return true }
        if entry.d_tag == Int64(DT_FLAGS) && entry.d_un.d_val & UInt64(DF_TEXTREL) != 0 {
          return true
        }
      }
      return false
    }
    return false
  }

  /// The image's code registers destructors for threads' ends.
  func noteThreadExits() throws(LinkError) {
    let range = mapping.range
    try late.withLock { (late) throws(LinkError) in
      if late.ledger == nil { late.ledger = try ThreadExitLedger(range) }
    }
  }

  /// The image's references lead into another one, of another group, which stays for that.
  func keep(_ owner: MappedImage) {
    late.withLock { late in
      if !late.uniqueOwners.contains(where: { $0 === owner }) { late.uniqueOwners.append(owner) }
    }
  }

  /// Withdraws the image from who knows it. What still owes a thread a destructor keeps `owner`.
  func handOver(to owner: AnyObject) {
    let ledger = late.withLock { late in
      defer { late.ledger = nil }
      return late.ledger
    }
    ledger?.handOver(owner)
  }

  /// The run-time address of a virtual one.
  @inline(__always)
  package func address(_ virtual: UInt64) -> Address { Address(provider.bias &+ virtual) }

  /// ET_EXEC or a position-independent executable.
  package var isExecutable: Bool { headers.kind == .executable || provider.entries.isPIE }
  package var bindsLazily: Bool { options.binding == .lazy && !provider.entries.bindsNow }
}

/// How one image is to be loaded.
public struct ImageOptions: Sendable {
  public enum Binding: Sendable {
    /// Every function is bound before the image's code runs (Linux: `RTLD_NOW`).
    case now
    /// Functions are bound when they are first called, unless the image asks otherwise (`RTLD_LAZY`).
    case lazy
  }

  public enum TextRelocations: Sendable { case refused, allowed }

  public var binding: Binding = .now
  /// What to do with relocations in code (gABI: DT_TEXTREL).
  public var textRelocations: TextRelocations = .allowed
  /// Whether resolvers of IFUNCs in the image are called. Where they are not, words that wait for one keep
  /// what the file holds, and are counted (`Image.unresolvedIndirectCount`): for who wants to look at
  /// an image without running any of it.
  public var runsResolvers = true
  /// What sees, and may change, every relocation and binding.
  public var observer: LinkObserver?
  /// Opens what code in the image passes to dlopen(3).
  package var opener: (any LibraryOpener)?
  /// Decides what references mean before any scope is asked: the reload runtime's.
  package var binder: (any ReferenceBinder)?
  /// Code may be written until the image is sealed: references in it are redirected.
  package var redirectsText = false

  public init() {}
}
