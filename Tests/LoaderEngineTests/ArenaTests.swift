// The memory of linked code: near the libraries, never writable and executable, and used again.
import Foundation
import LoaderEngine
import Testing

/// The mappings of this process (Linux: /proc/self/maps).
struct Mapping {
  var range: Range<UInt64>
  var permissions: String
  var path: String

  static func all() throws -> [Mapping] {
    // Foundation stops at the first short read, which for this file is the first page.
    let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/maps"))
    var data = Data()
    while let part = try file.read(upToCount: 1 << 20), !part.isEmpty { data += part }
    let text = String(decoding: data, as: UTF8.self)
    return text.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      let bounds = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard bounds.count == 2 else { return nil }
      return Mapping(
        range: bounds[0]..<bounds[1], permissions: String(fields[1]),
        path: fields.count > 5 ? fields[5].trimmingCharacters(in: .whitespaces) : "")
    }
  }

  var isWritable: Bool { permissions.contains("w") }
  var isExecutable: Bool { permissions.contains("x") }
  func overlaps(_ other: AddressRange) -> Bool {
    range.overlaps(other.start.value..<other.end.value)
  }
}

@Suite("The arena", .serialized)
struct ArenaTests {
  static let backings: [Arena.BackingChoice] = [.automatic, .anonymous]

  @Test("The memfd is what a machine like this one gets")
  func automaticIsMemfd() throws {
    #expect(try Arena().backing is MemfdBacking)
    #expect(try Arena(.anonymous).backing is AnonymousBacking)
  }

