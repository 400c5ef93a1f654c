// One JSON value from a line of text, for requests and answers over the control socket. RFC 8259; nesting up to
// 32 deep, so that no input can exhaust the stack.

enum JSONReader {
  struct Failure: Error, CustomStringConvertible {
    /// Bytes from the start of the line.
    var offset: Int
    var what: String
    var description: String { "\(what) at \(offset)" }
  }

  static func value(of line: String) throws(Failure) -> JSON {
    var reader = Reader(bytes: Array(line.utf8))
    let value = try reader.value(depth: 0)
    reader.skipSpace()
    guard reader.at == reader.bytes.count else { throw reader.failure("more than one value") }
    return value
  }

  private struct Reader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    func failure(_ what: String) -> Failure { Failure(offset: at, what: what) }
    var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    mutating func skipSpace() {
      while let byte = next, byte == 0x20 || (9...13).contains(byte) { at += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
      skipSpace()
      guard next == byte else { return false }
      at += 1
      return true
    }

    mutating func value(depth: Int) throws(Failure) -> JSON {
      guard depth < 32 else { throw failure("nested too deep") }
      skipSpace()
      switch next {
      case UInt8(ascii: "{"): return try object(depth)
      case UInt8(ascii: "["): return try array(depth)
      case UInt8(ascii: "\""): return .string(try string())
      case UInt8(ascii: "t"): return try word("true", .bool(true))
      case UInt8(ascii: "f"): return try word("false", .bool(false))
      case UInt8(ascii: "n"): return try word("null", .null)
      default: return try number()
      }
    }

    private mutating func object(_ depth: Int) throws(Failure) -> JSON {
      at += 1
      var members: [(String, JSON)] = []
      if take(UInt8(ascii: "}")) { return .object([]) }
      repeat {
        skipSpace()
        guard next == UInt8(ascii: "\"") else { throw failure("a name was expected") }
        let name = try string()
        guard take(UInt8(ascii: ":")) else { throw failure("a colon was expected") }
        members.append((name, try value(depth: depth + 1)))
      } while take(UInt8(ascii: ","))
      guard take(UInt8(ascii: "}")) else { throw failure("an object does not end") }
      return .object(members)
    }

    private mutating func array(_ depth: Int) throws(Failure) -> JSON {
      at += 1
      var values: [JSON] = []
      if take(UInt8(ascii: "]")) { return .array([]) }
      repeat { values.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
      guard take(UInt8(ascii: "]")) else { throw failure("an array does not end") }
      return .array(values)
    }

    private mutating func word(_ text: StaticString, _ value: JSON) throws(Failure) -> JSON {
      let wanted = Array("\(text)".utf8)
      guard bytes[at...].starts(with: wanted) else { throw failure("no value") }
      at += wanted.count
      return value
    }

    private mutating func number() throws(Failure) -> JSON {
      let start = at
      while let byte = next, "+-.eE0123456789".utf8.contains(byte) { at += 1 }
      let text = String(decoding: bytes[start..<at], as: UTF8.self)
      if let integer = Int64(text) { return .integer(integer) }
      if let integer = UInt64(text) { return .unsigned(integer) }
      guard let number = Double(text) else { throw failure("no value") }
      return .number(number)
    }

    private mutating func string() throws(Failure) -> String {
      at += 1
      var units: [UInt16] = []
      var plain: [UInt8] = []
      func flushed() -> [UInt16] { Array(String(decoding: plain, as: UTF8.self).utf16) }
      while let byte = next {
        at += 1
        switch byte {
        case UInt8(ascii: "\""):
          units += flushed()
          return String(decoding: units, as: UTF16.self)
        case UInt8(ascii: "\\"):
          units += flushed()
          plain = []
          units.append(try escape())
        default: plain.append(byte)
        }
      }
      throw failure("a string does not end")
    }

    private mutating func escape() throws(Failure) -> UInt16 {
      guard let byte = next else { throw failure("a string does not end") }
      at += 1
      switch byte {
      case UInt8(ascii: "n"): return 10
      case UInt8(ascii: "t"): return 9
      case UInt8(ascii: "r"): return 13
      case UInt8(ascii: "b"): return 8
      case UInt8(ascii: "f"): return 12
      case UInt8(ascii: "u"):
        guard at + 4 <= bytes.count,
          let unit = UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw failure("no character") }
        at += 4
        return unit
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UInt16(byte)
      default: throw failure("no character")
      }
    }
  }
}

extension JSON {
  /// A member of an object.
  subscript(name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.0 == name }?.1
  }

  var stringValue: String? { if case .string(let text) = self { text } else { nil } }
  var integerValue: Int64? { if case .integer(let value) = self { value } else { nil } }
  var strings: [String]? {
    if case .array(let values) = self { values.compactMap(\.stringValue) } else { nil }
  }
}
