// The shared objects that lie below a directory: regular files, each once, told by their contents. Linux:
// readdir(3); symbolic links are not followed.
internal import Glibc
package import SystemPackage

package enum SharedObjects {
  /// Paths in the order of their names.
  package static func below(_ directory: FilePath) -> [FilePath] {
    var found: [FilePath] = []
    var seen: Set<ImageSource.FileIdentity> = []
    walk(directory, &found, &seen)
    return found
  }

  private static func walk(
    _ directory: FilePath, _ found: inout [FilePath], _ seen: inout Set<ImageSource.FileIdentity>
  ) {
    for name in names(in: directory) {
      let path = directory.appending(name)
      var status = stat()
      guard path.withPlatformString({ lstat($0, &status) }) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: walk(path, &found, &seen)
      case S_IFREG:
        let identity = ImageSource.FileIdentity(
          device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        if NeutralCopy.isSharedObject(path), seen.insert(identity).inserted { found.append(path) }
      default: continue
      }
    }
  }

  /// What a directory holds, in order, without `.` and `..`; nothing when it cannot be read.
  package static func names(in directory: FilePath) -> [FilePath.Component] {
    guard let listing = directory.withPlatformString({ opendir($0) }) else { return [] }
    defer { closedir(listing) }
    var names: [FilePath.Component] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath(platformString: $0) }
      }
      if let component = name.lastComponent, component.kind == .regular { names.append(component) }
    }
    return names.sorted { $0.string < $1.string }
  }
}
