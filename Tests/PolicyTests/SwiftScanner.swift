// Reads Swift as far as the policies need it: what is code and what is comment or text, which modules a
// file imports, which types it declares. No swift-syntax: that costs minutes of compile time, and a
// hundred lines of scanner are enough and tested beside it (PolicySelfTests).

/// A Swift source cut into words and punctuation, without comments and the text of string literals.
struct ScannedSwift {
  enum Token: Equatable {
    case word(String)
    case punctuation(Character)
  }

  struct Place: Equatable {
    var token: Token
    var line: Int
    /// Braces open around the token.
    var depth: Int
    /// Stands right after a single dot: a member, not a name looked up here.
    var isMember: Bool
  }

  struct Import: Equatable {
    var module: String
    var line: Int
  }

  struct Declaration: Equatable {
    var name: String
    var line: Int
    var depth: Int
    var isPrivate: Bool
  }

  let places: [Place]

  init(_ text: String) {
    places = ScannedSwift.places(in: SwiftMask.code(of: Array(text.utf8)))
  }

  func word(at index: Int) -> String? {
    guard places.indices.contains(index), case .word(let name) = places[index].token else {
      return nil
    }
    return name
  }

  func isPunctuation(_ character: Character, at index: Int) -> Bool {
    places.indices.contains(index) && places[index].token == .punctuation(character)
  }

  var imports: [Import] {
    let kinds: Set = ["typealias", "struct", "class", "enum", "protocol", "let", "var", "func"]
    return places.indices.compactMap { index in
      guard word(at: index) == "import", places[index].depth == 0,
        let next = word(at: index + 1)
      else { return nil }
      let module = kinds.contains(next) ? word(at: index + 2) ?? next : next
      return Import(module: module, line: places[index].line)
    }
  }

  /// Types and aliases, nested ones too (`depth` > 0).
  var declarations: [Declaration] {
    places.indices.compactMap { index in
      guard let keyword = word(at: index), ScannedSwift.typeKeywords.contains(keyword),
        !places[index].isMember, let name = word(at: index + 1),
        !ScannedSwift.memberKeywords.contains(name)
      else { return nil }
      var first = index
      while let before = word(at: first - 1), ScannedSwift.modifiers.contains(before) { first -= 1 }
      let isPrivate = (first..<index).contains {
        word(at: $0) == "private" || word(at: $0) == "fileprivate"
      }
      return Declaration(
        name: name, line: places[index].line, depth: places[index].depth, isPrivate: isPrivate)
    }
  }

  /// Types that the file extends.
  var extended: [String] {
    places.indices.compactMap { word(at: $0) == "extension" ? word(at: $0 + 1) : nil }
  }

  /// Functions under `@Test`.
  var tests: [String] {
    var found: [String] = []
    var isMarked = false
    for index in places.indices {
      if isPunctuation("@", at: index), word(at: index + 1) == "Test" { isMarked = true }
      if isMarked, word(at: index) == "func", let name = word(at: index + 1) {
        found.append(name)
        isMarked = false
      }
    }
    return found
  }

  private static let typeKeywords: Set = [
    "struct", "class", "enum", "protocol", "actor", "typealias",
  ]
  private static let memberKeywords: Set = ["func", "var", "let", "subscript", "override"]
  private static let modifiers: Set = [
    "public", "package", "internal", "private", "fileprivate", "open", "final", "indirect",
    "nonisolated", "distributed",
  ]

  private static func places(in code: [UInt8]) -> [Place] {
    var places: [Place] = []
    var line = 1
    var depth = 0
    var at = 0
    var dots = 0
    while at < code.count {
      let byte = code[at]
      if isWordByte(byte) {
        let start = at
        while at < code.count, isWordByte(code[at]) { at += 1 }
        add(.word(String(decoding: code[start..<at], as: UTF8.self)))
        continue
      }
      if byte == UInt8(ascii: "`"), let end = SwiftMask.closingBacktick(code, after: at) {
        add(.word(String(decoding: code[(at + 1)..<end], as: UTF8.self)))
        at = end + 1
        continue
      }
      at += 1
      if byte == UInt8(ascii: "\n") { line += 1 }
      if byte <= UInt8(ascii: " ") { continue }
      if byte == UInt8(ascii: "}") { depth = max(0, depth - 1) }
      add(.punctuation(Character(UnicodeScalar(byte))))
      if byte == UInt8(ascii: "{") { depth += 1 }
    }
    return places

    func add(_ token: Token) {
      places.append(Place(token: token, line: line, depth: depth, isMember: dots == 1))
      dots = token == .punctuation(".") ? dots + 1 : 0
    }
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
      true
    default: false
    }
  }
}

