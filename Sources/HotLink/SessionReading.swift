// What a session's thread does with files that a watcher names: reads them, and notes which units changed
// with them.
internal import Glibc
internal import LoaderEngine
internal import Synchronization
internal import SystemPackage

extension SessionCore {
  /// Reads the files of a batch. What is broken is refused by name; its old content keeps running.
  func read(_ batch: ChangeBatch) -> [Refusal] {
    var refusals: [Refusal] = []
    var same: [String] = []
    var files: [UnitFile] = []
    for (path, result) in zip(batch.written, readFiles(batch.written)) {
      switch result {
      case .success(nil): same.append(path.string)
      case .success(let file?): files.append(file)
      case .failure(let error):
        if case .system(let system) = error.reason, system.code == ENOENT { continue }
        refusals.append(Refusal(unit: path.string, reason: .link(error)))
      }
    }
    note(files)
    var gone = batch.removed
    if batch.isComplete { gone += self.files.paths(notIn: Set(batch.written)) }
    noteRemoval(gone)
    if !batch.isComplete { tell(unchanged: same) }
    return refusals
  }

  /// Files of one reading above which they share memory.
  private static let manyFiles = 64

  /// Reads and proves files, side by side; nil is a file that holds what it held.
  func readFiles(_ paths: [FilePath]) -> [Result<UnitFile?, LinkError>] {
    let files = files
    let blocks = paths.count > SessionCore.manyFiles ? FileBlocks() : nil
    return sideBySide(paths.count) { index throws(LinkError) in
      // A block is kept by any file in it: what is read anew, mostly to be dropped, must not lie beside one that changed.
      let known = files.content(paths[index])
      return try UnitReader.read(
        paths[index], known: known, into: known == nil ? blocks : nil)
    }
  }

  /// Proves what is in memory already, side by side.
  func prove(_ units: [(name: String, bytes: [UInt8])]) -> [Result<UnitFile?, LinkError>] {
    sideBySide(units.count) { index throws(LinkError) in
      try UnitReader.parse(
        Bytes(FileContents(units[index].bytes)), path: FilePath(units[index].name))
    }
  }

  private func sideBySide(
    _ count: Int, _ read: (Int) throws(LinkError) -> UnitFile?
  ) -> [Result<UnitFile?, LinkError>] {
    [Result<UnitFile?, LinkError>](unsafeUninitializedCapacity: count) {
      buffer, initialized in
      guard let results = buffer.baseAddress else { return }
      // Sound: each file is read by one thread, and the array is there until all are read.
      nonisolated(unsafe) let places = results
      Workers.share(count, by: 8) { part in
        for index in part {
          (places + index).initialize(
            to: Result { () throws(LinkError) in try read(index) })
        }
      }
      initialized = count
    }
  }

  /// Says of files that were saved as they were that nothing comes of it. Of a whole tree that was looked through
  /// again, nobody wants to know.
  private func tell(unchanged names: [String]) {
    guard !names.isEmpty else { return }
    let (handler, isRefused) = state.withLock { state in
      (state.handler, state.held && names.contains(where: state.pending.contains))
    }
    handler?(.unchanged(UnchangedFiles(files: names, isRefused: isRefused)))
  }
}
