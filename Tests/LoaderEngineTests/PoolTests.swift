// Interned constants, the table of addresses, and sections in pieces.
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("Interned constants")
struct ConstantPoolTests {
  private func intern(_ pool: ConstantPool, _ bytes: [UInt8], _ alignment: UInt64 = 1) throws
    -> Address
  {
    // The closure cannot throw a typed error past `withUnsafeBytes`.
    let result = bytes.withUnsafeBytes { buffer in
      Result { try pool.intern(#require(buffer.baseAddress), buffer.count, alignment: alignment) }
    }
    return try result.get()
  }

  @Test("Equal bytes have one address, others another")
  func identity() throws {
    let arena = try Arena()
    let pool = ConstantPool(arena)
    let hello = try intern(pool, Array("hello\0".utf8))
    #expect(try intern(pool, Array("hello\0".utf8)) == hello)
    #expect(try intern(pool, Array("hellp\0".utf8)) != hello)
    #expect(try intern(pool, Array("hello".utf8)) != hello)
    let text = try #require(hello.pointer).assumingMemoryBound(to: CChar.self)
    #expect(String(cString: text) == "hello")
  }

  @Test(
    "What is found has the alignment asked for",
    arguments: [1, 2, 8, 16, 32, 64, 256, 4096, 65536] as [UInt64])
  func alignment(_ alignment: UInt64) throws {
    let arena = try Arena()
    let pool = ConstantPool(arena)
    for byte in UInt8(1)...9 {
      let loose = try intern(pool, [byte, 2, 3])
      let tight = try intern(pool, [byte, 2, 3], alignment)
      #expect(tight.value % alignment == 0)
      #expect(try intern(pool, [byte, 2, 3], alignment) == tight)
      let pointer = try #require(tight.pointer)
      #expect([UInt8](UnsafeRawBufferPointer(start: pointer, count: 3)) == [byte, 2, 3])
      _ = loose
    }
  }

  @Test("Thousands of constants of all sizes stay readable where they are, and cost their bytes")
  func many() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Seeded(seed)
    let arena = try Arena()
    let pool = ConstantPool(arena)
    var known: [(Address, [UInt8])] = []
    for _ in 0..<6000 {
      let size =
        Int.random(in: 1...40, using: &random) == 1
        ? Int.random(in: 4000...9000, using: &random) : Int.random(in: 1...60, using: &random)
      let bytes = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
      known.append((try intern(pool, bytes, 1 << UInt64.random(in: 0...5, using: &random)), bytes))
    }
    let held = pool.bytes
    for (address, bytes) in known {
      let pointer = try #require(address.pointer)
      #expect(memcmp(pointer, bytes, bytes.count) == 0, "seed \(seed)")
      #expect(try intern(pool, bytes) == address || bytes.count < 3, "seed \(seed)")
    }
    #expect(pool.bytes - held < 64, "seed \(seed): asking again costs nothing")
  }
}

@Suite("The global offset table")
struct GlobalOffsetTableTests {
  @Test("A symbol has one entry for each use, pairs where the use needs two words")
  func entries() throws {
    let table = GlobalOffsetTable(try Arena())
    let uses: [GlobalOffsetTable.Use] = [.address, .threadOffset, .moduleOffset, .descriptor]
    var places: [Address] = []
    for symbol in UInt32(0)..<100 {
      for use in uses {
        let (entry, isNew) = try table.entry(SymbolID(symbol), use)
        #expect(isNew && table.value(entry) == 0)
        places.append(entry)
        table.set(entry, UInt64(places.count))
        if use == .moduleOffset || use == .descriptor { table.set(entry, word: 1, 7) }
      }
    }
    #expect(Set(places).count == places.count)
    for (index, entry) in places.enumerated() {
      #expect(table.value(entry) == UInt64(index + 1), "no entry overlaps another")
      let again = try table.entry(SymbolID(UInt32(index / 4)), uses[index % 4])
      #expect(again.0 == entry && !again.isNew)
      #expect(entry > table.start && (entry &- table.start) % 8 == 0)
    }
    #expect(table.existingEntry(SymbolID(3)) == places[12])
    #expect(table.existingEntry(SymbolID(5000)) == nil)
  }

  @Test("A full table says so")
  func exhaustion() throws {
    let arena = try Arena()
    let table = GlobalOffsetTable(arena)
    let most = Int(arena.got.size / 8)
    var refused = false
    for symbol in 0..<(most + 10) where !refused {
      do throws(LinkError) { _ = try table.entry(SymbolID(UInt32(symbol)), .address) } catch {
        guard case .noSpace = error.reason else { throw error }
        #expect(symbol >= most - 2)
        refused = true
      }
    }
    #expect(refused)
  }
}

@Suite("Sections in pieces")
struct PieceTableTests {
  private let table = PieceTable([
    Piece(offset: 0, size: 8, address: 1000, place: nil),
    Piece(offset: 8, size: 16, address: 5000, place: nil),
    Piece(offset: 32, size: 8, address: 200, place: nil),
  ])

  @Test(
    "An offset lies in its piece; between pieces and behind the last it belongs to the one before",
    arguments: zip(
      [0, 7, 8, 23, 24, 31, 32, 39, 40, 100] as [UInt64],
      [1000, 1007, 5000, 5015, 5016, 5023, 200, 207, 208, 268] as [UInt64]))
  func address(of offset: UInt64, is address: UInt64) {
    #expect(table.address(of: offset) == address)
  }

  @Test("Before the first piece there is nothing")
  func before() {
    let late = PieceTable([Piece(offset: 8, size: 8, address: 1, place: nil)])
    #expect(late.address(of: 7) == nil && late.find(0) == nil)
    #expect(PieceTable([]).address(of: 0) == nil)
  }
}
