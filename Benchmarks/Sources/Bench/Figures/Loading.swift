// J1 and J2: shared libraries from nothing to relocated and gone again, against dlopen and dlclose.
//
//     J1.memory    a chain of three tiny libraries, ours from bytes in memory, the peer from files
//     J1.file      the same, both from files
//     J2.now       three libraries of 2,000 functions, 10,000 references by symbol, all bound at once
//     J2.lazy      the same with the 6,000 calls left to be bound when they happen
//     J2.relative  three libraries with tables of 2,000 local functions each
//
// A measurement is the mean of some loads and unloads in a row; one before them is not counted, on either
// side: “warm” is what these figures are about, and each side's turn moves the other's ground a little (after
// a dlopen we look at the process's images again).
internal import Glibc
internal import LoaderEngine
internal import SystemPackage

enum Loading {
  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    if runner.wants("J1.memory", "J1.file") {
      let tiny = try LibraryChain(.tiny, fixtures)
      try measure(runner, "J1.memory", tiny, entry: "bench_tiny_a", 50, from: .memory)
      try measure(runner, "J1.file", tiny, entry: "bench_tiny_a", 50)
    }
    if runner.wants("J2.now", "J2.lazy") {
      let many = try LibraryChain(.many, fixtures)
      let entry = LibraryChain.function(0, 3)
      try measure(runner, "J2.now", many, entry: entry, 6)
      try measure(runner, "J2.lazy", many, entry: entry, 6, binding: .lazy)
    }
    if runner.wants("J2.relative") {
      let relative = try LibraryChain(.relative, fixtures)
      try measure(runner, "J2.relative", relative, entry: "bench_sum_a", 6)
    }
  }

  private enum Origin { case memory, files }
  private typealias Entry = @convention(c) (Int32) -> Int32

  private static func measure(
    _ runner: Runner, _ id: String, _ chain: LibraryChain, entry: String, _ loads: Int,
    from origin: Origin = .files, binding: ImageOptions.Binding = .now
  ) throws {
    guard runner.wants(id) else { return }
    let ours = Ours(chain, origin, binding)
    let path = chain.files[0].path
    let flags = (binding == .lazy ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL
    func peer() throws {
      guard let handle = dlopen(path, flags) else {
        throw BenchError("dlopen: \(String(cString: dlerror()))")
      }
      dlclose(handle)
    }
    let answer = try ours.answer(entry)
    let library = try SharedLibrary(opening: path)
    let theirs: Entry = try library.function(entry)
    guard answer == theirs(3) else { throw BenchError("\(id): ours gives \(answer)") }
    _ = consume library
    runner.measure(
      Figure(
        id: id, peer: "dlopen + dlclose", rounds: 61,
        measureOurs: {
          try Loading.mean(of: loads) { _ = try ours.load() }
        },
        measurePeer: { try Loading.mean(of: loads, peer) }))
  }

  private static func mean(of count: Int, _ load: () throws -> Void) throws -> Double {
    try load()
    return try timed { for _ in 0..<count { try load() } } / Double(count)
  }

  private struct Ours {
    let context = LinkContext()
    let path: FilePath
    /// nil: from files.
    var contents: [(bytes: FileContents, name: String)]?
    var options = ImageOptions()

    init(_ chain: LibraryChain, _ origin: Origin, _ binding: ImageOptions.Binding) {
      path = FilePath(chain.files[0].path)
      options.binding = binding
      if origin == .memory {
        contents = chain.files.map { (FileContents($0.bytes), $0.path) }
      }
    }

    /// What a function of the first library gives for 3.
    func answer(_ entry: String) throws -> Int32 {
      let image = try load()
      let function: Symbol<Entry> = try image.symbol(entry)
      return withExtendedLifetime(image) { function.value(3) }
    }

    func load() throws -> Image {
      guard let contents else { return try context.loadLibrary(path, options: options) }
      let sources = contents.map { ImageSource($0.bytes, name: $0.name) }
      return try context.loadLibrary(sources[0], with: Array(sources[1...]), options: options)
    }
  }
}
