// The parts of a run. Each is measured in a process of its own, so that none suffers from what another left behind, or
// takes the others with it when it crashes. With `--only` all happens in one process, for profilers.
internal import ArgumentParser
internal import Glibc

enum Part: String, CaseIterable, ExpressibleByArgument {
  case loading, lookup, oneChange, wholeSet, archives, latency, calls, manyUnits, largeObjects
  case firstThrow, guarding

  func measure(_ runner: Runner, _ fixtures: Fixtures) {
    do {
      switch self {
      case .loading: try Loading.measure(runner, fixtures)
      case .lookup: try Lookup.measure(runner, fixtures)
      case .oneChange: try OneChange.measure(runner, fixtures)
      case .wholeSet: try WholeSet.measure(runner, fixtures)
      case .archives: try Archives.measure(runner, fixtures)
      case .latency: try Latency.measure(runner, fixtures)
      case .calls: try Calls.measure(runner, fixtures)
      case .manyUnits: try ManyUnits.measure(runner, fixtures)
      case .largeObjects: try LargeObjects.measure(runner, fixtures)
      case .firstThrow: try FirstThrow.measure(runner, fixtures)
      case .guarding: try Guarding.measure(runner, fixtures)
      }
    } catch {
      runner.fail(rawValue, error)
    }
  }

  /// Measures it in another process and takes over what that one found.
  func measureInChild(_ runner: Runner, rounds: Int?) throws {
    let program = try Subprocess.ownPath()
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw BenchError("no pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let arguments = ["--part", rawValue] + (rounds.map { ["--rounds", "\($0)"] } ?? [])
    let child = try Subprocess.start(program, arguments, output: ends[1])
    close(ends[1])
    guard let output = fdopen(ends[0], "r") else { throw BenchError("no stream") }
    defer { fclose(output) }
    var line = [CChar](repeating: 0, count: 8192)
    while fgets(&line, Int32(line.count), output) != nil {
      let bytes = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
      runner.take(String(decoding: bytes, as: UTF8.self))
    }
    try Subprocess.finish(child, "bench --part \(rawValue)")
  }
}
