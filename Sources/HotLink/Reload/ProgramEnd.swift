// The end of a program: finalisers run once, in the opposite order of initialisers; what the process still refers
// to stays mapped.
internal import LoaderEngine

extension Program {
  /// Runs the destructors and finalisers of linked code. What the process still refers to stays mapped.
  func finish() {
    guard generation.number > 0 else { return }
    runFinalisers()
    LinkedCode.runExitHandlers(of: space.got.start)
    let libraries = units.compactMap(\.library) + removedLibraries
    for library in libraries.reversed() { library.finish() }
    if !space.copies.isEmpty || Program.outliving.contains(where: { space.names.find($0) != nil }) {
      space.arena.keepForever()
      space.threadStorage.mustStay = true
      space.threadModules.keepForever()
      LibraryVersion.keepForever(libraries)
    }
  }

  /// `.fini_array` of all units, once.
  private func runFinalisers() {
    guard !hasFinished else { return }
    hasFinished = true
    var entries: [LinkedObject.TableEntry] = []
    let placed = units.map { (position: position(of: $0), unit: $0) }
    for (_, unit) in placed.sorted(by: { $0.position > $1.position }) {
      guard let version = unit.version else { continue }
      entries += version.linked.finalisers(space.arena).reversed()
    }
    run(entries, from: Set(entries.map(\.priority)).sorted(by: >))
    for address in endCode.reversed() { call(address.value) }
  }

  /// Calls functions by their priority, those of one priority in the order given.
  func run(_ entries: [LinkedObject.TableEntry], from priorities: [Int]) {
    for priority in priorities {
      for entry in entries where entry.priority == priority { call(entry.address) }
    }
  }

  /// Runs what new code begins with, as one linked image would: `.preinit_array`, `_init`, then by priority and in
  /// link order over all units.
  func start(_ prepared: PreparedReload) {
    if generation.number == 1 { finishAtExit() }
    adaptProcess(to: prepared)
    for address in prepared.runtimeInitialisers { call(address) }
    var entries: [LinkedObject.TableEntry] = []
    for member in prepared.members {
      entries +=
        member.isNew
        ? member.version.linked.initialisers(space.arena)
        : addresses(of: member.initialisers, member.version)
    }
    defer { endCode += prepared.endCode }
    // Of an edit there is none, mostly, and the host waits for it.
    guard !entries.isEmpty || !prepared.startCode.isEmpty else { return }
    let priorities = Set(entries.map(\.priority)).sorted()
    run(entries, from: priorities.filter { $0 == InitialiserOrder.first })
    for address in prepared.startCode { call(address.value) }
    run(entries, from: priorities.filter { $0 != InitialiserOrder.first })
  }

  /// Has the finalisers run at the process's exit, after handlers that linked code registers.
  func finishAtExit() {
    LinkedCode.atExit { [weak self] in self?.runFinalisers() }
  }

  /// Names by which linked code hands its addresses to something that outlives a session.
  private static let outliving = [
    "atexit", "pthread_create", "signal", "sigaction", "swift_addNewDSOImage", "thrd_create",
    "_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE",
    "__cxa_thread_atexit", "__cxa_thread_atexit_impl", "pthread_key_create", "at_quick_exit",
  ]

  static let fibreFunctions = [
    "swapcontext", "makecontext", "make_fcontext", "jump_fcontext",
  ]
}
