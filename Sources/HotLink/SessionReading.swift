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
    for path in batch.written {
      do {
        guard let file = try UnitReader.read(path, known: files.hash(path)) else { continue }
        linked.archives.offer(file)
        state.withLock { note(files.update(file), into: &$0) }
      } catch {
        if case .system(let system) = error.reason, system.code == ENOENT { continue }
        refusals.append(Refusal(unit: path.string, reason: .link(error)))
      }
    }
    var gone = batch.removed
    if batch.isComplete { gone += files.paths(notIn: Set(batch.written)) }
    state.withLock { state in
      for path in gone { note(files.remove(path), into: &state) }
    }
    return refusals
  }
}
