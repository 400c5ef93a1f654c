// The relocations of one image: RELR, then RELA, then jump slots, as ld.so does, IRELATIVE and references to
// IFUNCs of images that are not ready yet after the whole group. `S` symbol, `A` addend, `B` where the image
// was loaded, `P` place, `Z` size. psABI AMD64, table 4.9.
internal import CLoaderSupport

/// A word that waits for an IFUNC's resolver.
struct IndirectReference {
  var image: MappedImage
  /// Virtual address of the word.
  var place: UInt64
  /// Run-time address of the resolver, and who has it.
  var resolver: UInt64
  var provider: SymbolProvider
  /// Added to what it returns.
  var addend: UInt64
}

/// Applies the relocations of an image.
struct DynamicRelocation {
  let image: MappedImage
  private let provider: SymbolProvider
  let bias: UInt64
  private let binder: (any ReferenceBinder)?
  var writer: ImageWriter
  private(set) var indirect: [IndirectReference] = []
  private(set) var missing = MissingReferences()
  private(set) var count = 0
  // One answer per symbol.
  var answers: SymbolAnswers

  init(_ image: MappedImage) {
    self.image = image
    provider = image.provider
    bias = image.provider.bias
    binder = image.options.binder
    writer = ImageWriter(image)
    answers = SymbolAnswers(image)
  }

  /// Applies everything that can be applied now.
  mutating func run() throws(LinkError) {
    defer { answers.drop() }
    let entries = provider.entries
    try applyCompact(entries.compactRelative)
    let observed = image.options.observer?.seesRelocations ?? false
    try apply(table(entries.relocations, "DT_RELA"), observed: observed, lazily: false)
    answers.turnToCalls()
    let isLazy = image.bindsLazily && entries.pltGOT != 0 && !entries.jumpSlots.isEmpty
    try apply(table(entries.jumpSlots, "DT_JMPREL"), observed: observed, lazily: isLazy)
    if isLazy { image.lazyTable = try LazyTable(image, &writer) }
  }

  private func table(_ table: DynamicEntries.Table, _ what: String) throws(LinkError)
    -> UnsafeRawBufferPointer
  {
    guard !table.isEmpty else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    guard let start = provider.view.pointer(table.address, table.size) else {
      throw LinkError(
        file: image.name,
        .malformed(
          structure: what, offset: table.address,
          detail: "\(table.size) bytes leave the loaded segments"))
    }
    return UnsafeRawBufferPointer(start: start, count: Int(table.size))
  }

  // MARK: RELR

  /// An even word is an address; an odd one says which of the next 63 words are relocated too.
  private mutating func applyCompact(_ compact: DynamicEntries.Table) throws(LinkError) {
    let words = try table(compact, "DT_RELR")
    var next: UInt64 = 0
    for index in 0..<(words.count / 8) {
      let word = words.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
      if word & 1 == 0 {
        try addBias(at: word)
        next = word &+ 8
      } else {
        var bits = word >> 1
        var at = next
        while bits != 0 {
          if bits & 1 != 0 { try addBias(at: at) }
          bits >>= 1
          at = at &+ 8
        }
        next = next &+ 63 * 8
      }
    }
  }

  /// B + A, unless somebody has another place for what stands there.
  @inline(__always)
  private func own(_ virtual: UInt64, at place: UInt64) -> UInt64 {
    guard let binder else { return bias &+ virtual }
    return binder.target(of: virtual, at: place, in: image) ?? bias &+ virtual
  }

  private mutating func addBias(at address: UInt64) throws(LinkError) {
    guard let value = writer.read(address), writer.write(own(value, at: address), at: address)
    else { throw outside(address, "DT_RELR") }
    count += 1
  }

  // MARK: RELA

