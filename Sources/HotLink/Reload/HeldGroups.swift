// The recyclable groups that units are made of now, and what they hold: added and taken away with each version, because
// a reload's cost follows what changed and not the size of the program.
internal import LoaderEngine

/// Text groups of linked units, each counted once.
struct HeldGroups {
  private var users: [ObjectIdentifier: Int] = [:]
  /// Bytes of constants that go with them when they go.
  private(set) var tiedBytes: UInt64 = 0

  mutating func hold(_ group: TextGroup) {
    guard !group.isPermanent else { return }
    if users[ObjectIdentifier(group), default: 0] == 0 {
      tiedBytes += group.tied?.range.size ?? 0
    }
    users[ObjectIdentifier(group), default: 0] += 1
  }

  mutating func drop(_ group: TextGroup) {
    guard !group.isPermanent, let count = users[ObjectIdentifier(group)] else { return }
    users[ObjectIdentifier(group)] = count > 1 ? count - 1 : nil
    if count == 1 { tiedBytes -= group.tied?.range.size ?? 0 }
  }
}
