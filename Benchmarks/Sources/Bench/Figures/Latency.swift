// J5: from the writer's close of an object (by its own clock) to the first call of the new body, through the real
// runner, with the guard on: `hotlink watch` with a loop that never sleeps, so that what is measured is not the frame.
//
//     J5.latency.10k, .100k, .1m          objects of that size without debug data
//     J5.latency.10k.g, .100k.g, .1m.g    objects of that size with them (fewer functions)
//     J5.pause                            what the host waits for: from its last call of the old body to its first of
//                                         the new one, in the 100 KB object with debug data
//
// The peer links the same object by `ld.lld -shared`, opens it, looks the entry up and calls it, as home-made hot
// reloading does; from J5.pause's peer the linking is left out. The runner is stopped meanwhile. Every second version has
// another local variable, so that types are compared in earnest.
//
// Details: min, p90, p99 and max of the latency; the median and the longest time from the last call of the old body to the
// first of the new one (the same turn of the host's loop; on a busy machine it holds whoever else wanted the processor);
// medians of what the runner's own reports say of the parts.
internal import Glibc

enum Latency {
  private struct Subject {
    var name: String
    var functions: Int
    var flags: [String] = []
    var rounds: Int
  }

  private static let subjects = [
    Subject(name: "10k", functions: 9, rounds: 100),
    Subject(name: "10k.g", functions: 1, flags: ["-g"], rounds: 100),
    Subject(name: "100k", functions: 108, rounds: 60),
    Subject(name: "100k.g", functions: 35, flags: ["-g"], rounds: 60),
    Subject(name: "1m", functions: 1130, rounds: 40),
    Subject(name: "1m.g", functions: 382, flags: ["-g"], rounds: 40),
  ]
  private static let pausing = 3

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    let wanted = subjects.filter { runner.wants("J5.latency." + $0.name) }
    guard !wanted.isEmpty || runner.wants("J5.pause") else { return }
    let linker = try SharedLibrary.findLinker()
    let program = try WatchedProgram.findRunner()
    for subject in wanted {
      let pair = try Pair(subject, program, linker, fixtures)
      runner.measure(
        Figure(
          id: "J5.latency." + subject.name, peer: "ld.lld -shared + dlopen",
          rounds: subject.rounds, measureOurs: { try pair.edit().latency },
          measurePeer: { try pair.peer.reload().latency },
          details: { pair.details($0) }))
    }
    guard runner.wants("J5.pause") else { return }
    let pair = try Pair(subjects[pausing], program, linker, fixtures)
    runner.measure(
      Figure(
        id: "J5.pause", peer: "dlopen + dlsym", rounds: 60,
        measureOurs: { try pair.edit().pause },
        measurePeer: { try pair.peer.reload().pause },
        details: {
          [
            Detail(name: "min_ns", value: $0.min() ?? .nan),
            Detail(name: "p90_ns", value: quantile(0.9, $0)),
            Detail(name: "p99_ns", value: quantile(0.99, $0)),
            Detail(name: "max_ns", value: $0.max() ?? .nan),
          ]
        }))
  }

  /// One object, reloaded by the runner and by the peer.
  private final class Pair {
    let program: WatchedProgram
    let peer: Peer
    private var pauses: [Double] = []

    init(_ subject: Subject, _ runner: String, _ linker: String, _ fixtures: Fixtures) throws {
      let name = subject.name.map { $0 == "." ? "-" : String($0) }.joined()
      let versions = try fixtures.objects(
        WatchedUnit.values.map {
          (
            "watched-\(name)-\($0)",
            WatchedUnit(functions: subject.functions, value: $0).text
          )
        }, flags: subject.flags)
      program = try WatchedProgram(name, versions, runner, fixtures)
      program.pause()
      peer = try Peer(versions, linker, fixtures)
    }

    func edit() throws -> WatchedProgram.Edit {
      program.resume()
      defer { program.pause() }
      let edit = try program.edit()
      pauses.append(edit.pause)
      return edit
    }

    func details(_ latencies: [Double]) -> [Detail] {
      program.resume()
      let counted = pauses.suffix(latencies.count)
      return [
        Detail(name: "min_ns", value: latencies.min() ?? .nan),
        Detail(name: "p90_ns", value: quantile(0.9, latencies)),
        Detail(name: "p99_ns", value: quantile(0.99, latencies)),
        Detail(name: "max_ns", value: latencies.max() ?? .nan),
        Detail(name: "turn_ns", value: median(Array(counted))),
        Detail(name: "turn_max_ns", value: counted.max() ?? .nan),
      ]
        + ((try? program.reported()) ?? [])
    }
  }

  /// Home-made hot reloading, in this process.
  private final class Peer {
    private typealias Tick = @convention(c) () -> Void
    private let versions: [Object]
    private let linker: String
    private let file: String
    private let page: MappedPage
    private var turn = 0

    init(_ versions: [Object], _ linker: String, _ fixtures: Fixtures) throws {
      self.versions = versions
      self.linker = linker
      file = fixtures.folder + "/watched.so"
      page = try MappedPage(fixtures.folder + "/watched-peer.page")
      setenv(WatchedUnit.variable, page.path, 1)
    }

    func reload() throws -> WatchedProgram.Edit {
      turn += 1
      let version = turn % 2
      let start = nanoseconds()
      try Subprocess.run(
        linker, ["-shared", "--eh-frame-hdr", "-o", file, versions[version].path])
      let linked = nanoseconds()
      let library = try SharedLibrary(opening: file)
      let tick: Tick = try library.function(WatchedUnit.entry)
      tick()
      guard page[.value] == WatchedUnit.values[version] else {
        throw BenchError("the peer's edit did not take effect")
      }
      let called = Double(page[.called])
      return WatchedProgram.Edit(latency: called - start, pause: called - linked)
    }
  }
}
