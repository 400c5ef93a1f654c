// J7.reload: what the number of units costs a reload of one. The edited unit has the same callers in
// both programs.

enum ManyUnits {
  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("J7.reload") else { return }
    let few = try RunningUnits(10, fixtures)
    let many = try RunningUnits(1000, fixtures)
    try runner.measure(
      Figure(
        id: "J7.reload", peer: "10 units", rounds: 60,
        measureOurs: many.edit, measurePeer: few.edit))
  }
}
