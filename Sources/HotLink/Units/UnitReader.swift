// Files into units: an object is one unit, an archive offers its members.
internal import LoaderEngine
internal import SystemPackage

/// What a file holds for a session.
struct UnitFile {
  var path: FilePath
  var hash: UInt64
  /// The object, when the file is one.
  var object: ObjectFile?
  /// The same when it is a shared object.
  var library: LibraryFile?
  /// The members, when it is an archive.
  var members: [(name: String, object: ObjectFile)] = []
  var isArchive = false
  /// All members are units, needed or not (ld: --whole-archive).
  var isWhole = false
}

enum UnitReader {
  /// Reads and validates a file.
  ///
  /// - Parameter known: the hash of the content already linked: an unchanged file is not parsed.
  /// - Returns: nil when the content is the same as `known`.
  static func read(_ path: FilePath, known: UInt64?) throws(LinkError) -> UnitFile? {
    let contents = try FileContents(reading: path)
    let hash = contents.hash
    if hash == known { return nil }
    return try parse(Bytes(contents), path: path, hash: hash)
  }

  static func parse(_ bytes: Bytes, path: FilePath, hash: UInt64) throws(LinkError)
    -> UnitFile
  {
    let name = path.string
    switch Identification.kind(of: bytes) {
    case .archive, .thinArchive:
      var file = UnitFile(path: path, hash: hash, isArchive: true)
      let archive = try Archive(bytes, name: name)
      var seen: [String: Int] = [:]
      for member in archive.members {
        let content: Bytes
        if let stored = member.bytes {
          content = stored
        } else {
          content = Bytes(
            try FileContents(reading: path.removingLastComponent().pushing(FilePath(member.name))))
        }
        if case .object = Identification.kind(of: content) {
          // An archive may hold several members of one name.
          let count = (seen[member.name] ?? 0) + 1
          seen[member.name] = count
          let memberName = "\(name)(\(member.name)\(count > 1 ? ":\(count)" : ""))"
          file.members.append((memberName, try ObjectFile(content, name: memberName)))
        }
      }
      return file
    case .sharedObject:
      return UnitFile(
        path: path, hash: hash,
        library: try LibraryFile(bytes, contents: bytes.contents, name: name))
    default:
      return UnitFile(path: path, hash: hash, object: try ObjectFile(bytes, name: name))
    }
  }
}
