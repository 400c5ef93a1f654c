// What a debugger is shown of a program: images of the objects that are linked, of those whose old code
// somebody may still be inside, and of nothing else. A unit that was replaced leaves at once, because
// gdb takes a line that only an old version has for the right place of a breakpoint.
//
// An image describes some objects of one link. gdb pays for each image (1.4 ms up to a hundred, 50 ms
// beyond), and an edit pays for the image its unit was in: so the first link is divided into a few.
internal import CLoaderSupport
internal import Synchronization

/// The images of one program. Its owner serialises.
package final class DebuggerView: @unchecked Sendable {
  package enum Mode: Sendable {
    /// Nothing is ever shown.
    case off
    /// Images are made when a debugger is there.
    case lazy
    case on
  }

  /// Says that an object's code may still run: held by whoever keeps that code.
  package final class Presence: Sendable {
    fileprivate let id: UInt64
    private let gone: GoneList
    fileprivate init(_ id: UInt64, _ gone: GoneList) {
      self.id = id
      self.gone = gone
    }
    deinit { gone.append(id) }
  }

  /// The objects of a link that is not published yet.
  package final class Draft: @unchecked Sendable {
    /// One for each object, in their order.
    package fileprivate(set) var presences: [Presence] = []
    fileprivate var parts: [Part] = []
    package static let empty = Draft()
  }

  fileprivate final class GoneList: Sendable {
    private let ids = Mutex<[UInt64]>([])
    func append(_ id: UInt64) { ids.withLock { $0.append(id) } }
    func take() -> [UInt64] {
      ids.withLock { ids in
        defer { ids = [] }
        return ids
      }
    }
  }

  /// Objects that share an image.
  fileprivate final class Part {
    var members: [(id: UInt64, unit: DebugUnit)]
    var image: DebugImage?
    var entry: DebuggerEntry?
    init(_ members: [(id: UInt64, unit: DebugUnit)]) { self.members = members }
  }

  private static let partsOfLink = 16
  private static let mostParts = 48
  private static let partsAfterJoining = 24

  package let mode: Mode
  private let space: LinkSpace
  /// Whether somebody looks, so that what is linked from now on is shown at once. Read by any thread.
  package private(set) var isActive: Bool {
    get { active.load(ordering: .relaxed) }
    set { active.store(newValue, ordering: .relaxed) }
  }
  private let active = Atomic(false)
  private var parts: [Part] = []
  private var partOf: [UInt64: Part] = [:]
  private var nextID: UInt64 = 1
  private let gone = GoneList()
  private var stubs: DebuggerEntry?
  private var shownStubs = 0
  private var unwindCursor: UInt64 = 4096
  /// Told of debug data that could not be read.
  package var onOmission: @Sendable (LinkError) -> Void = { _ in }

  package init(_ mode: Mode, _ space: LinkSpace) {
    self.mode = mode
    self.space = space
    active.store(mode == .on, ordering: .relaxed)
  }

  /// How many images are shown, the one of the stubs aside.
  package var imageCount: Int { parts.count { $0.entry != nil } }

  /// How many objects it knows of.
  package var objectCount: Int { partOf.count }

  /// Notes the objects of a link; makes their images when somebody looks. On the linker's thread.
  package func prepare(_ objects: [LinkedObject], _ table: SymbolTable) -> Draft {
    guard mode != .off else { return .empty }
    // One that listens in another way is found by `look`.
    if mode == .lazy, !isActive, Debugger.isListening { isActive = true }
    let draft = Draft()
    var members: [(id: UInt64, unit: DebugUnit)] = []
    for object in objects {
      members.append((nextID, DebugUnit(object, table)))
      draft.presences.append(Presence(nextID, gone))
      nextID += 1
    }
    let size = max(1, (members.count + DebuggerView.partsOfLink - 1) / DebuggerView.partsOfLink)
    for start in stride(from: 0, to: members.count, by: size) {
      let part = Part(Array(members[start..<min(start + size, members.count)]))
      if isActive { part.image = image(of: part) }
      draft.parts.append(part)
    }
    return draft
  }

  /// Shows what is about to run. Before any of its code is called.
  package func publish(_ draft: Draft) {
    for part in draft.parts {
      parts.append(part)
      for member in part.members { partOf[member.id] = part }
    }
    if parts.count > DebuggerView.mostParts { join() }
    guard isActive else { return }
    for part in draft.parts { show(part) }
    showStubs()
  }

  /// Takes back what is gone: nobody holds the presence of those objects any more.
  package func settle() {
    var changed: [Part] = []
    for id in gone.take() {
      guard let part = partOf.removeValue(forKey: id) else { continue }
      part.members.removeAll { $0.id == id }
      if !changed.contains(where: { $0 === part }) { changed.append(part) }
    }
    guard !changed.isEmpty else { return }
    for part in changed {
      part.entry = nil
      part.image = nil
      if isActive, !part.members.isEmpty { show(part) }
    }
    parts.removeAll { $0.members.isEmpty }
  }

  /// Looks whether a debugger came, and shows it everything then. Cheap; for the linker's thread, now and
  /// then.
  package func look() {
    guard mode == .lazy else { return }
    let isAttached = Debugger.isAttached
    guard isAttached != isActive || (isAttached && parts.contains { $0.entry == nil }) else {
      return
    }
    isActive = isAttached
    guard isActive else { return }
    for part in parts where part.entry == nil { show(part) }
    showStubs()
  }

  /// Takes everything back: the program ends.
  package func close() {
    parts = []
    partOf = [:]
    stubs = nil
  }

  private func show(_ part: Part) {
    guard part.entry == nil, !part.members.isEmpty else { return }
    part.entry = DebuggerEntry(part.image ?? image(of: part))
    part.image = nil
  }

  private func showStubs() {
    guard space.slots.count != shownStubs else { return }
    shownStubs = space.slots.count
    stubs = nil
    stubs = DebuggerEntry(DebugImage(stubsOf: space))
  }

  private func image(of part: Part) -> DebugImage {
    let units = part.members.map(\.unit)
    // Below the slots' banks, where no code and no variable is: each table has addresses of its own.
    let size = units.reduce(UInt64(64)) { $0 + $1.unwindSize }
    let room = space.arena.slotBanks
    if unwindCursor + size > room.size { unwindCursor = 4096 }
    let image = DebugImage(units, unwindTable: room.start &+ unwindCursor)
    unwindCursor = aligned(unwindCursor + size, to: 64)
    for error in image.omitted { onOmission(error) }
    return image
  }

  /// Makes few images of many: the smallest ones become one, so that large ones are seldom made anew.
  private func join() {
    let sorted = parts.sorted { $0.members.count < $1.members.count }
    let small = sorted.prefix(parts.count - DebuggerView.partsAfterJoining)
    let joined = Part(small.flatMap(\.members).sorted { $0.id < $1.id })
    for part in small {
      part.entry = nil
      part.image = nil
      part.members = []
    }
    parts.removeAll { part in small.contains { $0 === part } }
    parts.append(joined)
    for member in joined.members { partOf[member.id] = joined }
    if isActive { show(joined) }
  }
}

extension DebugUnit {
  /// Bytes of its unwind tables.
  fileprivate var unwindSize: UInt64 {
    linked.roles.indices.reduce(0) {
      $0 + (linked.roles[$1] == .unwind ? linked.object.sections[$1].size : 0)
    }
  }
}
