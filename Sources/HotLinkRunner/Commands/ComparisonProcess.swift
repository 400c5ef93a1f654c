// One child of `hotlink check --against dlopen`: a copy of the library without initialisers, a search path that
// finds what the original finds, a time limit. Linux: posix_spawn(3), ld.so(8).
import Glibc
import HotLink
import LoaderEngine
import SystemPackage

/// A running comparison.
final class ComparisonProcess {
  let number: Int
  private let library: String
  private let folder: FilePath
  private let pid: pid_t
  private let started = ComparisonProcess.now()
  private var isRunning = true

  /// Copies the library and starts a process for it.
  init(_ library: String, number: Int, check: AgainstCheck, in parent: FilePath) throws(LinkError) {
    self.library = library
    self.number = number
    folder = parent.appending("\(number)")
    guard mkdir(folder.string, 0o700) == 0 else {
      throw LinkError(
        file: library, .system(SystemError(call: "mkdir", subject: folder.string, code: errno)))
    }
    let original = ComparisonProcess.absolute(library)
    var path = original
    var searched = [original.removingLastComponent().string]
    var neededFirst: [String] = []
    // What we cannot read may be readable for dlopen: then it is loaded as it is, and the child tells.
    if let copy = try? NeutralCopy(of: original, in: folder) {
      path = copy.path
      searched = copy.searchPath
      neededFirst = copy.neededFirst
    }
    var arguments = [
      "hotlink", "compare", path.string, folder.appending("report").string,
    ]
    for name in check.libraries { arguments += ["-l", name] }
    for name in neededFirst { arguments += ["--first", name] }
    if let falsify = check.falsify { arguments += ["--falsify", String(falsify)] }
    pid = try ComparisonProcess.spawn(
      arguments, ComparisonProcess.environment(searched), output: folder.appending("output"))
  }

  deinit {
    if isRunning {
      kill(-pid, SIGKILL)
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }
    WorkFolder.remove(folder)
  }

  /// What came out, or nil while it runs.
  func finished(_ timeLimit: Double) -> LibraryVerdict? {
    var status: Int32 = 0
    if waitpid(pid, &status, WNOHANG) == 0 {
      guard ComparisonProcess.now() - started > timeLimit else { return nil }
      kill(-pid, SIGKILL)
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      isRunning = false
      return verdict(end: "no end within \(Int(timeLimit)) s")
    }
    isRunning = false
    // What its constructors started goes, too.
    kill(-pid, SIGKILL)
    let signal = status & 0x7F
    if signal != 0 { return verdict(end: "ended by signal \(signal)") }
    return verdict(end: "exited with \(status >> 8 & 0xFF)")
  }

  private func verdict(end: String) -> LibraryVerdict {
    let text =
      (try? FileContents(reading: folder.appending("report"))).map {
        String(decoding: $0.bytes, as: UTF8.self)
      } ?? ""
    var verdict = LibraryVerdict(library: library, .refused(end))
    var isLoading = false
    var isDone = false
    for line in ComparisonLines.fields(text) {
      switch (line.first, line.count) {
      case ("phase", 2): isLoading = line[1] == "load"
      case ("refused", 2):
        verdict.state = .refused(plain(line[1]))
        isDone = true
      case ("failed", 2):
        verdict.state = .failed(plain(line[1]))
        isDone = true
      case ("different", 6):
        verdict.differences.append(
          LibraryVerdict.Difference(
            offset: UInt64(line[1]) ?? 0, type: line[2], symbol: line[3], ours: plain(line[4]),
            theirs: plain(line[5])))
      case ("skipped", 3): verdict.skipped.append((line[1], Int(line[2]) ?? 0))
      case ("compared", 3):
        verdict.state = .compared(relocations: Int(line[1]) ?? 0, compared: Int(line[2]) ?? 0)
        isDone = true
      default: break
      }
    }
    if !isDone {
      let said = lastWords.map { "\(end): \($0)" } ?? end
      verdict.state = isLoading ? .failed(said) : .refused(said)
    }
    return verdict
  }

  /// Without the name of our folder.
  private func plain(_ text: String) -> String {
    let own = folder.string + "/"
    var rest = text[...]
    var out = ""
    while let at = rest.firstRange(of: own) {
      out += rest[..<at.lowerBound]
      rest = rest[at.upperBound...]
    }
    return out + rest
  }

  private var lastWords: String? {
    guard let contents = try? FileContents(reading: folder.appending("output")) else { return nil }
    let text = String(decoding: contents.bytes.suffix(2000), as: UTF8.self)
    return text.split(separator: "\n").last.map { plain(String($0.prefix(200))) }
  }

  // MARK: starting

  /// The process's own, and what ld.so needs to know when it starts.
  private static func environment(_ searched: [String]) -> [String] {
    var variables: [String] = []
    var path = searched
    var at = environ
    while let entry = at.pointee {
      let text = String(cString: entry)
      if text.hasPrefix("LD_LIBRARY_PATH=") {
        path.append(String(text.dropFirst("LD_LIBRARY_PATH=".count)))
      } else if !["GLIBC_TUNABLES=", "LD_BIND_", "SWIFT_BACKTRACE="].contains(where: text.hasPrefix)
      {
        variables.append(text)
      }
      at += 1
    }
    variables.append("LD_LIBRARY_PATH=" + path.joined(separator: ":"))
    variables.append("SWIFT_BACKTRACE=enable=no")
    // Room for two loads of a library that has its thread-local variables at fixed offsets.
    variables.append("GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384")
    return variables
  }

  private static func spawn(_ arguments: [String], _ environment: [String], output: FilePath)
    throws(LinkError) -> pid_t
  {
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&files, 1, output.string, O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_adddup2(&files, 1, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    var words = arguments.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { for word in words + variables { free(word) } }
    var pid = pid_t()
    let code = posix_spawn(&pid, "/proc/self/exe", &files, &attributes, &words, &variables)
    guard code == 0 else {
      throw LinkError(
        file: "", .system(SystemError(call: "posix_spawn", subject: "hotlink", code: code)))
    }
    return pid
  }

  private static func absolute(_ path: String) -> FilePath {
    let path = FilePath(path)
    if path.isAbsolute { return path }
    guard let here = getcwd(nil, 0) else { return path }
    defer { free(here) }
    return FilePath(String(cString: here)).pushing(path)
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// A temporary folder that goes with its owner.
final class WorkFolder {
  let path: FilePath

  init() throws(LinkError) {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var name = Array((parent + "/hotlink-check-XXXXXX").utf8CString)
    guard mkdtemp(&name) != nil else {
      throw LinkError(
        file: "", .system(SystemError(call: "mkdtemp", subject: parent, code: errno)))
    }
    path = FilePath(String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  deinit { rmdir(path.string) }

  /// Removes a folder and the files in it.
  static func remove(_ folder: FilePath) {
    for name in SharedObjects.names(in: folder) { unlink(folder.appending(name).string) }
    rmdir(folder.string)
  }
}
