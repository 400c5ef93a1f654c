// J7: what the number of units costs.
//
//     J7.start.N   N units from files to started, in a fresh process, against `ld.lld -shared` of them and dlopen
//     J7.memory.N  what that process has resident more at its peak, against the bytes of the files
//     J7.reload.N  the edit of one unit among N, against the same edit among 10: it has the same callers in both

enum ManyUnits {
  private static let counts = [10, 100, 1000, 10_000]

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    let program = try Subprocess.ownPath()
    for count in counts where runner.wants("J7.start.\(count)", "J7.memory.\(count)") {
      let bytes = try fixtures.units(count).reduce(0) { $0 + $1.bytes.count }
      let linker = try SharedLibrary.findLinker()
      let units = try fixtures.paths(count)
      runner.measure(
        Figure(
          id: "J7.start.\(count)", peer: "ld.lld -shared + dlopen", rounds: count < 10_000 ? 5 : 3,
          measureOurs: { try ColdStart.manyFiles.inChild(program, units: count) },
          measurePeer: { try WholeSet.linkShared(units, fixtures, linker) }))
      runner.measure(
        Figure(
          id: "J7.memory.\(count)", peer: "the files", rounds: 1, unit: .bytes,
          measureOurs: { try ColdStart.manyMemory.inChild(program, units: count) },
          measurePeer: { Double(bytes) }))
    }
    let reloads = counts.dropFirst().filter { runner.wants("J7.reload.\($0)") }
    guard !reloads.isEmpty else { return }
    let few = try RunningUnits(10, fixtures)
    for count in reloads {
      let many = try RunningUnits(count, fixtures)
      runner.measure(
        Figure(
          id: "J7.reload.\(count)", peer: "10 units", rounds: 60,
          measureOurs: many.edit, measurePeer: few.edit))
    }
  }
}
