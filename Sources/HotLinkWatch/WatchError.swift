// Why watching could not begin, or cannot see a part of what it was asked to watch. The facts are in
// `reason`, `path` and `errno`; `description` is the one place that turns them into words, because
// most of these have a remedy that nobody remembers (a sysctl, an order of calls).
public import SystemPackage

/// A watch that cannot be had.
public struct WatchError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What stands in the way.
  public enum Reason: Hashable, Sendable {
    /// Another `ChangeSource.watching` runs in this process, and libinotifytools has room for one.
    case alreadyWatching
    /// Code outside HotLink has already initialised libinotifytools in this process.
    case libraryInUse
    /// A root does not exist, or is neither a file nor a directory.
    case rootMissing
    /// No more directories can be watched. Linux: `fs.inotify.max_user_watches`.
    case watchLimit
    /// No more inotify instances can be opened. Linux: `fs.inotify.max_user_instances`.
    case instanceLimit
    /// The inotify descriptor has this number, and libinotifytools uses `select`, which ends at 1023.
    case descriptorTooHigh(Int32)
    /// A system call failed; `errno` says how.
    case system
  }

  public var reason: Reason
  /// The root or directory concerned.
  public var path: FilePath?
  public var errno: Errno?

  public init(_ reason: Reason, path: FilePath? = nil, errno: Errno? = nil) {
    self.reason = reason
    self.path = path
    self.errno = errno
  }

  public var description: String {
    let place = path.map { " '\($0)'" } ?? ""
    let cause = errno.map { ": \($0)" } ?? ""
    switch reason {
    case .alreadyWatching:
      return "a watcher already runs in this process; stop it before starting another"
    case .libraryInUse:
      return "libinotifytools is already in use by other code in this process"
    case .rootMissing:
      return "cannot watch\(place): there is no such file or directory"
    case .watchLimit:
      return """
        cannot watch\(place): the limit of watched directories is reached
        help: sudo sysctl fs.inotify.max_user_watches=1048576
        """
    case .instanceLimit:
      return """
        cannot watch\(place): the limit of inotify instances (or of open files) is reached
        help: sudo sysctl fs.inotify.max_user_instances=1024
        """
    case .descriptorTooHigh(let number):
      return """
        cannot watch\(place): the inotify descriptor is \(number), libinotifytools needs one below 1024
        help: start watching before the program opens its other files
        """
    case .system:
      return "cannot watch\(place)\(cause)"
    }
  }
}

extension WatchError {
  /// A failed `inotify_add_watch` or directory read. Linux: inotify_add_watch(2), ERRORS.
  static func watching(_ path: FilePath, failedWith errno: Errno) -> WatchError {
    switch errno {
    case .noSpace: WatchError(.watchLimit, path: path, errno: errno)
    case .noSuchFileOrDirectory: WatchError(.rootMissing, path: path, errno: errno)
    default: WatchError(.system, path: path, errno: errno)
    }
  }

  /// A failed `inotify_init`. Linux: inotify_init(2), ERRORS.
  static func opening(failedWith errno: Errno) -> WatchError {
    switch errno {
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem: WatchError(.instanceLimit, errno: errno)
    default: WatchError(.system, errno: errno)
    }
  }
}
