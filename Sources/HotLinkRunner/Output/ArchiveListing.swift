// What `inspect` shows of an archive: its members, in order.
import LoaderEngine

struct ArchiveListing {
  var file: String
  var archive: Archive

  var json: JSON {
    .object([
      ("file", .string(file)), ("archive", .bool(true)), ("thin", .bool(archive.isThin)),
      (
        "members",
        .array(
          archive.members.map { member in
            .object([
              ("name", .string(member.name)),
              ("size", member.bytes.map { .count($0.count) } ?? .null),
              ("kind", .string(kind(member))),
            ])
          })
      ),
    ])
  }

  var text: String {
    var table = Columns([">size", "kind", "name"])
    for member in archive.members {
      table.add([member.bytes.map { String($0.count) } ?? "", kind(member), member.name])
    }
    let count = archive.members.count
    return "\(file)\n  \(archive.isThin ? "thin archive" : "archive"), "
      + "\(count) member\(count == 1 ? "" : "s")\n\n" + table.text
  }

  private func kind(_ member: Archive.Member) -> String {
    guard let bytes = member.bytes else { return "a file of its own" }
    return switch Identification.kind(of: bytes) {
    case .object: "object"
    case .sharedObject: "shared object"
    case .executable: "executable"
    case .core: "core"
    case .archive: "archive"
    case .thinArchive: "thin archive"
    case .llvmBitcode: "LLVM bitcode"
    case .otherMachine(let name): "for \(name)"
    case .unknown: "not ELF"
    }
  }
}