/// Blanks out what is not code; every byte and every line keeps its place.
struct SwiftMask {
  private let source: [UInt8]
  private var code: [UInt8]
  private var at = 0

  static func code(of source: [UInt8]) -> [UInt8] {
    var mask = SwiftMask(source: source, code: source)
    while mask.at < source.count { mask.takeCode(insideText: false) }
    return mask.code
  }

  /// The end of a raw identifier, which stays on its line.
  static func closingBacktick(_ bytes: [UInt8], after start: Int) -> Int? {
    var at = start + 1
    while at < bytes.count, bytes[at] != UInt8(ascii: "\n") {
      if bytes[at] == UInt8(ascii: "`") { return at }
      at += 1
    }
    return nil
  }

  private init(source: [UInt8], code: [UInt8]) {
    self.source = source
    self.code = code
  }

  private func starts(_ text: StaticString) -> Bool {
    guard at + text.utf8CodeUnitCount <= source.count else { return false }
    return text.withUTF8Buffer { $0.elementsEqual(source[at..<(at + $0.count)]) }
  }

  private mutating func blank(_ count: Int) {
    for _ in 0..<count where at < source.count {
      if source[at] != UInt8(ascii: "\n") { code[at] = UInt8(ascii: " ") }
      at += 1
    }
  }

  /// Up to the end, or inside `\(…)` up to the parenthesis that ends it.
  private mutating func takeCode(insideText: Bool) {
    var parentheses = 0
    while at < source.count {
      if starts("//") {
        while at < source.count, source[at] != UInt8(ascii: "\n") { blank(1) }
      } else if starts("/*") {
        takeBlockComment()
      } else if starts("`"), let end = SwiftMask.closingBacktick(source, after: at) {
        at = end + 1
      } else if let hashes = hashesBeforeQuote() {
        takeText(hashes: hashes)
      } else {
        if starts("(") { parentheses += 1 }
        if starts(")") {
          if insideText, parentheses == 0 { return }
          parentheses -= 1
        }
        at += 1
      }
    }
  }

  private mutating func takeBlockComment() {
    var depth = 0
    repeat {
      if starts("/*") {
        depth += 1
        blank(2)
      } else if starts("*/") {
        depth -= 1
        blank(2)
      } else {
        blank(1)
      }
    } while depth > 0 && at < source.count
  }

  /// The number of `#` in front of the quote that stands here; nil when none does.
  private func hashesBeforeQuote() -> Int? {
    var ahead = at
    while ahead < source.count, source[ahead] == UInt8(ascii: "#") { ahead += 1 }
    return ahead < source.count && source[ahead] == UInt8(ascii: "\"") ? ahead - at : nil
  }

  private func hasHashes(_ count: Int, at start: Int) -> Bool {
    start + count <= source.count
      && source[start..<(start + count)].allSatisfy { $0 == UInt8(ascii: "#") }
  }

  private mutating func takeText(hashes: Int) {
    blank(hashes)
    let isLong = starts("\"\"\"")
    let quotes = isLong ? 3 : 1
    blank(quotes)
    while at < source.count {
      let closes = isLong ? starts("\"\"\"") : starts("\"")
      if closes, hasHashes(hashes, at: at + quotes) {
        blank(quotes + hashes)
        return
      }
      // Not closed on its line: no text after all (a regex, perhaps). Go on with the next line.
      if !isLong, starts("\n") { return }
      if starts("\\"), hasHashes(hashes, at: at + 1) {
        blank(1 + hashes)
        if starts("(") {
          blank(1)
          takeCode(insideText: true)
        }
      }
      blank(1)
    }
  }
}
