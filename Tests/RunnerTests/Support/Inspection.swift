// `hotlink inspect --json`, decoded: the promise of its names and types.
import Foundation

struct Inspection: Decodable {
  struct Segment: Decodable {
    var type: String
    var flags: String
    var offset: UInt64
    var address: UInt64
    var fileSize: UInt64
    var memorySize: UInt64
    var align: UInt64
  }
  struct Section: Decodable {
    var index: Int
    var name: String
    var type: String
    var flags: String
    var address: UInt64
    var offset: UInt64
    var size: UInt64
    var link: UInt64
    var info: UInt64
    var align: UInt64
    var entsize: UInt64
  }
  struct Symbol: Decodable {
    var name: String
    var value: UInt64
    var size: UInt64
    var type: String
    var binding: String
    var visibility: String
    var section: NameOrNumber
  }
  struct Relocation: Decodable {
    var section: String?
    var offset: UInt64
    var type: NameOrNumber
    var formula: String?
    var field: String?
    var symbol: String
    var addend: Int64?
  }
  struct DynamicEntry: Decodable {
    var tag: String
    var value: UInt64
    var text: String?
  }
  struct Note: Decodable {
    var owner: String
    var type: UInt64
    var bytes: String
  }
  struct Group: Decodable {
    var section: Int
    var signature: String
    var comdat: Bool
    var members: [Int]
  }
  enum NameOrNumber: Decodable, Equatable, CustomStringConvertible {
    case name(String)
    case number(UInt64)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(UInt64.self) {
        self = .number(number)
      } else {
        self = .name(try container.decode(String.self))
      }
    }

    var description: String {
      switch self {
      case .name(let name): name
      case .number(let number): String(number)
      }
    }
  }

  var file: String
  var `class`: String
  var data: String
  var machine: String
  var type: String
  var entry: UInt64
  var buildID: String?
  var segments: [Segment]
  var sections: [Section]
  var symbols: [Symbol]
  var relocations: [Relocation]
  var dynamic: [DynamicEntry]
  var notes: [Note]
  var groups: [Group]

  init(of path: String) throws {
    let outcome = try Tool.hotlink(["inspect", "--json", path])
    guard outcome.code == 0 else {
      throw Tool.Failure(description: "\(outcome.end): \(outcome.stderr)\(outcome.stdout)")
    }
    self = try JSONDecoder().decode(Inspection.self, from: Data(outcome.output))
  }
}
