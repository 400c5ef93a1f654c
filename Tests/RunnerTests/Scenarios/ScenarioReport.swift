// What a scenario expects of a report, held against the report.

extension RunnerEvent {
  /// What contradicts an expectation; nil when it is met, or is not about the report.
  ///
  /// - Parameter last: the last frame before.
  func contradiction(of expectation: Expectation, last: Line?) -> String? {
    let text = expectation.text
    func same(_ seen: [String]) -> String? {
      seen.sorted() == expectation.names.sorted() ? nil : "\(seen)"
    }
    /// The names stand first: `includes a b` is a part of them, anything else all.
    func listed(_ seen: [String]) -> String? {
      guard expectation.names.first == "includes" else { return same(seen) }
      return expectation.names.dropFirst().allSatisfy(seen.contains) ? nil : "\(seen)"
    }
    /// Without an ending a unit may be an object or a shared object.
    func units(_ seen: [String]) -> String? {
      let units = seen.map { name in
        expectation.names.contains(name) ? name : String(name.prefix { $0 != "." })
      }
      return same(units) == nil ? nil : "\(seen)"
    }
    func contains(_ seen: String?) -> String? {
      seen?.contains(text) == true ? nil : seen ?? "none"
    }
    func any(_ seen: [String]) -> String? {
      seen.contains { $0.contains(text) } ? nil : "\(seen)"
    }
    switch expectation.word {
    case .sees, .steady, .counts, .says, .said: return nil
    case .fate: return expectation.names.lazy.compactMap { fate(of: $0, expectation, last) }.first
    case .fates:
      let seen = verdicts.filter { $0.fate == text }
      return seen.count == expectation.number ? nil : "\(seen.map(\.symbol))"
    case .kept: return kept == expectation.number ? nil : "\(kept ?? -1)"
    case .changed: return listed(functions)
    case .added: return listed(addedFunctions)
    case .removed: return listed(removedFunctions)
    case .units: return units(unitFiles)
    case .relinked: return units(relinkedFiles)
    case .hooks: return hooks == expectation.names ? nil : "\(hooks)"
    case .effect: return effect == (text == "some") ? nil : "\(effect.map { "\($0)" } ?? "none")"
    case .blind: return only(blind.map { "\($0.unit): \($0.reason)" }, text)
    case .held: return only(heldBack, text)
    case .warns: return any(layoutWarnings.flatMap(\.told))
    case .registrations:
      return swiftRegistrations == expectation.number ? nil : "\(swiftRegistrations ?? -1)"
    case .shadowed: return same(shadowed.flatMap(\.told))
    case .unmoved: return same(immovable)
    case .reason: return contains(reason)
    case .unit: return units([unit?.split(separator: "/").last.map(String.init) ?? "none"])
    case .kind: return layouts.first?.kind == text ? nil : layouts.first?.kind ?? "none"
    case .variable: return layouts.first?.name == text ? nil : layouts.first?.name ?? "none"
    case .caller: return any(layouts.flatMap { $0.callers ?? [] })
    case .policy: return policy == text ? nil : policy ?? "none"
    case .obstacle: return contains(obstacle)
    case .differs: return any(layouts.flatMap { $0.differences.map(\.told) })
    }
  }

  private func fate(
    of symbol: String, _ expectation: Expectation, _ last: Line?
  ) -> String? {
    guard let verdict = verdict(on: symbol) else {
      // What is kept is counted and not listed.
      return expectation.text == "kept" && (kept ?? 0) > 0 ? nil : "no verdict on '\(symbol)'"
    }
    let facts: [String: String?] = [
      "from": verdict.from.map { "\($0)" }, "to": verdict.to.map { "\($0)" },
      "value": verdict.value.map { "\($0)" }, "source": verdict.source.map { "\($0)" },
      "hook": verdict.hook, "moved": verdict.moved == true ? "yes" : "no",
    ]
    let isSame = expectation.pairs.allSatisfy { pair in
      facts[pair.key] ?? nil == last?[pair.value] ?? pair.value
    }
    guard verdict.fate == expectation.text, isSame else { return "\(verdict)" }
    return nil
  }

  /// `none`, or exactly one that contains a text.
  private func only(_ seen: [String], _ text: String) -> String? {
    if text == "none" { return seen.isEmpty ? nil : "\(seen)" }
    return seen.count == 1 && seen[0].contains(text) ? nil : "\(seen)"
  }
}

extension RunnerEvent.Layout {
  /// The variable, the change, and the names of members before and after.
  var told: [String] {
    differences.map { difference in
      let (old, new) = (difference.old.members, difference.new.members)
      return "'\(name)': \(difference.told), old: \(old.map(\.name).joined(separator: " ")) | "
        + "new: \(new.map(\.name).joined(separator: " "))"
    }
  }
}

extension RunnerEvent.Shadowed {
  /// The function, whose copy does not run, whose does.
  var told: [String] {
    [symbol] + [unit, owner].map { $0.split(separator: "/").last.map(String.init) ?? $0 }
  }
}

extension RunnerEvent.Layout.Difference {
  /// Its text, if the layout before is there to be shown.
  var told: String {
    old.name.isEmpty ? "without layouts: \(text)" : text
  }
}
