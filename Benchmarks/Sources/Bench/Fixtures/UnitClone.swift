// Units beyond the first two thousand: compiling ten thousand takes minutes, and nothing new is learnt of gcc. A unit is
// a copy of a compiled one with other numbers in its names, which all have the same length.

struct UnitClone {
  /// The first unit that is not compiled.
  static let first = 2000

  let number: Int
  /// A compiled unit with the same last three digits: the same place among its ten, and as even.
  var template: Int { 1000 + number % 1000 }

  init(_ number: Int) { self.number = number }

  /// The object with the names of this unit, of its ten, and of the unit with half its number.
  func made(from template: [UInt8]) -> [UInt8] {
    var names: [[UInt8]: [UInt8]] = [:]
    for other in 0..<10 {
      names[Self.digits(self.template / 10 * 10 + other)] = Self.digits(number / 10 * 10 + other)
    }
    names[Self.digits(self.template / 2)] = Self.digits(number / 2)
    var bytes = template
    let word = Array("unit".utf8)
    var at = 0
    while at + 9 <= bytes.count {
      guard bytes[at] == word[0], bytes[(at + 1)..<(at + 4)] == word[1...],
        let name = names[Array(bytes[(at + 4)..<(at + 9)])]
      else {
        at += 1
        continue
      }
      bytes.replaceSubrange((at + 4)..<(at + 9), with: name)
      at += 9
    }
    return bytes
  }

  private static func digits(_ number: Int) -> [UInt8] {
    Array(UnitSource.name(number).utf8.dropFirst(4))
  }
}
