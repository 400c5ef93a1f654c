// What was read and is not linked yet.
internal import LoaderEngine

/// Changes that wait, each unit's newest, in the order in which the units first came.
struct PendingUnits {
  private var changes: [UnitChange] = []
  private var places: [String: Int] = [:]

  var isEmpty: Bool { changes.isEmpty }
  var names: [String] { changes.map(\.name) }

  func contains(_ name: String) -> Bool { places[name] != nil }

  /// Has room for so many more.
  mutating func expect(_ count: Int) {
    guard count > 1 else { return }
    if changes.isEmpty { changes.reserveCapacity(count) }
    places.reserveCapacity(places.count + count)
  }

  /// Notes a change, in place of an earlier one of that unit.
  mutating func note(_ change: UnitChange) {
    if let known = places.updateValue(changes.count, forKey: change.name) {
      places[change.name] = known
      changes[known] = change
    } else {
      changes.append(change)
    }
  }

  /// Notes a change, unless a newer one of that unit waits.
  mutating func keep(_ change: UnitChange) {
    if !contains(change.name) { note(change) }
  }

  mutating func take() -> [UnitChange] {
    defer { self = PendingUnits() }
    return changes
  }
}
