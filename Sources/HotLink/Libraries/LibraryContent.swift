// What a stretch of a library's data says, in words that two builds share: bytes as they are, pointers by what
// they lead to. A literal that another build put somewhere else is then no edit.
internal import CLoaderSupport
internal import LoaderEngine

extension LibraryFile {
  /// A number that changes when the first bytes of a variable or constant do.
  func fingerprint(of symbol: LibrarySymbol) -> UInt64 {
    fingerprint(symbol.address, symbol.size)
  }

  private func fingerprint(_ start: UInt64, _ size: UInt64) -> UInt64 {
    var hash = FunctionContents.start
    var position = words.first(from: start)
    var at = start
    let end = start &+ size
    while at < end {
      if position < words.words.count, words.words[position].place == at, end - at >= 8 {
        for byte in meaning(of: words.words[position].target) {
          FunctionContents.mix(&hash, UInt64(byte))
        }
        FunctionContents.mix(&hash, 0x100)
        position += 1
        at += 8
        continue
      }
      let byte = view.pointer(at, 1)?.load(as: UInt8.self) ?? 0
      FunctionContents.mix(&hash, UInt64(byte))
      at += 1
    }
    return hash
  }

  /// Whether a variable or constant holds places inside functions (`&&label`): they are this build's, whatever its bytes say.
  func holdsLabels(_ symbol: LibrarySymbol) -> Bool {
    var position = words.first(from: symbol.address)
    while position < words.words.count,
      words.words[position].place &- symbol.address < symbol.size
    {
      if case .own(let aim) = words.words[position].target, function(at: aim) == nil,
        isExecutable(aim)
      {
        return true
      }
      position += 1
    }
    return false
  }

  /// The variables and constants that words of a range lead to.
  func aims(of range: Range<UInt64>) -> [LibrarySymbol.Key] {
    var found: [LibrarySymbol.Key] = []
    var position = words.first(from: range.lowerBound)
    while position < words.words.count, words.words[position].place < range.upperBound {
      switch words.words[position].target {
      case .own(let aim): if let datum = datum(at: aim) { found.append(datum.key) }
      case .symbol(let index, _):
        found.append(
          LibrarySymbol.Key(name: dynamicName(index), ordinal: 0, isLocal: false))
      }
      position += 1
    }
    return found
  }

  func meaning(of target: LibraryWords.Target) -> [UInt8] {
    switch target {
    case .symbol(let index, let addend):
      return Array("\(dynamicName(index))+\(addend)".utf8)
    case .own(let address): return meaning(of: address)
    }
  }

  /// What a virtual address stands for.
  func meaning(of address: UInt64) -> [UInt8] {
    if let function = function(at: address) { return Array(function.name.utf8) }
    if let datum = datum(at: address) {
      return Array("\(datum.name)+\(address - datum.address)".utf8)
    }
    guard let part = view.part(of: address), !part.access.contains(.write),
      !part.access.contains(.execute), let tail = view.tail(address)
    else { return [] }
    // A literal: by its bytes, up to the NUL.
    let bytes = UnsafeRawBufferPointer(start: tail.pointer, count: Int(min(tail.count, 256)))
    return [0x22] + bytes.prefix { $0 != 0 }
  }

  /// The named variable or constant that an address lies in.
  func datum(at address: UInt64) -> LibrarySymbol? {
    LibraryFile.holder(of: address, in: variables)
      ?? LibraryFile.holder(of: address, in: constants)
  }

  private static func holder(of address: UInt64, in sorted: [LibrarySymbol]) -> LibrarySymbol? {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle].address <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return nil }
    // Of those at one address the largest comes first.
    var index = low - 1
    while index > 0, sorted[index - 1].address == sorted[index].address { index -= 1 }
    let found = sorted[index]
    return address - found.address < found.size ? found : nil
  }
}
