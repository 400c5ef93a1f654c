// An image as others see it that refer to its symbols: its tables, where it runs, its thread-local storage.
// The process's own images and ours are the same thing here; that is what makes one scope of them.
package import CLoaderSupport
internal import Synchronization

/// How an image's thread-local variables are reached (psABI, “Thread-Local Storage”).
package enum ThreadStorage: Sendable {
  case none
  /// A module of our own: blocks are made when a thread first asks.
  case module(id: UInt64)
  /// A part of our static block: `module` and `offset` lead `__tls_get_addr` there, `threadOffset` is
  /// the same for all threads, modulo 2^64.
  case fixed(module: UInt64, offset: UInt64, threadOffset: UInt64)
  /// A module of the process's own loader.
  case host(id: UInt64)
}

/// An image as a provider of symbols.
package final class SymbolProvider: @unchecked Sendable {
  /// The path or name it was loaded by.
  package let name: String
  /// Run-time address minus virtual address, modulo 2^64.
  package let bias: UInt64
  package let range: AddressRange
  package let entries: DynamicEntries
  package let view: SegmentView
  package let lookup: SymbolLookup
  package let versions: VersionTable?
  /// The process's own loader has it.
  package let isHost: Bool
  // Sound: set while the image is in the making, by the thread that makes it.
  @exclusivity(unchecked) package var threadStorage: ThreadStorage = .none
  /// Another image's code has its variables at a fixed offset from the thread pointer.
  package var isReachedByFixedOffset = false
  /// Whether its own relocations are done: an IFUNC's resolver may run.
  @exclusivity(unchecked) package var isRelocated: Bool
  /// ELF: DT_SONAME. Readable as long as this, also when the process has unloaded the image.
  package let soname: NameView?
  /// What keeps the image mapped, of one that we have loaded.
  package weak var owner: AnyObject?
  /// Who needed it when it was loaded; nil for one that was asked for.
  @exclusivity(unchecked) package var loader: SymbolProvider?
  /// Whether IFUNCs' resolvers of this image are called at all.
  @exclusivity(unchecked) package var runsResolvers = true
  private let copies: [UnsafeMutableRawPointer]
  private let byAddress = Mutex<SymbolIndex?>(nil)
  private let indirect = Mutex<[UInt64: UInt64]>([:])

  /// Opens the tables of an image in memory.
  ///
  /// - Parameter loaded: ld.so has loaded it, and turned addresses in its dynamic section into
  ///   run-time ones.
  /// - Throws: `LinkError.malformed`.
  package init(
    _ dynamic: Range<UInt64>, _ view: SegmentView, name: String, bias: UInt64, range: AddressRange,
    isHost: Bool
  ) throws(LinkError) {
    let size = dynamic.upperBound - dynamic.lowerBound
    guard let section = view.pointer(dynamic.lowerBound, size) else {
      throw LinkError(
        file: name,
        .malformed(
          structure: "PT_DYNAMIC", offset: dynamic.lowerBound, detail: "is not in memory"))
    }
    let entries = try DynamicEntries(
      section, count: size, name: name, offset: dynamic.lowerBound,
      loaded: isHost ? range : nil, bias: bias)
    var copies: [UnsafeMutableRawPointer] = []
    // A table in a writable segment could be written by the image's own relocations after it was
    // proven (patchelf puts tables there): such a one is copied.
    func stable(_ address: UInt64) -> (pointer: UnsafeRawPointer, count: UInt64)? {
      guard let part = view.part(of: address), let tail = view.tail(address) else { return nil }
      if isHost || !part.access.contains(.write) { return tail }
      let copy = UnsafeMutableRawPointer.allocate(byteCount: Int(tail.count), alignment: 16)
      copy.copyMemory(from: tail.pointer, byteCount: Int(tail.count))
      copies.append(copy)
      return (UnsafeRawPointer(copy), tail.count)
    }
    do throws(LinkError) {
      guard let text = stable(entries.strings.address), entries.strings.size <= text.count else {
        throw LinkError(
          file: name,
          .malformed(
            structure: "DT_STRTAB", offset: entries.strings.address,
            detail: "\(entries.strings.size) bytes leave their segment"))
      }
      let strings = StringArea(base: text.pointer, count: entries.strings.size)
      versions = try VersionTable(entries, view, strings: strings, name: name)
      lookup = try SymbolLookup(
        entries, view, strings: strings, versions: versions, stable: stable, name: name)
    } catch {
      for copy in copies { copy.deallocate() }
      throw error
    }
    var soname = entries.soname.flatMap { [lookup] in lookup.strings.name(at: $0) }
    if isHost, let text = soname {
      let copy = UnsafeMutableRawPointer.allocate(byteCount: text.count + 1, alignment: 1)
      copy.copyMemory(from: text.base, byteCount: text.count + 1)
      copies.append(copy)
      soname = NameView(base: UnsafeRawPointer(copy), count: text.count)
    }
    self.soname = soname
    self.name = name
    self.bias = bias
    self.range = range
    self.entries = entries
    self.view = view
    self.isHost = isHost
    isRelocated = isHost
    self.copies = copies
  }

  deinit { for copy in copies { copy.deallocate() } }

  private func string(_ offset: UInt32?) -> NameView? {
    offset.flatMap { lookup.strings.name(at: $0) }
  }

  package var runpath: NameView? { string(entries.runpath) }
  package var rpath: NameView? { string(entries.rpath) }

  /// ELF: DT_NEEDED, in order; nil for one that leaves the string table.
  package func neededName(_ index: Int) -> NameView? { string(entries.needed[index]) }

  /// Where a symbol of this image is, with IFUNCs unresolved.
  @inline(__always)
  package func address(of symbol: Elf64_Sym) -> UInt64 {
    symbol.st_shndx == 0xFFF1 ? symbol.st_value : bias &+ symbol.st_value
  }

  /// Whether a name is this image's: by DT_SONAME, or by the last part of its path, or by all of it.
  package func isNamed(_ wanted: NameView) -> Bool {
    if let soname, soname == wanted { return true }
    guard wanted.count > 0, name.utf8.count >= wanted.count,
      name.utf8.last == wanted[wanted.count - 1]
    else { return false }
    return isPathNamed(wanted)
  }

  private func isPathNamed(_ wanted: NameView) -> Bool {
    var copy = name
    return copy.withUTF8 { path in
      guard let base = path.baseAddress else { return false }
      let skipped = path.count - wanted.count
      let tail = NameView(base: base + skipped, count: wanted.count)
      guard tail == wanted else { return false }
      return skipped == 0 || path[skipped - 1] == UInt8(ascii: "/")
    }
  }

  /// The symbol an address belongs to.
  package func definition(at address: Address) -> FoundSymbol? {
    let index = byAddress.withLock { known -> SymbolIndex in
      if let known { return known }
      let made = SymbolIndex(lookup)
      known = made
      return made
    }
    guard let found = index.find(address.value &- bias, in: lookup),
      let symbol = lookup.symbol(found)
    else { return nil }
    return FoundSymbol(provider: self, index: found, symbol: symbol)
  }

  /// The same as dladdr(3) answers: a symbol without a size holds its first byte only. For signal handlers
  /// too: allocates nothing, and waits for nobody who makes the index.
  package func definitionForLoader(at address: Address) -> FoundSymbol? {
    let wanted = address.value &- bias
    if let index = byAddress.withLockIfAvailable({ $0 }) ?? nil {
      return index.find(wanted, in: lookup, emptyHoldsRest: false).flatMap { found in
        lookup.symbol(found).map { FoundSymbol(provider: self, index: found, symbol: $0) }
      }
    }
    var best: FoundSymbol?
    lookup.forEachExported { index, symbol in
      guard symbol.st_shndx != 0xFFF1, symbol.type != UInt8(STT_TLS), symbol.st_value <= wanted,
        wanted - symbol.st_value < max(symbol.st_size, 1),
        best.map({ $0.symbol.st_value < symbol.st_value }) ?? true
      else { return }
      best = FoundSymbol(provider: self, index: index, symbol: symbol)
    }
    return best
  }

  /// Its name, and the distance from its start.
  package func symbol(at address: Address) -> (name: String, offset: UInt64)? {
    guard let found = definition(at: address), let text = lookup.name(of: found.symbol) else {
      return nil
    }
    return (text.string, address.value &- found.address)
  }

  /// Whether a run-time address is code of this image.
  package func isCode(_ address: UInt64) -> Bool { view.isExecutable(address &- bias) }

  /// What an IFUNC's resolver chose, asked once. The resolver runs on the calling thread.
  ///
  /// - Returns: nil when it is no code of this image, or must not run.
  package func resolved(_ resolver: UInt64, by call: (Address) -> Address) -> UInt64? {
    guard runsResolvers, isCode(resolver) else { return nil }
    if let known = indirect.withLock({ $0[resolver] }) { return known }
    let chosen = call(Address(resolver)).value
    indirect.withLock { $0[resolver] = chosen }
    return chosen
  }
}
