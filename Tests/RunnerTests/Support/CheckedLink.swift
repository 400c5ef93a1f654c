// `hotlink check --json --bytes`, decoded as docs/check.md describes it.
import Foundation

struct CheckedLink: Decodable {
  struct Piece: Decodable {
    var offset: UInt64
    var size: UInt64
    var address: UInt64
  }
  struct Section: Decodable {
    var name: String
    var image: String
    var index: Int
    var address: UInt64
    var size: UInt64
    var flags: String
    var nobits: Bool?
    var bytes: String?
    var pieces: [Piece]?
  }
  struct Symbol: Decodable {
    var name: String
    var image: String
    var index: Int?
    var address: UInt64
    var size: UInt64
    var kind: String
    var binding: String
  }
  struct Entry: Decodable {
    var symbol: String
    var image: String?
    var index: Int?
    var address: UInt64
    var kind: String
    var value: UInt64?
  }
  struct Stub: Decodable {
    var symbol: String
    var image: String?
    var index: Int?
    var address: UInt64
    var target: UInt64?
  }
  struct Outside: Decodable {
    var symbol: String
    var address: UInt64?
  }
  struct Rewrite: Decodable {
    var image: String
    var section: Int
    var offset: UInt64
    var form: String
  }

  var ok: Bool
  var sections: [Section]
  var symbols: [Symbol]
  var got: [Entry]
  var gotStart: UInt64
  var stubs: [Stub]
  var defines: [Outside]
  var imports: [Outside]
  var relaxed: [Rewrite]
  var tlsBlock: UInt64
  var relocations: Int
  var undefined: [String]

  init(of files: [String], _ options: [String], timeout: Double = 120) throws {
    let outcome = try Tool.hotlink(
      ["check", "--json", "--bytes"] + options + files, timeout: timeout)
    guard outcome.code == 0 else {
      throw Tool.Failure(
        description: "\(outcome.end): \(options) \(outcome.stderr)\(outcome.stdout.prefix(2000))")
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    self = try decoder.decode(CheckedLink.self, from: Data(outcome.output))
  }

  func section(_ name: String, of image: String? = nil) throws -> Section {
    let found = sections.filter { $0.name == name && (image == nil || $0.image == image) }
    guard found.count == 1 else {
      throw Tool.Failure(description: "\(found.count) sections '\(name)'")
    }
    return found[0]
  }
}

extension CheckedLink.Section {
  /// What it holds after relocation.
  var contents: [UInt8] { Hexadecimal.bytes(bytes ?? "") }
}

enum Hexadecimal {
  static func bytes(_ text: String) -> [UInt8] {
    func digit(_ byte: UInt8) -> UInt8 { byte < 0x3A ? byte - 0x30 : byte - 0x57 }
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      digit(digits[$0]) << 4 | digit(digits[$0 + 1])
    }
  }
}
