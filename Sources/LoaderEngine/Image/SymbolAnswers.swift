// What the symbols of an image stand for while it is relocated: each is looked up once, however many
// relocations name it. The plain case, which is nearly all of them, is decided here without counting a
// reference; whatever else there is to know (IFUNCs, unique symbols, thread-local ones, who intervenes) is for
// `MappedImage.bind`. Cost model: DESIGN section 3.
internal import CLoaderSupport

/// Addresses by symbol index. `drop` must end its life.
struct SymbolAnswers {
  /// No answer yet, or one that only `bind` can give.
  static let unknown = UInt64.max
  private static let mostKept: UInt32 = 1 << 22

  private let lookup: SymbolLookup
  // The image keeps them.
  private let scopes: [Scope]
  private var addresses: UnsafeMutablePointer<UInt64>?
  private let count: Int
  /// Nobody but the scopes has a say.
  private let isPlain: Bool
  /// Looking up for calls, which do not see some definitions.
  private(set) var isForCall = false
  /// An answer would be another one for a call.
  private var isForDataOnly: Bool
  /// Code that asks for this has destructors at threads' ends.
  private let threadExits = ThreadExitLedger.register.value

  init(_ image: MappedImage) {
    lookup = image.provider.lookup
    scopes = image.scopes
    count = Int(min(lookup.symbolLimit, SymbolAnswers.mostKept))
    let isWatched = image.options.binder != nil || image.options.observer?.binding != nil
    isPlain = !isWatched && !image.provider.entries.isSymbolic
    isForDataOnly = isWatched
  }

  mutating func drop() {
    addresses?.deallocate()
    addresses = nil
  }

  /// From here on symbols are looked up for calls.
  mutating func turnToCalls() {
    isForCall = true
    if isForDataOnly { drop() }
  }

  /// What was answered before.
  @inline(__always)
  func known(_ index: Int) -> UInt64 {
    guard let addresses, index < count else { return SymbolAnswers.unknown }
    return addresses[index]
  }

  /// Notes what `bind` found.
  mutating func note(_ index: Int, _ found: Binding) {
    note(index, found.address, isDefined: found.provider == nil || found.symbol.st_shndx != 0)
  }

  private mutating func note(_ index: Int, _ address: UInt64, isDefined: Bool) {
    // An undefined function of an executable has an address (psABI), but not for calls.
    if !isDefined { isForDataOnly = true }
    guard index < count else { return }
    if addresses == nil {
      let fresh = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
      fresh.initialize(repeating: SymbolAnswers.unknown, count: count)
      addresses = fresh
    }
    addresses?[index] = address
  }

  /// S of a relocation that names a symbol.
  @inline(__always)
  mutating func address(_ index: Int) -> UInt64 {
    let known = known(index)
    return known == SymbolAnswers.unknown ? find(index) : known
  }

  @inline(never)
  private mutating func find(_ index: Int) -> UInt64 {
    guard isPlain, index < Int(lookup.symbolLimit) else { return SymbolAnswers.unknown }
    let index = UInt32(index)
    let symbol = lookup.proven(index)
    guard symbol.visibility == UInt8(STV_DEFAULT),
      symbol.binding == UInt8(STB_GLOBAL) || symbol.binding == UInt8(STB_WEAK),
      let text = lookup.name(of: symbol)
    else { return SymbolAnswers.unknown }
    var request = LookupRequest(SymbolName(text), version: lookup.version(of: index))
    request.isForCall = isForCall
    for position in scopes.indices {
      let table = scopes[position].table
      if request.version == nil {
        var member = 0
        let address = table.address(request.name, &member)
        if address == 0 { continue }
        if address != ScopeTable.undecided {
          return answer(Int(index), address, ofHost: table.member(member).pointee.isHost)
        }
      }
      guard let hit = table.find(request) else { continue }
      let found = table.symbol(hit)
      // 10: STB_GNU_UNIQUE.
      guard found.isPlain, found.binding != 10 else { return SymbolAnswers.unknown }
      let member = table.member(hit.position)
      var address = found.st_value
      if found.st_shndx != 0xFFF1 { address &+= member.pointee.bias }
      return answer(
        Int(index), address, ofHost: member.pointee.isHost, isDefined: found.st_shndx != 0)
    }
    guard symbol.isWeakBinding else { return SymbolAnswers.unknown }
    note(Int(index), 0, isDefined: true)
    return 0
  }

