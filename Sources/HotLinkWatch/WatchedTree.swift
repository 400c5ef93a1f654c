// Which directories are watched, and what is in them. Three things make this more than a loop: a
// directory must be watched before it is listed, or a file created in between is never seen; a watch
// belongs to the directory and not to its path, so a moved one must be let go of; and each root's own
// name is watched for in the directory that holds it, because `rm -rf build` is told nowhere else
// while a shell still stands in it.
import Glibc
import SystemPackage

/// The roots and all directories below them.
final class WatchedTree {
  /// What an event turned out to be about.
  enum Subject {
    case file(FilePath)
    case directory(FilePath)
    case root
    case nothing
  }

  /// What there is now.
  struct Survey {
    /// Each once, in byte order.
    var files: [FilePath] = []
    /// A root appeared, or is another directory than it was.
    var hasNewRoot = false
  }

  private struct Root {
    let path: FilePath
    var isThere = false
    /// It is, or was when last seen, a single file.
    var isFile = false
    /// What a file is reported as: differs where its directory is in a tree that spells it otherwise.
    var filePath: FilePath
    /// Its coming and going is told by the directory that holds it.
    var isNameWatched = false
  }

  /// All that says how a file comes, goes and fills.
  private static let fileEvents =
    IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
  private static let selfEvents = IN_DELETE_SELF | IN_MOVE_SELF
  private static let treeEvents = fileEvents | selfEvents
  private static let nameEvents = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE

  let tools: InotifyTools
  /// What could not be watched since this was last emptied.
  var troubles: [WatchError] = []

  private let filter: NameFilter
  private var roots: [Root]
  private var watches: [FilePath: CInt] = [:]
  private var rootNames: [CInt: [FilePath.Component: Int]] = [:]

  init(_ roots: [FilePath], filter: NameFilter, tools: consuming InotifyTools) {
    self.tools = tools
    self.filter = filter
    self.roots = roots.map { Root(path: $0, filePath: $0) }
  }

  /// Roots that are not there now.
  var missingRoots: [FilePath] { roots.filter { !$0.isThere }.map(\.path) }

  /// No event will tell when a missing root comes back, because its directory is missing too.
  var mustPoll: Bool { roots.contains { !$0.isThere && !$0.isNameWatched } }

  /// A missing root, or the directory that is to hold it, is back.
  var hasReturned: Bool {
    roots.contains { root in
      guard !root.isThere, !root.isNameWatched else { return false }
      return root.path.isDirectory || (root.path.holder?.directory.isDirectory ?? false)
    }
  }

  // MARK: Looking

  /// Walks all roots: watches what is new, lets go of what is gone, lists what matters.
  func survey() -> Survey {
    var survey = Survey()
    var seen: Set<FilePath> = []
    for index in roots.indices where roots[index].path.isDirectory {
      let root = roots[index].path
      let before = watches[root]
      walk(root, seen: &seen, files: &survey.files)
      survey.hasNewRoot = survey.hasNewRoot || !roots[index].isThere || watches[root] != before
    }
    for (path, watch) in watches where !seen.contains(path) {
      tools.unwatch(watch)
      watches[path] = nil
    }
    watchNamesOfRoots()
    for index in roots.indices {
      let isFile = FileFacts(roots[index].filePath) != nil
      let isThere = isFile || roots[index].path.isDirectory
      if isFile {
        survey.hasNewRoot = survey.hasNewRoot || !roots[index].isThere
        survey.files.append(roots[index].filePath)
      }
      roots[index].isThere = isThere
      roots[index].isFile = isThere ? isFile : roots[index].isFile
    }
    survey.files = Set(survey.files).sorted { $0.precedes($1) }
    return survey
  }

  /// Looks again at a directory below a root that was created, deleted or moved.
  ///
  /// - Parameter wasEmptied: it was deleted, so all that was in it has had events of its own.
  /// - Returns: the files now in it if it is new to us, and whether files below it may be gone.
  func refresh(_ directory: FilePath, wasEmptied: Bool) -> (files: [FilePath], isGone: Bool) {
    let before = watches[directory]
    guard directory.isDirectory else {
      if wasEmptied { watches[directory] = nil } else { forget(directory) }
      return ([], !wasEmptied)
    }
    guard before == nil || before != currentWatch(of: directory) else { return ([], false) }
    var files: [FilePath] = []
    var seen: Set<FilePath> = []
    walk(directory, seen: &seen, files: &files)
    return (files, before != nil || !wasEmptied)
  }

