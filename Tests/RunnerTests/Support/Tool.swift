// Processes for tests: the built `hotlink`, compilers and oracles. Each has a time limit, and its output
// goes through files, so that no full pipe can hold it up.
import Foundation

/// Runs programs to their end.
enum Tool {
  enum End: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)
    case timedOut
  }

  struct Outcome: Sendable {
    var end: End
    var output: [UInt8]
    var errors: [UInt8]
    /// Wall time in seconds.
    var seconds: Double

    /// The exit code; nil when a signal or the time limit ended it.
    var code: Int32? { if case .exited(let code) = end { code } else { nil } }
    var stdout: String { String(decoding: output, as: UTF8.self) }
    var stderr: String { String(decoding: errors, as: UTF8.self) }
  }

  /// A program that could not be started, or that failed where a test needs it to succeed.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// Runs a program to its end, or kills it and all it started after `timeout` seconds.
  ///
  /// - Parameters:
  ///   - input: what it reads from standard input; nothing when nil.
  ///   - environment: added to the test's own.
  ///   - directory: where it runs; the test's own when nil.
  static func run(
    _ program: String, _ arguments: [String] = [], input: [UInt8]? = nil,
    environment: [String: String] = [:], directory: String? = nil, timeout: Double = 60
  ) throws -> Outcome {
    let folder = try TemporaryFolder()
    let inputPath = try input.map { try folder.write($0, to: "in") } ?? "/dev/null"
    let outputPath = folder.path("out")
    let errorPath = folder.path("err")

    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    let create = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&files, 0, inputPath, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&files, 1, outputPath, create, 0o600)
    posix_spawn_file_actions_addopen(&files, 2, errorPath, create, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A group of its own: the limit ends what it started, too. And no signal blocked or ignored.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    // `env -C` because glibc hides posix_spawn's own change of directory from Swift; it execs.
    let command = directory.map { ["/usr/bin/env", "-C", $0, program] } ?? [program]
    let argv = CStrings(command + arguments)
    let envp = CStrings(merged.map { "\($0)=\($1)" })
    var child = pid_t()
    let begin = now()
    let status = posix_spawnp(&child, command[0], &files, &attributes, argv.pointers, envp.pointers)
    guard status == 0 else {
      throw Failure(description: "cannot start \(program): \(String(cString: strerror(status)))")
    }
    let end = wait(for: child, seconds: timeout)
    return Outcome(
      end: end, output: folder.bytes("out"), errors: folder.bytes("err"), seconds: now() - begin)
  }

  /// Runs a program that must succeed.
  ///
  /// - Returns: its standard output.
  @discardableResult
  static func output(
    _ program: String, _ arguments: [String] = [], directory: String? = nil, timeout: Double = 120
  ) throws -> String {
    let outcome = try run(program, arguments, directory: directory, timeout: timeout)
    guard outcome.code == 0 else {
      let command = ([program] + arguments).joined(separator: " ")
      throw Failure(description: "\(outcome.end): \(command)\n\(outcome.stderr)\(outcome.stdout)")
    }
    return outcome.stdout
  }

  /// Runs the built `hotlink`.
  static func hotlink(
    _ arguments: [String], input: [UInt8]? = nil, environment: [String: String] = [:],
    directory: String? = nil, timeout: Double = 60
  ) throws -> Outcome {
    try run(
      try hotlinkPath(), arguments, input: input, environment: environment, directory: directory,
      timeout: timeout)
  }

  /// The built `hotlink`: HOTLINK_BINARY, or the one beside the test bundle.
  static func hotlinkPath() throws -> String {
    if let named = ProcessInfo.processInfo.environment["HOTLINK_BINARY"] { return named }
    // The bundle is this process's program, or an argument of SwiftPM's helper that loads it.
    let candidates =
      [(try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""]
      + CommandLine.arguments.filter { $0.contains(".xctest") }
    for candidate in candidates where !candidate.isEmpty {
      var folder = URL(filePath: candidate).standardizedFileURL
      while folder.path != "/" {
        folder.deleteLastPathComponent()
        let path = folder.appending(path: "hotlink").path
        var isFolder = ObjCBool(false)
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
          !isFolder.boolValue,
          FileManager.default.isExecutableFile(atPath: path)
        {
          return path
        }
      }
    }
    throw Failure(description: "no hotlink beside \(candidates); set HOTLINK_BINARY")
  }

  static func exists(_ program: String) -> Bool {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
  }

  /// Seconds on the monotonic clock.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Waits for a child that leads a process group of its own; kills the group when time is up.
  static func wait(for child: pid_t, seconds: Double) -> End {
    let deadline = now() + seconds
    var pause: UInt32 = 200
    var status: Int32 = 0
    while true {
      let got = waitpid(child, &status, WNOHANG)
      if got == child { break }
      if got < 0 && errno != EINTR { return .signalled(0) }
      if now() > deadline {
        kill(-child, SIGKILL)
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return .timedOut
      }
      usleep(pause)
      pause = min(pause * 2, 5000)
    }
    let signal = status & 0x7F
    return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
  }
}

/// A folder that disappears with its last owner.
final class TemporaryFolder: Sendable {
  let root: String

  init() throws {
    let parent = FileManager.default.temporaryDirectory
    var template = Array(parent.appending(path: "hotlink-test-XXXXXX").path.utf8CString)
    guard mkdtemp(&template) != nil else {
      throw Tool.Failure(description: "mkdtemp: \(String(cString: strerror(errno)))")
    }
    root = template.withUnsafeBufferPointer { characters in
      String(decoding: characters.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func path(_ name: String) -> String { root + "/" + name }

  /// - Returns: the file's path.
  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    try write(Array(text.utf8), to: name)
  }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let url = URL(filePath: path(name))
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  func bytes(_ name: String) -> [UInt8] {
    (FileManager.default.contents(atPath: path(name))).map(Array.init) ?? []
  }
}

/// A compiler driver, and how it makes objects and programs.
struct Compiler: Sendable, CustomStringConvertible {
  var program: String
  /// Of its sources, `c`.
  var suffix: String

  static let gcc = Compiler(program: "gcc", suffix: "c")
  static let gxx = Compiler(program: "g++", suffix: "cpp")
  static let clang = Compiler(program: "clang", suffix: "c")
  static let clangxx = Compiler(program: "clang++", suffix: "cpp")
  static let swiftc = Compiler(program: "swiftc", suffix: "swift")

  var description: String { program }
  var isSwift: Bool { suffix == "swift" }

  /// Compiles one source into `NAME.o`.
  ///
  /// - Returns: the object's path.
  func object(
    _ source: String, _ name: String = "unit", flags: [String] = [], in folder: TemporaryFolder
  )
    throws -> String
  {
    let input = try folder.write(source, to: "\(name).\(suffix)")
    let output = folder.path("\(name).o")
    let mode = isSwift ? ["-parse-as-library", "-emit-object", "-module-name", name] : ["-c"]
    try Tool.output(program, mode + flags + [input, "-o", output], timeout: 300)
    return output
  }

  /// Links objects into a program, as a user would.
  ///
  /// - Returns: the program's path.
  func program(
    _ objects: [String], _ name: String = "program", flags: [String] = [],
    in folder: TemporaryFolder
  ) throws -> String {
    let output = folder.path(name)
    try Tool.output(program, objects + flags + ["-o", output], timeout: 300)
    return output
  }
}

/// A C vector of strings that ends in NULL.
final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: strings.count + 1)
    for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
    pointers[count] = nil
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}