  private mutating func apply(_ table: UnsafeRawBufferPointer, observed: Bool, lazily: Bool)
    throws(LinkError)
  {
    count += table.count / 24
    if !observed, binder == nil { return try applyPlainly(table, lazily: lazily) }
    for index in 0..<(table.count / 24) {
      let entry = table.loadUnaligned(fromByteOffset: index * 24, as: Elf64_Rela.self)
      if entry.type == X86_64.Dynamic.relative, !observed {
        // B + A: most of all relocations.
        let value = own(UInt64(bitPattern: entry.r_addend), at: entry.r_offset)
        guard writer.write(value, at: entry.r_offset) else {
          throw outside(entry.r_offset, X86_64.dynamicName(entry.type))
        }
      } else if observed {
        try applyObserved(entry, lazily)
      } else {
        try apply(entry, lazily)
      }
    }
  }

  private mutating func applyObserved(_ entry: Elf64_Rela, _ lazily: Bool) throws(LinkError) {
    typealias Type = X86_64.Dynamic
    let symbol = entry.symbol == 0 ? nil : provider.lookup.symbol(UInt32(entry.symbol))
    var event = RelocationEvent(
      image: image.name, offset: entry.r_offset &- image.headers.base, type: entry.type,
      symbol: symbol.flatMap { provider.lookup.name(of: $0) }?.string ?? "",
      version: provider.lookup.version(of: UInt32(entry.symbol))?.text ?? "",
      addend: entry.r_addend, place: image.address(entry.r_offset), value: 0)
    switch image.options.observer?.willRelocate?(event) ?? .proceed {
    case .proceed: try apply(entry, lazily)
    case .skip: return
    case .write(let value):
      let isNarrow = [Type.pc32, Type.word32, Type.size32].contains(entry.type)
      try store(value, entry, isNarrow ? .word32 : .word64)
    }
    event.value = writer.read(entry.r_offset) ?? 0
    image.options.observer?.didRelocate?(event)
  }

  mutating func apply(_ entry: Elf64_Rela, _ lazily: Bool) throws(LinkError) {
    typealias Type = X86_64.Dynamic
    let a = UInt64(bitPattern: entry.r_addend)
    let p = image.address(entry.r_offset).value
    switch entry.type {
    case Type.none: return
    case Type.relative, Type.relative64: try store(own(a, at: entry.r_offset), entry, .word64)
    case Type.word64: if let s = try address(entry, a) { try store(s &+ a, entry, .word64) }
    case Type.globalData:
      // glibc adds the addend here too; linkers write 0.
      if let s = try address(entry, a) { try store(s &+ a, entry, .word64) }
    case Type.jumpSlot:
      if lazily, LazyTable.staysWritable(entry.r_offset, in: image) {
        // The word leads back into the PLT, which asks the loader.
        guard let word = writer.read(entry.r_offset), writer.write(word &+ bias, at: entry.r_offset)
        else { throw outside(entry.r_offset, X86_64.dynamicName(entry.type)) }
      } else if let s = try address(entry, a) {
        try store(s &+ a, entry, .word64)
      }
    case Type.word32: if let s = try address(entry, a) { try store(s &+ a, entry, .unsigned32) }
    case Type.pc32: if let s = try address(entry, a) { try store(s &+ a &- p, entry, .signed32) }
    case Type.pc64: if let s = try address(entry, a) { try store(s &+ a &- p, entry, .word64) }
    case Type.size32, Type.size64:
      guard let s = try definition(entry) else { return }
      try store(s.symbol.st_size &+ a, entry, entry.type == Type.size32 ? .unsigned32 : .word64)
    case Type.copy: try copy(entry)
    case Type.indirect:
      guard provider.view.isExecutable(a) else {
        throw malformed(entry, "its resolver \(a) is no code of this image")
      }
      indirect.append(
        IndirectReference(
          image: image, place: entry.r_offset, resolver: bias &+ a, provider: provider, addend: 0))
    case Type.module, Type.moduleOffset, Type.threadOffset, Type.descriptor:
      try applyThreadLocal(entry)
    default:
      throw LinkError(
        file: image.name,
        .unsupported(
          what: "\(X86_64.dynamicName(entry.type)) in a shared object",
          help: "compile everything in it with -fPIC"))
    }
  }

