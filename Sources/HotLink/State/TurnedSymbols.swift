// A name that stood for a function and stands for a variable now, or the other way round: whoever was compiled for the one
// would call data, or read code. It waits until those are rebuilt, as for a signature.
internal import LoaderEngine

extension Definition {
  /// Whether one is a function and the other one data, as their objects say.
  func turns(_ before: Definition) -> Bool {
    guard !isUntyped, !before.isUntyped else { return false }
    switch (before.kind, kind) {
    case (.function, .data), (.function, .constant), (.function, .threadLocal): return true
    case (.data, .function), (.constant, .function), (.threadLocal, .function): return true
    default: return false
    }
  }
}

extension StateRefusal {
  init(turned before: Definition, _ symbol: String, by unit: String) {
    self.init(
      unit: unit, symbol: symbol,
      reason: .turned(toFunction: before.kind != .function, referencedBy: [unit]))
  }
}
