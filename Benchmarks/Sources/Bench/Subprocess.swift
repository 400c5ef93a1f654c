// Programs that are run to their end: compilers, linkers, and this one again.
internal import Glibc

enum Subprocess {
  /// Starts a program by its path; its output goes where ours goes.
  ///
  /// Linux: posix_spawn.
  static func start(
    _ program: String, _ arguments: [String], input: Int32? = nil, output: Int32? = nil,
    errors: Int32? = nil
  ) throws -> pid_t {
    var strings = ([program] + arguments).map { strdup($0) }
    defer { for string in strings { free(string) } }
    strings.append(nil)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input { posix_spawn_file_actions_adddup2(&actions, input, 0) }
    if let output { posix_spawn_file_actions_adddup2(&actions, output, 1) }
    if let errors { posix_spawn_file_actions_adddup2(&actions, errors, 2) }
    var child: pid_t = 0
    let code = posix_spawn(&child, program, &actions, nil, strings, environ)
    guard code == 0 else { throw BenchError("\(program): \(String(cString: strerror(code)))") }
    return child
  }

  /// Waits for a program to end well.
  static func finish(_ child: pid_t, _ program: String) throws {
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 {
      guard errno == EINTR else {
        throw BenchError("\(program): \(String(cString: strerror(errno)))")
      }
    }
    guard status == 0 else { throw BenchError("\(program) failed (status \(status))") }
  }

  static func run(_ program: String, _ arguments: [String]) throws {
    try finish(try start(program, arguments), program)
  }

  /// What a program writes; at most what a pipe holds.
  static func output(_ program: String, _ arguments: [String]) throws -> String {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw BenchError("no pipe") }
    defer { for end in ends { close(end) } }
    try finish(try start(program, arguments, output: ends[1]), program)
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(ends[0], &buffer, buffer.count)
    return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
  }

  /// A program by its name: in PATH.
  static func find(_ name: String) -> String? {
    guard let path = getenv("PATH") else { return nil }
    return String(cString: path).split(separator: ":").map { "\($0)/\(name)" }
      .first { access($0, X_OK) == 0 }
  }

  /// The path of this program.
  static func ownPath() throws -> String { try resolve("/proc/self/exe") }

  /// A path without links.
  static func resolve(_ path: String) throws -> String {
    guard let resolved = realpath(path, nil) else { throw BenchError("\(path): not found") }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
