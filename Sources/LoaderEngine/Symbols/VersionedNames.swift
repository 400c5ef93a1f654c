// Names with a version in objects (gas: `.symver`): `foo@VER` is one version of foo, `foo@@VER` the default one,
// which also `foo` means. LSB 5.0, “Symbol Versioning”; binutils, “ld: VERSION”.
internal import Glibc

/// Which versioned names stand for a name without one. Its owner serialises.
package final class VersionedNames: @unchecked Sendable {
  private var defaults: [SymbolID: SymbolID] = [:]
  private var hasReferences = false

  package init() {}

  /// The number of a name with a version.
  ///
  /// - Parameters:
  ///   - mark: how many bytes stand before the `@`.
  ///   - isDefined: the object defines it, rather than referring to it.
  package func id(of name: NameView, mark: Int, isDefined: Bool, _ names: SymbolNames) -> SymbolID {
    var version = name.dropFirst(mark)
    while version.hasPrefix("@") { version = version.dropFirst(1) }
    let plain = NameView(base: name.base, count: mark).string
    let versioned = names.intern(plain + "@" + version.string)
    let isDefault = name.count - mark - version.count > 1
    guard isDefined, isDefault else {
      hasReferences = hasReferences || !isDefined
      return defaults[versioned] ?? versioned
    }
    let id = names.intern(plain)
    defaults[versioned] = id
    return id
  }

  /// What a number means once all definitions are known.
  package func settled(_ id: SymbolID) -> SymbolID { defaults[id] ?? id }

  /// Whether any reference names a version.
  package var isNeeded: Bool { hasReferences && !defaults.isEmpty }
}

extension NameView {
  /// How many bytes stand before the `@` of a version; nil when the name has none.
  package var versionMark: Int? {
    guard count > 2, let mark = memchr(base + 1, 0x40, count - 1) else { return nil }
    return Int(bitPattern: mark) - Int(bitPattern: base)
  }
}