  // MARK: symbols

  /// S; nil when it is missing, which is noted, or when an IFUNC must be asked later.
  @inline(__always)
  private mutating func address(_ entry: Elf64_Rela, _ addend: UInt64) throws(LinkError) -> UInt64?
  {
    let known = answers.known(entry.symbol)
    return known == SymbolAnswers.unknown ? try lookUp(entry, addend) : known
  }

  private mutating func lookUp(_ entry: Elf64_Rela, _ addend: UInt64) throws(LinkError) -> UInt64? {
    guard entry.symbol != 0 else { return bias }
    guard let found = try definition(entry) else { return nil }
    if found.isUnresolvedIndirect, let owner = found.provider {
      guard owner.isCode(found.address) else {
        throw malformed(entry, "its IFUNC's resolver is no code")
      }
      guard
        entry.type == X86_64.Dynamic.jumpSlot || entry.type == X86_64.Dynamic.globalData
          || entry.type == X86_64.Dynamic.word64
      else { throw malformed(entry, "refers to an IFUNC by 32 bits") }
      indirect.append(
        IndirectReference(
          image: image, place: entry.r_offset, resolver: found.address, provider: owner,
          addend: addend))
      return nil
    }
    if found.address == ThreadExitLedger.register.value { try image.noteThreadExits() }
    answers.note(entry.symbol, found)
    return found.address
  }

  private mutating func definition(_ entry: Elf64_Rela) throws(LinkError) -> Binding? {
    let index = try symbolIndex(entry)
    if let found = try image.bind(index, isForCall: answers.isForCall) { return found }
    missing.note(image, index, entry)
    return nil
  }

  /// The symbol that a relocation names is one of the table.
  private func symbolIndex(_ entry: Elf64_Rela) throws(LinkError) -> UInt32 {
    let index = UInt32(entry.symbol)
    guard provider.lookup.symbol(index) != nil else {
      throw malformed(entry, "symbol \(index) lies outside the symbol table")
    }
    return index
  }

  private mutating func copy(_ entry: Elf64_Rela) throws(LinkError) {
    let index = try symbolIndex(entry)
    guard let found = try image.bind(index, isForCall: false, isCopy: true),
      let owner = found.provider
    else { return missing.note(image, index, entry) }
    let wanted = provider.lookup.symbol(index)?.st_size ?? 0
    let size = min(wanted, found.symbol.st_size)
    guard let source = owner.view.pointer(found.symbol.st_value, size),
      writer.copy(source, to: entry.r_offset, count: size)
    else { throw malformed(entry, "\(size) bytes to copy leave their images") }
  }

  // MARK: thread-local variables

  private mutating func applyThreadLocal(_ entry: Elf64_Rela) throws(LinkError) {
    typealias Type = X86_64.Dynamic
    let a = UInt64(bitPattern: entry.r_addend)
    var owner: SymbolProvider? = provider
    var s: UInt64 = 0
    if entry.symbol != 0 {
      guard let found = try definitionForThread(entry) else { return }
      owner = found.provider
      s = found.symbol.st_value
    }
    guard let owner else {
      // A weak variable that nobody defines: its address is null.
      switch entry.type {
      case Type.descriptor: try store(.undefined(addend: a), entry)
      case Type.threadOffset, Type.moduleOffset: try store(a, entry, .word64)
      default: try store(0, entry, .word64)
      }
      return
    }
    let offset = s &+ a
    switch (entry.type, owner.threadStorage) {
    case (_, .none): throw malformed(entry, "its image has no thread-local storage")
    case (Type.module, .module(let id)), (Type.module, .host(let id)):
      try store(id, entry, .word64)
    case (Type.module, .fixed(let module, let start, _)):
      try store(module, entry, .word64)
      // Of the image itself (local dynamic): the linker has written the offset behind it already, which
      // counts from the image's first variable.
      if entry.symbol == 0 { try shift(start, entry) }
    case (Type.moduleOffset, .fixed(_, let start, _)): try store(start &+ offset, entry, .word64)
    case (Type.moduleOffset, _): try store(offset, entry, .word64)
    case (Type.threadOffset, .fixed(_, _, let start)): try store(start &+ offset, entry, .word64)
    case (Type.threadOffset, .host(let id)):
      guard let start = HostThreadStorage.offset(ofModule: id) else {
        throw LinkError(
          file: image.name,
          .unsupported(
            what: "a thread-local variable of \(owner.name) by a fixed offset",
            help: "compile with -ftls-model=global-dynamic: that library was loaded late"))
      }
      try store(start &+ offset, entry, .word64)
    case (Type.threadOffset, .module):
      throw LinkError(
        file: image.name,
        .unsupported(
          what: "a thread-local variable of \(owner.name) by a fixed offset",
          help: "link that library with -z static-tls or -ftls-model=initial-exec too"))
    case (_, .fixed(_, _, let start)):
      try store(.fixed(threadOffset: start &+ offset), entry)
    case (_, .module(let id)), (_, .host(let id)):
      let arguments = image.descriptors ?? ThreadLocalDescriptors()
      image.descriptors = arguments
      try store(arguments.dynamic(module: id, offset: offset), entry)
    }
  }

