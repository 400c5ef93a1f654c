// Reads one directory. The kernel gives each entry's kind along with its name, so that a tree is
// listed without a `stat` for each file.
import Glibc
import SystemPackage

enum DirectoryListing {
  enum Kind { case file, directory, link, other }

  /// Calls `body` for each entry but `.` and `..`; the name is valid during the call.
  ///
  /// - Throws: what `opendir` says; a directory that vanishes meanwhile just ends.
  static func forEachEntry(
    of directory: FilePath, _ body: (UnsafeBufferPointer<UInt8>, Kind) -> Void
  ) throws(Errno) {
    guard let stream = directory.withPlatformString({ opendir($0) }) else {
      throw Errno(rawValue: errno)
    }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      // The name lies inside `entry`, NUL-terminated, until the next `readdir`. POSIX: readdir(3).
      withUnsafeBytes(of: &entry.pointee.d_name) { field in
        let bytes = field.bindMemory(to: UInt8.self)
        let name = UnsafeBufferPointer(rebasing: bytes[..<(bytes.firstIndex(of: 0) ?? bytes.count)])
        guard !name.elementsEqual([46]), !name.elementsEqual([46, 46]) else { return }
        body(name, kind(entry.pointee.d_type, directory, name))
      }
    }
  }

  private static func kind(
    _ type: UInt8, _ directory: FilePath, _ name: UnsafeBufferPointer<UInt8>
  ) -> Kind {
    switch Int(type) {
    case Int(DT_REG): .file
    case Int(DT_DIR): .directory
    case Int(DT_LNK): .link
    case Int(DT_UNKNOWN): statKind(directory.appending(name))  // some file systems do not say
    default: .other
    }
  }

  private static func statKind(_ path: FilePath) -> Kind {
    guard let type = try? path.stat(followTargetSymlink: false).type else { return .other }
    switch type {
    case .regular: return .file
    case .directory: return .directory
    case .symbolicLink: return .link
    default: return .other
    }
  }
}

extension FilePath.Component {
  /// A name of any bytes: on Linux it need not be UTF-8. Nil for an empty one.
  init?(_ name: UnsafeBufferPointer<UInt8>) {
    self.init(platformString: name.map { CInterop.PlatformChar(bitPattern: $0) } + [0])
  }
}

extension FilePath {
  func appending(_ name: UnsafeBufferPointer<UInt8>) -> FilePath {
    FilePath.Component(name).map { appending($0) } ?? self
  }
}
