// The warm path of the image arena: no system call, no page fault, nothing left over from the image before,
// and no growth.
import Foundation
import LoaderEngine
import Testing

@Suite("The image arena", .serialized)
struct ArenaMapperTests {
  /// An image whose first byte of text is a function that returns a number.
  static func coded(_ number: Int, _ more: String = "") throws -> SampleImage {
    try SampleImage.fixture(
      "coded-\(number)-\(more.hashValue)",
      """
      int answer(void) { return \(number); }
      const int constant = \(number);
      int variable = \(number);
      int zero[300];
      int *const pointers[200] = { &variable };
      \(more)
      """
    ).get()
  }

  static func request(_ image: SampleImage) throws -> MappingRequest {
    image.request(try Supply.memory.source(image))
  }

  static func answer(_ mapping: any ImageMapping, _ image: SampleImage) -> Int32 {
    let text = image.segments.first { $0.access.contains(.execute) }?.offset ?? 0
    let address = mapping.range.start.pointer.unsafelyUnwrapped + Int(text)
    return unsafeBitCast(address, to: (@convention(c) () -> Int32).self)()
  }

  /// Maps and drops; the range it had.
  @discardableResult
  static func round(_ mapper: ArenaMapper, _ request: MappingRequest) throws -> AddressRange {
    let mapping = try mapper.map(request)
    try mapping.seal()
    return mapping.range
  }

