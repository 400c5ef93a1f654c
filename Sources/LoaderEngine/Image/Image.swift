// What a caller holds of a loaded image. As long as it, or a symbol of it, is held, the image stays mapped;
// dropping the last one runs its finalisers and unmaps it. Linux: dlsym(3), dlclose(3), dladdr(3).
internal import CLoaderSupport

/// A loaded shared object or executable.
public final class Image: Sendable {
  /// nil for an image of the process that was adopted.
  package let group: ImageGroup?
  package let mapped: MappedImage?
  package let provider: SymbolProvider
  private let hold: HostHandle?
  /// Where its symbols are looked up: in itself, then in what it needs.
  private let scope: Scope

  package init(_ mapped: MappedImage, of group: ImageGroup) {
    self.group = group
    self.mapped = mapped
    provider = mapped.provider
    scope = group.scope(of: mapped)
    hold = nil
  }

  /// An image that somebody else has mapped.
  package init(
    adopting provider: SymbolProvider, with dependencies: [SymbolProvider], _ hold: HostHandle?
  ) {
    group = nil
    mapped = nil
    self.provider = provider
    self.hold = hold
    scope = Scope([provider] + dependencies)
  }

  /// The path it was loaded from, or the name it was given.
  public var name: String { provider.name }
  /// ELF: DT_SONAME.
  public var soname: String? { provider.soname?.string }
  /// Where it runs.
  public var range: AddressRange { provider.range }
  /// Whether the process's own loader has it.
  public var isAdopted: Bool { mapped == nil }
  /// Run-time address of the entry point; nil for one without (ELF: `e_entry`).
  public var entry: Address? {
    guard let mapped, mapped.headers.entry != 0 else { return nil }
    return mapped.address(mapped.headers.entry)
  }
  /// The image that was asked for when this one was loaded.
  package var ofRoot: Image {
    group.flatMap { group in group.images.first.map { Image($0, of: group) } } ?? self
  }
  /// Its segments in memory, ascending (gABI: PT_LOAD).
  public var segments: [(range: AddressRange, access: SegmentAccess)] {
    provider.view.parts.map {
      (AddressRange(start: Address(provider.bias &+ $0.start), size: $0.size), $0.access)
    }
  }
  /// All images it was loaded with, itself first; none for one that was adopted.
  package var members: [MappedImage] { group?.images ?? [] }
  /// Bytes that the kernel backs by huge pages, as far as known.
  public var hugePageBytes: UInt64 { mapped?.mapping.hugePageBytes ?? 0 }
  /// Relocations applied to the whole group it was loaded with.
  public var relocationCount: Int { group?.relocationCount ?? 0 }

  /// Words of the whole group that wait for an IFUNC's resolver, because resolvers are not called
  /// (`ImageOptions.runsResolvers`): they hold what the file holds.
  public var unresolvedIndirectCount: Int { group?.unresolvedIndirectCount ?? 0 }

  /// A symbol of this image or of what it was loaded with (Linux: `dlsym`, `dlvsym`).
  ///
  /// - Parameters:
  ///   - version: nil: the default version.
  ///   - type: a `@convention(c)` function type, or an unsafe pointer type for data.
  /// - Throws: `LinkError.undefined`.
  public func symbol<Value>(
    _ name: String, version: String? = nil, as type: Value.Type = Value.self
  ) throws(LinkError) -> Symbol<Value> {
    guard let address = address(of: name, version: version) else {
      throw LinkError(
        file: self.name,
        .undefined([LinkError.UndefinedSymbol(name: name, sites: [], references: 1)]))
    }
    return Symbol(address, heldBy: self)
  }

  /// Where a symbol is, without a hold on the image; nil when nobody defines it, and for an IFUNC whose
  /// resolver is not called (`ImageOptions.runsResolvers`). A thread-local variable's address is the
  /// calling thread's.
  public func address(of name: String, version: String? = nil) -> Address? {
    guard version == nil, let short = ShortName(name) else { return find(name, version) }
    switch scope.table.answer(to: short) {
    case .address(let address): return Address(address)
    case .none: return scope.table.isPlain ? nil : findUncommon(name)
    case .undecided: return findUncommon(name)
    }
  }

  /// The same for a name that was measured and hashed beforehand, in its default version. Takes no lock and
  /// allocates nothing.
  public func address(of name: SymbolName) -> Address? {
    switch scope.table.answer(to: name) {
    case .address(let address): return Address(address)
    case .none: return scope.table.isPlain ? nil : findUncommon(name)
    case .undecided: return findUncommon(name)
    }
  }

