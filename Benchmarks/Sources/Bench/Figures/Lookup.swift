// J3: one symbol of a loaded library by its name, against dlsym. Both search the same three libraries of
// 2,000 functions each, in the same order. Every figure is the time of one lookup.
//
//     J3.hit        sixteen names in turn
//     J3.prehashed  the same, measured and hashed beforehand
//     J3.miss       names of 13 characters, as long as those there are, that nobody defines
//     J3.all        every name of the first library once
internal import Glibc
internal import LoaderEngine
internal import SystemPackage

enum Lookup {
  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard runner.wants("J3.hit", "J3.prehashed", "J3.miss", "J3.all") else { return }
    let chain = try LibraryChain(.many, fixtures)
    let image = try LinkContext().loadLibrary(FilePath(chain.files[0].path))
    guard let handle = dlopen(chain.files[0].path, RTLD_NOW | RTLD_LOCAL) else {
      throw BenchError("dlopen: \(String(cString: dlerror()))")
    }
    defer { dlclose(handle) }
    let all = (0..<LibraryChain.count).map { LibraryChain.function(0, $0) }
    let some = (0..<16).map { LibraryChain.function(0, $0 * 111) }
    let none = (0..<16).map { "absent_" + all[$0 * 111].suffix(6) }
    guard names.map(String.init(describing:)) == some, none.allSatisfy({ $0.utf8.count == 13 })
    else { throw BenchError("the names are others") }
    try measure(runner, "J3.hit", image, handle, some, turns: 200)
    let hashed = names.map(SymbolName.init)
    let peer = Peer(some)
    runner.measure(
      Figure(
        id: "J3.prehashed", peer: "dlsym", rounds: 61,
        measureOurs: { try perLookup(hashed.count * 200) { find(hashed, 200, in: image) } },
        measurePeer: { try perLookup(some.count * 200) { peer.find(200, in: handle) } }))
    try measure(runner, "J3.miss", image, handle, none, turns: 50, isThere: false)
    try measure(runner, "J3.all", image, handle, all, turns: 1)
  }

  private static func measure(
    _ runner: Runner, _ id: String, _ image: Image, _ handle: UnsafeMutableRawPointer,
    _ names: [String], turns: Int, isThere: Bool = true
  ) throws {
    let ours = Ours(names)
    let peer = Peer(names)
    let count = names.count * turns
    let found = isThere ? count : 0
    runner.measure(
      Figure(
        id: id, peer: "dlsym", rounds: 61,
        measureOurs: { try perLookup(count, found: found) { ours.find(turns, in: image) } },
        measurePeer: { try perLookup(count, found: found) { peer.find(turns, in: handle) } }))
  }

  /// Nanoseconds a lookup.
  private static func perLookup(_ count: Int, found: Int? = nil, _ loop: () -> Int) throws -> Double
  {
    var result = 0
    let time = timed { result = loop() }
    guard result == found ?? count else { throw BenchError("\(result) of \(count) names found") }
    return time / Double(count)
  }

  @inline(never)
  private static func find(_ names: [SymbolName], _ turns: Int, in image: Image) -> Int {
    var found = 0
    let names = names.span
    for _ in 0..<turns {
      for index in names.indices where image.address(of: names[index]) != nil { found += 1 }
    }
    return found
  }

  /// A name that is lent: a loop over strings counts a reference and gives it back for each, which is no part of a
  /// lookup, and nothing that the peer does.
  private struct LentName: ~Copyable {
    let text: String

    @inline(__always)
    borrowing func isDefined(in image: Image) -> Bool { image.address(of: text) != nil }
  }

  /// Names as Swift has them, made beforehand.
  private final class Ours {
    private let names: UnsafeMutableBufferPointer<LentName>

    init(_ texts: [String]) {
      names = .allocate(capacity: texts.count)
      for (index, text) in texts.enumerated() {
        names.initializeElement(at: index, to: LentName(text: text))
      }
    }

    deinit {
      names.deinitialize()
      names.deallocate()
    }

    @inline(never)
    func find(_ turns: Int, in image: Image) -> Int {
      var found = 0
      let names = names.span
      for _ in 0..<turns {
        for index in names.indices where names[index].isDefined(in: image) { found += 1 }
      }
      return found
    }
  }

  /// Names as C has them, made beforehand.
  private final class Peer {
    private let names: [UnsafeMutablePointer<CChar>]

    init(_ names: [String]) { self.names = names.compactMap { strdup($0) } }

    deinit { for name in names { free(name) } }

    @inline(never)
    func find(_ turns: Int, in handle: UnsafeMutableRawPointer) -> Int {
      var found = 0
      for _ in 0..<turns {
        for name in names where dlsym(handle, name) != nil { found += 1 }
      }
      return found
    }
  }

  private static let names: [StaticString] = [
    "bench_a_00000", "bench_a_00111", "bench_a_00222", "bench_a_00333", "bench_a_00444",
    "bench_a_00555", "bench_a_00666", "bench_a_00777", "bench_a_00888", "bench_a_00999",
    "bench_a_01110", "bench_a_01221", "bench_a_01332", "bench_a_01443", "bench_a_01554",
    "bench_a_01665",
  ]
}
