// Function identity: stubs that stay, and a table that moves all functions or none.
import Foundation
import LoaderEngine
import Synchronization
import Testing

private typealias Body = @convention(c) () -> UInt64

@Suite("Slots and stubs", .serialized)
struct SlotTableTests {
  /// A space, slots for `count` names, and bodies that return numbers.
  final class Bench: Sendable {
    let space: LinkSpace
    let slots: [SlotIndex]
    init(_ count: Int, _ backing: Arena.BackingChoice = .automatic) throws {
      let space = try LinkSpace(backing)
      self.space = space
      slots = try (0..<count).map { try space.slots.slot(of: space.names.intern("f\($0)")) }
    }

    /// A function that returns `number`: `mov $number, %eax; ret`.
    func body(_ number: UInt32) throws -> UInt64 {
      let memory = try space.arena.allocate(.text, 16, alignment: 16)
      let place = space.arena.place(memory.range.start, .text)
      place.storeBytes(of: 0xB8, as: UInt8.self)
      place.storeBytes(of: number, toByteOffset: 1, as: UInt32.self)
      place.storeBytes(of: 0xC3, toByteOffset: 5, as: UInt8.self)
      try space.arena.seal(memory)
      return memory.range.start.value
    }

    func call(_ slot: SlotIndex) -> UInt64? {
      space.slots.stub(slot).pointer.map { unsafeBitCast($0, to: Body.self)() }
    }
  }

  @Test(
    "Slots whose cells were made ahead are given in the same order, and lead to the same resolver")
  func reserved() throws {
    let plain = try LinkSpace()
    let ahead = try LinkSpace()
    let thread = Errand { try? ahead.slots.reserve(20_000) }
    thread.wait()
    #expect(ahead.slots.count == 0)
    for number in 0..<30_000 {
      let slot = try ahead.slots.slot(of: ahead.names.intern("f\(number)"))
      #expect(try plain.slots.slot(of: plain.names.intern("f\(number)")) == slot)
      guard number % 1000 == 0 else { continue }
      #expect(ahead.slots.body(slot) == nil)
      func cell(_ space: LinkSpace) -> [UInt8]? {
        space.arena.bytes(at: space.slots.stub(slot), count: Int(X86_64.cellSize))
      }
      #expect(cell(ahead) != nil && cell(ahead) == cell(plain))
    }
  }

  @Test("A stub calls the newest body", arguments: [Arena.BackingChoice.automatic, .anonymous])
  func publication(_ backing: Arena.BackingChoice) throws {
    let bench = try Bench(3, backing)
    let stubs = bench.slots.map { bench.space.slots.stub($0) }
    for generation in UInt32(1)...5 {
      let changes = try bench.slots.enumerated().map { index, slot in
        SlotTable.Change(slot, try bench.body(generation * 10 + UInt32(index)))
      }
      bench.space.slots.publish(changes)
      for (index, slot) in bench.slots.enumerated() {
        #expect(bench.call(slot) == UInt64(generation) * 10 + UInt64(index))
        #expect(bench.space.slots.body(slot)?.value == changes[index].body)
      }
    }
    #expect(bench.slots.map { bench.space.slots.stub($0) } == stubs)
  }

  @Test("The idle bank catches up: slots that changed once stay changed over three publications")
  func catchingUp() throws {
    let bench = try Bench(4)
    let bodies = try (0..<8).map { try bench.body(UInt32($0)) }
    let slots = bench.space.slots
    slots.publish(bench.slots.indices.map { SlotTable.Change(bench.slots[$0], bodies[$0]) })
    slots.publish([SlotTable.Change(bench.slots[1], bodies[5])])
    #expect(bench.slots.map { bench.call($0) } == [0, 5, 2, 3])
    slots.publish([SlotTable.Change(bench.slots[2], bodies[6])])
    #expect(bench.slots.map { bench.call($0) } == [0, 5, 6, 3])
    slots.publish([])
    #expect(bench.slots.map { bench.call($0) } == [0, 5, 6, 3])
    slots.publish([SlotTable.Change(bench.slots[2], 0)])
    #expect(slots.body(bench.slots[2]) == nil, "zero leads to the lazy resolver")
    slots.publish([SlotTable.Change(bench.slots[2], bodies[7])])
    slots.publish([])
    slots.publish([])
    #expect(bench.slots.map { bench.call($0) } == [0, 5, 7, 3])
  }

