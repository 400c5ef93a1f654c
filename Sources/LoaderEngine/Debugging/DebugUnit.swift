// A placed object as its debug data and a profiler see it: a function is its body, never the stub that
// others call it by; a variable is where it lives, which a reload may have left to an earlier version.
internal import CLoaderSupport

/// An object, and the symbols it was linked with.
package struct DebugUnit: Sendable {
  package let linked: LinkedObject
  private let table: SymbolTable

  /// - Parameter table: the symbols of the generation that the object was linked into.
  package init(_ linked: LinkedObject, _ table: SymbolTable) {
    self.linked = linked
    self.table = table
  }

  /// What a reference of debug data means.
  enum Meaning {
    case address(UInt64)
    /// A place in a section that is not loaded.
    case section(Int, offset: UInt64)
    /// Its section was not linked: a group that another object supplies.
    case absent
  }

  /// `S + A`.
  func meaning(ofSymbol index: Int, addend: UInt64) -> Meaning {
    let object = linked.object
    let symbol = object.symbols[index]
    switch object.place(ofSymbol: index) {
    case .absolute: return .address(symbol.st_value &+ addend)
    case .undefined where index == 0: return .address(addend)
    case .undefined, .common: return definition(index, addend)
    case .section(let section):
      guard object.sections[section].isAllocated else {
        return .section(section, offset: symbol.st_value &+ addend)
      }
      guard linked.roles[section] != .ignored else { return .absent }
      if symbol.type == UInt8(STT_SECTION) {
        // One section may lie in pieces: the addend says which.
        return linked.address(section: section, offset: symbol.st_value &+ addend)
          .map { .address($0) } ?? .absent
      }
      // Weak data of several objects is one variable: the winner's. Code describes itself.
      if index >= object.firstGlobal, linked.roles[section] != .text,
        let winner = table[linked.globalID(index)], winner.unit != linked.unit
      {
        return .address(winner.address &+ addend)
      }
      return linked.address(section: section, offset: symbol.st_value)
        .map { .address($0 &+ addend) } ?? .absent
    }
  }

  private func definition(_ index: Int, _ addend: UInt64) -> Meaning {
    if let own = linked.commons[index] { return .address(own &+ addend) }
    guard index >= linked.object.firstGlobal, let found = table[linked.globalID(index)],
      found.address != 0
    else { return .absent }
    return .address(found.address &+ addend)
  }

  /// Whether the object is the one that defines a global symbol.
  private func owns(_ index: Int) -> Bool {
    guard index >= linked.object.firstGlobal else { return true }
    return table[linked.globalID(index)].map { $0.unit == linked.unit } ?? true
  }
}

// MARK: what has a name

extension DebugUnit {
  /// A function or variable in memory.
  package struct NamedRange {
    package var name: NameView
    package var address: UInt64
    /// Size in bytes.
    package var size: UInt64
    package var isCode: Bool
    package var isLocal: Bool
  }

  /// Calls `body` with every named function and variable, thread-local ones aside.
  package func forEachNamed(_ body: (NamedRange) -> Void) {
    let object = linked.object
    for index in 1..<max(object.symbols.count, 1) {
      let symbol = object.symbols[index]
      guard symbol.st_name != 0, symbol.type != UInt8(STT_FILE), symbol.type != UInt8(STT_SECTION),
        symbol.type != UInt8(STT_TLS)
      else { continue }
      let kind = linked.kind(ofSymbol: index)
      switch kind {
      case .none, .threadLocal, .absolute: continue
      case .function, .part, .data, .constant: break
      }
      guard owns(index), let address = linked.address(ofSymbol: index) else { continue }
      let extent = object.extent(ofSymbol: index)
      body(
        NamedRange(
          name: object.name(ofSymbol: index), address: address,
          size: extent.isEmpty ? symbol.st_size : extent.upperBound - extent.lowerBound,
          isCode: kind == .function || kind == .part, isLocal: index < object.firstGlobal))
    }
  }

  /// The stretches of memory that hold its code, or its data.
  func appendRanges(ofCode isCode: Bool, to ranges: inout [AddressRange]) {
    let object = linked.object
    for section in linked.roles.indices {
      switch linked.roles[section] {
      case .ignored, .unwind, .threadData, .threadBSS: continue
      case .text: guard isCode else { continue }
      default: guard !isCode else { continue }
      }
      if let table = linked.pieces[section] {
        for piece in table.pieces where piece.size > 0 {
          ranges.append(AddressRange(start: Address(piece.address), size: piece.size))
        }
      } else if linked.addresses[section] != 0, object.sections[section].size > 0 {
        ranges.append(
          AddressRange(
            start: Address(linked.addresses[section]), size: object.sections[section].size))
      }
    }
    guard !isCode else { return }
    for (symbol, address) in linked.commons {
      ranges.append(
        AddressRange(start: Address(address), size: max(object.symbols[symbol].st_size, 1)))
    }
  }
}
