// Words of a shared object that its loader fills in, by place: what a table of pointers or a GOT entry means
// stands here and not in the file's bytes. gABI, “Relocation”; RELR.
internal import CLoaderSupport
internal import LoaderEngine

/// The relocated words of an image that is not loaded.
struct LibraryWords {
  enum Target {
    /// A virtual address of the image itself.
    case own(UInt64)
    /// A symbol of `.dynsym`, plus an addend.
    case symbol(UInt32, addend: Int64)
  }

  struct Word {
    /// Virtual address.
    var place: UInt64
    var target: Target
  }

  /// By place.
  private(set) var words: [Word] = []

  init(_ provider: SymbolProvider) {
    typealias Type = X86_64.Dynamic
    let view = provider.view
    for table in [provider.entries.relocations, provider.entries.jumpSlots] where !table.isEmpty {
      guard let start = view.pointer(table.address, table.size) else { continue }
      for index in 0..<Int(table.size / 24) {
        let entry = (start + index * 24).loadUnaligned(as: Elf64_Rela.self)
        switch entry.type {
        case Type.relative, Type.relative64, Type.indirect:
          words.append(
            Word(place: entry.r_offset, target: .own(UInt64(bitPattern: entry.r_addend))))
        case Type.word64, Type.globalData, Type.jumpSlot:
          words.append(
            Word(
              place: entry.r_offset,
              target: .symbol(UInt32(entry.symbol), addend: entry.r_addend)))
        default: continue
        }
      }
    }
    collectCompact(provider)
    words.sort { $0.place < $1.place }
  }

  private mutating func collectCompact(_ provider: SymbolProvider) {
    let table = provider.entries.compactRelative
    let view = provider.view
    guard !table.isEmpty, let start = view.pointer(table.address, table.size) else { return }
    var next: UInt64 = 0
    func add(_ place: UInt64, to words: inout [Word]) {
      guard let value = view.pointer(place, 8)?.loadUnaligned(as: UInt64.self) else { return }
      words.append(Word(place: place, target: .own(value)))
    }
    for index in 0..<Int(table.size / 8) {
      let word = (start + index * 8).loadUnaligned(as: UInt64.self)
      if word & 1 == 0 {
        add(word, to: &words)
        next = word &+ 8
      } else {
        for bit in 0..<UInt64(63) where word >> (bit + 1) & 1 != 0 {
          add(next &+ bit &* 8, to: &words)
        }
        next = next &+ 63 * 8
      }
    }
  }

  /// A word of some sections that holds its own address: `__dso_handle` of a library without symbols.
  func selfReference(in sections: [ImageSections.Section]) -> UInt64? {
    words.first { word in
      guard case .own(let target) = word.target, target == word.place else { return false }
      return sections.contains { target &- $0.address < $0.size }
    }?.place
  }

  /// The word at a place.
  subscript(place: UInt64) -> Word? {
    let index = first(from: place)
    return index < words.count && words[index].place == place ? words[index] : nil
  }

  /// Index of the first word at or after a place.
  func first(from place: UInt64) -> Int {
    var low = 0
    var high = words.count
    while low < high {
      let middle = (low + high) / 2
      if words[middle].place < place { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
