// Static libraries as `ar` makes them and as they come from elsewhere. ar(5).
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("Archives")
struct ArchiveTests {
  /// A member header with its contents, padded to an even size.
  private static func member(_ name: String, _ contents: [UInt8], size: String? = nil) -> [UInt8] {
    func field(_ text: String, _ width: Int) -> [UInt8] {
      Array((text + String(repeating: " ", count: width)).utf8.prefix(width))
    }
    var bytes = field(name, 16) + field("0", 12) + field("0", 6) + field("0", 6)
    bytes += field("644", 8) + field(size ?? String(contents.count), 10) + [0x60, 0x0A] + contents
    if contents.count % 2 == 1 { bytes.append(0x0A) }
    return bytes
  }

  private static func read(_ bytes: [UInt8]) throws(LinkError) -> Archive {
    try Archive(Bytes(FileContents(bytes)), name: "lib.a")
  }

  private static let magic = Array("!<arch>\n".utf8)
  private static let thinMagic = Array("!<thin>\n".utf8)

  @Test(
    "Members come in order with their names and bytes, whatever `ar` was asked for",
    arguments: ["rc", "rcs", "rcU", "rcD"])
  func gnu(operation: String) throws {
    let members: [(name: String, bytes: [UInt8])] = [
      ("a.o", [1, 2, 3]), ("a_name_of_more_than_fifteen_characters.o", [4]),
      ("exactly_15_ch.o", [5, 6]), ("sixteen_chars_.o", []),
    ]
    let archive = try Self.read(
      [UInt8](Data(contentsOf: Compiled.archive(members, operation: operation))))
    #expect(!archive.isThin)
    #expect(archive.members.map(\.name) == members.map(\.name))
    #expect(archive.members.map { $0.bytes?.array } == members.map { $0.bytes })
  }

  @Test("A thin archive names files and holds none of their bytes")
  func thin() throws {
    let members: [(name: String, bytes: [UInt8])] = [("a.o", [1, 2, 3]), ("b.o", [9])]
    let url = try Compiled.archive(members, operation: "rcT")
    let archive = try Self.read([UInt8](Data(contentsOf: url)))
    #expect(archive.isThin)
    #expect(archive.members.map { ($0.name as NSString).lastPathComponent } == ["a.o", "b.o"])
    #expect(archive.members.allSatisfy { $0.bytes == nil })
  }

  @Test("BSD names stand in front of the contents")
  func bsd() throws {
    let name = Array("a long name of BSD.o".utf8) + [0, 0, 0, 0]
    let archive = try Self.read(
      Self.magic + Self.member("__.SYMDEF SORTED", [0, 0, 0, 0])
        + Self.member("#1/\(name.count)", name + [7, 8]) + Self.member("short.o", [1]))
    #expect(archive.members.map(\.name) == ["a long name of BSD.o", "short.o"])
    #expect(archive.members.map { $0.bytes?.array } == [[7, 8], [1]])
  }

  @Test("Symbol tables of both widths and name tables are no members")
  func special() throws {
    let archive = try Self.read(
      Self.magic + Self.member("/", [0, 0, 0, 0]) + Self.member("/SYM64/", [0, 0])
        + Self.member("//", Array("one_long_name.o/\nother.o/\n".utf8))
        + Self.member("/0", [1]) + Self.member("/17", [2]))
    #expect(archive.members.map(\.name) == ["one_long_name.o", "other.o"])
  }

  @Test("An archive without members, and a last member of odd size without padding")
  func edges() throws {
    #expect(try Self.read(Self.magic).members.isEmpty)
    var bytes = Self.magic + Self.member("odd.o/", [1, 2, 3])
    bytes.removeLast()
    #expect(try Self.read(bytes).members.map { $0.bytes?.count } == [3])
  }

  struct Broken: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var bytes: [UInt8]
  }

  static let broken = [
    Broken(
      testDescription: "a header without end mark",
      bytes: magic + member("a", [1]).map { $0 == 0x60 ? 0 : $0 }),
    Broken(testDescription: "a size that is a word", bytes: magic + member("a", [1], size: "many")),
    Broken(testDescription: "an empty size", bytes: magic + member("a", [1], size: "")),
    Broken(testDescription: "a negative size", bytes: magic + member("a", [1], size: "-1")),
    Broken(testDescription: "a size beyond the file", bytes: magic + member("a", [1], size: "3")),
    Broken(
      testDescription: "the largest size", bytes: magic + member("a", [1], size: "9999999999")),
    Broken(testDescription: "half a header", bytes: magic + member("a", [1]).prefix(30)),
    Broken(testDescription: "a long name without a table", bytes: magic + member("/0", [1])),
    Broken(
      testDescription: "a long name behind the table",
      bytes: magic + member("//", Array("x.o/\n".utf8)) + member("/5", [1])),
    Broken(
      testDescription: "a long name at the largest number",
      bytes: magic + member("//", Array("x.o/\n".utf8)) + member("/18446744073709551", [1])),
    Broken(
      testDescription: "a BSD name longer than its member", bytes: magic + member("#1/9", [1, 2])),
    Broken(
      testDescription: "a BSD name of the largest length",
      bytes: magic + member("#1/9999999999999", [1, 2])),
    Broken(testDescription: "half the magic", bytes: Array(magic.prefix(5))),
    Broken(testDescription: "no archive", bytes: Array("text".utf8)),
  ]

  @Test("Broken archives are refused by name", arguments: broken)
  func refused(_ test: Broken) {
    #expect(throws: LinkError.self) { try Self.read(test.bytes) }
  }

  @Test("Every length and every flipped bit gives members inside the file, or an error")
  func flips() throws {
    let url = try Compiled.archive([
      ("a.o", Array("first contents".utf8)), ("a_member_with_a_long_name.o", [1, 2, 3]),
    ])
    for bytes in [
      [UInt8](try Data(contentsOf: url)),
      Self.magic + Self.member("#1/8", Array("longname".utf8) + [1]) + Self.member("b", [2, 3]),
      Self.thinMagic + Self.member("//", Array("dir/one.o/\n".utf8))
        + Self.member("/0", [], size: "400"),
    ] {
      var mutations = Mutation.truncations(of: bytes)
      mutations += bytes.indices.flatMap { byte in (0..<8).map { .flipped(byte: byte, bit: $0) } }
      var accepted = 0
      for mutation in mutations {
        guard let archive = try? Self.read(mutation.applied(to: bytes)) else { continue }
        accepted += 1
        for member in archive.members {
          #expect((member.bytes?.count ?? 0) <= bytes.count, "\(mutation)")
          _ = member.bytes?.hash
        }
      }
      #expect(accepted > 0 && accepted < mutations.count)
    }
  }
}
