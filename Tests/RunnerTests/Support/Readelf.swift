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
      } else if line.contains("("),
        let match = line.wholeMatch(of: /\s*0x[0-9a-f]{8,16} \((\w+)\)(.*)/)
      {
        dynamicTags.append(String(match.1))
        if match.1 == "NEEDED", let name = match.2.firstMatch(of: /\[(.+)\]/) {
          needed.append(String(name.1))
        }
      } else if line.contains("Build ID"),
        let match = line.firstMatch(of: /Build ID: ([0-9a-f]+)/)
      {
        buildID = String(match.1)
      } else if let relocation = Self.relocation(
        line, is64: is64, hasAddends: hasAddends, versioned: isDynamicTable)
      {
        relocations.append(relocation)
      }
    }
  }

  // By hand and not by Regex where there may be a hundred thousand lines: that takes minutes.

  /// `[ 1] .text  PROGBITS  0000000000000000 000040 000012 00  AX  0   0 16`; flags may be missing.
  private static func section(_ line: String) -> Section? {
    let text = line.drop { $0 == " " }
    guard text.first == "[", let end = text.firstIndex(of: "]"),
      let index = Int(text[text.index(after: text.startIndex)..<end].drop { $0 == " " })
    else { return nil }
    let rest = text[text.index(after: end)...].replacing(
      "SYMTAB SECTION INDICES", with: "SYMTAB_SHNDX")
    var words = rest.split(separator: " ")
    // The null section has no name, and no other line is this short.
    guard words.count >= 8 else { return nil }
    func take() -> Substring { words.removeLast() }
    let align = decimal(take())
    let info = decimal(take())
    let link = decimal(take())
    var flags = ""
    if let last = words.last, last.contains(where: { $0.isUppercase || !$0.isHexDigit }) {
      flags = String(take())
    }
    let entsize = hex(take())
    let size = hex(take())
    let offset = hex(take())
    let address = hex(take())
    let type = String(take())
    return Section(
      index: index, name: words.joined(separator: " "), type: type, flags: flags, address: address,
      offset: offset, size: size, link: link, info: info, align: align, entsize: entsize)
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

  /// `    7: 0000000000000000    25 FUNC    GLOBAL DEFAULT    1 name`
  private static func symbol(_ line: String, versioned: Bool) -> Symbol? {
    var words = line.split(separator: " ", maxSplits: 7)
    guard words.count >= 7, words[0].last == ":", Int(words[0].dropLast()) != nil else {
      return nil
    }
    // `[<other>: 88]` may stand before the section.
    while words.count == 8, words[6].first == "[" || words[6].last == "]" {
      words = words[..<6] + words[7].split(separator: " ", maxSplits: 1)
    }
    let size = words[2].hasPrefix("0x") ? hex(words[2].dropFirst(2)) : decimal(words[2])
    return Symbol(
      name: name(words.count > 7 ? words[7] : "", versioned: versioned), value: hex(words[1]),
      size: size, type: String(words[3]), binding: String(words[4]),
      visibility: String(words[5]), section: String(words[6]))
  }

  private static func relocation(
    _ line: String, is64: Bool, hasAddends: Bool, versioned: Bool
  ) -> Relocation? {
    let words = line.split(separator: " ", maxSplits: 3)
    if words.count == 1, line.count == 16, let address = UInt64(line, radix: 16) {
      // An address of a .relr section.
      return Relocation(
        offset: address, type: 8, typeName: "R_X86_64_RELATIVE", symbol: "", addend: nil)
    }
    guard words.count >= 3, words[0].count >= 8, words[1].count >= 8, words[2].hasPrefix("R_"),
      UInt64(words[0], radix: 16) != nil
    else { return nil }
    let info = hex(words[1])
    var rest = words.count > 3 ? words[3].drop { $0 == " " } : ""
    var symbol = ""
    var addend: Int64?
    let hasSymbol = is64 ? info >> 32 != 0 : info >> 8 != 0
    if hasSymbol {
      // The symbol's value, its name, and the addend with a sign.
      guard let space = rest.firstIndex(of: " ") else { return nil }
      rest = rest[space...].drop { $0 == " " }
      symbol = String(rest)
      let tail = rest.split(separator: " ")
      if hasAddends, tail.count >= 2, let sign = tail.dropLast().last, sign == "+" || sign == "-" {
        let magnitude = Int64(bitPattern: hex(tail[tail.count - 1]))
        addend = sign == "-" ? 0 &- magnitude : magnitude
        symbol = String(rest.dropLast(tail[tail.count - 1].count + 3))
      }
    } else if hasAddends {
      let isNegative = rest.hasPrefix("-")
      let magnitude = Int64(bitPattern: hex(rest.drop { $0 == "-" }))
      addend = isNegative ? 0 &- magnitude : magnitude
    }
    return Relocation(
      offset: hex(words[0]), type: is64 ? info & 0xFFFF_FFFF : info & 0xFF,
      typeName: String(words[2]), symbol: name(symbol[...], versioned: versioned), addend: addend)
  }

  /// A name without its symbol version, `write@GLIBC_2.2.5 (3)`.
  private static func name(_ text: Substring, versioned: Bool) -> String {
    guard versioned, let at = text.dropFirst().firstIndex(of: "@") else { return String(text) }
    return String(text[..<at])
  }

  private static func hex(_ text: some StringProtocol) -> UInt64 { UInt64(text, radix: 16) ?? 0 }
  private static func decimal(_ text: some StringProtocol) -> UInt64 { UInt64(text) ?? 0 }
}
