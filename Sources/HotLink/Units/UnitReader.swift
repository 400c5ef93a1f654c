// Files into units: an object is one unit, an archive offers its members.
internal import LoaderEngine
internal import SystemPackage

/// What a file holds for a session.
struct UnitFile {
  var name: String
  var content: Bytes
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
  /// - Parameters:
  ///   - known: the content already linked: an unchanged file is not parsed.
  ///   - blocks: where files go that are read together.
  /// - Returns: nil when the content is the same as `known`.
  static func read(_ path: FilePath, known: Bytes?, into blocks: FileBlocks? = nil)
    throws(LinkError)
    -> UnitFile?
  {
    let content = Bytes(try FileContents(reading: path, into: blocks))
    if let known, known.isSame(as: content) { return nil }
    return try parse(content, path: path)
  }

  static func parse(_ bytes: Bytes, path: FilePath) throws(LinkError) -> UnitFile {
    let name = path.string
    switch Identification.kind(of: bytes) {
    case .archive, .thinArchive:
      var file = UnitFile(name: name, content: bytes, isArchive: true)
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
        name: name, content: bytes,
        library: try LibraryFile(bytes, contents: bytes.contents, name: name))
    default:
      return UnitFile(name: name, content: bytes, object: try ObjectFile(bytes, name: name))
    }
  }
}
