// What every back end must do, held against real libraries: bytes, zeroes, protections, addresses.
import CallersMapper
import Foundation
import LoaderEngine
import Testing

/// A back end under test.
enum BackEnd: String, CaseIterable, Sendable {
  case file, anonymous, transparentHuge, explicitHuge

  func make() -> any Mapper {
    switch self {
    case .file: FileMapper()
    case .anonymous: AnonymousMapper()
    case .transparentHuge: AnonymousMapper(hugePages: .transparent)
    case .explicitHuge: AnonymousMapper(hugePages: .explicit)
    }
  }

  /// Whether what becomes read-only is so from the start, and is written through another view.
  var isAliased: Bool { false }
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
      // The second time round a warm mapper may use memory again.
      for round in 1...3 {
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
      }
    }
  }
}
