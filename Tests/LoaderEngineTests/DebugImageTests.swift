// The image that debuggers read: its debug sections are, byte for byte, those that ld.lld makes of the
// same objects at the same addresses; compressed ones are the same as others; nothing in them can trap.
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("Images for debuggers")
struct DebugImageTests {
  /// One object to be linked, as bytes.
  private struct Given {
    var name: String
    var bytes: [UInt8]
  }

  private static func image(_ given: [Given], in space: LinkSpace) throws -> (
    set: LinkedSet, image: DebugImage
  ) {
    let inputs = try given.enumerated().map { index, object in
      LinkInput(
        object: try ObjectFile(Bytes(FileContents(object.bytes)), name: object.name),
        unit: UInt32(index))
    }
    var options = LinkOptions()
    options.isPermanent = true
    let set = try ObjectLinker.link(inputs, against: .empty, in: space, options: options)
    let units = set.objects.map { DebugUnit($0, set.table) }
    return (set, DebugImage(units, unwindTable: space.arena.slotBanks.start))
  }

  private static func sections(_ bytes: [UInt8]) throws -> [String: [UInt8]] {
    let scan = try ElfScan(Bytes(FileContents(bytes)), name: "image")
    var found: [String: [UInt8]] = [:]
    for section in scan.sections where section.name.hasPrefix(".debug_") {
      found[section.name] = Array(bytes[Int(section.offset)..<Int(section.offset + section.size)])
    }
    return found
  }

  struct Flags: CustomTestStringConvertible, Sendable {
    var compiler: Compiler
    var flags: [String]
    var testDescription: String { ([compiler.rawValue] + flags).joined(separator: " ") }
  }

  static let builds = [
    Flags(compiler: .gcc, flags: ["-O0", "-gdwarf-4"]),
    Flags(compiler: .gcc, flags: ["-O2", "-gdwarf-4"]),
    Flags(compiler: .gcc, flags: ["-O2", "-gdwarf-5"]),
    Flags(compiler: .gcc, flags: ["-O2", "-g", "-fno-asynchronous-unwind-tables", "-gz"]),
    Flags(compiler: .clang, flags: ["-O2", "-gdwarf-4"]),
    Flags(compiler: .clang, flags: ["-O2", "-gdwarf-5"]),
    Flags(compiler: .gxx, flags: ["-O1", "-gdwarf-4"]),
    Flags(compiler: .gxx, flags: ["-O1", "-gdwarf-5", "-fdebug-types-section"]),
    Flags(compiler: .clangxx, flags: ["-O1", "-gdwarf-5", "-ffunction-sections"]),
  ]

  /// `shared` is in both objects, in a COMDAT group in C++: the second one's is not linked.
  private static func sources(_ compiler: Compiler) -> [String] {
    let isCxx = compiler == .gxx || compiler == .clangxx
    let shared =
      isCxx
      ? "struct Kept { int a; char b[12]; };\n__attribute__((noinline)) inline int shared(int x) "
        + "{ Kept k = {x, {107}}; for (int i = 0; i < x; i++) k.a += k.b[i % 12]; return k.a; }\n"
      : "__attribute__((noinline)) static int shared(int x) { return x * 3; }\n"
    let linkage = isCxx ? "extern \"C\" " : ""
    return [
      shared + "int counter = 5; static int hidden;\n"
        + linkage + "int second(int);\n"
        + linkage + "int first(int x) { int local = shared(x); hidden += local;"
        + " for (int i = 0; i < x; i++) { int y = second(i); local += y * hidden; }"
        + " return local + counter; }\n",
      shared + linkage + "int second(int x) { int other = x ^ 7;"
        + " if (other > 3) { int inner = shared(other); other = inner - 1; } return other; }\n",
    ]
  }

  @Test("Debug sections are those of ld.lld", arguments: builds)
  func sameAsLinker(_ build: Flags) throws {
    let objects = try Self.sources(build.compiler).enumerated().map { index, source in
      Given(
        name: "unit\(index).o",
        bytes: try Compiled.object(build.compiler, source, flags: build.flags))
    }
    let space = try LinkSpace()
    let (set, image) = try Self.image(objects, in: space)
    #expect(image.omitted.isEmpty)
    #expect(image.skippedRelocations == 0)
    let ours = try Self.sections(Array(image.bytes))

    let folder = Compiled.folder.appending(
      path: "debug.\(getpid()).\(UInt32.random(in: 0...(.max)))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var command = [
      "ld.lld", "-O0", "-e", "0", "--no-relax", "-o", folder.appending(path: "out").path,
    ]
    // Each kind of section in one stretch, where it is here.
    for name in [".text", ".data", ".bss"] {
      let start = set.objects.lazy.flatMap { linked in
        linked.object.sections.indices.filter {
          linked.object.name(ofSection: $0).string.hasPrefix(name)
            && linked.roles[$0] != .ignored && linked.object.sections[$0].size > 0
        }.map { linked.addresses[$0] }
      }.min()
      if let start { command.append("--section-start=\(name)=0x\(String(start, radix: 16))") }
    }
    for object in objects {
      let path = folder.appending(path: object.name)
      try Data(object.bytes).write(to: path)
      command.append(path.path)
    }
    try Compiled.run(command)
    let theirs = try Self.sections(
      [UInt8](try Data(contentsOf: folder.appending(path: "out"))))
    let compared = theirs.keys.filter { !$0.contains("pub") && $0 != ".debug_names" }
    #expect(compared.count >= 5)
    for name in compared.sorted() {
      #expect(ours[name] == theirs[name], "\(name): \(difference(ours[name], theirs[name]))")
    }
  }

