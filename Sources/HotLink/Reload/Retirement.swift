// Code of earlier generations, until nobody can be inside it. It is found on stacks, conservatively:
// a word that looks like an address in it keeps it. What cannot be known keeps it too, and is said.
internal import LoaderEngine
internal import Synchronization

/// Superseded code that waits to be recycled. Its owner serialises.
final class Retirement {
  struct Entry {
    var unit: String
    var group: TextGroup
    var text: AddressRange
    /// Addresses inside it may be stored in places we do not look at.
    var escapes: Bool
    /// Debuggers know it as long as it is here.
    var presence: DebuggerView.Presence?
  }

  private var entries: [Entry] = []
  /// Code whose addresses were handed out: it stays.
  private var forGood: [Entry] = []
  /// Threads of our own, which never run linked code.
  private let threads = Mutex<[Int32]>([])
  /// Something looked as if it was on a stack, and may not be a moment later.
  var mayGoSoon: Bool { attempts > 0 && hasStackHits }
  private var hasStackHits = false
  private var attempts = 0
  /// The program makes stacks of its own.
  var usesFibres = false

  /// From any thread.
  func noteOwnThread(_ id: Int32) {
    threads.withLock { if !$0.contains(id) { $0.append(id) } }
  }

  func add(_ entry: Entry) {
    entries.append(entry)
    attempts = 10
  }

  /// Recycles what no stack of the process leads into. Called at the safe point of the host's thread.
  ///
  /// - Returns: what must stay, and why.
  func collect(stubs: AddressRange) -> [Pin] {
    guard !entries.isEmpty || !forGood.isEmpty else { return [] }
    var pins = PinList()
    if !entries.isEmpty { entries = sift(stubs, &pins) }
    for entry in forGood { pins.add(entry, .suspendedFrames) }
    return pins.pins
  }

  private func sift(_ stubs: AddressRange, _ pins: inout PinList) -> [Entry] {
    let scan = StackScan(entries.map(\.text))
    let isOwnKnown = scan.scanOwnStack()
    let silent = scan.scanOtherThreads(except: threads.withLock { $0 }, stubs: stubs)
    var kept: [Entry] = []
    attempts -= 1
    hasStackHits = scan.hits.contains(true)
    for (index, entry) in entries.enumerated() {
      let reason: Pin.Reason
      if entry.escapes {
        forGood.append(entry)
        continue
      } else if scan.hits[index] {
        reason = .onStack
      } else if entry.group.isPermanent {
        continue  // its space is not recycled anyway
      } else if usesFibres {
        reason = .fibres
      } else if !isOwnKnown || silent != 0 {
        reason = .unknownThreads
      } else {
        continue
      }
      kept.append(entry)
      pins.add(entry, reason)
    }
    return kept
  }
}

/// Pins, one for each unit and reason.
private struct PinList {
  private(set) var pins: [Pin] = []
  private struct Key: Hashable {
    var unit: String
    var reason: Pin.Reason
  }
  private var index: [Key: Int] = [:]

  mutating func add(_ entry: Retirement.Entry, _ reason: Pin.Reason) {
    // The first link's text is never recycled: it is named, but costs nothing more.
    let bytes = entry.group.isPermanent ? 0 : entry.group.size
    let tied = entry.group.isPermanent ? 0 : entry.group.tied?.range.size ?? 0
    let key = Key(unit: entry.unit, reason: reason)
    if let known = index[key] {
      pins[known].bytes += bytes
      pins[known].tiedBytes += tied
    } else {
      index[key] = pins.count
      pins.append(Pin(unit: entry.unit, bytes: bytes, reason: reason, tiedBytes: tied))
    }
  }
}
