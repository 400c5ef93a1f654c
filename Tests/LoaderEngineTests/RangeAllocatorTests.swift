// Address space handed out and taken back, against a model that knows every byte.
import LoaderEngine
import TestFixtures
import Testing

@Suite("Ranges of address space")
struct RangeAllocatorTests {
  private static func region(_ size: UInt64) -> AddressRange {
    AddressRange(start: Address(0x1000), size: size)
  }

  @Test(
    "The first range that fits is given, aligned",
    arguments: [1, 2, 16, 64, 4096, 1 << 16] as [UInt64])
  func aligned(to alignment: UInt64) throws {
    var allocator = RangeAllocator(AddressRange(start: Address(0x1001), size: 1 << 20))
    let one = allocator.allocate(10, alignment: alignment)
    let two = allocator.allocate(10, alignment: alignment)
    let (first, second) = (try #require(one), try #require(two))
    #expect(first.start.value % alignment == 0 && second.start.value % alignment == 0)
    #expect(first.size == 10 && second.start >= first.end)
    #expect(allocator.used == 20)
  }

  @Test("A region is used to its last byte and no further")
  func exhaustion() throws {
    var allocator = RangeAllocator(RangeAllocatorTests.region(4096))
    #expect(allocator.allocate(4097, alignment: 1) == nil)
    let given = allocator.allocate(4096, alignment: 1)
    let all = try #require(given)
    #expect(allocator.allocate(1, alignment: 1) == nil)
    allocator.release(all)
    #expect(allocator.used == 0)
    #expect(allocator.allocate(4096, alignment: 4096) == all)
  }

  @Test("Sizes and alignments near the top of the number range are refused, not computed")
  func extremes() {
    var allocator = RangeAllocator(RangeAllocatorTests.region(1 << 20))
    for size: UInt64 in [.max, .max - 1, 1 << 63, .max - 0x1000] {
      #expect(allocator.allocate(size, alignment: 1) == nil)
      #expect(allocator.allocate(size, alignment: 1 << 32) == nil)
    }
    #expect(allocator.allocate(1, alignment: 1 << 63) == nil)
    #expect(allocator.used == 0)
  }

  @Test(
    "A range between two free ones makes them one",
    arguments: [[0, 1, 2], [0, 2, 1], [2, 0, 1], [1, 0, 2]])
  func merging(order: [Int]) throws {
    var allocator = RangeAllocator(RangeAllocatorTests.region(300))
    let ranges = (0..<3).compactMap { _ in allocator.allocate(100, alignment: 1) }
    try #require(ranges.count == 3)
    for index in order { allocator.release(ranges[index]) }
    #expect(allocator.allocate(300, alignment: 1)?.size == 300)
  }

  @Test("Nothing is given twice, and everything comes back: a random life")
  func randomLife() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Seeded(seed)
    var allocator = RangeAllocator(RangeAllocatorTests.region(1 << 16))
    var owner = [Int](repeating: -1, count: 1 << 16)
    var live: [(AddressRange, Int)] = []
    for step in 0..<4000 {
      if live.isEmpty || Bool.random(using: &random) {
        let size = UInt64.random(in: 0...700, using: &random)
        let alignment = UInt64(1) << UInt64.random(in: 0...8, using: &random)
        guard let range = allocator.allocate(size, alignment: alignment) else { continue }
        #expect(range.start.value % alignment == 0 && range.size == max(size, 1))
        for byte in (range.start.value - 0x1000)..<(range.end.value - 0x1000) {
          #expect(owner[Int(byte)] == -1, "seed \(seed), step \(step)")
          owner[Int(byte)] = step
        }
        live.append((range, step))
      } else {
        let (range, _) = live.remove(at: Int.random(in: live.indices, using: &random))
        for byte in (range.start.value - 0x1000)..<(range.end.value - 0x1000) {
          owner[Int(byte)] = -1
        }
        allocator.release(range)
      }
      #expect(allocator.used == live.reduce(0) { $0 + $1.0.size })
    }
    for (range, _) in live { allocator.release(range) }
    #expect(
      allocator.allocate(1 << 16, alignment: 1) != nil, "seed \(seed): the region is whole again")
  }
}
