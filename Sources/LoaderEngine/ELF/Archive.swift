// Static libraries: `ar` archives, GNU and BSD names, thin ones too. Ours and not libelf's, which knows
// no thin archives and reads symbol tables we do not need (docs/decisions/0002). ar(5).
internal import CLoaderSupport

/// The members of an archive, in order.
package struct Archive {
  package struct Member {
    package var name: String
    /// The contents; nil for a member of a thin archive, which stands in a file of its own.
    package var bytes: Bytes?
  }

  package let isThin: Bool
  package let members: [Member]

  /// - Throws: `LinkError.malformed` for a header or a size that leaves the file.
  package init(_ bytes: Bytes, name: String) throws(LinkError) {
    func malformed(_ offset: UInt64, _ detail: String) -> LinkError {
      LinkError(file: name, .malformed(structure: "archive member", offset: offset, detail: detail))
    }
    let kind = Identification.kind(of: bytes)
    guard kind == .archive || kind == .thinArchive else {
      throw LinkError(file: name, .unsupported(what: "not an archive", help: "name a .a file"))
    }
    isThin = kind == .thinArchive
    var members: [Member] = []
    var longNames: Bytes?
    var offset: UInt64 = 8
    let end = UInt64(bytes.count)
    while offset < end {
      guard let header = bytes.slice(offset, 60)?.array else {
        throw malformed(offset, "the file ends inside a header")
      }
      guard header[58] == 0x60, header[59] == 0x0A else {
        throw malformed(offset, "the header has no end mark")
      }
      guard let size = Archive.decimal(header[48..<58]) else {
        throw malformed(offset, "the size is no number")
      }
      let raw = Archive.trimmed(header[0..<16])
      let isSpecial = raw == "/" || raw == "//" || raw == "/SYM64/" || raw.hasPrefix("__.SYMDEF")
      let stored = !isThin || isSpecial
      let data = offset + 60
      var payload = Bytes?.none
      if stored {
        guard let inside = bytes.slice(data, size) else {
          throw malformed(offset, "its \(size) bytes leave the file")
        }
        payload = inside
      }
      if raw == "//" {
        longNames = payload
      } else if !isSpecial {
        var memberName = raw
        if raw.hasPrefix("#1/"), let length = UInt64(raw.dropFirst(3)), let body = payload {
          guard let text = body.slice(0, length), let rest = body.slice(length, size - length)
          else { throw malformed(offset, "its name leaves it") }
          memberName = Archive.trimmed(text.array[...].prefix { $0 != 0 })
          payload = rest
        } else if raw.hasPrefix("/"), let at = UInt64(raw.dropFirst()) {
          guard let table = longNames, at < UInt64(table.count),
            let tail = table.slice(at, UInt64(table.count) - at)
          else { throw malformed(offset, "its long name does not exist") }
          memberName = Archive.trimmed(tail.array[...].prefix { $0 != 0x0A })
          if memberName.hasSuffix("/") { memberName.removeLast() }
        } else if memberName.hasSuffix("/") {
          memberName.removeLast()
        }
        members.append(Member(name: memberName, bytes: payload))
      }
      let next = data + (stored ? size : 0)
      offset = next + (next & 1)
    }
    self.members = members
  }

  private static func decimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
    UInt64(trimmed(digits))
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
    var end = bytes.endIndex
    while end > bytes.startIndex, bytes[end - 1] == 0x20 { end -= 1 }
    return String(decoding: bytes[bytes.startIndex..<end], as: UTF8.self)
  }
}
