// Where back ends end: memory that is kept, space that is full, systems that deny, forks, huge pages, and which
// back end an image gets.
import Foundation
import LoaderEngine
import Testing

@Suite("Limits of mappers", .serialized)
struct MapperLimitTests {
  static let mib: UInt64 = 1 << 20

  /// An image of a shape of its own: one page of code, and pages of data.
  static func shaped(_ pages: Int) -> SampleImage {
    var image = SampleImage("shaped-\(pages)", [UInt8](repeating: 0x5A, count: (pages + 1) * 4096))
    image.segments = [
      LoadSegment(offset: 0, size: 4096, fileOffset: 0, fileSize: 4096, access: [.read, .execute]),
      LoadSegment(
        offset: 4096, size: UInt64(pages) * 4096, fileOffset: 4096,
        fileSize: UInt64(pages) * 4096, access: [.read]),
    ]
    image.size = UInt64(pages + 1) * 4096
    return image
  }

  static func permissions(_ address: UInt64) throws -> String? {
    try Mapping.all().first { $0.range.contains(address) }?.permissions
  }

  @Test("Memory of unloaded images is kept up to a limit, the oldest goes, and is zero again")
  func kept() throws {
    var limits = ArenaMapper.Limits()
    limits.kept = 2 * MapperLimitTests.mib
    let mapper = ArenaMapper(
      limits: limits, hardened: false, fallback: FileMapper(), backing: .automatic)
    var first: AddressRange?
    for pages in 1...60 {
      let image = MapperLimitTests.shaped(pages)
      let mapping = try mapper.map(try ArenaMapperTests.request(image))
      if pages == 1 { first = mapping.range }
      #expect(mapper.usage.kept <= limits.kept)
      #expect(mapper.usage.used - mapper.usage.kept == image.size, "in use")
    }
    #expect(mapper.usage.kept > limits.kept / 2)
    // The first one's place is free: a new shape gets it, with nothing of its bytes.
    let place = try #require(first)
    #expect(try MapperLimitTests.permissions(place.start.value) != nil)
    var small = MapperLimitTests.shaped(1)
    small.segments[0].fileSize = 1
    small.segments[1].access = [.read, .write]
    small.segments[1].fileSize = 1
    let mapping = try mapper.map(try ArenaMapperTests.request(small))
    Inspection(image: small, mapping: mapping, isAliased: true, what: "after").expectContents()
  }

  @Test("What is full or too large goes to the next mapper")
  func full() throws {
    var limits = ArenaMapper.Limits()
    limits.window = MapperLimitTests.mib
    limits.image = MapperLimitTests.mib / 2
    let mapper = ArenaMapper(
      limits: limits, hardened: false, fallback: AnonymousMapper(), backing: .automatic)
    let image = MapperLimitTests.shaped(63)
    let request = try ArenaMapperTests.request(image)
    var mappings = try (0..<6).map { _ in try mapper.map(request) }
    #expect(mapper.usage == (MapperLimitTests.mib, 0), "four in the arena, two elsewhere")
    for mapping in mappings {
      Inspection(image: image, mapping: mapping, isAliased: true, what: "full").expectContents()
    }
    mappings = []
    #expect(mapper.usage == (MapperLimitTests.mib, MapperLimitTests.mib))
    // Another shape: what is only kept makes room.
    let other = try mapper.map(try ArenaMapperTests.request(MapperLimitTests.shaped(100)))
    #expect(mapper.usage.kept < MapperLimitTests.mib && mapper.usage.used > 101 * 4096)
    let large = try mapper.map(try ArenaMapperTests.request(MapperLimitTests.shaped(128)))
    #expect(mapper.usage.used - mapper.usage.kept == other.range.size, "too large for the arena")
    #expect(large.range.size == 129 * 4096)
  }

