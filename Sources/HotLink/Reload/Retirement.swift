// Code of earlier generations, until nobody can be inside it. It is found on stacks, conservatively:
// a word that looks like an address in it keeps it. What cannot be known keeps it too, and is said.
internal import CLoaderSupport
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
    /// The generation that brought it, and its functions by address.
    var generation = 0
    var code: LinkedObject?
    /// Functions of which suspended frames may be somewhere: once they are known, `code` is let go.
    var suspending: [String] = []
  }

  /// Old code that is on a stack, as of the last look.
  private(set) var running: [OldFrame] = []

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

  /// What the host's own stack showed at its safe point. It cannot get into old code any more.
  private struct OwnLook {
    let isKnown: Bool
    let thread: Int32
  }
  private var ownLook: OwnLook?
  /// What stacks are looked through with, one after the other.
  private let scan = StackScan()

  /// Looks through the calling thread's stack, so that another thread can `collect`.
  func lookAtOwnStack() {
    guard !entries.isEmpty else { return }
    scan.begin(entries.count) { entries[$0].text }
    let isKnown = scan.scanOwnStack()
    ownLook = OwnLook(isKnown: isKnown, thread: hl_gettid())
  }

  /// From any thread.
  func noteOwnThread(_ id: Int32) {
    threads.withLock { if !$0.contains(id) { $0.append(id) } }
  }

  func add(_ entry: Entry) {
    entries.append(entry)
    attempts = 10
  }

  /// Recycles what no stack of the process leads into. Called at the safe point of the host's thread, or after
  /// `lookAtOwnStack` there.
  ///
  /// - Returns: what must stay, and why.
  func collect(stubs: AddressRange) -> [Pin] {
    running = []
    guard !entries.isEmpty || !forGood.isEmpty else { return [] }
    var pins = PinList()
    if !entries.isEmpty { entries = sift(stubs, &pins) }
    for entry in forGood { pins.add(entry, .suspendedFrames) }
    return pins.pins
  }

  private func sift(_ stubs: AddressRange, _ pins: inout PinList) -> [Entry] {
    if ownLook == nil { lookAtOwnStack() }
    guard let look = ownLook else { return entries }
    ownLook = nil
    let isOwnKnown = look.isKnown
    let silent = scan.scanOtherThreads(
      except: threads.withLock { $0 } + [look.thread], stubs: stubs)
    var kept: [Entry] = []
    attempts -= 1
    hasStackHits = scan.hits.contains(true)
    running = frames(scan)
    for (index, entry) in entries.enumerated() {
      let reason: Pin.Reason
      if entry.escapes {
        forGood.append(entry.withoutCode())
        continue
      } else if scan.hits[index] {
        reason = .onStack
      } else if entry.group.isPermanent {
        // Its space is not recycled anyway; a thread that did not answer may still be inside, and is told then.
        if silent != 0 { kept.append(entry) }
        continue
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

extension Retirement {
  /// The functions that words on stacks lead into, once for each thread.
  private func frames(_ scan: StackScan) -> [OldFrame] {
    var frames: [OldFrame] = []
    var seen: Set<OldFrame> = []
    for word in scan.words {
      let entry = entries[Int(word.range)]
      let frame = OldFrame(
        unit: entry.unit, function: entry.code?.function(at: word.address) ?? "",
        generation: entry.generation, thread: word.thread)
      if seen.insert(frame).inserted { frames.append(frame) }
    }
    return frames
  }
}

extension Retirement.Entry {
  /// Knows the functions that may be resumed, and no object any more.
  fileprivate func withoutCode() -> Retirement.Entry {
    var entry = self
    if let code {
      let object = code.object
      entry.suspending = (1..<max(object.symbols.count, 1)).compactMap { index in
        let name = object.name(ofSymbol: index)
        return object.symbols[index].isFunction && FunctionNames.suspends(name)
          ? name.string : nil
      }
    }
    entry.code = nil
    return entry
  }
}

extension LinkedObject {
  /// The function whose code holds an address.
  func function(at address: UInt64) -> String? {
    var best: (start: UInt64, symbol: Int)?
    for index in 1..<max(object.symbols.count, 1) where object.symbols[index].isFunction {
      guard let start = self.address(ofSymbol: index), start <= address,
        start >= best?.start ?? 0
      else { continue }
      best = (start, index)
    }
    return best.map { object.name(ofSymbol: $0.symbol).string }
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
      for name in entry.suspending where !pins[known].functions.contains(name) {
        pins[known].functions.append(name)
      }
    } else {
      index[key] = pins.count
      var pin = Pin(unit: entry.unit, bytes: bytes, reason: reason, tiedBytes: tied)
      pin.functions = entry.suspending
      pins.append(pin)
    }
  }
}
