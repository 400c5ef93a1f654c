// The oracle of `inspect`: what readelf(1) prints, taken apart by line. Nothing here is shared with the
// reader under test.
import Foundation

/// What readelf says about one file, in its own words.
struct Readelf {
  struct Section: Equatable {
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
  struct Segment: Equatable {
    var type: String
    var flags: String
    var offset: UInt64
    var address: UInt64
    var fileSize: UInt64
    var memorySize: UInt64
    var align: UInt64
  }
  struct Symbol: Equatable {
    var name: String
    var value: UInt64
    var size: UInt64
    var type: String
    var binding: String
    var visibility: String
    var section: String
  }
  struct Relocation: Equatable {
    var offset: UInt64
    /// The number, from the info word.
    var type: UInt64
    var typeName: String
    var symbol: String
    var addend: Int64?
  }

  var header: [String: String] = [:]
  var sections: [Section] = []
  var segments: [Segment] = []
  var symbols: [Symbol] = []
  var relocations: [Relocation] = []
  var needed: [String] = []
  var dynamicTags: [String] = []
  var buildID: String?

  init(_ path: String) throws {
    let text = try Tool.output("readelf", ["-W", "-h", "-S", "-l", "-s", "-r", "-d", "-n", path])
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for line in lines where line.hasPrefix("  ") && line.contains(":") && !line.contains("]") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let key = parts[0].trimmingCharacters(in: .whitespaces)
      if header[key] == nil { header[key] = parts[1].trimmingCharacters(in: .whitespaces) }
    }
    let is64 = header["Class"] == "ELF64"
    var inSymbols = false
    var inSegments = false
    var hasAddends = false
    var isDynamicTable = false
    for line in lines {
      if line.hasPrefix("Symbol table") {
        inSymbols = true
        isDynamicTable = line.contains(".dynsym")
      }
      if line.hasPrefix("Relocation section") {
        inSymbols = false
        isDynamicTable = line.contains(".rela.dyn") || line.contains(".rela.plt")
      }
      if line.hasPrefix("Program Headers:") { inSegments = true }
      if line.contains("Section to Segment") { inSegments = false }
      if line.contains("Symbol's Name") { hasAddends = line.contains("Addend") }
      if let section = Self.section(line) {
        sections.append(section)
      } else if inSegments, let segment = Self.segment(line) {
        segments.append(segment)
      } else if inSymbols, let symbol = Self.symbol(line, versioned: isDynamicTable) {
        symbols.append(symbol)
      } else if let match = line.wholeMatch(of: /\s*0x[0-9a-f]{8,16} \((\w+)\)(.*)/) {
        dynamicTags.append(String(match.1))
        if match.1 == "NEEDED", let name = match.2.firstMatch(of: /\[(.+)\]/) {
          needed.append(String(name.1))
        }
      } else if let match = line.wholeMatch(of: /\s*Build ID: (\w+)/) {
        buildID = String(match.1)
      } else if let relocation = Self.relocation(
        line, is64: is64, hasAddends: hasAddends, versioned: isDynamicTable)
      {
        relocations.append(relocation)
      }
    }
  }

  private static func section(_ line: String) -> Section? {
    let pattern =
      /\s*\[ *(\d+)\] (.*?) +([A-Z0-9_+a-z]+) +([0-9a-f]{8,16}) ([0-9a-f]{6,}) ([0-9a-f]{6,}) ([0-9a-f]{2,})\s+([A-Za-z]*) +(\d+) +(\d+) +(\d+)\s*/
    guard let match = line.wholeMatch(of: pattern) else { return nil }
    return Section(
      index: Int(match.1) ?? -1, name: match.2.trimmingCharacters(in: .whitespaces),
      type: String(match.3), flags: String(match.8), address: hex(match.4), offset: hex(match.5),
      size: hex(match.6), link: decimal(match.9), info: decimal(match.10),
      align: decimal(match.11), entsize: hex(match.7))
  }

  private static func segment(_ line: String) -> Segment? {
    let pattern =
      /\s+(\w+) +0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) (.)(.)(.) 0x([0-9a-f]+)/
    guard let match = line.wholeMatch(of: pattern) else { return nil }
    return Segment(
      type: String(match.1),
      flags: (match.7 == "R" ? "r" : "-") + (match.8 == "W" ? "w" : "-")
        + (match.9 == "E" ? "x" : "-"),
      offset: hex(match.2), address: hex(match.3), fileSize: hex(match.5),
      memorySize: hex(match.6), align: hex(match.10))
  }

  private static func symbol(_ line: String, versioned: Bool) -> Symbol? {
    let pattern =
      /\s*\d+: ([0-9a-f]{8,16}) +(0x[0-9a-f]+|\d+) (\S+) +(\S+) +(\S+) +(?:\[.*?\] +)?(\S+) ?(.*)/
    guard let match = line.wholeMatch(of: pattern) else { return nil }
    let size = match.2.hasPrefix("0x") ? hex(match.2.dropFirst(2)) : decimal(match.2)
    return Symbol(
      name: name(match.7, versioned: versioned), value: hex(match.1), size: size,
      type: String(match.3), binding: String(match.4), visibility: String(match.5),
      section: String(match.6))
  }

  private static func relocation(
    _ line: String, is64: Bool, hasAddends: Bool, versioned: Bool
  ) -> Relocation? {
    guard let match = line.wholeMatch(of: /([0-9a-f]{8,16}) +([0-9a-f]{8,16}) (\S+) *(.*)/) else {
      return nil
    }
    let info = hex(match.2)
    var rest = match.4[...]
    var symbol = ""
    var addend: Int64?
    let hasSymbol = is64 ? info >> 32 != 0 : info >> 8 != 0
    if hasSymbol {
      // The symbol's value, its name, and the addend with a sign.
      guard let space = rest.firstIndex(of: " ") else { return nil }
      rest = rest[space...].drop { $0 == " " }
      if hasAddends, let tail = rest.firstMatch(of: /^(.*) ([+-]) ([0-9a-f]+)$/) {
        let magnitude = Int64(bitPattern: hex(tail.3))
        addend = tail.2 == "-" ? 0 &- magnitude : magnitude
        symbol = String(tail.1)
      } else {
        symbol = String(rest)
      }
    } else if hasAddends {
      let isNegative = rest.hasPrefix("-")
      let magnitude = Int64(bitPattern: hex(rest.drop { $0 == "-" }))
      addend = isNegative ? 0 &- magnitude : magnitude
    }
    return Relocation(
      offset: hex(match.1), type: is64 ? info & 0xFFFF_FFFF : info & 0xFF,
      typeName: String(match.3), symbol: name(symbol[...], versioned: versioned), addend: addend)
  }

  /// A name without its symbol version, `write@GLIBC_2.2.5 (3)`.
  private static func name(_ text: Substring, versioned: Bool) -> String {
    guard versioned, let at = text.dropFirst().firstIndex(of: "@") else { return String(text) }
    return String(text[..<at])
  }

  private static func hex(_ text: some StringProtocol) -> UInt64 { UInt64(text, radix: 16) ?? 0 }
  private static func decimal(_ text: some StringProtocol) -> UInt64 { UInt64(text) ?? 0 }
}
