// Names by number, and tables that share what did not change.
import LoaderEngine
import Testing

@Suite("Symbol names")
struct SymbolNamesTests {
  @Test(
    "A name has one number, and the number gives the name back",
    arguments: [0, 1, 7, 8, 9, 255, 5000])
  func roundTrip(length: Int) {
    let names = SymbolNames()
    let name = String(repeating: "n", count: length)
    let id = names.intern(name)
    #expect(names.intern(name) == id && names.find(name) == id)
    #expect(names[id].string == name)
    #expect(names.intern(name + "x") != id)
    #expect(names.count == 2)
  }

  @Test("Numbers and names survive growth, in order")
  func growth() {
    let names = SymbolNames()
    let ids = (0..<20_000).map { names.intern("symbol_\($0)") }
    #expect(ids.map { Int($0.index) } == Array(0..<20_000))
    #expect(names.count == 20_000)
    for index in stride(from: 0, to: 20_000, by: 37) {
      #expect(names[ids[index]].string == "symbol_\(index)")
      #expect(names.find("symbol_\(index)") == ids[index])
    }
  }

  @Test("A name is copied and ends in NUL: its object may go")
  func copies() {
    let names = SymbolNames()
    var bytes: [UInt8] = Array("temporary".utf8)
    let id = bytes.withUnsafeBytes { buffer in
      buffer.baseAddress.map { names.intern(NameView(base: $0, count: buffer.count)) }
    }
    _ = bytes.withUnsafeMutableBytes { $0.initializeMemory(as: UInt8.self, repeating: 0x58) }
    guard let id else { return }
    #expect(names[id].string == "temporary")
    #expect((names[id].base + names[id].count).load(as: UInt8.self) == 0)
  }

  @Test("A name larger than a block has one of its own")
  func huge() {
    let names = SymbolNames()
    let long = String(repeating: "long", count: 200_000)
    let before = names.intern("before")
    let id = names.intern(long)
    let after = names.intern("after")
    #expect(names[id].count == 800_000 && names[before].string == "before")
    #expect(names[after].string == "after" && names.find(long) == id)
  }

  @Test("Looking for an unknown name adds nothing")
  func unknown() {
    let names = SymbolNames()
    #expect(names.find("nobody") == nil && names.find("") == nil)
    #expect(names.count == 0)
  }
}

@Suite("Symbol tables")
struct SymbolTableTests {
  private static func definition(_ address: UInt64) -> Definition {
    Definition(address: address, size: 1, unit: 0, kind: .data, isWeak: false)
  }

  @Test("A table stays as it is, whatever its successors become")
  func immutability() {
    let first = SymbolTable.Draft(from: .empty)
    for index in 0..<1000 { first.define(SymbolID(UInt32(index)), Self.definition(UInt64(index))) }
    let old = first.table
    let next = SymbolTable.Draft(from: old)
    next.define(SymbolID(3), Self.definition(999))
    next.remove(SymbolID(700))
    next.define(SymbolID(5000), Self.definition(1))
    let new = next.table
    #expect(old !== new)
    #expect(old[SymbolID(3)]?.address == 3 && new[SymbolID(3)]?.address == 999)
    #expect(old[SymbolID(700)]?.address == 700 && new[SymbolID(700)] == nil)
    #expect(old[SymbolID(5000)] == nil && new[SymbolID(5000)]?.address == 1)
    #expect(old.count == 1000 && new.count == 1000)
    for index in 0..<1000 where index != 3 && index != 700 {
      #expect(new[SymbolID(UInt32(index))] == old[SymbolID(UInt32(index))])
    }
  }

  @Test("A draft that is dropped leaves the table alone")
  func droppedDraft() {
    let first = SymbolTable.Draft(from: .empty)
    first.define(SymbolID(1), Self.definition(1))
    let table = first.table
    do {
      let draft = SymbolTable.Draft(from: table)
      draft.define(SymbolID(1), Self.definition(2))
      #expect(draft[SymbolID(1)]?.address == 2)
    }
    #expect(table[SymbolID(1)]?.address == 1)
  }

  @Test("Cost follows the change: a draft of a large table that changes one symbol is quick")
  func sharing() {
    let first = SymbolTable.Draft(from: .empty)
    for index in 0..<200_000 { first.define(SymbolID(UInt32(index)), Self.definition(1)) }
    var table = first.table
    let clock = ContinuousClock()
    let copy = clock.measure {
      let full = SymbolTable.Draft(from: .empty)
      table.forEach { full.define($0, $1) }
    }
    let change = clock.measure {
      for round in 0..<20 {
        let draft = SymbolTable.Draft(from: table)
        draft.define(SymbolID(UInt32(round * 1000)), Self.definition(2))
        table = draft.table
      }
    }
    #expect(change / 20 < copy / 10, "\(change / 20) for one symbol, \(copy) for all")
    #expect(table.count == 200_000)
  }

  @Test("Counting follows definitions, redefinitions and removals")
  func counting() {
    let draft = SymbolTable.Draft(from: .empty)
    draft.remove(SymbolID(9))
    draft.define(SymbolID(1), Self.definition(1))
    draft.define(SymbolID(1), Self.definition(2))
    draft.define(SymbolID(300), Self.definition(2))
    draft.remove(SymbolID(1))
    draft.remove(SymbolID(1))
    let table = draft.table
    #expect(table.count == 1)
    var seen: [UInt32] = []
    table.forEach { id, _ in seen.append(id.index) }
    #expect(seen == [300])
    #expect(table[.none] == nil)
  }
}
