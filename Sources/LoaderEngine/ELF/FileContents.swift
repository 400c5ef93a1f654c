// The bytes of a file, owned and immutable. They are read, never mapped: a build tool may truncate or
// overwrite the file at any moment, and a mapped page would then fault (SIGBUS).
internal import Glibc
public import SystemPackage

/// Immutable bytes and their storage. Whatever was made from them keeps them alive.
public final class FileContents: @unchecked Sendable {
  // Sound: written only before init returns, freed only in deinit.
  package let base: UnsafeRawPointer
  /// Size in bytes.
  public let count: Int
  private let owner: Owner

  /// Whose memory it is.
  private enum Owner {
    case own
    case array([UInt8])
    case block(FileBlock)
  }

  private init(adopting base: UnsafeMutableRawPointer, count: Int, of owner: Owner = .own) {
    self.base = UnsafeRawPointer(base)
    self.count = count
    self.owner = owner
  }

  deinit {
    if case .own = owner { free(UnsafeMutableRawPointer(mutating: base)) }
  }

  /// Shares the bytes with the array; nothing is copied.
  public init(_ bytes: [UInt8]) {
    count = bytes.count
    // Sound: an array's elements stay where they are as long as it is held, and whoever writes to an array that
    // is held elsewhere writes to a copy.
    if let base = bytes.withUnsafeBytes({ $0.baseAddress }), !bytes.isEmpty {
      self.base = base
      owner = .array(bytes)
    } else {
      base = UnsafeRawPointer(FileContents.allocate(0))
      owner = .own
    }
  }

  /// Reads a whole file (Linux: `open`, `fstat`, `read`).
  ///
  /// - Throws: `LinkError` with the system call that failed. A file that shrinks while it is read
  ///   gives what was there; the reader of the format finds what is missing.
  public convenience init(reading path: FilePath) throws(LinkError) {
    try self.init(reading: path, into: nil)
  }

  /// - Parameter blocks: where small files go that are read together.
  package convenience init(reading path: FilePath, into blocks: FileBlocks?) throws(LinkError) {
    let name = path.string
    let descriptor = path.withPlatformString { open($0, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else {
      throw LinkError(file: name, .system(SystemError("open", name)))
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw LinkError(file: name, .system(SystemError("fstat", name)))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw LinkError(file: name, .unsupported(what: "not a regular file", help: "name a file"))
    }
    let size = Int(status.st_size)
    let shared = blocks?.take(size)
    let storage = shared?.0 ?? FileContents.allocate(size)
    var filled = 0
    while filled < size {
      let got = read(descriptor, storage + filled, size - filled)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        let error = SystemError("read", name)
        if shared == nil { free(storage) }
        throw LinkError(file: name, .system(error))
      }
      if got == 0 { break }
      filled += got
    }
    self.init(adopting: storage, count: filled, of: shared.map { .block($0.1) } ?? .own)
  }

  /// Reads a descriptor to its end, for example standard input.
  public convenience init(draining descriptor: Int32, name: String) throws(LinkError) {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let got = read(descriptor, &chunk, chunk.count)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw LinkError(file: name, .system(SystemError("read", name))) }
      if got == 0 { break }
      bytes.append(contentsOf: chunk[..<got])
    }
    self.init(bytes)
  }

  /// Memory of `count` bytes that `fill` writes.
  package convenience init(
    filling count: Int, _ fill: (UnsafeMutableRawPointer) throws(LinkError) -> Void
  ) throws(LinkError) {
    let storage = FileContents.allocate(count)
    do { try fill(storage) } catch {
      free(storage)
      throw error
    }
    self.init(adopting: storage, count: count)
  }

  /// A copy of the bytes.
  public var bytes: [UInt8] { Bytes(self).array }

  private static func allocate(_ count: Int) -> UnsafeMutableRawPointer {
    // 64-byte alignment: records inside are then aligned as the file aligns them.
    guard let storage = aligned_alloc(64, (max(count, 1) + 63) & ~63) else {
      preconditionFailure("out of memory for \(count) bytes")
    }
    return storage
  }
}
