// J6: what the running program pays for being replaceable. Every figure is the time of one turn of a
// compiled loop.
//
//     J6.call         the host calls through a pointer: to the stub, or to the body itself
//     J6.call.linked  a linked unit calls another by name, against two files of one program
//     J6.call.plt     the same against two files of one shared library, which call through the PLT
//     J6.update       the safe point with nothing new, against one atomic load
internal import CBench
internal import Glibc
internal import HotLink
internal import LoaderEngine
internal import Synchronization

enum Calls {
  private typealias Leaf = @convention(c) (Int) -> Int
  private typealias Loop = @convention(c) (Int) -> Int
  private static let turns = 10_000_000

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("J6.call", "J6.call.linked", "J6.call.plt", "J6.update") else { return }
    let objects = try fixtures.objects(sources)
    let session = try Session()
    for object in objects { try session.add(object.bytes, name: object.path) }
    try session.start()
    let stub: Leaf = try session.function("bench_leaf")
    guard let body = session.generation.symbol("bench_leaf")?.body,
      let pointer = UnsafeRawPointer(bitPattern: UInt(body.value))
    else { throw BenchError("bench_leaf is not linked") }
    // Sound: the body of the same C function.
    let direct = unsafeBitCast(pointer, to: Leaf.self)
    guard UnsafeRawPointer(bitPattern: unsafeBitCast(stub, to: UInt.self)) != pointer else {
      throw BenchError("bench_leaf has no stub")
    }
    runner.measure(
      Figure(
        id: "J6.call", peer: "direct", rounds: 31,
        measureOurs: { try perTurn { bench_call(stub, $0) } },
        measurePeer: { try perTurn { bench_call(direct, $0) } }))

    let loop: Loop = try session.function("bench_loop")
    runner.measure(
      Figure(
        id: "J6.call.linked", peer: "direct", rounds: 31,
        measureOurs: { try perTurn { loop($0) } },
        measurePeer: { try perTurn { bench_call_direct($0) } }))
    let library = try SharedLibrary(
      linking: objects.map(\.path), to: fixtures.folder + "/calls.so",
      by: try SharedLibrary.findLinker())
    let viaPLT: Loop = try library.function("bench_loop")
    runner.measure(
      Figure(
        id: "J6.call.plt", peer: "PLT", rounds: 31,
        measureOurs: { try perTurn { loop($0) } },
        measurePeer: { try perTurn { viaPLT($0) } }))

    let flag = Flag()
    runner.measure(
      Figure(
        id: "J6.update", peer: "atomic load", rounds: 31,
        measureOurs: { try perTurn { count in updates(session, count) } },
        measurePeer: { try perTurn { count in loads(flag, count) } }))
  }

  private static let sources = [
    ("bench_leaf", "long bench_leaf(long value) { return value + 1; }\n"),
    (
      "bench_loop",
      """
      long bench_leaf(long);
      long bench_loop(long count) {
        long value = 0;
        for (long i = 0; i < count; i++) value = bench_leaf(value);
        return value;
      }

      """
    ),
  ]

  /// Nanoseconds a turn.
  private static func perTurn(_ loop: (Int) -> Int) throws -> Double {
    var result = 0
    let time = timed { result = loop(turns) }
    guard result == turns else { throw BenchError("a loop gave \(result)") }
    return time / Double(turns)
  }

  private final class Flag: Sendable {
    let isSet = Atomic<Bool>(false)
  }

  @inline(never)
  private static func updates(_ session: Session, _ count: Int) -> Int {
    var idle = 0
    for _ in 0..<count where !session.update() { idle += 1 }
    return idle
  }

  @inline(never)
  private static func loads(_ flag: Flag, _ count: Int) -> Int {
    var idle = 0
    for _ in 0..<count where !flag.isSet.load(ordering: .acquiring) { idle += 1 }
    return idle
  }
}
