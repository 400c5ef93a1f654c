// Many objects have one unwind table, registered once, whose records are in the order of their code: libgcc sorts
// what is not at the first throw.
import Glibc
import LoaderEngine
import TestFixtures
import Testing

@Suite("The order of unwind tables")
struct UnwindOrderTests {
  /// Functions in two sections, named in the order in which their code does not lie.
  private static func unit(_ number: Int) -> String {
    let functions = (0..<30).map { index in
      """
      .section .text.\(index % 2 == 0 ? "b" : "a"),"ax",@progbits
      .globl f\(number)_\(index)
      .type f\(number)_\(index),@function
      f\(number)_\(index):
      .cfi_startproc
      .cfi_personality 0x9b, routine
      .cfi_lsda 0x1b, table
      push %rbx
      .cfi_def_cfa_offset 16
      pop %rbx
      .cfi_def_cfa_offset 8
      ret
      .cfi_endproc
      """
    }
    return """
      .section .text.a,"ax",@progbits
      .section .text.b,"ax",@progbits
      .data
      .p2align 3
      routine: .quad 0
      .section .gcc_except_table,"a",@progbits
      table: .long \(number)

      """ + functions.joined(separator: "\n") + "\n"
  }

  /// A record: where its code begins, and where its handlers are.
  private struct Record {
    var begin: UInt64
    var handlers: UInt64
  }

  private static func records(_ set: LinkedSet) throws -> [Record] {
    let range = try #require(set.unwindTables.first)
    let bytes = try #require(set.space.arena.bytes(at: range.start, count: Int(range.size)))
    func word(_ at: Int) -> Int {
      Int(Int32(truncatingIfNeeded: (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) }))
    }
    var found: [Record] = []
    var at = 0
    while at + 4 < bytes.count, word(at) != 0 {
      if word(at + 4) != 0 {
        // Its CIE must be one.
        #expect(word(at + 4 - word(at + 4) + 4) == 0)
        let place = range.start.value + UInt64(at)
        func relative(_ offset: Int) -> UInt64 {
          place &+ UInt64(offset) &+ UInt64(bitPattern: Int64(word(at + offset)))
        }
        found.append(Record(begin: relative(8), handlers: relative(17)))
      }
      at += 4 + word(at)
    }
    return found
  }

  @Test("One table for all objects, its records in the order of their code")
  func sorted() throws {
    let space = try LinkSpace()
    let sources = (0..<80).map(Self.unit)
    let set = try LinkTests.link(sources, in: space)
    #expect(set.groups.count == 1)
    #expect(set.unwindTables.count == 1)
    let records = try Self.records(set)
    #expect(records.count == 80 * 30)
    #expect(zip(records, records.dropFirst()).allSatisfy { $0.begin < $1.begin })
    var begins: [UInt64: Int] = [:]
    for number in 0..<80 {
      for index in 0..<30 {
        let id = try #require(space.names.find("f\(number)_\(index)"))
        begins[try #require(set.definition(of: id)).address] = number
      }
    }
    // Each function's handlers are still its object's.
    for record in records {
      let number = try #require(begins[record.begin])
      let word = try #require(space.arena.bytes(at: Address(record.handlers), count: 4))
      #expect(Int(word[0]) == number)
    }
  }

  @Test("Records of code that was left out are left out")
  func stripped() throws {
    let space = try LinkSpace()
    var options = LinkOptions()
    options.deadStripRoots = ["f3_1"]
    let set = try LinkTests.link((0..<8).map(Self.unit), in: space, options: options)
    let total = try set.unwindTables.indices.reduce(0) { sum, index in
      let range = set.unwindTables[index]
      let bytes = try #require(space.arena.bytes(at: range.start, count: Int(range.size)))
      var count = 0
      var at = 0
      func word(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
      while at + 8 < bytes.count, word(at) != 0 {
        count += word(at + 4) == 0 ? 0 : 1
        at += 4 + word(at)
      }
      return sum + count
    }
    #expect(total == 15)
  }
}
