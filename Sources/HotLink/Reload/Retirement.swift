// Code of earlier generations, until nobody can be inside it. It is found on stacks, conservatively:
// a word that looks like an address in it keeps it. What cannot be known keeps it too, and is said.
internal import LoaderEngine
internal import Synchronization

/// Superseded code that waits to be recycled. Its owner serialises.
final class Retirement {
  struct Entry {
    var unit: String
    var group: TextGroup
    /// Addresses inside it may be stored in places we do not look at.
    var escapes: Bool
  }

  private var entries: [Entry] = []
  /// Threads of our own, which never run linked code.
  private let threads = Mutex<[Int32]>([])
  /// The program makes stacks of its own.
  var usesFibres = false

  /// From any thread.
  func noteOwnThread(_ id: Int32) {
    threads.withLock { if !$0.contains(id) { $0.append(id) } }
  }

  func add(_ entry: Entry) {
    if !entry.group.isPermanent { entries.append(entry) }
  }

  /// Recycles what no stack of the process leads into. Called at the safe point of the host's thread.
  ///
  /// - Returns: what must stay, and why.
  func collect(stubs: AddressRange) -> [Pin] {
    guard !entries.isEmpty else { return [] }
    var pins: [Pin] = []
    let scan = StackScan(entries.map { $0.group.text?.range })
    let isOwnKnown = scan.scanOwnStack()
    let silent = scan.scanOtherThreads(except: threads.withLock { $0 }, stubs: stubs)
    var kept: [Entry] = []
    for (index, entry) in entries.enumerated() {
      let reason: Pin.Reason
      if entry.escapes {
        reason = .suspendedFrames
      } else if usesFibres {
        reason = .fibres
      } else if scan.hits[index] {
        reason = .onStack
      } else if !isOwnKnown || silent != 0 {
        reason = .unknownThreads
      } else {
        continue
      }
      kept.append(entry)
      pins.append(
        Pin(
          unit: entry.unit, bytes: entry.group.size, reason: reason,
          tiedBytes: entry.group.tied?.range.size ?? 0))
    }
    entries = kept
    return pins
  }
}
