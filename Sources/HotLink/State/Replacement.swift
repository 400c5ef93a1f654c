// A kept variable whose type has changed, and which was not refused: it is initialised anew, or its value is carried
// over member by member, or by the program's own hook. Decided before the link, done at the safe point.
internal import Glibc
internal import LoaderEngine

/// What becomes of a variable with another layout.
struct LayoutDecision {
  enum Action {
    case reset
    /// By name; nil: only a hook can do it, and bytes stay where they may.
    case migrate(FieldMigration?)
  }

  /// In the new object.
  var symbol: Int
  var name: String
  var action: Action
  /// A function of the new code that finishes what `action` began.
  var hook: String?
  /// In the old version.
  var old: Variable

  /// To the initialisers of its unit, the variable counts as new.
  var isReset: Bool {
    if case .reset = action { hook == nil } else { false }
  }
}

/// Decisions for one unit.
struct LayoutDecisions {
  var bySymbol: [Int: LayoutDecision] = [:]
  /// Those of a shared object.
  var byKey: [LibrarySymbol.Key: LayoutDecision] = [:]

  func replaces(_ symbol: Int) -> Bool { bySymbol[symbol] != nil }

  /// Variables that count as new to the initialisers of their unit.
  var reset: [Int] {
    bySymbol.values.compactMap { $0.isReset ? $0.symbol : nil }
  }
}

/// A variable on its way to its new layout.
final class Replacement {
  let unit: String
  let decision: LayoutDecision
  /// Where its new self is, and its size in bytes.
  private let address: UInt64
  private let size: UInt64
  /// First bytes; nil: zero.
  private let image: UnsafeRawPointer?
  /// The same of a library's variable, which lives outside the arena.
  private let bytes: [UInt8]?
  private var snapshot: UnsafeMutableRawBufferPointer?

  init(
    unit: String, _ decision: LayoutDecision, address: UInt64, size: UInt64,
    image: UnsafeRawPointer?
  ) {
    self.unit = unit
    self.decision = decision
    self.address = address
    self.size = size
    self.image = image
    bytes = nil
  }

  /// Of a library.
  ///
  /// - Parameter bytes: the first ones, all of them.
  init(unit: String, _ decision: LayoutDecision, address: UInt64, bytes: [UInt8]) {
    self.unit = unit
    self.decision = decision
    self.address = address
    self.size = UInt64(bytes.count)
    image = nil
    self.bytes = bytes
  }

  deinit { snapshot?.deallocate() }

  /// Keeps the old bytes and writes the new ones. Nothing of the new generation runs yet.
  func perform(in arena: Arena) -> Verdict? {
    guard let live = place(address, arena), let before = place(decision.old.address, arena) else {
      return nil
    }
    let count = Int(decision.old.size)
    let old = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 8), alignment: 16)
    if let start = old.baseAddress { memcpy(start, before, count) }
    snapshot = old
    switch decision.action {
    case .reset: initialise(live)
    case .migrate(let migration?):
      initialise(live)
      if let start = old.baseAddress { migration.perform(UnsafeRawPointer(start), live) }
    case .migrate(nil):
      if size != decision.old.size || address != decision.old.address { initialise(live) }
    }
    return Verdict(unit: unit, symbol: decision.name, fate: fate)
  }

  private func place(_ address: UInt64, _ arena: Arena) -> UnsafeMutableRawPointer? {
    bytes == nil
      ? arena.place(of: Address(address)) : UnsafeMutableRawPointer(bitPattern: UInt(address))
  }

  private var fate: Verdict.Fate {
    let hasMoved = address != decision.old.address
    if let hook = decision.hook { return .migratedByHook(function: hook, moved: hasMoved) }
    if case .reset = decision.action { return .reset(moved: hasMoved) }
    return .migrated(from: decision.old.size, to: size, moved: hasMoved)
  }

  private func initialise(_ live: UnsafeMutableRawPointer) {
    if let bytes {
      bytes.withUnsafeBytes { if let start = $0.baseAddress { memcpy(live, start, $0.count) } }
    } else if let image {
      if UnsafeRawPointer(live) != image { memcpy(live, image, Int(size)) }
    } else {
      memset(live, 0, Int(size))
    }
  }

  /// Calls the program's hook, in the new code.
  ///
  /// - Parameter find: a function of the new generation by name.
  func callHook(_ find: (String) -> Address?) {
    guard let hook = decision.hook, let function = find(hook), let old = snapshot?.baseAddress
    else { return }
    LinkedCode.migrate(
      function, UnsafeRawPointer(old), decision.old.size, Address(address), size)
  }
}
