// What every back end must do, held against real libraries: bytes, zeroes, protections, addresses.
import CallersMapper
import Foundation
import LoaderEngine
import Testing

/// A back end under test.
enum BackEnd: String, CaseIterable, Sendable {
  case file, anonymous, transparentHuge, explicitHuge, arena, hardenedArena, arenaDenied, standard

  func make() -> any Mapper {
    switch self {
    case .file: FileMapper()
    case .anonymous: AnonymousMapper()
    case .transparentHuge: AnonymousMapper(hugePages: .transparent)
    case .explicitHuge: AnonymousMapper(hugePages: .explicit)
    case .arena: ArenaMapper()
    case .hardenedArena: ArenaMapper(hardened: true)
    case .arenaDenied:
      ArenaMapper(
        limits: ArenaMapper.Limits(), hardened: false, fallback: AnonymousMapper(),
        backing: .anonymous)
    case .standard: DefaultMapper()
    }
  }

  /// Whether what becomes read-only is so from the start, and is written through another view.
  var isAliased: Bool { [.arena, .hardenedArena, .standard].contains(self) }
}

/// Holds a mapping against what its image must look like.
struct Inspection {
  var image: SampleImage
  var mapping: any ImageMapping
  var isAliased: Bool
  var what: String

  func byte(_ offset: UInt64) -> UnsafeRawPointer {
    mapping.range.start.pointer.unsafelyUnwrapped + Int(offset)
  }

  func expectContents() {
    for segment in image.segments {
      let wanted = image.contents(of: segment)
      let isEqual = memcmp(wanted, byte(segment.offset), wanted.count) == 0
      #expect(isEqual, "\(what): bytes of the segment at 0x\(String(segment.offset, radix: 16))")
    }
  }

  func expectPermissions(sealed: Bool, relocatesText: Bool = false) throws {
    let mappings = try Mapping.all()
    for page in stride(from: UInt64(0), to: image.size, by: 4096) {
      let address = mapping.range.start.value + page
      let found = mappings.first { $0.range.contains(address) }?.permissions
      var wanted = image.permissions(ofPage: page, sealed: sealed, aliased: isAliased)
      if relocatesText, !sealed, !isAliased, wanted != "---p" { wanted = "rw-p" }
      guard found != wanted else { continue }
      Issue.record(
        "\(what): page 0x\(String(page, radix: 16)) is \(found ?? "unmapped"), not \(wanted)")
      return
    }
    try expectNoWritableText(mappings)
  }

  private func expectNoWritableText(_ mappings: [Mapping]) throws {
    for mapping in mappings where mapping.isWritable && mapping.isExecutable {
      Issue.record("\(what): \(mapping)")
    }
  }

  func expectPlace() {
    #expect(mapping.range.size == image.size, "\(what)")
    #expect(mapping.range.start.value % image.alignment == 0, "\(what)")
  }

  /// Leaves something in all data that the program may write to, for the next image to trip over.
  func soil() {
    for page in stride(from: UInt64(0), to: image.size, by: 4096)
    where image.permissions(ofPage: page, sealed: true, aliased: true) == "rw-p" {
      memset(UnsafeMutableRawPointer(mutating: byte(page)), 0xD1, 4096)
    }
  }

  /// Writable ranges are the writable segments, and what is written shows where it runs.
  func expectWriting(relocatesText: Bool = false) {
    let wanted = image.segments.filter { $0.access.contains(.write) || relocatesText }
    var expected = wanted.flatMap { [$0.offset, $0.offset + $0.size] }
    var end: UInt64 = 0
    for range in mapping.writableRanges {
      #expect(range.offset >= end, "\(what): ascending")
      end = range.offset + range.size
      if expected.first == range.offset { expected.removeFirst() }
      if expected.first == end { expected.removeFirst() }
      for offset in [0, range.size / 2, range.size - 1] {
        let place = range.place + Int(offset)
        let old = place.load(as: UInt8.self)
        place.storeBytes(of: ~old, as: UInt8.self)
        #expect(byte(range.offset + offset).load(as: UInt8.self) == ~old, "\(what)")
        place.storeBytes(of: old, as: UInt8.self)
      }
    }
    #expect(expected.isEmpty, "\(what): all of the writable segments, and nothing else")
    let sum = mapping.writableRanges.reduce(0) { $0 + $1.size }
    #expect(sum == wanted.reduce(0) { $0 + $1.size }, "\(what)")
  }
}

