// The one home of libinotifytools (3.22): whoever owns this value owns the library's single instance,
// and everything it reads into static storage. What of the library is not used, and why:
//   watch_recursively   watches children before their directory, and when a file vanishes between its
//                       readdir and lstat leaves that directory unwatched without saying so;
//   remove_watch_…      prints to stderr when the kernel was faster, and finds stale entries by name;
//   waiting             is in whole seconds: waiting is done with `poll` on the descriptor instead.
// It keeps the name of every directory it ever watched, some 150 bytes each, until its clean-up.
// The library never says its descriptor, so it is found by comparing /proc/self/fd before and after.
import CInotifyTools
import Glibc
import Synchronization
import SystemPackage

/// An open instance of libinotifytools. All its calls come from one thread at a time.
struct InotifyTools: ~Copyable {
  /// What became of a request to watch a directory.
  enum Watch {
    case added(CInt)
    /// The directory is watched already, under this path.
    case known(CInt, FilePath)
  }

  /// One event; its name is valid until the next call of `next`.
  struct Event {
    let watch: CInt
    let kinds: UInt32
    let name: UnsafeBufferPointer<UInt8>

    func has(_ kind: Int32) -> Bool { kinds & UInt32(bitPattern: kind) != 0 }
  }

  /// Readable when events wait; close-on-exec, so that compilers started by the host do not keep it.
  let descriptor: CInt

  private static let isTaken = Atomic<Bool>(false)

  /// - Throws: `alreadyWatching`, `libraryInUse`, `instanceLimit`, `descriptorTooHigh`, `system`.
  init() throws(WatchError) {
    let (taken, _) = Self.isTaken.compareExchange(
      expected: false, desired: true, ordering: .acquiringAndReleasing)
    guard taken else { throw WatchError(.alreadyWatching) }
    do throws(WatchError) {
      descriptor = try Self.open()
    } catch {
      Self.isTaken.store(false, ordering: .releasing)
      throw error
    }
  }

  deinit {
    // Events read but not handed out stay in the library's static buffer beyond its clean-up, and the
    // next instance would meet them. With something silent in place of the inotify descriptor, the
    // buffer can be emptied without new events coming in.
    let silent = try? FileDescriptor.pipe()
    if let silent { dup2(silent.readEnd.rawValue, descriptor) }
    while inotifytools_next_events(0, 1) != nil {}
    inotifytools_cleanup()
    try? silent?.readEnd.close()
    try? silent?.writeEnd.close()
    Self.isTaken.store(false, ordering: .releasing)
  }

  /// Watches one directory, adding `mask` to what is already watched there. Linux: IN_MASK_ADD.
  func watch(_ directory: FilePath, for mask: Int32) throws(Errno) -> Watch {
    let name = Self.slashed(directory)
    let events = mask | IN_MASK_ADD | IN_ONLYDIR
    // The library does not say which number a directory was given, the kernel does. Between the two
    // calls the directory may be replaced by another; then the number has no name yet: again.
    for _ in 0..<16 {
      let watch = inotify_add_watch(descriptor, name, UInt32(bitPattern: events))
      guard watch >= 0 else { throw Errno(rawValue: errno) }
      if let path = path(of: watch) { return .known(watch, path) }
      guard inotifytools_watch_file(name, events) == 1 else {
        throw Errno(rawValue: inotifytools_error())
      }
      if path(of: watch) != nil { return .added(watch) }
    }
    throw .resourceTemporarilyUnavailable
  }

  /// Ends a watch; its directory may be gone already.
  func unwatch(_ watch: CInt) {
    inotify_rm_watch(descriptor, watch)
  }

  /// The path a directory was watched under, without its final slash; nil for a foreign number.
  func path(of watch: CInt) -> FilePath? {
    guard watch > 0, let name = inotifytools_filename_from_wd(watch), name.pointee != 0 else {
      return nil
    }
    return FilePath(platformString: name)
  }

  /// The next event that has already come, nil if there is none; never waits.
  func next() -> Event? {
    guard let event = inotifytools_next_events(0, 1) else { return nil }
    // `name` follows the header, `len` bytes including its padding with zeros. Linux: inotify(7).
    let field = UnsafeRawBufferPointer(
      start: UnsafeRawPointer(event) + MemoryLayout<inotify_event>.size,
      count: Int(event.pointee.len)
    ).bindMemory(to: UInt8.self)
    let name = UnsafeBufferPointer(rebasing: field[..<(field.firstIndex(of: 0) ?? field.count)])
    return Event(watch: event.pointee.wd, kinds: event.pointee.mask, name: name)
  }

  private static func open() throws(WatchError) -> CInt {
    for _ in 0..<8 {
      let before = try inotifyDescriptors()
      guard inotifytools_initialize() == 1 else {
        throw .opening(failedWith: Errno(rawValue: inotifytools_error()))
      }
      let new = try inotifyDescriptors().subtracting(before)
      guard !new.isEmpty else { throw WatchError(.libraryInUse) }
      guard let descriptor = new.first, new.count == 1 else {
        inotifytools_cleanup()  // another thread opened one too: which is ours?
        continue
      }
      guard descriptor < CInt(FD_SETSIZE) else {
        inotifytools_cleanup()
        throw WatchError(.descriptorTooHigh(descriptor))
      }
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
      return descriptor
    }
    throw WatchError(.libraryInUse)
  }

  private static func inotifyDescriptors() throws(WatchError) -> Set<CInt> {
    var found: Set<CInt> = []
    let list: FilePath = "/proc/self/fd"
    do throws(Errno) {
      try DirectoryListing.forEachEntry(of: list) { name, _ in
        var target = [CChar](repeating: 0, count: 32)
        let link = list.appending(name)
        let length = link.withPlatformString { readlink($0, &target, target.count) }
        guard length > 0, strncmp(target, "anon_inode:inotify", length) == 0 else { return }
        if let number = CInt(String(decoding: name, as: UTF8.self)) { found.insert(number) }
      }
    } catch {
      throw .watching(list, failedWith: error)
    }
    return found
  }

  /// The library tells directories from files by a final slash.
  private static func slashed(_ directory: FilePath) -> [CInterop.PlatformChar] {
    let slash = CInterop.PlatformChar(bitPattern: UInt8(ascii: "/"))
    return directory.withPlatformString { start in
      let bytes = Array(UnsafeBufferPointer(start: start, count: strlen(start)))
      return bytes + (bytes.last == slash ? [0] : [slash, 0])
    }
  }
}