  private func difference(_ ours: [UInt8]?, _ theirs: [UInt8]?) -> String {
    guard let ours, let theirs else { return "one of them is missing" }
    let at = zip(ours, theirs).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    return "\(ours.count) and \(theirs.count) bytes, first difference at \(at ?? -1)"
  }

  @Test(
    "Compressed sections are the same as others", arguments: ["zlib", "zlib-gnu", "zstd"])
  func compressed(_ format: String) throws {
    let source = Self.sources(.gcc)[0] + "int second(int x) { return x; }\n"
    let plain = try Compiled.object(.gcc, source, flags: ["-g", "-O1"])
    let folder = Compiled.folder.appending(
      path: "pack.\(getpid()).\(UInt32.random(in: 0...(.max)))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "unit.o")
    try Data(plain).write(to: path)
    try Compiled.run(["objcopy", "--compress-debug-sections=\(format)", path.path])
    let packed = [UInt8](try Data(contentsOf: path))
    #expect(packed.count < plain.count, "objcopy has compressed something")
    let images = try [plain, packed].map { bytes in
      try Self.image([Given(name: "unit.o", bytes: bytes)], in: LinkSpace())
    }
    // Two spaces have two sets of addresses: sections that hold none.
    let (one, other) = try (
      Self.sections(Array(images[0].image.bytes)), Self.sections(Array(images[1].image.bytes))
    )
    #expect(one.keys.sorted() == other.keys.sorted())
    for name in [".debug_abbrev", ".debug_str", ".debug_line_str"] {
      #expect(one[name] == other[name], "\(name)")
    }
    #expect(one[".debug_info"]?.count == other[".debug_info"]?.count)
    #expect(images[1].image.omitted.isEmpty)
  }

  @Test("No byte of debug data, of its relocations and of packed sections can trap")
  func damage() throws {
    let source = Self.sources(.gcc)[0] + "int second(int x) { return x; }\n"
    for flags in [["-g", "-O1"], ["-g", "-O1", "-gz"]] {
      let bytes = try Compiled.object(.gcc, source, flags: flags)
      let scan = try ElfScan(Bytes(FileContents(bytes)), name: "unit.o")
      let space = try LinkSpace()
      var built = 0
      var omitted = 0
      for section in scan.sections
      where section.name.contains("debug_") && section.size > 0 && !section.name.contains("_str") {
        // Relocations and headers wholly, contents in samples.
        let isDense = section.name.hasPrefix(".rel") || section.flags & 0x800 != 0
        for at in stride(from: 0, to: Int(section.size), by: isDense ? 3 : 17) {
          for mask: UInt8 in [0x01, 0x80, 0xFF] {
            var damaged = bytes
            damaged[Int(section.offset) + at] ^= mask
            guard
              let object = try? ObjectFile(Bytes(FileContents(damaged)), name: "unit.o"),
              let set = try? ObjectLinker.link(
                [LinkInput(object: object, unit: 0)], against: .empty, in: space)
            else { continue }
            let image = DebugImage(
              set.objects.map { DebugUnit($0, set.table) },
              unwindTable: space.arena.slotBanks.start)
            built += 1
            omitted += image.omitted.count
          }
        }
      }
      #expect(built > 100)
      if flags.contains("-gz") { #expect(omitted > 10, "damage in packed data is noticed") }
    }
  }

  @Test("Two hundred links keep few images, and none of what is gone")
  func bounded() throws {
    let space = try LinkSpace()
    let view = DebuggerView(.on, space)
    let bytes = try Compiled.object(.gcc, "int only(void) { return 1; }", flags: ["-g"])
    let object = try ObjectFile(Bytes(FileContents(bytes)), name: "unit.o")
    var kept: [DebuggerView.Presence] = []
    for round in 0..<200 {
      let set = try ObjectLinker.link(
        [LinkInput(object: object, unit: 0)], against: .empty, in: space)
      let draft = view.prepare(set.objects, set.table)
      view.publish(draft)
      #expect(view.imageCount <= 50)
      // Every second version stays in use.
      if round % 2 == 0 { kept += draft.presences }
      view.settle()
      #expect(view.imageCount <= 50)
    }
    // Perhaps with the last, which was let go of just now.
    #expect((100...101).contains(view.objectCount))
    kept = []
    view.settle()
    #expect(view.objectCount <= 1)
  }
}
