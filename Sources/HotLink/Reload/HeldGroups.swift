// The recyclable groups that units are made of now, and what they hold: added and taken away with each version, because
// a reload's cost follows what changed and not the size of the program.
internal import LoaderEngine

/// Text groups of linked units, each counted once.
struct HeldGroups {
  /// Bytes of constants that go with them when they go.
  private(set) var tiedBytes: UInt64 = 0

  mutating func hold(_ group: TextGroup) {
    guard !group.isPermanent else { return }
    if group.users == 0 { tiedBytes += group.tied?.range.size ?? 0 }
    group.users += 1
  }

  mutating func drop(_ group: TextGroup) {
    guard !group.isPermanent, group.users > 0 else { return }
    group.users -= 1
    if group.users == 0 { tiedBytes -= group.tied?.range.size ?? 0 }
  }
}
