// What a relocated word stands for, whichever loader wrote it and wherever images lie: a place in an image, a
// thread-local variable, or a number. Two loaders agree on a word when they agree on that.

/// A relocated word without the addresses of this process.
package enum WordMeaning: Hashable, Sendable {
  /// A place in an image; `.library` is the one that is compared.
  case inside(Module, offset: UInt64)
  /// A thread-local variable, by its offset in its image's block.
  case thread(Module, offset: UInt64)
  case plain(UInt64)
  /// Bytes that were copied (R_X86_64_COPY).
  case bytes([UInt8])
  /// It lies in no segment, or is no descriptor that can be asked.
  case unreadable

  package enum Module: Hashable, Sendable {
    case library
    case other(String)
  }
}

extension WordMeaning: CustomStringConvertible {
  package var description: String {
    func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
    switch self {
    case .inside(let module, let offset): return "\(module)+\(hex(offset))"
    case .thread(let module, let offset): return "thread-local \(module)+\(hex(offset))"
    case .plain(let value): return hex(value)
    case .unreadable: return "unreadable"
    case .bytes(let bytes):
      return bytes.prefix(32).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
  }
}

extension WordMeaning.Module: CustomStringConvertible {
  package var description: String {
    switch self {
    case .library: "self"
    case .other(let name): name
    }
  }
}
