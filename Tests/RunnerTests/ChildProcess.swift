// Programs that tests start: compilers that must succeed, and the runner, whose output is read while it
// runs. Everything has a time limit, and nothing outlives its owner.
import Foundation
import Glibc

/// What went wrong outside of what a test expects: told whole, because nobody sees the child again.
struct HarnessFailure: Error, CustomStringConvertible {
  let description: String
}

/// How a process ended.
enum Ending: Equatable, CustomStringConvertible {
  case exit(Int32)
  case signal(Int32)

  init(status: Int32) {
    self = status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F)
  }

  var description: String {
    switch self {
    case .exit(let code): "exit code \(code)"
    case .signal(let number): "killed by signal \(number) (\(String(cString: strsignal(number))))"
    }
  }
}

/// A process of our own, killed when its owner lets go of it.
final class ChildProcess: @unchecked Sendable {
  let pid: pid_t
  private let lock = NSLock()
  private var ended: Ending?

  /// Starts a program with `/dev/null` as input.
  ///
  /// - Parameters:
  ///   - output: descriptor for its standard output; nil: the same as `errors`.
  ///   - errors: file for its standard error, emptied first.
  init(
    _ command: [String], in directory: URL, output: Int32? = nil, errors: URL
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(
      &actions, 2, errors.path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, output ?? 2, 1)
    // Swift's Glibc does not know addchdir_np; env changes the directory and becomes the command.
    let whole = ["env", "-C", directory.path] + command
    let arguments = whole.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let code = ChildProcess.spawning.withLock {
      posix_spawnp(&child, whole[0], &actions, nil, arguments, environ)
    }
    guard code == 0 else {
      throw HarnessFailure(description: "\(command[0]): \(String(cString: strerror(code)))")
    }
    pid = child
  }

  deinit {
    if ended == nil {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
  }

  /// Held while a descriptor exists that no child may inherit: glibc's pipe2 is not in the module.
  private static let spawning = NSLock()

  /// A pipe that children inherit only where it is given to them.
  static func pipe() throws -> (read: Int32, write: Int32) {
    try spawning.withLock {
      var ends: [Int32] = [0, 0]
      guard Glibc.pipe(&ends) == 0 else {
        throw HarnessFailure(description: "pipe: \(String(cString: strerror(errno)))")
      }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      return (ends[0], ends[1])
    }
  }

  /// How it ended, nil while it runs.
  var ending: Ending? {
    lock.lock()
    defer { lock.unlock() }
    if let ended { return ended }
    var status: Int32 = 0
    if waitpid(pid, &status, WNOHANG) == pid { ended = Ending(status: status) }
    return ended
  }

  /// Waits for its end; nil when the time is over.
  func wait(seconds: Double) -> Ending? {
    let deadline = ContinuousClock.now + .seconds(seconds)
    var pause: UInt32 = 500
    while ContinuousClock.now < deadline {
      if let ending { return ending }
      usleep(pause)
      pause = min(pause * 2, 10_000)
    }
    return ending
  }

  func send(_ signal: Int32) {
    lock.lock()
    defer { lock.unlock() }
    if ended == nil { kill(pid, signal) }
  }
}

/// Runs a program to its end.
///
/// - Returns: what it wrote to both outputs.
/// - Throws: `HarnessFailure` when it fails or takes longer than two minutes.
@discardableResult
func runTool(_ command: [String], in directory: URL) throws -> String {
  let log = directory.appending(path: "tool-\(UUID().uuidString).log")
  defer { try? FileManager.default.removeItem(at: log) }
  let process = try ChildProcess(command, in: directory, errors: log)
  let ending = process.wait(seconds: 120)
  let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
  guard ending == .exit(0) else {
    let how = ending.map { "\($0)" } ?? "not done after 120 s"
    throw HarnessFailure(description: "\(command.joined(separator: " ")): \(how)\n\(text)")
  }
  return text
}
