// Closures and lambdas are named by their position: adding one renumbers the rest. They are matched by
// what they do first, and by order only where nothing was added or taken away; a closure that has no
// match keeps its old body, and the new one gets an identity of its own. Itanium C++ ABI 5.1.8 (`Ul…E_`),
// clang's `$_N`; Swift: `U_`, `U0_`.
internal import LoaderEngine

/// A name with a position in it.
struct PositionalName: Hashable {
  /// What stays when closures are renumbered: parent and signature.
  var family: String
  var number: Int
  /// The rest of the name, the number left out: tells the functions of one closure apart.
  var rest: String

  /// False for a name that surely is none: nearly all.
  static func mayBe(_ name: NameView) -> Bool {
    name.hasPrefix("$s") || name.contains("$_") || name.contains("Ul")
  }

  init?(_ name: String) {
    let text = Array(name.utf8)
    guard
      let found = PositionalName.swift(text) ?? PositionalName.clang(text)
        ?? PositionalName.itanium(text)
    else { return nil }
    self = found
  }

  private init(family: String, number: Int, rest: String) {
    self.family = family
    self.number = number
    self.rest = rest
  }

  private static func swift(_ text: [UInt8]) -> PositionalName? {
    guard text.starts(with: Array("$s".utf8)) else { return nil }
    // The last `U<digits>_`, which the closure's own number is.
    var at = text.count - 1
    while at > 2 {
      if text[at] == 0x5F {
        var digits = at
        while digits > 2, isDigit(text[digits - 1]) { digits -= 1 }
        if text[digits - 1] == 0x55, digits > 3 {
          let number = digits == at ? 0 : (Int(string(text[digits..<at])) ?? 0) + 1
          return PositionalName(
            family: string(text[..<digits]), number: number, rest: string(text[(at + 1)...]))
        }
      }
      at -= 1
    }
    return nil
  }

  private static func clang(_ text: [UInt8]) -> PositionalName? {
    for at in text.indices.dropLast(2)
    where text[at] == 0x24 && text[at + 1] == 0x5F && isDigit(text[at + 2]) {
      var end = at + 2
      while end < text.count, isDigit(text[end]) { end += 1 }
      return PositionalName(
        family: "$_", number: Int(string(text[(at + 2)..<end])) ?? 0,
        rest: string(text[..<at]) + "#" + string(text[end...]))
    }
    return nil
  }

  private static func itanium(_ text: [UInt8]) -> PositionalName? {
    guard text.count > 6, text[0] == 0x5F, text[1] == 0x5A else { return nil }
    for at in 2..<(text.count - 3) where text[at] == 0x55 && text[at + 1] == 0x6C {
      // `Ul` types `E` number `_`
      var end = at + 2
      while end + 1 < text.count {
        if text[end] == 0x45 {
          var digits = end + 1
          while digits < text.count, isDigit(text[digits]) { digits += 1 }
          if digits < text.count, text[digits] == 0x5F {
            let number = digits == end + 1 ? 0 : (Int(string(text[(end + 1)..<digits])) ?? 0) + 1
            var parent = string(text[..<at])
            if let last = parent.lastIndex(of: "Z") { parent = String(parent[last...]) }
            for suffix in ["NK", "N"] where parent.hasSuffix(suffix) {
              parent.removeLast(suffix.count)
              break
            }
            return PositionalName(
              family: parent + string(text[at..<end]), number: number,
              rest: string(text[..<at]) + "#" + string(text[digits...]))
          }
        }
        end += 1
      }
    }
    return nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
  private static func string(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
  }
}

/// Identities for the closures of a changed unit.
struct ClosureMatching {
  /// By symbol index of the new object: the name whose identity it takes.
  private(set) var identities: [Int: String] = [:]

  private struct Bundle {
    var number: Int
    var functions: [(rest: String, symbol: Int, print: UInt64)] = []
    var print: UInt64 {
      var hash = FunctionContents.start
      for function in functions.sorted(by: { $0.rest < $1.rest }) {
        for byte in function.rest.utf8 { FunctionContents.mix(&hash, UInt64(byte)) }
        FunctionContents.mix(&hash, function.print)
      }
      return hash
    }
  }

  /// - Parameter generation: makes identities of closures without a predecessor unique.
  init(_ object: ObjectFile, old: UnitVersion, generation: Int) {
    let new = ClosureMatching.bundles(object)
    guard !new.isEmpty else { return }
    let before = ClosureMatching.bundles(old.object)
    for (family, bundles) in new {
      let partners = ClosureMatching.pair(before[family] ?? [], bundles)
      for (index, bundle) in bundles.enumerated() {
        let partner = partners[index].map { (before[family] ?? [])[$0] }
        for function in bundle.functions {
          let twin = partner?.functions.first { $0.rest == function.rest }
          identities[function.symbol] =
            twin.map { old.identity(ofLocal: $0.symbol) }
            ?? object.name(ofSymbol: function.symbol).string + "\u{1}\(generation)"
        }
      }
    }
  }

  private static func bundles(_ object: ObjectFile) -> [String: [Bundle]] {
    var families: [String: [Int: Bundle]] = [:]
    var contents: FunctionContents?
    for index in 1..<max(object.firstGlobal, 1) where object.symbols[index].isFunction {
      let name = object.name(ofSymbol: index).string
      guard let positional = PositionalName(name) else { continue }
      let prints = contents ?? FunctionContents(object)
      contents = prints
      families[positional.family, default: [:]][
        positional.number, default: Bundle(number: positional.number)
      ].functions.append((positional.rest, index, prints.fingerprints[name] ?? 0))
    }
    return families.mapValues { $0.values.sorted { $0.number < $1.number } }
  }

  /// For each new bundle the old one it continues.
  private static func pair(_ old: [Bundle], _ new: [Bundle]) -> [Int?] {
    var partners = [Int?](repeating: nil, count: new.count)
    var isTaken = [Bool](repeating: false, count: old.count)
    func take(_ index: Int, _ partner: Int) {
      partners[index] = partner
      isTaken[partner] = true
    }
    for (index, bundle) in new.enumerated() {
      if let same = old.firstIndex(where: { $0.number == bundle.number }),
        old[same].print == bundle.print
      {
        take(index, same)
      }
    }
    for (index, bundle) in new.enumerated() where partners[index] == nil {
      if let equal = old.indices.first(where: { !isTaken[$0] && old[$0].print == bundle.print }) {
        take(index, equal)
      }
    }
    let openNew = new.indices.filter { partners[$0] == nil }
    let openOld = old.indices.filter { !isTaken[$0] }
    if openNew.count == openOld.count {
      for (index, partner) in zip(openNew, openOld) { take(index, partner) }
    }
    return partners
  }
}

extension Program {
  /// Names of an older version under which local functions and variables of a new one are known.
  func identities(for object: ObjectFile, of unit: Unit) -> [Int: String] {
    guard let old = unit.version else { return [:] }
    if old.object === object { return old.linked.identities }
    return ClosureMatching(object, old: old, generation: generation.number).identities.merging(
      LocalStatics(object, old: old, generation: generation.number).identities
    ) { closure, _ in closure }
  }
}