@Suite("Mappers", .serialized)
struct MapperTests {
  @Test(
    "An image is its bytes, its zeroes and its protections", arguments: BackEnd.allCases,
    Supply.allCases)
  func faithful(_ backEnd: BackEnd, _ supply: Supply) throws {
    let mapper = backEnd.make()
    for image in try SampleImage.all() {
      // The second time round a warm mapper uses memory again.
      for round in 1...2 {
        let mapping = try mapper.map(image.request(try supply.source(image)))
        let inspection = Inspection(
          image: image, mapping: mapping, isAliased: backEnd.isAliased,
          what: "\(image), \(supply), round \(round)")
        inspection.expectPlace()
        inspection.expectContents()
        try inspection.expectPermissions(sealed: false)
        inspection.expectWriting()
        inspection.expectContents()
        try mapping.seal()
        try inspection.expectPermissions(sealed: true)
        inspection.expectContents()
        inspection.soil()
      }
    }
  }

  @Test("Text that is relocated is written first and run afterwards", arguments: BackEnd.allCases)
  func relocatedText(_ backEnd: BackEnd) throws {
    let mapper = backEnd.make()
    for image in try SampleImage.all() {
      for round in 1...2 {
        let request = image.request(try Supply.file.source(image), relocatesText: true)
        let mapping = try mapper.map(request)
        let inspection = Inspection(
          image: image, mapping: mapping, isAliased: backEnd.isAliased,
          what: "\(image), round \(round)")
        inspection.expectContents()
        try inspection.expectPermissions(sealed: false, relocatesText: true)
        inspection.expectWriting(relocatesText: true)
        // Left as a relocation would: the next image must not see it.
        for range in mapping.writableRanges { range.place.storeBytes(of: 0xAB, as: UInt8.self) }
        try mapping.seal()
        try inspection.expectPermissions(sealed: true)
        for range in mapping.writableRanges {
          #expect(inspection.byte(range.offset).load(as: UInt8.self) == 0xAB)
        }
      }
    }
  }

  @Test("An image lies where it must, or is refused", arguments: BackEnd.allCases, Supply.allCases)
  func fixedAddress(_ backEnd: BackEnd, _ supply: Supply) throws {
    let mapper = backEnd.make()
    let image = try SampleImage.small.get()
    let source = try supply.source(image)
    // Where nothing of the process lies; below the usual places of libraries and heaps.
    let place = Address(0x2000_0000_0000 + UInt64(getpid()) << 24)
    let request = image.request(source, fixed: place)
    do {
      let mapping = try mapper.map(request)
      #expect(mapping.range.start == place)
      let inspection = Inspection(image: image, mapping: mapping, isAliased: false, what: "fixed")
      inspection.expectContents()
      try mapping.seal()
      try inspection.expectPermissions(sealed: true)
      do throws(LinkError) {
        _ = try mapper.map(request)
        Issue.record("mapped over another image")
      } catch {
        guard case .system(let system) = error.reason else { throw error }
        #expect(system.code == EEXIST && error.file == source.name)
      }
      inspection.expectContents()
    }
    #expect(try mapper.map(request).range.start == place, "given back")
  }

  @Test("A request that lies about itself is refused by name", arguments: BackEnd.allCases)
  func refusals(_ backEnd: BackEnd) throws {
    let mapper = backEnd.make()
    let image = try SampleImage.small.get()
    let good = image.request(try Supply.memory.source(image))
    let changes: [(String, (inout MappingRequest) -> Void)] = [
      ("size zero", { $0.size = 0 }), ("half a page", { $0.size += 100 }),
      ("huge", { $0.size = .max & ~4095 }), ("too short", { $0.size = 4096 }),
      ("alignment", { $0.alignment = 4097 }), ("alignment zero", { $0.alignment = 0 }),
      ("beyond the file", { $0.segments[0].fileOffset = 1 << 40 }),
      ("wraps", { $0.segments[1].offset = .max - 10 }),
      ("wraps in memory", { $0.segments[1].size = .max }),
      ("wraps in the file", { $0.segments[1].fileOffset = .max - 4095 }),
      ("more in the file", { $0.segments[1].fileSize = $0.segments[1].size + 1 }),
      ("out of order", { $0.segments.reverse() }),
      ("overlap", { $0.segments[1].offset = $0.segments[0].offset }),
      ("odd read-only part", { $0.readOnlyAfterRelocation = 100..<200 }),
      ("writable text", { $0.segments[1].access = [.read, .write, .execute] }),
      ("address", { $0.fixedAddress = Address(4097) }),
      ("far address", { $0.fixedAddress = Address(.max & ~4095) }),
    ]
    for (name, change) in changes {
      var request = good
      change(&request)
      do throws(LinkError) {
        _ = try mapper.map(request)
        Issue.record("\(name): mapped")
      } catch {
        switch error.reason {
        case .malformed, .unsupported: #expect(error.file == image.name)
        default: Issue.record("\(name): \(error)")
        }
      }
    }
    _ = try mapper.map(good)
  }

