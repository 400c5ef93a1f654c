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
      pins.append(Pin(unit: entry.unit, bytes: entry.group.size, reason: reason))
    }
    entries = kept
    return pins
  }
}

/// Looks for addresses in a few ranges on stacks.
private final class StackScan {
  private let ranges: [AddressRange]
  private let low: UInt64
  private let high: UInt64
  private(set) var hits: [Bool]

  init(_ ranges: [AddressRange?]) {
    self.ranges = ranges.map { $0 ?? AddressRange(start: Address(0), size: 0) }
    low = self.ranges.map(\.start.value).min() ?? 0
    high = self.ranges.map(\.end.value).max() ?? 0
    hits = [Bool](repeating: false, count: ranges.count)
  }

  func scanOwnStack() -> Bool {
    hl_scan_stack(StackScan.visit, Unmanaged.passUnretained(self).toOpaque()) == 0
  }

  /// - Returns: how many threads did not answer.
  func scanOtherThreads(except own: [Int32], stubs: AddressRange) -> Int32 {
    let context = Unmanaged.passUnretained(self).toOpaque()
    return own.withUnsafeBufferPointer {
      hl_scan_threads(
        StackScan.visit, context, $0.baseAddress, $0.count, UInt(stubs.start.value),
        UInt(stubs.end.value), 50)
    }
  }

  // Runs in signal handlers of other threads, one at a time: it touches memory made beforehand only.
  private static let visit:
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<UInt>?, UnsafePointer<UInt>?
    ) -> Void = { context, from, to in
      guard let context, let from, let to else { return }
      let scan = Unmanaged<StackScan>.fromOpaque(context).takeUnretainedValue()
      var word = from
      while word < to {
        let value = UInt64(word.pointee)
        if value >= scan.low && value < scan.high { scan.mark(value) }
        word += 1
      }
    }

  private func mark(_ value: UInt64) {
    for index in ranges.indices where ranges[index].contains(Address(value)) { hits[index] = true }
  }
}