  // In a process of its own: the arenas of tests beside it fill the space near the libraries.
  @Test("Every library of the process is in reach of a 32-bit displacement")
  func reach() async {
    await #expect(processExitsWith: .success) {
      for backing in ArenaTests.backings { try ArenaTests.expectReach(backing) }
    }
  }

  private static func expectReach(_ backing: Arena.BackingChoice) throws {
    let arena = try Arena(backing)
    let libraries = try Mapping.all().filter { $0.path.hasPrefix("/") && $0.path.contains(".so") }
    #expect(libraries.count >= 8)
    let window = arena.window.range
    for library in libraries {
      for address in [library.range.lowerBound, library.range.upperBound - 1] {
        #expect(arena.window.reaches(Address(address)), "\(library.path)")
        for place in [window.start.value, window.end.value - 1] {
          #expect(Int32(exactly: Int64(bitPattern: address &- place)) != nil, "\(library.path)")
        }
      }
    }
  }

  @Test("Reach ends where a signed 32-bit displacement ends")
  func reachEnds() throws {
    let window = try Arena().window
    let (low, high) = (window.range.start.value, window.range.end.value)
    #expect(window.reaches(Address(low + (1 << 31) - 1)) && !window.reaches(Address(low + 1 << 31)))
    #expect(
      window.reaches(Address(high - 1 << 31)) && !window.reaches(Address(high - (1 << 31) - 1)))
    #expect(!window.reaches(Address(0)))
  }

  @Test(
    "No page is writable and executable, before, while and after text is written",
    arguments: backings)
  func neverBoth(_ backing: Arena.BackingChoice) throws {
    let before = try Mapping.all().filter { $0.isWritable && $0.isExecutable }.map(\.range)
    let arena = try Arena(backing)
    func check(_ when: String) throws {
      for mapping in try Mapping.all() where mapping.isWritable && mapping.isExecutable {
        #expect(before.contains(mapping.range), "\(when): \(mapping)")
      }
    }
    try check("fresh")
    let text = try arena.allocate(.text, 5000, alignment: 16)
    memset(arena.place(text.range.start, .text), 0xC3, 5000)
    try check("written")
    try arena.seal(text)
    try check("sealed")
    // Where it runs it cannot be written, and it can be run.
    let run = try #require(
      try Mapping.all().first { $0.range.contains(text.range.start.value) })
    #expect(run.isExecutable && !run.isWritable)
    arena.release(text)
    let again = try arena.allocate(.text, 5000, alignment: 16)
    #expect(again.range == text.range, "text space is used again")
    memset(arena.place(again.range.start, .text), 0xC3, 5000)
    try check("reopened")
    try arena.seal(again)
    try check("sealed again")
  }

  @Test("Text, constants and data have the rights they need and no others", arguments: backings)
  func rights(_ backing: Arena.BackingChoice) throws {
    let arena = try Arena(backing)
    let text = try arena.allocate(.text, 64, alignment: 16)
    let constants = try arena.allocate(.constants, 64, alignment: 16)
    let data = try arena.allocate(.data, 64, alignment: 16)
    arena.place(text.range.start, .text).storeBytes(of: 0xC3, as: UInt8.self)
    arena.place(constants.range.start, .constants).storeBytes(of: 7, as: UInt8.self)
    arena.place(data.range.start, .data).storeBytes(of: 8, as: UInt8.self)
    try arena.seal(text)
    func mapping(_ allocation: Allocation) throws -> Mapping {
      try #require(try Mapping.all().first { $0.range.contains(allocation.range.start.value) })
    }
    #expect(try mapping(text).permissions.hasPrefix("r-x"))
    #expect(try mapping(data).permissions.hasPrefix("rw-"))
    #expect(try !mapping(constants).isExecutable)
    if backing == .automatic { #expect(try mapping(constants).permissions.hasPrefix("r--")) }
    #expect(constants.range.start.pointer?.load(as: UInt8.self) == 7)
    #expect(data.range.start.pointer?.load(as: UInt8.self) == 8)
    let function = try #require(text.range.start.pointer)
    unsafeBitCast(function, to: (@convention(c) () -> Void).self)()
  }

  @Test("The run view is private, so that a debugger can write breakpoints into it")
  func privateRunView() throws {
    let arena = try Arena()
    let text = try arena.allocate(.text, 64, alignment: 16)
    let views = try Mapping.all().filter { $0.overlaps(text.range) }
    #expect(views.allSatisfy { $0.permissions == "r-xp" })
  }

  @Test("What was handed out lies inside the window and nowhere twice", arguments: backings)
  func disjoint(_ backing: Arena.BackingChoice) throws {
    let arena = try Arena(backing)
    var ranges: [AddressRange] = [arena.stubs, arena.slotBanks, arena.got]
    for round in UInt64(1)...200 {
      for kind in Arena.Kind.allCases {
        ranges.append(try arena.allocate(kind, round * 37, alignment: 1 << (round % 9)).range)
      }
    }
    let sorted = ranges.sorted { $0.start < $1.start }
    for (left, right) in zip(sorted, sorted.dropFirst()) { #expect(left.end <= right.start) }
    let window = arena.window.range
    #expect(sorted.allSatisfy { $0.start >= window.start && $0.end <= window.end })
    #expect(arena.place(of: Address(window.end.value)) == nil)
    #expect(arena.place(of: Address(window.start.value - 1)) == nil)
  }

  @Test("Allocating and giving back does not use the space up", arguments: backings)
  func recycling(_ backing: Arena.BackingChoice) throws {
    let arena = try Arena(backing)
    let size = arena.stubs.size * 4
    for kind in Arena.Kind.allCases where kind != .data {
      let before = arena.used(kind)
      for _ in 0..<8 {
        let memory = try arena.allocate(kind, size / 2, alignment: 64)
        arena.release(memory)
      }
      #expect(arena.used(kind) == before)
    }
  }

  @Test("Too much is refused by name", arguments: Arena.Kind.allCases)
  func exhaustion(_ kind: Arena.Kind) throws {
    let arena = try Arena()
    for size in [1 << 30, 1 << 46, UInt64.max - 4096] as [UInt64] {
      do throws(LinkError) {
        _ = try arena.allocate(kind, size, alignment: 16)
        Issue.record("\(size) bytes were given")
      } catch {
        guard case .noSpace = error.reason else {
          Issue.record("\(error)")
          continue
        }
      }
    }
    #expect(try arena.allocate(kind, 64, alignment: 16).range.size >= 64)
  }

  @Test("A dropped arena leaves no mapping behind", arguments: backings)
  func dropping(_ backing: Arena.BackingChoice) throws {
    var range: AddressRange?
    do {
      let arena = try Arena(backing)
      _ = try arena.allocate(.text, 100_000, alignment: 16)
      range = arena.window.range
    }
    let window = try #require(range)
    #expect(try !Mapping.all().contains { $0.overlaps(window) && $0.path.contains("hotlink") })
    #expect(try !Mapping.all().contains { $0.overlaps(window) && $0.isExecutable })
  }

  @Test(
    "A page that a debugger made private shows what is written there next",
    arguments: [false, true])
  func breakpoints(isRemoved: Bool) throws {
    let arena = try Arena()
    let text = try arena.allocate(.text, 4096, alignment: 4096)
    memset(arena.place(text.range.start, .text), 0x90, 4096)
    try arena.seal(text)
    // As ptrace does it: writes to the private view.
    let file = try #require(FileHandle(forUpdatingAtPath: "/proc/self/mem"))
    for byte in isRemoved ? [0xCC, 0x90] : [0xCC] as [UInt8] {
      try file.seek(toOffset: text.range.start.value + 8)
      try file.write(contentsOf: Data([byte]))
      #expect(text.range.start.pointer?.load(fromByteOffset: 8, as: UInt8.self) == byte)
    }
    try file.close()
    arena.release(text)
    let again = try arena.allocate(.text, 4096, alignment: 4096)
    #expect(again.range == text.range)
    memset(arena.place(again.range.start, .text), 0xC3, 4096)
    try arena.seal(again)
    let pointer = try #require(again.range.start.pointer)
    #expect(memcmp(pointer, arena.place(again.range.start, .text), 4096) == 0)
  }

  @Test("New code on a page with a breakpoint is what runs")
  func breakpointBesideNewCode() throws {
    let arena = try Arena()
    let old = try arena.allocate(.text, 64, alignment: 64)
    memset(arena.place(old.range.start, .text), 0x90, 64)
    try arena.seal(old)
    let file = try #require(FileHandle(forUpdatingAtPath: "/proc/self/mem"))
    try file.seek(toOffset: old.range.start.value + 8)
    try file.write(contentsOf: Data([0xCC]))
    try file.close()
    let new = try arena.allocate(.text, 64, alignment: 64)
    try #require(new.range.start == old.range.end)
    memset(arena.place(new.range.start, .text), 0xC3, 64)
    try arena.seal(new)
    let pointer = try #require(new.range.start.pointer)
    #expect(memcmp(pointer, arena.place(new.range.start, .text), 64) == 0)
  }
}