  @Test("Mapping the same image again makes no system call")
  func noSystemCall() async {
    await #expect(processExitsWith: .success) {
      let mapper = ArenaMapper()
      let requests = try SampleImage.all().prefix(3).map(ArenaMapperTests.request)
      for request in requests + requests { try ArenaMapperTests.round(mapper, request) }
      guard SystemCallFilter.only([]).install() else { exit(1) }
      for _ in 0..<1000 {
        for request in requests { try ArenaMapperTests.round(mapper, request) }
      }
      _exit(0)
    }
  }

  @Test("Mapping another image of a known shape makes none but one membarrier")
  func onlyMembarrier() async {
    await #expect(processExitsWith: .success) {
      let mapper = ArenaMapper()
      let images = try [ArenaMapperTests.coded(1), ArenaMapperTests.coded(2)]
      let requests = try images.map(ArenaMapperTests.request)
      let first = try ArenaMapperTests.round(mapper, requests[0])
      try ArenaMapperTests.round(mapper, requests[1])
      guard SystemCallFilter.only([SystemCallFilter.membarrier]).install() else { exit(1) }
      for index in 0..<2000 {
        let mapping = try mapper.map(requests[index % 2])
        try mapping.seal()
        guard mapping.range == first,
          ArenaMapperTests.answer(mapping, images[index % 2]) == Int32(index % 2 + 1)
        else { _exit(2) }
      }
      _exit(0)
    }
  }

  @Test("A new shape does make system calls: the filter would tell")
  func filterWorks() async {
    await #expect(processExitsWith: .signal(SIGSYS)) {
      let mapper = ArenaMapper()
      try ArenaMapperTests.round(mapper, ArenaMapperTests.request(ArenaMapperTests.coded(1)))
      let other = try ArenaMapperTests.request(SampleImage.library.get())
      guard SystemCallFilter.only([]).install() else { exit(1) }
      try ArenaMapperTests.round(mapper, other)
      _exit(0)
    }
  }

  @Test("Mapping in a warm slot takes no page fault, nor does the linker's writing")
  func noPageFault() async {
    await #expect(processExitsWith: .success) {
      func faults() -> Int {
        var usage = rusage()
        getrusage(1, &usage)  // RUSAGE_THREAD
        return usage.ru_minflt + usage.ru_majflt
      }
      let mapper = ArenaMapper()
      let requests = try SampleImage.all().prefix(2).map(ArenaMapperTests.request)
      func use(_ mapping: any ImageMapping, _ request: MappingRequest) {
        for range in mapping.writableRanges { memset(range.place, 3, Int(range.size)) }
        for segment in request.segments {
          let start = mapping.range.start.pointer.unsafelyUnwrapped + Int(segment.offset)
          for offset in stride(from: 0, to: Int(segment.size), by: 4096) {
            blackHole &+= start.load(fromByteOffset: offset, as: UInt8.self)
          }
        }
      }
      func touch() throws {
        for request in requests { use(try mapper.map(request), request) }
      }
      for _ in 0..<5 { try touch() }
      let before = faults()
      for _ in 0..<1000 { try touch() }
      #expect(faults() - before < 20)
      // Also a slot that is used for the first time was brought in ahead.
      var kept: [any ImageMapping] = []
      for _ in 0..<200 { kept.append(try mapper.map(requests[0])) }
      let between = faults()
      for mapping in kept { use(mapping, requests[0]) }
      #expect(faults() - between < 20)
    }
  }

  @Test("Ten thousand rounds leave memory and mappings as they were", arguments: [false, true])
  func endurance(isHardened: Bool) async {
    await #expect(processExitsWith: .success) { [isHardened] in
      func resident() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return Int(text.split(separator: " ")[1]).map { $0 * 4096 } ?? 0
      }
      let mapper = ArenaMapper(hardened: isHardened)
      let requests = try SampleImage.all().map(ArenaMapperTests.request)
      func rounds(_ count: Int) throws {
        for index in 0..<count {
          let large = index % 50 == 0
          let mapping = try mapper.map(requests[large ? 3 + index / 50 % 3 : index % 3])
          for range in mapping.writableRanges { memset(range.place, 3, Int(range.size)) }
          try mapping.seal()
        }
      }
      try rounds(300)
      let (mappings, bytes) = try (Mapping.all().count, resident())
      try rounds(10_000)
      let more = try (Mapping.all().count - mappings, resident() - bytes)
      #expect(more.0 <= 2, "mappings")
      #expect(more.1 < 4 << 20, "bytes")
    }
  }

  @Test("An image takes the place of another of its shape, and shows nothing of it")
  func reuse() throws {
    let mapper = ArenaMapper()
    // One shape: the same pages, but other contents, sizes and places in the pages.
    let images = try [
      ArenaMapperTests.coded(1), ArenaMapperTests.coded(2, "int more(void) { return zero[3]; }"),
      ArenaMapperTests.coded(3, "const char text[900] = {1}; int last[20] = {5};"),
      ArenaMapperTests.coded(4),
    ]
    var place: AddressRange?
    for index in [0, 1, 2, 3, 2, 1, 0, 0, 3] {
      let image = images[index]
      let mapping = try mapper.map(try ArenaMapperTests.request(image))
      #expect(place == nil || mapping.range == place, "the slot is used again")
      place = mapping.range
      let inspection = Inspection(
        image: image, mapping: mapping, isAliased: true, what: "\(image)")
      inspection.expectContents()
      inspection.expectNothingBetween()
      inspection.expectWriting()
      #expect(ArenaMapperTests.answer(mapping, image) == Int32(index + 1))
      for range in mapping.writableRanges { memset(range.place, 0xD2, Int(range.size)) }
      try mapping.seal()
      try inspection.expectPermissions(sealed: true)
      inspection.soil()
    }
  }

  @Test("Images come back each to where its code is still shown, in whatever order they went")
  func sameSlots() throws {
    let mapper = ArenaMapper()
    let images = try (1...3).map { try ArenaMapperTests.coded($0) }
    var places: [AddressRange] = []
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
      var mappings: [(any ImageMapping)?] = []
      for image in images { mappings.append(try mapper.map(try ArenaMapperTests.request(image))) }
      let ranges = mappings.compactMap { $0?.range }
      #expect(places.isEmpty || ranges == places)
      places = ranges
      for (index, image) in images.enumerated() {
        #expect(try ArenaMapperTests.answer(#require(mappings[index]), image) == Int32(index + 1))
      }
      for index in order { mappings[index] = nil }
    }
  }

  @Test("A page that a debugger wrote to shows the next image", arguments: [false, true])
  func breakpoints(isRemoved: Bool) throws {
    let mapper = ArenaMapper()
    let images = try [ArenaMapperTests.coded(1), ArenaMapperTests.coded(2)]
    // Also the same image again, whose text is not written twice.
    for next in [images[1], images[0], images[0]] {
      var place: AddressRange?
      do {
        let mapping = try mapper.map(try ArenaMapperTests.request(images[0]))
        try mapping.seal()
        place = mapping.range
        let file = try #require(FileHandle(forUpdatingAtPath: "/proc/self/mem"))
        for segment in images[0].segments {
          let address = mapping.range.start.value + segment.offset
          let old = try #require(Address(address).pointer).load(as: UInt8.self)
          for byte in isRemoved ? [0xCC, old] : [0xCC] {
            try file.seek(toOffset: address)
            try file.write(contentsOf: Data([byte]))
          }
        }
        try file.close()
      }
      let mapping = try mapper.map(try ArenaMapperTests.request(next))
      #expect(mapping.range == place)
      let inspection = Inspection(image: next, mapping: mapping, isAliased: true, what: "\(next)")
      inspection.expectContents()
      inspection.expectWriting()
      try mapping.seal()
      #expect(ArenaMapperTests.answer(mapping, next) == (next.name == images[1].name ? 2 : 1))
    }
  }

  @Test("Two images at a time lie in two places")
  func disjoint() throws {
    let mapper = ArenaMapper()
    let image = try ArenaMapperTests.coded(1)
    let mappings = try (0..<50).map { _ in try mapper.map(try ArenaMapperTests.request(image)) }
    let starts = mappings.map(\.range.start).sorted()
    for (left, right) in zip(starts, starts.dropFirst()) { #expect(right &- left >= image.size) }
    mappings[7].writableRanges[0].place.storeBytes(of: 0x55, as: UInt8.self)
    Inspection(image: image, mapping: mappings[8], isAliased: true, what: "").expectContents()
  }

  @Test("Threads map, compare and drop images beside each other")
  func threads() async throws {
    let mapper = ArenaMapper()
    let images = try [ArenaMapperTests.coded(1), ArenaMapperTests.coded(2)]
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<4 {
        group.addTask {
          do {
            for round in 0..<500 {
              let image = images[(task + round) % 2]
              let mapping = try mapper.map(try ArenaMapperTests.request(image))
              Inspection(image: image, mapping: mapping, isAliased: true, what: "\(task)")
                .expectContents()
              try mapping.seal()
              #expect(
                ArenaMapperTests.answer(mapping, image) == Int32((task + round) % 2 + 1))
            }
          } catch {
            Issue.record(error)
          }
        }
      }
    }
  }
}

nonisolated(unsafe) private var blackHole: UInt8 = 0

extension Inspection {
  /// What lies between segments on pages of the image is zero.
  func expectNothingBetween() {
    var end: UInt64 = 0
    let last = LoadSegment(offset: image.size, size: 0, fileOffset: 0, fileSize: 0, access: [])
    for segment in image.segments + [last] {
      let isClean = (end..<segment.offset).allSatisfy { offset in
        image.permissions(ofPage: offset & ~4095, sealed: true, aliased: true) == "---p"
          || byte(offset).load(as: UInt8.self) == 0
      }
      #expect(isClean, "\(what): before 0x\(String(segment.offset, radix: 16))")
      end = segment.offset + segment.size
    }
  }
}
