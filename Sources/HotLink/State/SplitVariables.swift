// clang at -O2 takes a static array or struct apart when all uses name a member (LLVM: GlobalOpt, scalar
// replacement of aggregates): `player` becomes `player.0`, `player.1`, and with the next edit it may be whole
// again. It is one variable to the program, so its value goes from the one form to the other.
internal import CLoaderSupport
internal import LoaderEngine

/// The parts of a variable that a compiler took apart, by their numbers.
struct VariableParts {
  /// Bytes of each.
  var sizes: [Int: UInt64]

  /// `player.3` is part 3 of `player`.
  static func part(_ name: String) -> (whole: String, number: Int)? {
    guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return nil }
    let digits = name[name.index(after: dot)...]
    guard !digits.isEmpty, digits.utf8.count < 6, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let number = Int(digits)
    else { return nil }
    return (String(name[..<dot]), number)
  }

  /// Where each lies in the whole; nil when that cannot be told. Parts that nothing uses are missing: of equal ones
  /// the place follows from the number; of others, when all are there, from their alignment (psABI 3.1.2).
  func offsets(in whole: UInt64) -> [Int: UInt64]? {
    guard let size = sizes.values.first, let last = sizes.keys.max(), size > 0 else { return nil }
    if sizes.values.allSatisfy({ $0 == size }) {
      guard whole / size > UInt64(last), whole % size == 0 else { return nil }
      return sizes.mapValues { _ in 0 }.reduce(into: [:]) { $0[$1.key] = UInt64($1.key) * size }
    }
    guard last + 1 == sizes.count else { return nil }
    var offsets: [Int: UInt64] = [:]
    var end: UInt64 = 0
    var largest: UInt64 = 1
    for number in 0...last {
      guard let size = sizes[number], size > 0, size < 1 << 32 else { return nil }
      // The alignment of an array member is that of its elements, which is not known.
      let alignment = min(size & (~size &+ 1), 16)
      guard alignment == size || size == 16 else { return nil }
      end = (end + alignment - 1) / alignment * alignment
      offsets[number] = end
      end += size
      largest = max(largest, alignment)
    }
    return (end + largest - 1) / largest * largest == whole ? offsets : nil
  }
}

extension StatePlan {
  /// Finds new variables that are parts of an old one, and a new one that old parts make up.
  func joinParts(_ old: UnitVersion) {
    let fresh = newVariables.filter { $0 < object.firstGlobal }
    guard !fresh.isEmpty, !removed.isEmpty else { return }
    let gone = Set(removed)
    var joined: Set<String> = []
    var parts: [String: [(number: Int, symbol: Int)]] = [:]
    for symbol in fresh {
      guard let part = VariableParts.part(name(symbol)), gone.contains(part.whole) else { continue }
      parts[part.whole, default: []].append((part.number, symbol))
    }
    for (whole, found) in parts {
      guard let before = old.variables[.ofFile(whole)],
        let offsets = VariableParts(
          sizes: Dictionary(
            found.map { ($0.number, object.symbols[$0.symbol].st_size) },
            uniquingKeysWith: { first, _ in first })
        ).offsets(in: before.size)
      else { continue }
      joined.insert(whole)
      let first = old.images[before.section].map { UnsafeRawPointer($0) + Int(before.offset) }
      let entire = StateMove.Source(
        address: before.address, offset: 0, size: before.size, image: first)
      for (number, symbol) in found {
        guard let offset = offsets[number] else { continue }
        let size = object.symbols[symbol].st_size
        let source = StateMove.Source(
          address: before.address + offset, offset: 0, size: size,
          image: first.map { $0 + Int(offset) })
        move(symbol, from: [source], of: entire, oldSize: size)
      }
    }
    var pieces: [String: [Int: Variable]] = [:]
    for (key, variable) in old.variables.all where gone.contains(key.name) && !key.isThreadLocal {
      guard let part = VariableParts.part(key.name) else { continue }
      pieces[part.whole, default: [:]][part.number] = variable
    }
    for symbol in fresh {
      guard let found = pieces[name(symbol)],
        let offsets = VariableParts(sizes: found.mapValues(\.size))
          .offsets(in: object.symbols[symbol].st_size)
      else { continue }
      for number in found.keys { joined.insert("\(name(symbol)).\(number)") }
      let sources = found.compactMap { number, variable in
        offsets[number].map { offset in
          StateMove.Source(
            address: variable.address, offset: offset, size: variable.size,
            image: old.images[variable.section].map {
              UnsafeRawPointer($0) + Int(variable.offset)
            })
        }
      }
      move(symbol, from: sources, oldSize: found.values.reduce(0) { $0 + $1.size })
    }
    removed.removeAll { joined.contains($0) }
  }

  private func move(
    _ symbol: Int, from sources: [StateMove.Source], of whole: StateMove.Source? = nil,
    oldSize: UInt64
  ) {
    guard case .section(let section) = object.place(ofSymbol: symbol) else { return }
    carriedNew.insert(symbol)
    moves.append(
      StateMove(
        symbol: name(symbol), section: section, offset: object.symbols[symbol].st_value,
        size: object.symbols[symbol].st_size, oldSize: oldSize, sources: sources,
        whole: whole, yieldsToSource: true))
  }
}

extension VariableKey {
  /// A variable of a file, not the second local one of its name.
  fileprivate static func ofFile(_ name: String) -> VariableKey {
    VariableKey(name: name, ordinal: 0, isThreadLocal: false)
  }
}
