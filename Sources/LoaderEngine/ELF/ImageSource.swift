// Where the bytes of an image come from: memory, a descriptor (or a part of what it names), or a reader of
// the caller's own. Reading is positional, so that one source serves several threads. Linux: pread(2).
internal import Glibc
public import SystemPackage

/// A caller's own supply of bytes, for images that are neither in memory nor in a file of their own.
public protocol ImageReader: AnyObject, Sendable {
  /// Size in bytes; constant.
  var size: UInt64 { get }
  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Returns: how many bytes were there; fewer than asked for only at the end.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int
  /// The bytes themselves, where they are in memory anyway; valid as long as the reader. The default has
  /// none.
  func borrow(at offset: UInt64, count: Int) -> UnsafeRawPointer?
}

extension ImageReader {
  public func borrow(at offset: UInt64, count: Int) -> UnsafeRawPointer? { nil }
}

/// The bytes of an image, and what it is called in messages.
public final class ImageSource: Sendable {
  private enum Storage: Sendable {
    case contents(FileContents)
    /// Owned: closed when the source is dropped.
    case descriptor(Int32)
    case reader(any ImageReader)
  }

  /// The path as given, or the name the caller chose. For messages: a path need not be text.
  public let name: String
  /// Size in bytes.
  public let size: UInt64
  /// Where the image begins in what the storage holds, in bytes.
  private let start: UInt64
  private let storage: Storage
  /// The first bytes of a file, read when it was opened: all of a small one, the headers of any other. One
  /// system call instead of eight for the parts of a small library.
  private let head: FileContents?
  private static let mostReadAhead: UInt64 = 64 << 10
  /// Device and inode, of a file.
  package let identity: FileIdentity?

  package struct FileIdentity: Hashable, Sendable {
    package var device: UInt64
    package var inode: UInt64
  }

  private init(
    name: String, start: UInt64, size: UInt64, storage: Storage, identity: FileIdentity? = nil,
    head: FileContents? = nil
  ) {
    self.name = name
    self.start = start
    self.size = size
    self.storage = storage
    self.head = head
    self.identity = identity
  }

  deinit {
    if case .descriptor(let descriptor) = storage { close(descriptor) }
  }

  /// Bytes in memory; they are kept alive, not copied.
  public convenience init(_ contents: FileContents, name: String) {
    self.init(name: name, start: 0, size: UInt64(contents.count), storage: .contents(contents))
  }

  /// A caller's reader.
  public convenience init(_ reader: any ImageReader, name: String) {
    self.init(name: name, start: 0, size: reader.size, storage: .reader(reader))
  }

  /// A file, or an image inside a bigger file (Linux: `open`, `fstat`).
  ///
  /// - Parameters:
  ///   - offset: where the image begins, in bytes.
  ///   - size: its size in bytes; nil: to the end of the file.
  /// - Throws: `LinkError` with the system call that failed, or when the part leaves the file.
  public convenience init(opening path: FilePath, offset: UInt64 = 0, size: UInt64? = nil)
    throws(LinkError)
  {
    let name = path.string
    let descriptor = path.withPlatformString { open($0, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw LinkError(file: name, .system(SystemError("open", name))) }
    try self.init(owning: descriptor, name: name, offset: offset, size: size, readsAhead: true)
  }

  /// The same by a path that is text.
  convenience init(openingText path: String) throws(LinkError) {
    let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw LinkError(file: path, .system(SystemError("open", path))) }
    try self.init(owning: descriptor, name: path, offset: 0, size: nil, readsAhead: true)
  }

  /// An open descriptor of a regular file or memfd. The descriptor stays the caller's; its position is not
  /// used.
  public convenience init(
    descriptor: Int32, name: String, offset: UInt64 = 0, size: UInt64? = nil
  ) throws(LinkError) {
    let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard own >= 0 else { throw LinkError(file: name, .system(SystemError("fcntl", name))) }
    try self.init(owning: own, name: name, offset: offset, size: size)
  }