  @Test("Where the system denies a memfd, images are mapped all the same")
  func denied() async {
    await #expect(processExitsWith: .success) {
      let mapper = ArenaMapper()
      let image = try ArenaMapperTests.coded(7)
      let refused = SystemCallFilter.refuse([SystemCallFilter.memfdCreate], EPERM)
      try #require(refused.install())
      for _ in 0..<3 {
        let mapping = try mapper.map(try ArenaMapperTests.request(image))
        let inspection = Inspection(
          image: image, mapping: mapping, isAliased: false, what: "denied")
        inspection.expectContents()
        inspection.expectWriting()
        try mapping.seal()
        try inspection.expectPermissions(sealed: true)
        #expect(ArenaMapperTests.answer(mapping, image) == 7)
      }
      #expect(mapper.usage == (0, 0))
    }
  }

  @Test("The writable view of a hardened arena is closed unless an image is being mapped")
  func hardened() throws {
    let mapper = ArenaMapper(hardened: true)
    let image = try ArenaMapperTests.coded(1)
    for _ in 1...3 {
      let mapping = try mapper.map(try ArenaMapperTests.request(image))
      let alias = try #require(mapping.writableRanges.first)
      let place = UInt64(UInt(bitPattern: alias.place))
      try #require(place != mapping.range.start.value + alias.offset)
      #expect(try MapperLimitTests.permissions(place) == "rw-s")
      try mapping.seal()
      #expect(try MapperLimitTests.permissions(place) == "---s")
    }
  }

  @Test("The arena lies where 32-bit references reach the process's libraries")
  func reach() async {
    await #expect(processExitsWith: .success) {
      let image = try ArenaMapperTests.coded(1)
      let mapping = try ArenaMapper().map(try ArenaMapperTests.request(image))
      for library in try Mapping.all() where library.path.contains(".so") {
        let distance = Int64(bitPattern: library.range.upperBound &- mapping.range.start.value)
        #expect(Int32(exactly: distance) != nil, "\(library.path)")
      }
    }
  }

  @Test("After a fork parent and child do not write each other's images")
  func forks() async {
    await #expect(processExitsWith: .success) {
      let fork = try #require(dlsym(nil, "fork"))
      let mapper = ArenaMapper()
      let images = try (1...3).map { try ArenaMapperTests.coded($0) }
      var mapping: (any ImageMapping)? = try mapper.map(ArenaMapperTests.request(images[0]))
      let place = try #require(mapping?.range)
      try mapping?.seal()
      var (toChild, toParent) = ([Int32](repeating: 0, count: 2), [Int32](repeating: 0, count: 2))
      try #require(pipe(&toChild) == 0 && pipe(&toParent) == 0)
      var byte: UInt8 = 0
      let child = unsafeBitCast(fork, to: (@convention(c) () -> pid_t).self)()
      if child == 0 {
        read(toChild[0], &byte, 1)  // the parent has unloaded it and loaded another
        guard let old = mapping, ArenaMapperTests.answer(old, images[0]) == 1 else { _exit(1) }
        guard let request = try? ArenaMapperTests.request(images[2]),
          let own = try? mapper.map(request), ArenaMapperTests.answer(own, images[2]) == 3
        else { _exit(2) }
        mapping = nil
        guard own.range.start < place.start || own.range.start >= place.end,
          let third = try? mapper.map(request), ArenaMapperTests.answer(third, images[2]) == 3
        else { _exit(3) }
        write(toParent[1], &byte, 1)
        _exit(0)
      }
      mapping = nil
      let next = try mapper.map(ArenaMapperTests.request(images[1]))
      #expect(next.range != place, "a child may be inside it")
      write(toChild[1], &byte, 1)
      var status: Int32 = 0
      waitpid(child, &status, 0)
      #expect(status == 0)
      #expect(ArenaMapperTests.answer(next, images[1]) == 2)
    }
  }

  @Test("The default copies what is small or in memory, and maps what is big")
  func choice() throws {
    let image = try SampleImage.mathematics.get()
    let mapper = DefaultMapper(mostCopied: 500_000)
    func isFile(_ mapping: any ImageMapping) throws -> Bool {
      let found = try Mapping.all().first { $0.range.contains(mapping.range.start.value) }
      return found?.path.contains("sample.") ?? false
    }
    #expect(try isFile(mapper.map(image.request(Supply.file.source(image)))))
    #expect(try !isFile(mapper.map(image.request(Supply.memory.source(image)))))
    #expect(try !isFile(DefaultMapper().map(image.request(Supply.file.source(image)))))
    let small = try SampleImage.small.get()
    #expect(try !isFile(mapper.map(small.request(Supply.file.source(small)))))
    let fixed = Address(0x2100_0000_0000)
    #expect(try isFile(mapper.map(small.request(Supply.file.source(small), fixed: fixed))))
  }

  @Test(
    "Huge pages are what the kernel says they are",
    arguments: [HugePagePolicy.transparent, .explicit])
  func hugePages(_ policy: HugePagePolicy) throws {
    var image = SampleImage("huge", [UInt8](repeating: 0xC3, count: 5 << 20))
    image.segments = [
      LoadSegment(
        offset: 0x1000, size: 5 << 20 - 4096, fileOffset: 0x1000, fileSize: 5 << 20 - 4096,
        access: [.read, .execute]),
      LoadSegment(
        offset: 6 << 20 + 0x3000, size: 5 << 20, fileOffset: 0, fileSize: 5 << 20,
        access: [.read, .write]),
    ]
    image.size = 12 << 20
    let enabled = try String(
      contentsOfFile: "/sys/kernel/mm/transparent_hugepage/enabled", encoding: .utf8)
    let memory = try String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
    let line = memory.split(separator: "\n").first { $0.hasPrefix("HugePages_Free:") }
    let free = line.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) } ?? 0
    func check(_ mapper: AnonymousMapper) throws -> UInt64 {
      let mapping = try mapper.map(image.request(try Supply.memory.source(image)))
      let inspection = Inspection(image: image, mapping: mapping, isAliased: false, what: "huge")
      inspection.expectContents()
      inspection.expectWriting()
      try mapping.seal()
      try inspection.expectPermissions(sealed: true)
      if mapper.hugePages != .none {
        // The longest stretch begins on a huge page, so that two fit into each.
        #expect((mapping.range.start.value + image.segments[1].offset) % (2 << 20) == 0)
      }
      return mapping.hugePageBytes
    }
    let granted = try check(AnonymousMapper(hugePages: policy))
    #expect(granted % (2 << 20) == 0 && granted <= 8 << 20)
    // All of them where an administrator set them aside; else memory may be too scattered.
    if policy == .explicit, free >= 4 { #expect(granted == 8 << 20) }
    if !enabled.contains("[never]") { #expect(granted > 0) }
    #expect(try check(AnonymousMapper()) == 0 || enabled.contains("[always]"))
  }
}