  @Test("A page that two segments share has the rights of both", arguments: BackEnd.allCases)
  func sharedPages(_ backEnd: BackEnd) throws {
    let mapper = backEnd.make()
    var image = SampleImage("shared", (0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 7) })
    image.size = 4 * 4096
    image.segments = [
      LoadSegment(offset: 0, size: 100, fileOffset: 0, fileSize: 100, access: .read),
      LoadSegment(
        offset: 200, size: 5000, fileOffset: 4296, fileSize: 5000, access: [.read, .execute]),
      LoadSegment(offset: 8200, size: 300, fileOffset: 8200, fileSize: 300, access: .read),
      LoadSegment(
        offset: 9000, size: 5000, fileOffset: 9000, fileSize: 100, access: [.read, .write]),
    ]
    for _ in 1...3 {
      let mapping = try mapper.map(image.request(try Supply.file.source(image)))
      let inspection = Inspection(image: image, mapping: mapping, isAliased: false, what: "shared")
      inspection.expectContents()
      try mapping.seal()
      let found = try (0..<4).map { page in
        let address = mapping.range.start.value + UInt64(page) * 4096
        return try Mapping.all().first { $0.range.contains(address) }?.permissions
      }
      #expect(found == ["r-xp", "r-xp", "rw-p", "rw-p"])
      inspection.expectWriting()
    }
    image.segments[2].access = [.read, .execute]
    #expect(throws: LinkError.self) {
      _ = try mapper.map(image.request(try Supply.memory.source(image)))
    }
  }

  // In a process of its own: other tests map and unmap, too.
  @Test("Nothing is left when images and mapper are gone, also after failures")
  func allGone() async {
    await #expect(processExitsWith: .success) {
      for backEnd in BackEnd.allCases {
        func mapAll(failing: Bool) throws {
          let mapper = backEnd.make()
          var kept: [any ImageMapping] = []
          for image in try SampleImage.all() {
            let reader = ArrayReader(
              image.bytes, lends: false,
              failsFrom: failing ? image.segments[2].fileOffset + 1 : .max)
            do throws(LinkError) {
              kept.append(try mapper.map(image.request(ImageSource(reader, name: image.name))))
              #expect(!failing)
            } catch {
              #expect(failing && error.file == image.name, "\(error)")
            }
          }
        }
        _ = try SampleImage.all()
        try mapAll(failing: false)
        for failing in [false, true] {
          let before = try Mapping.all().filter { !$0.path.contains("[heap]") }.map(\.range)
          try mapAll(failing: failing)
          let after = try Mapping.all().filter { !$0.path.contains("[heap]") }.map(\.range)
          let more = after.reduce(0) { $0 + $1.count } - before.reduce(0) { $0 + $1.count }
          #expect(more < 1 << 20, "\(backEnd) leaves \(more) bytes of address space")
        }
      }
    }
  }

  @Test("A mapper of a caller's own needs nothing but the public protocol")
  func callersMapper() throws {
    let mapper = SharedMemoryMapper()
    let image = try SampleImage.small.get()
    let other = try SampleImage.library.get()
    let mapping = try (mapper as any Mapper).map(image.request(try Supply.file.source(image)))
    do {
      let second = try mapper.map(other.request(try Supply.reader.source(other)))
      #expect(mapper.counts == .init(now: 2, ever: 2) && second.hugePageBytes == 0)
    }
    let inspection = Inspection(image: image, mapping: mapping, isAliased: false, what: "own")
    inspection.expectContents()
    inspection.expectWriting()
    try mapping.seal()
    let text = try #require(image.segments.first { $0.access.contains(.execute) })
    let found = try Mapping.all().first {
      $0.range.contains(mapping.range.start.value + text.offset)
    }
    #expect(found?.permissions == "r-xs")
    #expect(mapper.counts == .init(now: 1, ever: 2))
  }
}
