// F4.throw: the first exception in a program of 50,000 functions, thrown and caught in linked code. libgcc reads and
// sorts a table when it is first asked: the peer is the same object in a shared library, whose table ld.lld has sorted.
internal import HotLink
internal import LoaderEngine

enum FirstThrow {
  private typealias Throw = @convention(c) (Int32) -> Int32
  private static let count = 50_000

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("F4.throw", "F4.throw.next") else { return }
    let object = try fixtures.objects([("functions50000", functions)])[0]
    let thrower = try fixtures.object(cxx: ("throws", source))
    let linker = try SharedLibrary.findLinker()
    runner.measure(
      Figure(
        id: "F4.throw", peer: "ld.lld -shared + dlopen", rounds: 7,
        measureOurs: {
          let session = try Session()
          try session.add(object.bytes, name: object.path)
          try session.add(thrower.bytes, name: thrower.path)
          try session.start()
          let function: Throw = try session.function("bench_throw")
          return try timed { try check(function(7)) }
        },
        measurePeer: {
          let library = try SharedLibrary(
            linking: [object.path, thrower.path], to: fixtures.folder + "/throw.so", by: linker)
          let function: Throw = try library.function("bench_throw")
          return try timed { try check(function(7)) }
        }))
  }

  private static func check(_ answer: Int32) throws {
    guard answer == 8 else { throw BenchError("a throw gave \(answer)") }
  }

  private static var functions: String {
    (0..<count).map { "int fn\($0)(int n) { return n + \($0); }" }.joined(separator: "\n") + "\n"
  }

  private static let source = """
    extern "C" __attribute__((noinline)) int bench_raise(int n) { if (n > 0) throw n; return 0; }
    extern "C" int bench_throw(int n) { try { return bench_raise(n); } catch (int m) { return m + 1; } }

    """
}
