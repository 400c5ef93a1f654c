// The fast ways of looking symbols up say what the plain ones say: hashes against the definition, filters and
// tables against one image after the other.
import Foundation
import SystemPackage
import TestFixtures
import Testing

@testable import LoaderEngine

@Suite("Symbol lookup")
struct LookupTests {
  /// Random bytes of a length.
  private static func bytes(_ count: Int, _ random: inout SystemRandomNumberGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  @Test("A hash is the one of the definition, whatever the length", arguments: 0...64)
  func hash(_ count: Int) {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<50 {
      let bytes = Self.bytes(count, &random)
      let expected = bytes.reduce(5381 as UInt32) { $0 &* 33 &+ UInt32($1) }
      bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return }
        #expect(SymbolName.gnuHash(base, count) == expected, "\(bytes)")
      }
    }
  }

  @Test("Names that differ in one bit are different", arguments: 1...40)
  func comparison(_ count: Int) {
    var random = SystemRandomNumberGenerator()
    let bytes = Self.bytes(count, &random)
    #expect(Self.isEqual(bytes, bytes))
    for index in bytes.indices {
      var other = bytes
      other[index] ^= UInt8(1 << Int.random(in: 0..<8, using: &random))
      #expect(!Self.isEqual(bytes, other), "\(bytes), byte \(index)")
    }
  }

  private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.withUnsafeBytes { left in
      right.withUnsafeBytes { right in
        guard let first = left.baseAddress, let second = right.baseAddress else { return false }
        return SymbolName.isEqual(first, second, left.count)
      }
    }
  }

  @Test("A short string is its bytes, without being written anywhere", arguments: 0...15)
  func short(_ count: Int) throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<50 {
      // Of one byte each, then of as many as UTF-8 has.
      for limit in [0x7F, 0x7FF, 0xFFFF] {
        let string = Self.string(of: count, below: limit, &random)
        let bytes = Array(string.utf8)
        let name = try #require(ShortName(string), "\(bytes)")
        let expected = bytes.reduce(5381 as UInt32) { $0 &* 33 &+ UInt32($1) }
        #expect(name.hash == expected, "\(bytes)")
        let rest = Self.bytes(20, &random)
        #expect(Self.isAt(name, bytes + [0] + rest), "\(bytes), then \(rest)")
        #expect(!Self.isAt(name, bytes + [1] + rest), "\(bytes), then \(rest)")
        for index in bytes.indices {
          var other = bytes + [0] + rest
          other[index] ^= UInt8(1 << Int.random(in: 0..<8, using: &random))
          #expect(!Self.isAt(name, other), "\(bytes), byte \(index)")
        }
      }
    }
    #expect(ShortName(String(repeating: "a", count: 16)) == nil)
  }

  /// A string of a size in UTF-8.
  private static func string(
    of count: Int, below limit: Int, _ random: inout SystemRandomNumberGenerator
  ) -> String {
    while true {
      var text = ""
      while text.utf8.count < count {
        if let scalar = UnicodeScalar(Int.random(in: 1...limit, using: &random)) {
          text.unicodeScalars.append(scalar)
        }
      }
      if text.utf8.count == count { return text }
    }
  }

  private static func isAt(_ name: ShortName, _ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { bytes in
      guard bytes.count >= name.reach, let base = bytes.baseAddress else { return false }
      return name.isAt(base)
    }
  }

  @Test("Every name of the process is found where asking one library after the other finds it")
  func process() {
    let scope = HostImages.current().global
    var asked = 0
    var decided = 0
    for provider in scope.providers {
      provider.lookup.forEachExported { index, symbol in
        guard let text = provider.lookup.name(of: symbol) else { return }
        var request = LookupRequest(SymbolName(text))
        request.takesNewest = true
        let expected = scope.providers.first { $0.lookup.find(request) != 0 }
        let found = scope.find(request)
        #expect(found?.provider === expected, "\(text.string)")
        var position = 0
        let address = scope.table.address(request.name, &position)
        if address != ScopeTable.undecided {
          #expect(address == found?.address ?? 0, "\(text.string)")
          decided += 1
        }
        asked += 1
        guard let short = ShortName(text.string), text.string.utf8.count == text.count else {
          return
        }
        switch scope.table.answer(to: short) {
        case .address(let address): #expect(address == found?.address, "\(text.string)")
        case .none: #expect(!scope.table.isPlain || found == nil, "\(text.string)")
        case .undecided: break
        }
      }
    }
    #expect(asked > 1000 && decided > 100, "\(asked) names, \(decided) decided")
  }

  @Test("A name is found by its string, however that is kept, also where the string table ends")
  func strings() throws {
    let names = ["z", "Grüße", "sixteen_letters_", "more_than_sixteen_letters", "of_15_letters_x"]
    let code = names.map { "int \($0)(void) { return 1; }" }.joined(separator: "\n")
    let file = try Compiled.image(.gcc, code, flags: ["-shared", "-fPIC", "-nostdlib"])
    let image = try LinkContext().loadLibrary(FilePath(file.path))
    for name in names {
      let address = try #require(image.address(of: name), "\(name)")
      let bridged = String(decoding: Array(name.utf8), as: UTF8.self)
      // One that keeps the room it was made with is never short.
      var roomy = ""
      roomy.reserveCapacity(100)
      roomy += name
      #expect(image.address(of: bridged) == address && image.address(of: roomy) == address)
      name.withCString { text in
        #expect(image.address(of: SymbolName(cString: text)) == address, "\(name)")
      }
      for other in [name + "_", String(name.dropLast()), "_" + name] {
        #expect(image.address(of: other) == nil, "\(other)")
      }
    }
    #expect(image.address(of: "") == nil)
  }

  @Test("A name that nobody has is found nowhere")
  func absent() {
    let scope = HostImages.current().global
    for number in 0..<10_000 {
      var name = "nobody_has_\(number)"
      name.withUTF8 { bytes in
        guard let base = bytes.baseAddress else { return }
        let request = LookupRequest(SymbolName(NameView(base: base, count: bytes.count)))
        #expect(scope.find(request) == nil)
      }
    }
  }
}