  @Test("A slot bound between publications stays bound in both banks")
  func binding() throws {
    let bench = try Bench(2)
    let (one, two) = (try bench.body(1), try bench.body(2))
    bench.space.slots.publish([SlotTable.Change(bench.slots[0], one)])
    bench.space.slots.bind(bench.slots[1], to: two)
    #expect(bench.call(bench.slots[1]) == 2)
    for _ in 0..<3 {
      bench.space.slots.publish([])
      #expect(bench.slots.map { bench.call($0) } == [1, 2])
    }
  }

  @Test("Another thread sees all slots of a publication or none")
  func allOrNothing() async throws {
    // Every function returns its generation. The reader walks the slots in two directions between two
    // looks at the first: if the first did not move, no other may have moved either.
    let bench = try Bench(64)
    let bodies = try (0..<200).map { try bench.body(UInt32($0)) }
    bench.space.slots.publish(bench.slots.map { SlotTable.Change($0, bodies[0]) })
    let count = Counters()
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        let order = bench.slots
        while !count.isDone.load(ordering: .acquiring) {
          let first = bench.call(order[0]) ?? 0
          var seen: [UInt64] = []
          for slot in order { seen.append(bench.call(slot) ?? 0) }
          let last = bench.call(order[0]) ?? 0
          // Generations only go up, so along the walk they never go down …
          if zip(seen, seen.dropFirst()).contains(where: { $0 > $1 }) {
            count.torn.add(1, ordering: .relaxed)
          }
          // … and in a walk without a publication all are the same.
          if first == last {
            count.calm.add(1, ordering: .relaxed)
            if seen.contains(where: { $0 != first }) { count.torn.add(1, ordering: .relaxed) }
          }
        }
      }
      group.addTask {
        for generation in 1..<200 {
          bench.space.slots.publish(bench.slots.map { SlotTable.Change($0, bodies[generation]) })
          usleep(100)
        }
        count.isDone.store(true, ordering: .releasing)
      }
    }
    #expect(count.torn.load(ordering: .relaxed) == 0)
    #expect(count.calm.load(ordering: .relaxed) > 0, "the reader never had a calm walk")
    #expect(bench.slots.allSatisfy { bench.call($0) == 199 })
  }

  private final class Counters: Sendable {
    let isDone = Atomic<Bool>(false)
    let torn = Atomic<Int>(0)
    let calm = Atomic<Int>(0)
  }

  @Test("More slots than one chunk of stubs holds")
  func chunks() throws {
    let bench = try Bench(20_000)
    #expect(bench.space.slots.count == 20_000)
    #expect(Set(bench.slots).count == 20_000)
    let body = try bench.body(77)
    bench.space.slots.publish(bench.slots.map { SlotTable.Change($0, body) })
    for index in stride(from: 0, to: 20_000, by: 611) {
      let slot = bench.slots[index]
      #expect(bench.call(slot) == 77)
      #expect(bench.space.slots.slot(at: bench.space.slots.stub(slot)) == slot)
      #expect(bench.space.names[bench.space.slots.symbol(of: slot)].string == "f\(index)")
    }
    // A new slot is unbound in both banks.
    let fresh = try bench.space.slots.slot(of: bench.space.names.intern("fresh"))
    #expect(bench.space.slots.body(fresh) == nil)
    bench.space.slots.publish([])
    #expect(bench.space.slots.body(fresh) == nil)
  }

  @Test("An address that is no stub has no slot")
  func noStub() throws {
    let bench = try Bench(1)
    let stub = bench.space.slots.stub(bench.slots[0])
    for offset in [1, 4, 18, 31, 32] as [UInt64] {
      #expect(bench.space.slots.slot(at: stub &+ offset) == nil)
    }
    #expect(bench.space.slots.slot(at: bench.space.arena.stubs.start) == nil)
    #expect(bench.space.slots.slot(at: Address(0)) == nil)
    #expect(bench.space.slots.existingSlot(of: bench.space.names.intern("none")) == nil)
  }

  @Test("When the stubs are used up it is said, and the ones there keep working")
  func exhaustion() throws {
    let bench = try Bench(1)
    let body = try bench.body(5)
    bench.space.slots.publish([SlotTable.Change(bench.slots[0], body)])
    let most = bench.space.arena.stubs.size / X86_64.cellSize
    var reached: LinkError.Reason?
    for index in 1...most {
      do throws(LinkError) {
        _ = try bench.space.slots.slot(of: SymbolID(UInt32(index + 10)))
      } catch {
        reached = error.reason
        break
      }
    }
    guard case .noSpace = reached else {
      Issue.record("\(String(describing: reached))")
      return
    }
    #expect(bench.call(bench.slots[0]) == 5)
  }
}
