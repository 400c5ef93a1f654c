// Which files a session has read, what they held, and which units came from them.
internal import LoaderEngine
internal import Synchronization
internal import SystemPackage

final class FileTable: Sendable {
  private struct Entry {
    /// What it held, to be compared: what is linked of it keeps these bytes anyway.
    var content: Bytes
    /// Whether the file is a unit itself.
    var isUnit: Bool
    /// Names and contents of an archive's members, which change one by one.
    var units: [String: Bytes] = [:]
    var isWhole = false
  }
  private let entries = Mutex<[String: Entry]>([:])

  func content(_ path: FilePath) -> Bytes? { entries.withLock { $0[path.string]?.content } }

  /// Takes note of files' new content.
  ///
  /// - Returns: the units that changed with it. Members of an archive that are new are not among
  ///   them: they are linked when something needs them.
  func update(_ files: [UnitFile]) -> [UnitChange] {
    var changes: [UnitChange] = []
    changes.reserveCapacity(files.count)
    entries.withLock { entries in
      if files.count > 1 { entries.reserveCapacity(entries.count + files.count) }
      for file in files {
        if let change = FileTable.noteNew(file, in: &entries) {
          changes.append(change)
        } else {
          changes += FileTable.update(file, in: &entries)
        }
      }
    }
    return changes
  }

  private static func update(_ file: UnitFile, in entries: inout [String: Entry]) -> [UnitChange] {
    let old = entries[file.name]
    var units: [String: Bytes] = [:]
    var changes: [UnitChange] = []
    let content = file.object.map { UnitContent.object($0) } ?? file.library.map { .library($0) }
    if let content {
      if let old, old.isUnit, old.content.isSame(as: file.content) { return [] }
      changes.append(UnitChange(name: file.name, content: content))
    }
    let isWhole = file.isWhole || old?.isWhole ?? false
    for member in file.members {
      let content = member.object.bytes
      units[member.name] = content
      if let before = old?.units[member.name] {
        if before.isSame(as: content) { continue }
      } else if !isWhole {
        continue
      }
      changes.append(UnitChange(name: member.name, object: member.object))
    }
    if let old {
      if old.isUnit, content == nil {
        changes.append(UnitChange(name: file.name, object: nil))
      }
      for name in old.units.keys where units[name] == nil {
        changes.append(UnitChange(name: name, object: nil))
      }
    }
    entries[file.name] = Entry(
      content: file.content, isUnit: content != nil, units: units, isWhole: isWhole)
    return changes
  }

  /// The short way for an object that nobody knew.
  private static func noteNew(_ file: UnitFile, in entries: inout [String: Entry]) -> UnitChange? {
    guard let object = file.object else { return nil }
    let entry = Entry(content: file.content, isUnit: true, isWhole: file.isWhole)
    guard let known = entries.updateValue(entry, forKey: file.name) else {
      return UnitChange(name: file.name, content: .object(object))
    }
    entries[file.name] = known
    return nil
  }

  func remove(_ path: FilePath) -> [UnitChange] {
    entries.withLock { entries in
      guard let old = entries.removeValue(forKey: path.string) else { return [] }
      return ((old.isUnit ? [path.string] : []) + old.units.keys).sorted()
        .map { UnitChange(name: $0, object: nil) }
    }
  }

  func paths(notIn present: Set<FilePath>) -> [FilePath] {
    entries.withLock { $0.keys.map { FilePath($0) }.filter { !present.contains($0) } }
  }
}
