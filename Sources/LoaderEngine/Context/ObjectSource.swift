// Where relocatable objects come from: a compiler's memory, a file, a pipe, the members of an archive. They are read and
// proven here, once; linking reads nothing again.
public import SystemPackage

/// A relocatable object, proven and ready to be linked (ELF: ET_REL).
public struct ObjectSource: Sendable {
  package let object: ObjectFile

  /// As given: a path, `archive(member)`, or any name.
  public var name: String { object.name }

  /// An object in memory; the bytes are copied.
  ///
  /// - Parameter name: what it is called in messages.
  /// - Throws: `LinkError` when the bytes are no object of this machine, with structure and offset.
  public init(_ bytes: [UInt8], name: String) throws(LinkError) {
    try self.init(FileContents(bytes), name: name)
  }

  /// An object in bytes that were read before; nothing is copied.
  public init(_ contents: FileContents, name: String) throws(LinkError) {
    object = try ObjectFile(Bytes(contents), name: name)
  }

  /// An object in a file.
  ///
  /// - Throws: `LinkError` with the system call that failed, or what is wrong with the bytes.
  public init(_ path: FilePath) throws(LinkError) {
    try self.init(FileContents(reading: path), name: path.string)
  }

  /// The objects in an archive, in its order; what else it holds is passed over (ELF: `ar`, thin ones too).
  ///
  /// - Throws: `LinkError` for a broken archive, a broken object, or a file of a thin archive that is gone.
  public static func members(of path: FilePath) throws(LinkError) -> [ObjectSource] {
    let archive = try Archive(Bytes(FileContents(reading: path)), name: path.string)
    var found: [ObjectSource] = []
    for member in archive.members {
      let content: Bytes
      if let stored = member.bytes {
        content = stored
      } else {
        let place = path.removingLastComponent().pushing(FilePath(member.name))
        content = Bytes(try FileContents(reading: place))
      }
      guard case .object = Identification.kind(of: content) else { continue }
      found.append(
        ObjectSource(object: try ObjectFile(content, name: "\(path.string)(\(member.name))")))
    }
    return found
  }

  /// Names it defines for others, in the order of its symbol table.
  public var definedNames: [String] { names { $0 != .undefined } }
  /// Names it wants from others.
  public var undefinedNames: [String] { names { $0 == .undefined } }

  private func names(where isWanted: (SymbolPlace) -> Bool) -> [String] {
    (object.firstGlobal..<object.symbols.count).filter { isWanted(object.place(ofSymbol: $0)) }
      .map { object.name(ofSymbol: $0).string }
  }

  private init(object: ObjectFile) { self.object = object }
}
