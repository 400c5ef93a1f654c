// Which files a session has read, what they held, and which units came from them.
internal import LoaderEngine
internal import Synchronization
internal import SystemPackage

final class FileTable: Sendable {
  private struct Entry {
    var hash: UInt64
    /// Whether the file is a unit itself.
    var isUnit: Bool
    /// Names and the hashes of the contents of an archive's members, which change one by one.
    var units: [String: UInt64] = [:]
    var isWhole = false
  }
  private let entries = Mutex<[FilePath: Entry]>([:])

  func hash(_ path: FilePath) -> UInt64? { entries.withLock { $0[path]?.hash } }

  /// Takes note of a file's new content.
  ///
  /// - Returns: the units that changed with it. Members of an archive that are new are not among
  ///   them: they are linked when something needs them.
  func update(_ file: UnitFile) -> [UnitChange] {
    entries.withLock { entries in
      let old = entries[file.path]
      var units: [String: UInt64] = [:]
      var changes: [UnitChange] = []
      let content = file.object.map { UnitContent.object($0) } ?? file.library.map { .library($0) }
      if let content {
        if let old, old.isUnit, old.hash == file.hash { return [] }
        changes.append(UnitChange(name: file.path.string, content: content))
      }
      let isWhole = file.isWhole || old?.isWhole ?? false
      for member in file.members {
        let hash = member.object.bytes.hash
        units[member.name] = hash
        let before = old?.units[member.name]
        if before != hash, before != nil || isWhole {
          changes.append(UnitChange(name: member.name, object: member.object))
        }
      }
      if let old {
        if old.isUnit, content == nil {
          changes.append(UnitChange(name: file.path.string, object: nil))
        }
        for name in old.units.keys where units[name] == nil {
          changes.append(UnitChange(name: name, object: nil))
        }
      }
      entries[file.path] = Entry(
        hash: file.hash, isUnit: content != nil, units: units, isWhole: isWhole)
      return changes
    }
  }

  func remove(_ path: FilePath) -> [UnitChange] {
    entries.withLock { entries in
      guard let old = entries.removeValue(forKey: path) else { return [] }
      return ((old.isUnit ? [path.string] : []) + old.units.keys).sorted()
        .map { UnitChange(name: $0, object: nil) }
    }
  }

  func paths(notIn present: Set<FilePath>) -> [FilePath] {
    entries.withLock { $0.keys.filter { !present.contains($0) } }
  }
}
