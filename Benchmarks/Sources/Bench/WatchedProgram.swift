// A program under the real runner, `hotlink watch`, whose object is written over and over. Its entry says in a mapped
// file when each version was called first, so that nothing here has to be quick.
internal import Glibc

final class WatchedProgram {
  /// What became of one edit, in nanoseconds.
  struct Edit {
    /// From the writer's close to the first call of the new body.
    var latency: Double
    /// From the last call of the old body to the first of the new one: the turn of the host's loop that had `update()` in it.
    var pause: Double
  }

  private let versions: [Object]
  private let object: String
  private let log: String
  private let child: pid_t
  private let page: MappedPage
  private var turn = 0

  /// Starts the runner on a folder of its own; returns when the first version is called.
  ///
  /// - Parameter versions: objects of `WatchedUnit`, one for each of its values.
  init(_ name: String, _ versions: [Object], _ runner: String, _ fixtures: Fixtures) throws {
    let folder = "\(fixtures.folder)/watched-\(name)"
    mkdir(folder, 0o755)
    object = folder + "/unit.o"
    log = "\(fixtures.folder)/watched-\(name).log"
    self.versions = versions
    try Self.write(versions[0].bytes, to: object)
    page = try MappedPage(folder + ".page")
    let output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard output >= 0 else { throw BenchError("\(log): cannot be written") }
    defer { close(output) }
    setenv(WatchedUnit.variable, page.path, 1)
    child = try Subprocess.start(
      runner, ["watch", folder, "--entry", WatchedUnit.entry, "--hz", "0"], errors: output)
    try wait(for: WatchedUnit.values[0], seconds: 30)
  }

  deinit {
    kill(child, SIGCONT)
    kill(child, SIGTERM)
    var status: Int32 = 0
    for _ in 0..<500 where waitpid(child, &status, WNOHANG) == 0 { usleep(10_000) }
    if kill(child, SIGKILL) == 0 { waitpid(child, &status, 0) }
  }

  /// The peer has the machine while the program stands still.
  func pause() { kill(child, SIGSTOP) }

  func resume() {
    kill(child, SIGCONT)
    usleep(5000)
  }

  /// Writes the other version in place, as compilers do it, and waits until it is called.
  func edit() throws -> Edit {
    turn += 1
    let version = turn % 2
    let closedAt = try Self.write(versions[version].bytes, to: object)
    try wait(for: WatchedUnit.values[version], seconds: 20)
    return Edit(latency: Double(page[.called]) - closedAt, pause: Double(page[.pause]))
  }

  /// What the runner's reports say of the parts of a reload: medians over all of them, in microseconds.
  func reported() throws -> [Detail] {
    let reloads = try reports()
    return ["read", "link", "guard", "swap"].map { name in
      Detail(name: name + "_us", value: median(reloads.compactMap { Self.time(name, in: $0) }))
    }
  }

  /// The reports of all edits; the last one may still be on its way.
  private func reports() throws -> [Substring] {
    for _ in 0..<500 {
      let text = String(decoding: try Fixtures.contents(of: log), as: UTF8.self)
      let lines = text.split(separator: "\n").filter { $0.contains(" | live now") }
      if lines.count >= turn { return lines }
      usleep(2000)
    }
    throw BenchError("fewer reports than edits; see \(log)")
  }

  /// `link 3.1 ms` or `link 180 µs`.
  private static func time(_ name: String, in line: Substring) -> Double? {
    guard let start = line.firstRange(of: " \(name) ") else { return nil }
    let words = line[start.upperBound...].split(separator: " ", maxSplits: 2)
    guard words.count > 1, let number = Double(words[0]) else { return nil }
    return words[1].hasPrefix("ms") ? number * 1e3 : number
  }

  /// - Returns: when the file was about to be closed: a writer that loses its processor after the close would seem
  ///   to have closed later than it did.
  @discardableResult
  private static func write(_ bytes: [UInt8], to path: String) throws -> Double {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0, Glibc.write(file, bytes, bytes.count) == bytes.count else {
      throw BenchError("\(path): cannot be written")
    }
    let time = nanoseconds()
    close(file)
    return time
  }

  private func wait(for value: Int, seconds: Double) throws {
    let deadline = nanoseconds() + seconds * 1e9
    while page[.value] != value {
      var status: Int32 = 0
      guard waitpid(child, &status, WNOHANG) == 0 else {
        throw BenchError("the runner ended (status \(status)); it said: \(log)")
      }
      guard nanoseconds() < deadline else {
        throw BenchError("version \(value) was not called within \(seconds) s; see \(log)")
      }
      usleep(200)
    }
  }

  /// The runner of this checkout, which `make bench` builds beside this program.
  static func findRunner() throws -> String {
    let folder = try Subprocess.ownPath().split(separator: "/").dropLast().map { "/" + $0 }.joined()
    let path = folder + "/hotlink"
    guard access(path, X_OK) == 0 else {
      throw BenchError("no runner at \(path): swift build -c release --product hotlink")
    }
    return path
  }
}

/// The file that the entry of a `WatchedUnit` writes into. Removed at its end.
final class MappedPage {
  /// Its words, in the order of the C structure.
  enum Word: Int { case value, called, pause, last }

  let path: String
  private let words: UnsafeMutablePointer<Int>
  private static let size = 4096

  init(_ path: String) throws {
    self.path = path
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw BenchError("\(path): cannot be written") }
    defer { close(file) }
    ftruncate(file, Self.size)
    guard let start = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      start != MAP_FAILED
    else { throw BenchError("\(path): cannot be mapped") }
    words = start.bindMemory(to: Int.self, capacity: Self.size / 8)
  }

  deinit {
    munmap(words, Self.size)
    unlink(path)
  }

  /// Another process writes it: read anew at each call.
  @inline(never)
  subscript(_ word: Word) -> Int { words[word.rawValue] }
}
