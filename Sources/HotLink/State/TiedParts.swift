// Variables that are parts of one in both versions (`VariableParts`): who has written to one part has touched the variable, and an
// edit of its first values changes none of them.
internal import LoaderEngine

/// The parts of those of which an edit changed a first value.
struct TiedParts {
  private var parts: [String: [Carry]] = [:]

  /// - Parameters:
  ///   - edited: variables whose first values changed.
  ///   - kept: those that stay, whatever they hold.
  init(_ object: ObjectFile, edited: [Carry], kept: [Carry]) {
    let wholes = Set(edited.compactMap(TiedParts.whole))
    // gcc numbers variables of functions.
    guard !wholes.isEmpty, !LocalStatics.areNumbered(in: object) else { return }
    for carry in edited + kept {
      guard let whole = TiedParts.whole(carry), wholes.contains(whole) else { continue }
      parts[whole, default: []].append(carry)
    }
    parts = parts.filter { $0.value.count > 1 }
  }

  init() {}

  private static func whole(_ carry: Carry) -> String? {
    carry.kind == .state ? VariableParts.part(carry.symbol)?.whole : nil
  }

  /// Has the parts of variables that were touched keep what they hold, at the safe point.
  func hold(_ carries: inout [Carry], _ arena: Arena) {
    guard !parts.isEmpty else { return }
    let touched = Set(parts.filter { $0.value.contains { $0.isTouched(in: arena) } }.keys)
    for index in carries.indices {
      if let whole = TiedParts.whole(carries[index]), touched.contains(whole) {
        carries[index].kind = .held
      }
    }
  }
}
