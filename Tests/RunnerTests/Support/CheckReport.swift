// `hotlink check --json`, decoded: the promise of its names and types.
import Foundation

struct CheckReport: Decodable {
  struct Section: Decodable {
    var name: String
    var image: String
    var address: UInt64
    var size: UInt64
    var flags: String
  }
  struct Symbol: Decodable {
    var name: String
    var address: UInt64
    var size: UInt64
    var kind: String
    var binding: String
    var image: String
  }

  var ok: Bool
  var sections: [Section]
  var symbols: [Symbol]
  var relocations: Int
  var undefined: [String]
  var bytes: [String: String?]?

  init(of files: [String], _ options: [String] = []) throws {
    let outcome = try Tool.hotlink(["check", "--json"] + options + files)
    guard outcome.code == 0 else {
      throw Tool.Failure(description: "\(outcome.end): \(outcome.stderr)\(outcome.stdout)")
    }
    self = try JSONDecoder().decode(CheckReport.self, from: Data(outcome.output))
  }

  /// The one symbol of this name.
  func symbol(_ name: String) throws -> Symbol {
    let found = symbols.filter { $0.name == name }
    guard found.count == 1 else {
      throw Tool.Failure(description: "\(found.count) symbols '\(name)'")
    }
    return found[0]
  }

  /// The linked bytes of a symbol that was asked for with `--dump`.
  func dump(_ name: String) throws -> [UInt8] {
    guard let bytes, let text = bytes[name] ?? nil else {
      throw Tool.Failure(description: "no bytes of '\(name)'")
    }
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
    }
  }
}

extension Collection<UInt8> {
  /// A little-endian number.
  var number: UInt64 { reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}
