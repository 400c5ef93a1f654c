// Functions of the program that a reload calls by name: old code before, new code after. docs/decisions/0033.
//
//     hotlink_before_reload, hotlink_after_reload                of the program: any unit may define them
//     hotlink_before_reload_UNIT, hotlink_after_reload_UNIT      when that unit changed
//     static functions of the first two names                    when the unit that they are in changed
//
// Called on the host's thread at its safe point, never for a reload that is refused.
internal import LoaderEngine
internal import Synchronization

/// The hooks of one reload, found when it is linked.
struct ReloadHooks {
  struct Hook {
    var name: String
    var address: Address
    /// nil: the program's.
    var unit: String?
  }

  private var before: [Hook] = []
  private var after: [Hook] = []
  private var reload = LinkedCode.Reload()
  /// What was called so far, and how long it took.
  private(set) var calls = Calls()

  struct Calls: Equatable {
    var names: [String] = []
    var microseconds = 0.0
  }

  /// Whether the program has any for this reload.
  var areAny: Bool { !before.isEmpty || !after.isEmpty }

  static let before: StaticString = "hotlink_before_reload"
  static let after: StaticString = "hotlink_after_reload"

  init() {}

  init(of prepared: PreparedReload, in program: Program) {
    let report = prepared.report
    reload.from = program.generation.number
    reload.to = report.generation
    reload.units = report.units.count
    reload.changed = report.changed.count
    reload.added = report.added.count
    reload.removed = report.removed.count
    let old = program.generation.table
    let new = prepared.set.table
    let names = Set(report.units)
    var olds: [Hook] = []
    var news: [Hook] = []
    for name in report.units {
      let identifier = ReloadHooks.identifier(of: name)
      olds += ReloadHooks.global("\(ReloadHooks.before)_\(identifier)", name, old, program.space)
      news += ReloadHooks.global("\(ReloadHooks.after)_\(identifier)", name, new, program.space)
      if let version = program.unit(named: name)?.version {
        olds += ReloadHooks.local(ReloadHooks.before, name, version.linked)
      }
    }
    for member in prepared.members where names.contains(member.unit.name) {
      news += ReloadHooks.local(ReloadHooks.after, member.unit.name, member.version.linked)
    }
    before = ReloadHooks.global("\(ReloadHooks.before)", nil, old, program.space) + olds
    after = news + ReloadHooks.global("\(ReloadHooks.after)", nil, new, program.space)
  }

  /// `build/player.cpp.o` is `player`: the file's name up to its first dot, other characters than letters, digits
  /// and underscores replaced by underscores. Of a member of an archive, the member's.
  static func identifier(of unit: String) -> String {
    var name = unit.utf8[...]
    if name.last == UInt8(ascii: ")"), let open = name.lastIndex(of: UInt8(ascii: "(")) {
      name = name[name.index(after: open)...].dropLast()
    }
    if let slash = name.lastIndex(of: UInt8(ascii: "/")) {
      name = name[name.index(after: slash)...]
    }
    if let dot = name.dropFirst().firstIndex(of: UInt8(ascii: ".")) { name = name[..<dot] }
    guard name.allSatisfy({ $0 < 0x80 }) else {
      return String(
        Substring(name).map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }
    return String(decoding: name.lazy.map(ReloadHooks.identifying), as: UTF8.self)
  }

  private static func identifying(_ byte: UInt8) -> UInt8 {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      byte
    default: UInt8(ascii: "_")
    }
  }

  private static func global(
    _ name: String, _ unit: String?, _ table: SymbolTable, _ space: LinkSpace
  ) -> [Hook] {
    guard let id = space.names.find(name), let found = table[id], found.kind == .function else {
      return []
    }
    // By its stub: one whose unit waits is linked by the call.
    let address =
      found.slot != 0 ? space.slots.stub(SlotIndex(found.slot)) : Address(found.address)
    return address.value == 0 ? [] : [Hook(name: name, address: address, unit: unit)]
  }

  private static func local(_ name: StaticString, _ unit: String, _ linked: LinkedObject)
    -> [Hook]
  {
    let object = linked.object
    let locals = 1..<max(object.firstGlobal, 1)
    return locals.compactMap { index in
      guard object.symbols[index].isFunction, object.isSymbol(index, named: name),
        let address = linked.address(ofSymbol: index)
      else { return nil }
      return Hook(name: "\(name)", address: Address(address), unit: unit)
    }
  }

  var callsBefore: Bool { !before.isEmpty }

  /// Calls the old code's.
  mutating func callBefore() { call(before) }

  /// What another link of the same reload called before.
  mutating func resume(_ earlier: Calls) { calls = earlier }

  /// Calls the new code's, and says in a report what was called.
  mutating func callAfter(_ report: inout ReloadReport) {
    call(after)
    report.hooks = calls.names
    report.hookMicroseconds = calls.microseconds
  }

  private mutating func call(_ hooks: [Hook]) {
    guard !hooks.isEmpty else { return }
    let clock = Stopwatch()
    for hook in hooks {
      LinkedCode.hook(hook.address, reload, unit: hook.unit)
      calls.names.append(hook.name)
    }
    calls.microseconds += clock.microseconds
  }
}

extension SessionCore {
  /// Where the hooks of the reload that is ready stand.
  enum HookState: Equatable {
    case idle
    /// One of them runs: what it does must not publish.
    case calling
    /// They have run, and linked a unit that waited: the reload is linked again, they are not called again.
    case called(ReloadHooks.Calls)
  }

  /// The reload that hooks were called for is refused: they are called again for the one that is ready next.
  func forgetHooks() {
    state.withLock { if case .called = $0.hooks { $0.hooks = .idle } }
  }

  /// Has the old code prepare for the reload that is ready.
  ///
  /// - Returns: false inside a hook.
  func callBeforeHooks() -> Bool {
    let (prepared, hooks) = state.withLock { ($0.prepared, $0.hooks) }
    guard hooks != .calling else { return false }
    guard let prepared else { return true }
    if hooks == .idle, !prepared.hooks.callsBefore { return true }
    if case .called(let calls) = hooks {
      prepared.hooks.resume(calls)
      return true
    }
    state.withLock { $0.hooks = .calling }
    prepared.hooks.callBefore()
    let now = state.withLock { state in
      state.hooks = .called(prepared.hooks.calls)
      return state.prepared
    }
    // A hook may have called a unit that waited.
    if let now, now !== prepared { now.hooks.resume(prepared.hooks.calls) }
    return true
  }
}
