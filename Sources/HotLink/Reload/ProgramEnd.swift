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
    if Program.outliving.contains(where: { space.names.find($0) != nil }) {
      space.arena.keepForever()
      space.threadStorage.mustStay = true
      LibraryVersion.keepForever(libraries)
    }
  }

  /// `.fini_array` of all units, once.
  private func runFinalisers() {
    guard !hasFinished else { return }
    hasFinished = true
    var entries: [(priority: Int, address: UInt64)] = []
    for unit in units.reversed() {
      guard let version = unit.version else { continue }
      entries += addresses(of: InitialiserPlan.finalisers(of: version.object), version)
    }
    for priority in Set(entries.map(\.priority)).sorted(by: >) {
      for entry in entries where entry.priority == priority { call(entry.address) }
    }
    for unit in units {
      if let end = unit.version?.linked.endFragment { call(end) }
    }
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
