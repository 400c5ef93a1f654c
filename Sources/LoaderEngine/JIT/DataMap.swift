// Which bytes of a section belong to which symbol. Compilers name variables and constants but refer to
// local ones as section + offset; this map gives the name back.
internal import CLoaderSupport

/// A stretch of a section: a symbol's bytes, or the bytes between two symbols.
package struct Atom: Sendable {
  /// Offset in the section, bytes.
  package var offset: UInt64
  package var size: UInt64
  /// Index of the symbol that owns it; nil for bytes no symbol names.
  package var symbol: Int?
  /// Further symbols that begin inside it.
  package var aliases: [Int] = []
}

/// A section divided into atoms, without gaps, in order.
package struct DataMap: Sendable {
  package let atoms: [Atom]

  /// - Parameter symbols: symbols of the object that are defined in the section, in any order.
  package init(_ object: ObjectFile, section: Int, symbols: [Int]) {
    let size = object.sections[section].size
    let sorted = symbols.sorted {
      let (a, b) = (object.symbols[$0], object.symbols[$1])
      if a.st_value != b.st_value { return a.st_value < b.st_value }
      // The owner of a place is the largest symbol there; among equals a global one.
      if a.st_size != b.st_size { return a.st_size > b.st_size }
      return ($0 >= object.firstGlobal ? 0 : 1, $0) < ($1 >= object.firstGlobal ? 0 : 1, $1)
    }
    LinkSteps.add(sorted.count)
    var atoms: [Atom] = []
    var end: UInt64 = 0
    // Where the next symbol behind each begins.
    var following = [UInt64](repeating: size, count: sorted.count)
    for position in sorted.indices.dropLast().reversed() {
      let next = object.symbols[sorted[position + 1]].st_value
      following[position] =
        next > object.symbols[sorted[position]].st_value ? next : following[position + 1]
    }
    for (position, index) in sorted.enumerated() {
      let symbol = object.symbols[index]
      if symbol.st_value < end || (symbol.st_size == 0 && symbol.st_value == end && end == size) {
        // Swift's metadata symbol lies inside the record that owns it and runs past its end.
        if !atoms.isEmpty { atoms[atoms.count - 1].aliases.append(index) }
        continue
      }
      var extent = symbol.st_size
      if extent == 0 {
        // An assembler's label: up to the next symbol.
        extent = following[position] - symbol.st_value
      }
      if symbol.st_value > end {
        atoms.append(Atom(offset: end, size: symbol.st_value - end, symbol: nil))
      }
      extent = min(extent, size - symbol.st_value)
      guard extent > 0 else { continue }
      atoms.append(Atom(offset: symbol.st_value, size: extent, symbol: index))
      end = symbol.st_value + extent
    }
    if end < size { atoms.append(Atom(offset: end, size: size - end, symbol: nil)) }
    self.atoms = atoms
  }

  /// The atom that holds `offset`.
  package func index(of offset: UInt64) -> Int? {
    var low = 0
    var high = atoms.count
    while low < high {
      let middle = (low + high) / 2
      if atoms[middle].offset <= offset { low = middle + 1 } else { high = middle }
    }
    guard low > 0, offset < atoms[low - 1].offset + atoms[low - 1].size else { return nil }
    return low - 1
  }
}

/// The symbols of an object, by the section they are defined in.
package struct SymbolsBySection: Sendable {
  // One list after the other; a section's begins where `starts` says.
  private var starts: [Int] = []
  private var list: [Int] = []

  private init() {}
  package static let none = SymbolsBySection()

  package init(_ object: ObjectFile) {
    LinkSteps.add(object.symbols.count + object.sections.count)
    var homes = [Int](repeating: 0, count: object.symbols.count)
    starts = [Int](repeating: 0, count: object.sections.count + 1)
    for index in 0..<object.symbols.count {
      let symbol = object.symbols[index]
      guard symbol.type != UInt8(STT_SECTION), symbol.type != UInt8(STT_FILE),
        case .section(let section) = object.place(ofSymbol: index), section != 0
      else { continue }
      homes[index] = section
      starts[section] += 1
    }
    var end = 0
    for section in starts.indices {
      end += starts[section]
      starts[section] = end
    }
    list = [Int](repeating: 0, count: end)
    for index in homes.indices.reversed() where homes[index] != 0 {
      starts[homes[index]] -= 1
      list[starts[homes[index]]] = index
    }
  }

  package subscript(section: Int) -> [Int] {
    section + 1 < starts.count ? Array(list[starts[section]..<starts[section + 1]]) : []
  }
}
