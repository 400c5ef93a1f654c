// Symbols in the words of their language, as a person writes them.
internal import CLoaderSupport
internal import Glibc

package enum ReadableName {
  /// `_ZN4Game5scoreE` is `Game::score`; a name that no compiler made up is itself.
  package static func of(_ symbol: String) -> String {
    guard symbol.hasPrefix("_Z") || symbol.hasPrefix("$"), let text = hl_demangle(symbol) else {
      return symbol
    }
    defer { free(text) }
    return String(cString: text)
  }

  /// Whether somebody who writes `name` may mean `symbol`: the symbol itself; its readable name, with or without
  /// parameters and scopes; a C local variable (`count.3`) by the name in its source.
  package static func matches(_ name: String, _ symbol: String) -> Bool {
    if name == symbol { return true }
    if symbol.hasPrefix(name), symbol.dropFirst(name.count).first == ".",
      symbol.dropFirst(name.count + 1).allSatisfy({ $0.isASCII && $0.isNumber })
    {
      return true
    }
    let readable = of(symbol)
    guard readable != symbol else { return false }
    if readable == name { return true }
    let plain = readable.replacing("(anonymous namespace)::", with: "")
    let bare = withoutParameters(plain)
    return plain == name || bare == name || bare.hasSuffix("::" + name)
      || bare.hasSuffix("." + name)
  }

  private static func withoutParameters(_ name: String) -> String {
    // A variable inside a function keeps what follows it: `inside()::n`.
    guard name.hasSuffix(")") || name.hasSuffix(") const"), let open = name.firstIndex(of: "(")
    else { return name }
    return String(name[..<open])
  }

  /// How far two names are apart, nil when it is more than `limit`: for “did you mean”.
  package static func distance(_ a: String, _ b: String, limit: Int) -> Int? {
    guard abs(a.utf8.count - b.utf8.count) <= limit else { return nil }
    return Array(b.utf8).withUnsafeBytes { Spelling.distance(Array(a.utf8), $0, limit: limit) }
  }
}