  private func walk(_ top: FilePath, seen: inout Set<FilePath>, files: inout [FilePath]) {
    var waiting = [top]
    while let directory = waiting.popLast() {
      do throws(Errno) {
        guard !seen.contains(directory), try watch(directory) else { continue }
        seen.insert(directory)
        try DirectoryListing.forEachEntry(of: directory) { name, kind in
          switch kind {
          case .directory:
            waiting.append(directory.appending(name))
          case .file where filter.accepts(name):
            files.append(directory.appending(name))
          case .link where filter.accepts(name):
            let path = directory.appending(name)
            if FileFacts(path) != nil { files.append(path) }
          case .file, .link, .other:
            break
          }
        }
      } catch .noSuchFileOrDirectory, .notDirectory {
        continue  // gone since it was listed
      } catch {
        troubles.append(.watching(directory, failedWith: error))
      }
    }
  }

  // MARK: Watches

  /// - Returns: false if this directory is part of the tree under another path already.
  private func watch(_ directory: FilePath) throws(Errno) -> Bool {
    for _ in 0..<4 {
      switch try tools.watch(directory, for: Self.treeEvents) {
      case .added(let watch):
        if watches[directory] != nil { forget(directory) }
        watches[directory] = watch
        return true
      case .known(let watch, directory):
        if let old = watches[directory], old != watch { forget(directory) }
        watches[directory] = watch
        return true
      case .known(let watch, let other):
        if watches[other] == watch, currentWatch(of: other) == watch { return false }
        // It was moved here, or known only as the place of a root's name: watch it by its new path.
        forget(other)
        tools.unwatch(watch)
      }
    }
    throw .resourceTemporarilyUnavailable
  }

  /// The watch of the directory that is now at this path.
  private func currentWatch(of directory: FilePath) -> CInt? {
    switch try? tools.watch(directory, for: Self.treeEvents) {
    case .known(let watch, _): return watch
    case .added(let watch):
      tools.unwatch(watch)
      return nil
    case nil: return nil
    }
  }

  /// Ends the watches of a directory and of all below it.
  private func forget(_ directory: FilePath) {
    guard watches[directory] != nil else { return }
    for (path, watch) in watches where path.starts(with: directory) {
      tools.unwatch(watch)
      watches[path] = nil
    }
  }

  private func watchNamesOfRoots() {
    rootNames = [:]
    for index in roots.indices {
      roots[index].isNameWatched = false
      let path = roots[index].path
      guard let (directory, name) = path.holder else { continue }
      let isTree = roots[index].isThere ? !roots[index].isFile : path.isDirectory
      let events = Self.selfEvents | (isTree ? Self.nameEvents : Self.fileEvents)
      do throws(Errno) {
        let watch: CInt
        switch try tools.watch(directory, for: events) {
        case .added(let new):
          watch = new
          roots[index].filePath = path
        case .known(let old, let spelling):
          watch = old
          let isInTree = watches[spelling] == old
          roots[index].filePath = isInTree ? spelling.appending(name) : path
        }
        rootNames[watch, default: [:]][name] = rootNames[watch]?[name] ?? index
        roots[index].isNameWatched = true
      } catch .noSuchFileOrDirectory, .notDirectory, .permissionDenied {
        continue  // its coming back is found by polling
      } catch {
        troubles.append(.watching(directory, failedWith: error))
      }
    }
  }

  // MARK: Events

  /// What an event is about; `nothing` if it comes from a watch that was let go of.
  func subject(of event: InotifyTools.Event) -> Subject {
    if let names = rootNames[event.watch] {
      guard let name = FilePath.Component(event.name) else { return .root }
      if let index = names[name] {
        if roots[index].isFile, !event.has(IN_ISDIR) { return .file(roots[index].filePath) }
        return event.has(Self.nameEvents) ? .root : .nothing
      }
    }
    let isDirectory = event.has(IN_ISDIR)
    guard isDirectory || event.name.isEmpty || filter.accepts(event.name) else { return .nothing }
    guard let directory = tools.path(of: event.watch), watches[directory] == event.watch else {
      return .nothing
    }
    guard let name = FilePath.Component(event.name) else {
      return roots.contains { $0.path == directory } ? .root : .nothing
    }
    return isDirectory ? .directory(directory.appending(name)) : .file(directory.appending(name))
  }
}
