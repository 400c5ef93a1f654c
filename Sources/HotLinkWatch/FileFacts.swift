// What the file system says about a path when events alone do not tell: whether it is a file at all,
// and whether somebody may still be writing it.
import Glibc
import SystemPackage

/// A regular file, or a link to one.
struct FileFacts {
  /// Bytes.
  let size: Int64
  /// A symbolic link, or one of several hard links: such a name appears with its contents in place,
  /// so no close will ever follow its creation.
  let isLink: Bool
  /// Time since contents or metadata last changed. Linux: `st_ctim`, which no tool sets back.
  let age: Duration

  /// - Returns: nil if there is nothing, or no regular file, at the end of `path`.
  init?(_ path: FilePath) {
    guard let own = try? path.stat(followTargetSymlink: false) else { return nil }
    let isSymbolic = own.type == .symbolicLink
    guard let target = isSymbolic ? try? path.stat() : own, target.type == .regular else {
      return nil
    }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    size = target.size
    isLink = isSymbolic || own.linkCount > 1
    age = max(
      .zero,
      .seconds(now.tv_sec - target.st_ctim.tv_sec)
        + .nanoseconds(now.tv_nsec - target.st_ctim.tv_nsec))
  }
}

extension FilePath {
  /// A directory, or a link to one.
  var isDirectory: Bool { (try? stat().type) == .directory }

  /// Byte order, so that a listing is the same whatever the locale and the encoding of names.
  func precedes(_ other: FilePath) -> Bool {
    withPlatformString { a in other.withPlatformString { b in strcmp(a, b) < 0 } }
  }

  /// The directory that holds this name, nil where the path does not say (`/`, `.`, `..`).
  var holder: (directory: FilePath, name: FilePath.Component)? {
    guard let name = lastComponent, name.kind == .regular else { return nil }
    let directory = removingLastComponent()
    return (directory.isEmpty ? "." : directory, name)
  }
}