  @inline(never)
  private func find(_ name: String, _ version: String?) -> Address? {
    let name = name.utf8
    return name.withContiguousStorageIfAvailable { find($0, version) }
      ?? Array(name).withUnsafeBufferPointer {
        find($0, version)
      }
  }

  private func find(_ bytes: UnsafeBufferPointer<UInt8>, _ version: String?) -> Address? {
    guard let base = bytes.baseAddress else { return nil }
    let name = SymbolName(NameView(base: base, count: bytes.count))
    guard let version else { return address(of: name) }
    return find(name, version: version)
  }

  /// A short name that plain tables cannot decide on.
  @inline(never)
  private func findUncommon(_ name: String) -> Address? {
    var name = name
    return name.withUTF8 { bytes in
      bytes.baseAddress.flatMap {
        findUncommon(SymbolName(NameView(base: $0, count: bytes.count)))
      }
    }
  }

  @inline(never)
  private func findUncommon(_ name: SymbolName) -> Address? {
    var request = LookupRequest(name)
    request.takesNewest = true
    return find(request)
  }

  private func find(_ name: SymbolName, version: String) -> Address? {
    var copy = version
    return copy.withUTF8 { bytes -> Address? in
      guard let base = bytes.baseAddress else { return nil }
      let view = NameView(base: base, count: bytes.count)
      let hash = SymbolName(base: base, count: bytes.count, hash: 0).sysvHash
      var request = LookupRequest(name)
      request.takesNewest = true
      request.version = SymbolVersion(
        name: view.base, count: UInt32(view.count), hash: hash, isExact: true, isDefined: false)
      return find(request)
    }
  }

  private func find(_ request: LookupRequest) -> Address? {
    scope.find(request).flatMap { Image.address(of: $0) }
  }

  static func address(of found: FoundSymbol) -> Address? {
    switch found.symbol.type {
    case UInt8(STT_GNU_IFUNC):
      return found.provider.resolved(found.address, by: LinkedCode.resolve).map { Address($0) }
    case UInt8(STT_TLS):
      return found.provider.threadStorage.address(offset: found.symbol.st_value)
    default: return Address(found.address)
    }
  }

  /// A symbol that an image defines for others.
  public struct Export: Hashable, Sendable {
    public var name: String
    /// Empty when the image has no versions.
    public var version: String
    public var isDefaultVersion: Bool
    public var address: Address
    /// Size in bytes.
    public var size: UInt64
    /// The gABI's number of its type (`STT_FUNC` …).
    public var type: UInt8
    public var isWeak: Bool
  }

  /// What the image defines for others, in the order of its hash table.
  public var exports: [Export] { provider.exports }

  /// The symbol an address of this image belongs to, and the distance from its start (Linux: `dladdr`);
  /// nil when no symbol holds it.
  public func symbol(at address: Address) -> (name: String, offset: UInt64)? {
    guard range.contains(address) else { return nil }
    return provider.symbol(at: address)
  }
}

/// A symbol of an image or of linked objects, whose memory it keeps.
public struct Symbol<Value>: Sendable {
  public let address: Address
  private let owner: any AnyObject & Sendable

  init(_ address: Address, heldBy owner: any AnyObject & Sendable) {
    self.owner = owner
    self.address = address
  }

  /// The image it belongs to; nil for one of linked objects.
  public var image: Image? { owner as? Image }

  /// The symbol as a value of its type: a function to call, a pointer to read. It must not outlive
  /// the image or the objects.
  public var value: Value {
    precondition(MemoryLayout<Value>.size == 8, "not a C function pointer or pointer type")
    // Sound: the caller names the type that the symbol has in its source.
    return unsafeBitCast(address.value, to: Value.self)
  }
}

extension SymbolProvider {
  /// What it defines for others, in the order of its hash table.
  package var exports: [Image.Export] {
    var found: [Image.Export] = []
    lookup.forEachExported { index, symbol in
      guard let text = lookup.name(of: symbol), symbol.visibility != UInt8(STV_HIDDEN) else {
        return
      }
      let version = lookup.version(of: index)
      found.append(
        Image.Export(
          name: text.string, version: version?.text ?? "",
          isDefaultVersion: !lookup.isHidden(index),
          address: Address(address(of: symbol)), size: symbol.st_size,
          type: symbol.type, isWeak: symbol.isWeakBinding))
    }
    return found
  }
}

extension ThreadStorage {
  /// Where the calling thread has a variable.
  func address(offset: UInt64) -> Address? {
    switch self {
    case .none: nil
    case .module(let id), .host(let id): ThreadLocalModule.address(module: id, offset: offset)
    case .fixed(_, _, let start): Address(hl_own_thread_pointer()) &+ (start &+ offset)
    }
  }
}
