// One library loaded twice in one process, by ld.so and by us, held side by side relocation by relocation.
// Everything else is the same for both: dependencies, the global scope, the thread that asks. What a
// relocation's word must mean is then the same too. psABI AMD64, table 4.9; gABI, DT_RELR.
internal import CLoaderSupport
internal import Glibc

/// What a comparison with the process's own loader found.
package struct LoaderComparison: Sendable {
  package struct Difference: Sendable {
    /// Virtual address of the word in the file.
    package var offset: UInt64
    package var type: String
    package var symbol: String
    package var ours: WordMeaning
    package var theirs: WordMeaning
  }

  /// Why a word is not compared.
  package enum Skip: Hashable, Sendable, CaseIterable {
    /// R_X86_64_NONE.
    case nothingIsWritten
    /// A later relocation writes the same word, which is compared there.
    case overwritten
    /// R_X86_64_COPY of a variable outside the global scope: dlopen(3) finds the copy itself and copies it
    /// onto itself; only for the program that a process was started with does ld.so look further.
    case copiedOntoItself
  }

  package private(set) var relocations = 0
  package private(set) var compared = 0
  package private(set) var differences: [Difference] = []
  package private(set) var skipped: [Skip: Int] = [:]

  private let ours: LoadedSide
  private let theirs: LoadedSide
  private let image: MappedImage
  /// Places that DT_RELR relocates, then all other relocations.
  private let compact: [UInt64]
  private let entries: [Elf64_Rela]
  /// Places that DTPMOD64 writes: the word behind each belongs to it.
  private var modulePlaces: Set<UInt64> = []
  /// Order of the last relocation of each word; made when there is a difference.
  private var lastWriters: [UInt64: Int]?

  /// Compares an image of ours with the same file as ld.so has it.
  ///
  /// - Returns: nil for an image that is not ours.
  package init?(_ image: Image, with other: SymbolProvider) {
    guard let mapped = image.mapped else { return nil }
    let images = HostImages.current().all
    self.image = mapped
    ours = LoadedSide(mapped.provider, among: images, twin: other)
    theirs = LoadedSide(other, among: images, twin: nil)
    compact = LoaderComparison.compactPlaces(ours)
    entries =
      LoaderComparison.table(\.relocations, ours) + LoaderComparison.table(\.jumpSlots, ours)
    relocations = compact.count + entries.count
    for entry in entries where entry.type == X86_64.Dynamic.module {
      modulePlaces.insert(entry.r_offset)
    }
    for (order, place) in compact.enumerated() {
      let entry = Elf64_Rela(
        r_offset: place, r_info: UInt64(X86_64.Dynamic.relative), r_addend: 0)
      compare(entry, order, type: "DT_RELR")
    }
    for (index, entry) in entries.enumerated() {
      if entry.type == X86_64.Dynamic.none {
        skipped[.nothingIsWritten, default: 0] += 1
        continue
      }
      if entry.type == X86_64.Dynamic.copy, !isGlobal(entry) {
        skipped[.copiedOntoItself, default: 0] += 1
        continue
      }
      compare(entry, compact.count + index, type: X86_64.dynamicName(entry.type))
    }
  }

  private typealias Pair = (ours: WordMeaning, theirs: WordMeaning)

  // MARK: tables

  private static func table(
    _ which: KeyPath<DynamicEntries, DynamicEntries.Table>, _ side: LoadedSide
  ) -> [Elf64_Rela] {
    let table = side.provider.entries[keyPath: which]
    guard !table.isEmpty, let start = side.pointer(table.address, table.size) else { return [] }
    return (0..<Int(table.size / 24)).map {
      (start + $0 * 24).loadUnaligned(as: Elf64_Rela.self)
    }
  }

  private static func compactPlaces(_ side: LoadedSide) -> [UInt64] {
    let table = side.provider.entries.compactRelative
    guard !table.isEmpty, let start = side.pointer(table.address, table.size) else { return [] }
    var places: [UInt64] = []
    var next: UInt64 = 0
    for index in 0..<Int(table.size / 8) {
      let word = (start + index * 8).loadUnaligned(as: UInt64.self)
      if word & 1 == 0 {
        places.append(word)
        next = word &+ 8
        continue
      }
      for bit in 0..<UInt64(63) where word >> (bit + 1) & 1 != 0 {
        places.append(next &+ bit * 8)
      }
      next = next &+ 63 * 8
    }
    return places
  }

  // MARK: one relocation

  private mutating func compare(_ entry: Elf64_Rela, _ order: Int, type: String) {
    guard let found = difference(entry) else {
      compared += 1
      return
    }
    if isOverwritten(entry.r_offset, after: order) {
      skipped[.overwritten, default: 0] += 1
      return
    }
    compared += 1
    let symbol = ours.provider.lookup.symbol(UInt32(entry.symbol))
    differences.append(
      Difference(
        offset: entry.r_offset, type: type,
        symbol: symbol.flatMap { ours.provider.lookup.name(of: $0) }?.string ?? "",
        ours: found.ours, theirs: found.theirs))
  }

  private mutating func isOverwritten(_ place: UInt64, after order: Int) -> Bool {
    let writers: [UInt64: Int]
    if let known = lastWriters {
      writers = known
    } else {
      var made: [UInt64: Int] = [:]
      for (index, place) in (compact + entries.map(\.r_offset)).enumerated() {
        made[place] = index
      }
      lastWriters = made
      writers = made
    }
    return writers[place].map { $0 > order } ?? false
  }

  /// What both mean, when that is not the same.
  private func difference(_ entry: Elf64_Rela) -> Pair? {
    typealias Type = X86_64.Dynamic
    let place = entry.r_offset
    switch entry.type {
    case Type.pc64:
      return both({ $0.word64(place) &+ ($0.provider.bias &+ place) }, entry)
    case Type.pc32:
      return both(
        {
          $0.word32(place).map { UInt64(bitPattern: Int64(Int32(bitPattern: $0))) }
            &+ ($0.provider.bias &+ place)
        }, entry)
    case Type.word32, Type.size32:
      return both { $0.word32(place).map { .plain(UInt64($0)) } }
    case Type.size64: return both { $0.word64(place).map { .plain($0) } }
    case Type.copy: return copied(entry)
    case Type.module: return variable(place, entry)
    case Type.moduleOffset where modulePlaces.contains(place &- 8):
      return variable(place &- 8, entry)
    case Type.moduleOffset: return both { $0.word64(place).map { .plain($0) } }
    case Type.threadOffset:
      if isUnique(entry), ours.word64(place) == theirs.word64(place) { return nil }
      return both { side in
        side.word64(place).map { $0 == 0 ? .plain(0) : side.meaning(ofThreadOffset: $0) }
      }
    case Type.descriptor:
      if isUnique(entry), ours.result(ofDescriptorAt: place) == theirs.result(ofDescriptorAt: place)
      {
        return nil
      }
      return both { side in
        side.result(ofDescriptorAt: place).map { side.meaning(ofThreadOffset: $0) }
      }
    default: return both({ $0.word64(place) }, entry)
    }
  }

  /// The two words that __tls_get_addr is called with.
  private func variable(_ place: UInt64, _ entry: Elf64_Rela) -> Pair? {
    func words(_ side: LoadedSide) -> [UInt64]? {
      guard let module = side.word64(place), let offset = side.word64(place &+ 8) else {
        return nil
      }
      return [module, offset]
    }
    if isUnique(entry), let mine = words(ours), mine == words(theirs) { return nil }
    return both { side in words(side).map { side.meaning(ofModule: $0[0], offset: $0[1]) } }
  }

  private func both(_ meaning: (LoadedSide) -> WordMeaning?) -> Pair? {
    guard let mine = meaning(ours), let other = meaning(theirs) else {
      return (.unreadable, .unreadable)
    }
    return mine == other ? nil : (mine, other)
  }

  /// Words that are pointers, or plain.
  private func both(_ word: (LoadedSide) -> UInt64?, _ entry: Elf64_Rela) -> Pair? {
    guard let mine = word(ours), let other = word(theirs) else {
      return (.unreadable, .unreadable)
    }
    // Into the library itself. An addend may lead outside: the distance between both tells.
    if mine &- ours.provider.bias == other &- theirs.provider.bias, mine != other { return nil }
    if mine == other {
      let isTheirs = theirs.provider.range.contains(Address(mine))
      if !isTheirs || isUnique(entry) { return nil }
    }
    // Functions that we replace for the code of our images.
    if Interposition.replacement(of: other) == mine { return nil }
    let found = (ours.meaning(ofPointer: mine), theirs.meaning(ofPointer: other))
    return found.0 == found.1 ? nil : found
  }

  /// A symbol of which a process has one (GNU: STB_GNU_UNIQUE): ld.so came first, so ours must be its.
  private func isUnique(_ entry: Elf64_Rela) -> Bool {
    ours.provider.lookup.symbol(UInt32(entry.symbol))?.binding == 10
  }

  /// Whether what is copied belongs to an image that the whole process sees.
  private func isGlobal(_ entry: Elf64_Rela) -> Bool {
    let found = try? image.bind(UInt32(entry.symbol), isForCall: false, isCopy: true)
    guard let source = found?.provider else { return false }
    return HostImages.current().global.providers.contains { $0 === source }
  }

  private func copied(_ entry: Elf64_Rela) -> Pair? {
    let size = ours.provider.lookup.symbol(UInt32(entry.symbol))?.st_size ?? 0
    guard let mine = ours.pointer(entry.r_offset, size),
      let other = theirs.pointer(entry.r_offset, size)
    else { return (.unreadable, .unreadable) }
    if memcmp(mine, other, Int(size)) == 0 { return nil }
    func bytes(_ pointer: UnsafeRawPointer) -> WordMeaning {
      .bytes(Array(UnsafeRawBufferPointer(start: pointer, count: Int(size))))
    }
    return (bytes(mine), bytes(other))
  }
}

extension UInt64? {
  fileprivate static func &+ (left: UInt64?, right: UInt64) -> UInt64? { left.map { $0 &+ right } }
}