  private mutating func definitionForThread(_ entry: Elf64_Rela) throws(LinkError) -> Binding? {
    let index = try symbolIndex(entry)
    if let found = try image.bind(index, isForCall: true) { return found }
    missing.note(image, index, entry)
    return nil
  }

  private mutating func store(_ descriptor: ThreadLocalDescriptor, _ entry: Elf64_Rela)
    throws(LinkError)
  {
    guard writer.write(descriptor.resolver.value, at: entry.r_offset),
      writer.write(descriptor.argument, at: entry.r_offset &+ 8)
    else { throw outside(entry.r_offset, X86_64.dynamicName(entry.type)) }
  }

  private mutating func shift(_ start: UInt64, _ entry: Elf64_Rela) throws(LinkError) {
    let place = entry.r_offset &+ 8
    guard let offset = writer.read(place), writer.write(offset &+ start, at: place) else {
      throw outside(place, X86_64.dynamicName(entry.type))
    }
  }

  // MARK: writing

  @inline(__always)
  private mutating func store(_ value: UInt64, _ entry: Elf64_Rela, _ field: Field)
    throws(LinkError)
  {
    if field == .word64 {
      guard writer.write(value, at: entry.r_offset) else {
        throw outside(entry.r_offset, X86_64.dynamicName(entry.type))
      }
      return
    }
    // Range first: it is the field's, whatever the place is like.
    guard let place = writer.place(entry.r_offset, UInt64(field.width)) else {
      guard writer.writeAcross(value, at: entry.r_offset, UInt64(field.width)) else {
        throw outside(entry.r_offset, X86_64.dynamicName(entry.type))
      }
      return
    }
    guard field.write(value, at: place) else {
      throw LinkError(
        file: image.name,
        .overflow(
          image.site(entry), symbol: image.symbolName(entry), value: Int64(bitPattern: value)))
    }
  }

  func outside(_ address: UInt64, _ what: String) -> LinkError {
    LinkError(
      file: image.name,
      .malformed(
        structure: what, offset: address, detail: "its place is in no writable segment"))
  }

  private func malformed(_ entry: Elf64_Rela, _ detail: String) -> LinkError {
    LinkError(
      file: image.name,
      .malformed(
        structure: X86_64.dynamicName(entry.type), offset: entry.r_offset, detail: detail))
  }
}

extension MappedImage {
  func site(_ entry: Elf64_Rela) -> LinkError.Site {
    LinkError.Site(
      file: name, section: "", offset: entry.r_offset,
      relocation: X86_64.dynamicName(entry.type))
  }

  func symbolName(_ entry: Elf64_Rela) -> String {
    provider.lookup.symbol(UInt32(entry.symbol)).flatMap { provider.lookup.name(of: $0) }?.string
      ?? ""
  }
}