  private convenience init(
    owning descriptor: Int32, name: String, offset: UInt64, size: UInt64?, readsAhead: Bool = false
  ) throws(LinkError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let error = SystemError("fstat", name)
      close(descriptor)
      throw LinkError(file: name, .system(error))
    }
    let whole = UInt64(max(status.st_size, 0))
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw LinkError(file: name, .unsupported(what: "not a regular file", help: "name a file"))
    }
    guard offset <= whole, (size ?? 0) <= whole - offset else {
      close(descriptor)
      throw LinkError(
        file: name,
        .malformed(
          structure: "image inside the file", offset: offset,
          detail: "the file has \(whole) bytes"))
    }
    let size = size ?? (whole - offset)
    self.init(
      name: name, start: offset, size: size, storage: .descriptor(descriptor),
      identity: FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)),
      head: readsAhead ? ImageSource.head(descriptor, offset, size) : nil)
  }

  /// nil when not all of it can be read now: then whoever needs the bytes meets the error.
  private static func head(_ descriptor: Int32, _ start: UInt64, _ size: UInt64) -> FileContents? {
    let count = Int(size <= mostReadAhead ? size : 4096)
    guard count > 0 else { return nil }
    return try? FileContents(filling: count) { (place) throws(LinkError) in
      guard pread(descriptor, place, count, off_t(start)) == count else {
        throw LinkError(file: "", .system(SystemError("pread", "")))
      }
    }
  }

  /// The bytes themselves, where they are in memory; nil when they must be read, or do not exist.
  /// Valid as long as the source.
  public func borrow(at offset: UInt64, count: Int) -> UnsafeRawPointer? {
    guard count >= 0, offset <= size, UInt64(count) <= size - offset else { return nil }
    if let head, offset + UInt64(count) <= UInt64(head.count) { return head.base + Int(offset) }
    switch storage {
    case .contents(let contents): return contents.base + Int(start + offset)
    case .reader(let reader): return reader.borrow(at: offset, count: count)
    case .descriptor: return nil
    }
  }

  /// A part of the image: of what is in memory anyway, where it is, or read now.
  ///
  /// - Throws: as `read` does.
  package func bytes(at offset: UInt64, count: Int) throws(LinkError) -> Bytes {
    let size = UInt64(max(count, 0))
    if let part = head.flatMap({ Bytes($0).slice(offset, size) }) { return part }
    if case .contents(let contents) = storage, offset <= self.size, size <= self.size - offset,
      let part = Bytes(contents).slice(start + offset, size)
    {
      return part
    }
    return Bytes(
      try FileContents(filling: count) { (place) throws(LinkError) in
        try self.read(at: offset, into: place, count: count)
      })
  }

  /// What mmap(2) takes: the descriptor, and where in its file the image begins; nil for memory.
  public var mappable: (descriptor: Int32, start: UInt64)? {
    if case .descriptor(let descriptor) = storage { return (descriptor, start) }
    return nil
  }

  /// Copies `count` bytes from `offset` to `place`.
  ///
  /// - Throws: `LinkError` when they are not there, or cannot be read.
  public func read(at offset: UInt64, into place: UnsafeMutableRawPointer, count: Int)
    throws(LinkError)
  {
    guard count > 0 else { return }
    guard offset <= size, UInt64(count) <= size - offset else { throw shortened(offset) }
    if let head, offset + UInt64(count) <= UInt64(head.count) {
      return place.copyMemory(from: head.base + Int(offset), byteCount: count)
    }
    switch storage {
    case .contents(let contents):
      place.copyMemory(from: contents.base + Int(start + offset), byteCount: count)
    case .descriptor(let descriptor):
      var filled = 0
      while filled < count {
        let got = pread(
          descriptor, place + filled, count - filled, off_t(start + offset) + off_t(filled))
        if got < 0 && errno == EINTR { continue }
        guard got >= 0 else { throw LinkError(file: name, .system(SystemError("pread", name))) }
        guard got > 0 else { throw shortened(offset + UInt64(filled)) }
        filled += got
      }
    case .reader(let reader):
      var filled = 0
      while filled < count {
        let got: Int
        do {
          got = try reader.read(
            at: offset + UInt64(filled),
            into: UnsafeMutableRawBufferPointer(start: place + filled, count: count - filled))
        } catch let error as LinkError {
          throw error
        } catch {
          throw LinkError(
            file: name, .unsupported(what: "its reader failed: \(error)", help: "see the reader"))
        }
        guard got > 0, got <= count - filled else { throw shortened(offset + UInt64(filled)) }
        filled += got
      }
    }
  }

  /// All bytes, in memory: the source's own where it has them.
  package func contents() throws(LinkError) -> FileContents {
    if case .contents(let contents) = storage, start == 0, contents.count == Int(size) {
      return contents
    }
    if let head, head.count == Int(size) { return head }
    return try FileContents(filling: Int(size)) { (place) throws(LinkError) in
      try self.read(at: 0, into: place, count: Int(self.size))
    }
  }

  /// The same image, with its bytes in memory.
  package func holding(_ contents: FileContents) -> ImageSource {
    ImageSource(
      name: name, start: 0, size: UInt64(contents.count), storage: .contents(contents),
      identity: identity)
  }

  private func shortened(_ offset: UInt64) -> LinkError {
    LinkError(
      file: name,
      .malformed(structure: "file", offset: offset, detail: "ends before the bytes it promises"))
  }
}
