// A copy of a library that two loaders can load without running any code of it: constructors change words that
// were relocated (libnettle does), and two copies would register themselves twice. The entries that lead to
// them get tags that mean nothing to a loader; all else, DT_SONAME too, stays. gABI, “Dynamic Section”.
internal import CLoaderSupport
internal import Glibc
package import SystemPackage

/// A file without initialisers and finalisers, in a directory of the caller's.
package struct NeutralCopy {
  package let path: FilePath
  /// Directories that the original names for its libraries ($ORIGIN is its own), and its own.
  package let searchPath: [String]
  /// What a program needs: it copies variables (R_X86_64_COPY), which their initialisers must have
  /// written before the first of two loads. Empty for libraries.
  package private(set) var neededFirst: [String] = []

  // Inside the operating system's range, and nobody's.
  private static let meaningless: Int64 = 0x6068_6C00
  private static let silenced: [Int32] = [
    DT_INIT, DT_FINI, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ,
    DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ,
  ]
  private static let flags1: Int64 = 0x6FFF_FFFB
  private static let isPIE: UInt64 = 0x0800_0000

  /// Copies a file.
  ///
  /// - Parameters:
  ///   - original: an absolute path, for $ORIGIN.
  ///   - directory: gets the copy, under the original's name.
  /// - Throws: `LinkError`: the file is no image, or cannot be copied.
  package init(of original: FilePath, in directory: FilePath) throws(LinkError) {
    let source = try ImageSource(opening: original)
    let headers = try ImageHeaders(source)
    let contents = try source.contents()
    guard let dynamic = headers.dynamic, let start = NeutralCopy.offset(of: dynamic, headers) else {
      throw LinkError(
        file: source.name,
        .unsupported(what: "no dynamic section", help: "link it with -shared"))
    }
    let provider = try SymbolProvider(
      dynamic, SegmentView(headers, in: contents), name: source.name, bias: 0,
      range: AddressRange(start: Address(0), size: headers.size), isHost: false)
    let own = original.removingLastComponent().string
    searchPath =
      (LibrarySearch.directories(namedBy: provider) + [own]).filter { !$0.isEmpty }
    path = directory.appending(original.lastComponent?.string ?? "library")
    let file = try NewFile(path)
    try file.write(UnsafeRawBufferPointer(start: contents.base, count: contents.count), at: 0)
    let count = Int(dynamic.upperBound - dynamic.lowerBound) / MemoryLayout<Elf64_Dyn>.size
    for index in 0..<count {
      let at = start + index * MemoryLayout<Elf64_Dyn>.size
      var entry = (contents.base + at).loadUnaligned(as: Elf64_Dyn.self)
      if entry.d_tag == 0 { break }
      if NeutralCopy.silenced.contains(where: { Int64($0) == entry.d_tag }) {
        entry.d_tag = NeutralCopy.meaningless
      } else if entry.d_tag == NeutralCopy.flags1 {
        // dlopen(3) takes an executable only without this.
        if entry.d_un.d_val & NeutralCopy.isPIE != 0 {
          neededFirst = provider.entries.needed.indices.compactMap {
            provider.neededName($0)?.string
          }
        }
        entry.d_un.d_val &= ~NeutralCopy.isPIE
      } else {
        continue
      }
      try withUnsafeBytes(of: entry) { (bytes) throws(LinkError) in try file.write(bytes, at: at) }
    }
  }

  /// Whether a file is a shared object for this machine: no program, no object, no separate debug data
  /// (which has its library's headers, and no dynamic section behind them). What is too broken to be told
  /// is for the comparison to refuse.
  package static func isSharedObject(_ path: FilePath) -> Bool {
    guard let source = try? ImageSource(opening: path),
      let header = record(Elf64_Ehdr.self, source, at: 0),
      let start = try? FileContents(
        filling: 64,
        { (place) throws(LinkError) in try source.read(at: 0, into: place, count: 64) }),
      Identification.kind(of: Bytes(start)) == .sharedObject
    else { return false }
    let size = UInt64(MemoryLayout<Elf64_Phdr>.size)
    for index in 0..<UInt64(header.e_phnum) {
      guard let segment = record(Elf64_Phdr.self, source, at: header.e_phoff &+ index * size)
      else { return true }
      guard segment.p_type == UInt32(PT_DYNAMIC) else { continue }
      return segment.p_filesz > 0 && !isProgram(source, segment)
    }
    return false
  }

  private static func isProgram(_ source: ImageSource, _ dynamic: Elf64_Phdr) -> Bool {
    // A tag and a value.
    for index in 0..<(dynamic.p_filesz / 16) {
      let at = dynamic.p_offset &+ index &* 16
      guard let tag = record(Int64.self, source, at: at), tag != 0,
        let value = record(UInt64.self, source, at: at &+ 8)
      else { return false }
      if tag == flags1 { return value & isPIE != 0 }
    }
    return false
  }

  private static func record<Record: BitwiseCopyable>(
    _ type: Record.Type, _ source: ImageSource, at offset: UInt64
  ) -> Record? {
    let size = MemoryLayout<Record>.size
    let bytes = try? FileContents(
      filling: size,
      { (place) throws(LinkError) in try source.read(at: offset, into: place, count: size) })
    return bytes.flatMap { Bytes($0).load(type, at: 0) }
  }

  private static func offset(of extent: Range<UInt64>, _ headers: ImageHeaders) -> Int? {
    for segment in headers.segments {
      let offset = extent.lowerBound &- headers.base &- segment.offset
      let size = extent.upperBound - extent.lowerBound
      if offset <= segment.fileSize, size <= segment.fileSize - offset {
        return Int(segment.fileOffset + offset)
      }
    }
    return nil
  }
}

/// A file that did not exist before.
private final class NewFile {
  private let descriptor: Int32
  private let name: String

  init(_ path: FilePath) throws(LinkError) {
    name = path.string
    descriptor = path.withPlatformString {
      open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o700)
    }
    guard descriptor >= 0 else { throw LinkError(file: name, .system(SystemError("open", name))) }
  }

  deinit { close(descriptor) }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LinkError) {
    guard let base = bytes.baseAddress else { return }
    var written = 0
    while written < bytes.count {
      let count = pwrite(
        descriptor, base + written, bytes.count - written, off_t(offset + written))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw LinkError(file: name, .system(SystemError("pwrite", name))) }
      written += count
    }
  }
}