  @inline(__always)
  private mutating func answer(
    _ index: Int, _ address: UInt64, ofHost isHost: Bool, isDefined: Bool = true
  ) -> UInt64 {
    let address = isHost ? Interposition.replacement(of: address) : address
    // Noted by `bind`, or not to be kept.
    if address == threadExits || address == SymbolAnswers.unknown { return SymbolAnswers.unknown }
    note(index, address, isDefined: isDefined)
    return address
  }
}

extension DynamicRelocation {
  /// Applies a table when nobody watches: B + A, S + A and lazy words in a loop without calls; everything else
  /// as ever.
  mutating func applyPlainly(_ table: UnsafeRawBufferPointer, lazily: Bool) throws(LinkError) {
    typealias Type = X86_64.Dynamic
    guard let start = table.baseAddress else { return }
    var writer = self.writer
    let first = image.headers.base
    let sealed = image.headers.readOnlyAfterRelocation
    let count = table.count / 24
    var index = 0
    while true {
      index = relocateRelatives(start, index, count, writer)
      guard index < count else { return }
      let entry = (start + index &* 24).loadUnaligned(as: Elf64_Rela.self)
      index &+= 1
      var value = UInt64(bitPattern: entry.r_addend)
      let type = entry.type
      if type == Type.relative {
        value &+= bias
      } else if type == Type.jumpSlot, lazily,
        LazyTable.staysWritable(entry.r_offset, from: first, sealed)
      {
        // The word leads back into the PLT, which asks the loader.
        guard let word = writer.read(entry.r_offset) else {
          throw outside(entry.r_offset, X86_64.dynamicName(type))
        }
        value = word &+ bias
      } else if type == Type.jumpSlot || type == Type.globalData || type == Type.word64 {
        let address = answers.address(entry.symbol)
        if address == SymbolAnswers.unknown {
          try apply(entry, lazily)
          continue
        }
        value &+= address
      } else {
        try apply(entry, lazily)
        continue
      }
      guard writer.write(value, at: entry.r_offset) else {
        throw outside(entry.r_offset, X86_64.dynamicName(type))
      }
    }
  }
  /// B + A for as many relocations in a row as are of that kind, name no symbol, and lie in the part that was
  /// written last: two at a time, 11 instructions each (J2.relative).
  ///
  /// - Returns: the index of the first that is not.
  @inline(__always)
  private func relocateRelatives(
    _ start: UnsafeRawPointer, _ first: Int, _ count: Int, _ writer: ImageWriter
  ) -> Int {
    let (begin, size, place) = writer.window
    // A table that relocates itself is taken one by one.
    let table = UInt64(UInt(bitPattern: start)) &- bias
    guard table >= begin &+ size || table &+ UInt64(count) &* 24 <= begin else { return first }
    // Offsets below this have room for a word.
    let room = size >= 8 ? size &- 7 : 0
    let relative = UInt64(X86_64.Dynamic.relative)
    var index = first
    while index &+ 2 <= count {
      let entry = start + index &* 24
      let offset = entry.loadUnaligned(as: UInt64.self) &- begin
      let next = (entry + 24).loadUnaligned(as: UInt64.self) &- begin
      let others =
        ((entry + 8).loadUnaligned(as: UInt64.self) ^ relative)
        | ((entry + 32).loadUnaligned(as: UInt64.self) ^ relative)
      guard others == 0, offset < room, next < room else { break }
      let addend = (entry + 16).loadUnaligned(as: UInt64.self)
      (place + Int(truncatingIfNeeded: offset)).storeBytes(of: bias &+ addend, as: UInt64.self)
      let second = (entry + 40).loadUnaligned(as: UInt64.self)
      (place + Int(truncatingIfNeeded: next)).storeBytes(of: bias &+ second, as: UInt64.self)
      index &+= 2
    }
    return index
  }
}
