// The door of this target: a `ChangeSource` that watches directories with inotify. A host that does
// not want it (libinotifytools is GPL-2) links only HotLink and hands in a source of its own.
public import HotLink
public import SystemPackage

extension ChangeSource {
  /// Watches directory trees and single files, and delivers the files in them that changed.
  ///
  /// The first batch lists everything there is. After that a batch comes as soon as no watched file is
  /// being written, usually well under a millisecond after the writer's close or rename. Files are
  /// reported under their root as it is given here, so the same file always has the same path.
  /// Symbolic links to files count as files; links to directories are not followed, except roots.
  ///
  /// `start` throws a ``WatchError``. One source at a time can run in a process.
  ///
  /// - Parameters:
  ///   - roots: directories, watched with all below them, or files, watched whatever their extension.
  ///     All must exist when the source starts; later they may go and come back.
  ///   - extensions: last extensions of the files that count.
  ///   - settle: how long it must have been quiet after the last change. Zero does not wait.
  ///   - onTrouble: told what cannot be watched (any more), from the source's own thread.
  public static func watching(
    _ roots: [FilePath], extensions: Set<String> = ["o", "a", "so"], settle: Duration = .zero,
    onTrouble: @escaping @Sendable (WatchError) -> Void = { _ in }
  ) -> ChangeSource {
    let thread = WatchThread()
    return ChangeSource(
      lendsThread: true,
      start: { deliver in
        try thread.start { stopSignal throws(WatchError) in
          try WatchLoop(
            roots: roots, extensions: extensions, settle: settle, stopSignal: stopSignal,
            deliver: deliver, onTrouble: onTrouble)
        }
      },
      stop: { thread.stop() })
  }
}
