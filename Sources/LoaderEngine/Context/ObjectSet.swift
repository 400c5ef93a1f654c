// Objects that were linked by one request, alive: their memory, what they refer to, what has to run when they start
// and when they end. They live and die together, like the images of one load (docs/decisions/0010).
internal import CLoaderSupport
internal import Synchronization

/// One link, published. Its memory goes with its last holder.
final class ObjectSet: @unchecked Sendable {
  let memory: ObjectMemory
  let units: [UInt32]
  /// Sets whose variables and constants these objects refer to.
  private let dependencies: [ObjectSet]
  /// Images whose symbols they refer to.
  private let groups: [ImageGroup]
  private let ledger: ThreadExitLedger
  private let hasFinished = Mutex(false)
  /// How many sets refer to variables and constants of this one.
  private(set) var dependents = 0

  init(
    _ memory: ObjectMemory, _ dependencies: [ObjectSet], _ groups: [ImageGroup]
  ) throws(LinkError) {
    self.memory = memory
    units = memory.units
    self.dependencies = dependencies
    self.groups = groups
    ledger = try ThreadExitLedger(AddressRange(start: memory.set.handle, size: 8))
    memory.lock.withLock { for set in dependencies { set.dependents += 1 } }
  }

  deinit {
    memory.lock.withLock { for set in dependencies { set.dependents -= 1 } }
    // Threads may still owe destructors of thread_local objects: the last one gives the memory back.
    ledger.handOver(ObjectHolds(memory, dependencies, groups))
  }

  var set: LinkedSet { memory.set }
  /// Whether a thread will still call its destructors, through their stubs.
  var owesDestructors: Bool { ledger.pending > 0 }

  // MARK: start and end

  /// Runs initialisers: `_init`, the Swift runtime's registration, then by priority over all objects, then in
  /// link order.
  func start(_ arguments: ArgumentVector) {
    for group in set.startCode.keys.sorted() { run(set.startCode[group], arguments) }
    let runtime = set.objects.filter { $0.unit == SwiftRuntime.unit }
    let own = set.objects.filter { $0.unit != SwiftRuntime.unit }
    let arena = set.space.arena
    for entry in runtime.flatMap({ $0.initialisers(arena) })
      + ObjectSet.ordered(own.flatMap { $0.initialisers(arena) })
    {
      run(Address(entry.address), arguments)
    }
  }

  /// Runs finalisers and what was registered with `__cxa_atexit`, once.
  func finish(_ arguments: ArgumentVector) {
    let isFirst = hasFinished.withLock { hasFinished in
      defer { hasFinished = true }
      return !hasFinished
    }
    guard isFirst else { return }
    LinkedCode.runExitHandlers(of: set.handle)
    let entries = set.objects.flatMap { $0.finalisers(set.space.arena) }
    for entry in ObjectSet.ordered(entries).reversed() { run(Address(entry.address), arguments) }
    for group in set.endCode.keys.sorted().reversed() { run(set.endCode[group], arguments) }
  }

  private func run(_ function: Address?, _ arguments: ArgumentVector) {
    if let function { LinkedCode.initialise(function, arguments) }
  }

  /// By priority; in link order within one.
  private static func ordered(_ entries: [LinkedObject.TableEntry]) -> [LinkedObject.TableEntry] {
    entries.enumerated().sorted {
      ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
    }.map(\.element)
  }
}

/// The memory of a set, and the numbers of its units. Dropping it gives both back, under the lock.
final class ObjectMemory: @unchecked Sendable {
  // Empty only once deinit has begun, which drops it under the lock.
  private var linked: [LinkedSet]
  let units: [UInt32]
  let lock: ProcessLock
  private let numbers: UnitNumbers

  init(_ set: LinkedSet, _ units: [UInt32], _ numbers: UnitNumbers, _ lock: ProcessLock) {
    linked = [set]
    self.units = units
    self.numbers = numbers
    self.lock = lock
  }

  var set: LinkedSet { linked[0] }

  deinit {
    lock.withLock {
      // What destructors of threads were reached by until now.
      let slots = set.space.slots
      slots.publish(
        set.slotChanges.filter { slots.body($0.slot)?.value == $0.body }.map {
          SlotTable.Change($0.slot, 0)
        })
      linked = []
      numbers.giveBack(units)
    }
  }
}

/// Everything that code needs which still has destructors to run.
private final class ObjectHolds: Sendable {
  private let memory: ObjectMemory
  private let dependencies: [ObjectSet]
  private let groups: [ImageGroup]

  init(_ memory: ObjectMemory, _ dependencies: [ObjectSet], _ groups: [ImageGroup]) {
    self.memory = memory
    self.dependencies = dependencies
    self.groups = groups
  }
}

/// Numbers for units. A number is used again when its unit has gone, and with it the names and slots of local
/// functions: what a program links and removes for ever costs nothing for ever. Its owner serialises.
final class UnitNumbers: @unchecked Sendable {
  private var next: UInt32 = 0
  private var free: [UInt32] = []

  func take() -> UInt32 {
    if let known = free.popLast() { return known }
    defer { next += 1 }
    return next
  }

  func giveBack(_ units: [UInt32]) { free += units.reversed() }
}
