// One JSON object a line, written by hand: the runner needs no decoder and no Foundation.

/// A JSON value.
enum JSON: Sendable {
  case string(String)
  case integer(Int64)
  case unsigned(UInt64)
  case number(Double)
  case bool(Bool)
  case array([JSON])
  case object([(String, JSON)])
  /// As hexadecimal digits, two a byte.
  case bytes([UInt8])
  case null

  /// The value on one line.
  var text: String {
    var out = ""
    write(to: &out)
    return out
  }

  private func write(to out: inout String) {
    switch self {
    case .string(let text): JSON.quote(text, &out)
    case .integer(let value): out += String(value)
    case .unsigned(let value): out += String(value)
    case .number(let value):
      out += value.isFinite ? String((value * 10).rounded() / 10) : "null"
    case .bool(let value): out += value ? "true" : "false"
    case .bytes(let bytes): out += "\"" + Messages.bytes(bytes) + "\""
    case .null: out += "null"
    case .array(let values):
      out += "["
      for (index, value) in values.enumerated() {
        if index > 0 { out += "," }
        value.write(to: &out)
      }
      out += "]"
    case .object(let members):
      out += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { out += "," }
        JSON.quote(member.0, &out)
        out += ":"
        member.1.write(to: &out)
      }
      out += "}"
    }
  }

  private static func quote(_ text: String, _ out: inout String) {
    out += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    out += "\""
  }

  static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }
  static func count(_ value: Int) -> JSON { .integer(Int64(value)) }
}
