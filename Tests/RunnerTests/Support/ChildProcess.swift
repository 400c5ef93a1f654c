// A program that runs while a test looks on: its output comes line by line, and it is killed when its
// owner lets go of it. Programs that just run to their end: `Tool.run`.
import Foundation

/// A running process of our own.
final class ChildProcess: @unchecked Sendable {
  let pid: pid_t
  /// Its standard output; the owner closes it.
  let output: Int32
  private let lock = NSLock()
  private var ended: Tool.End?

  /// Starts a program with `/dev/null` as input.
  ///
  /// - Parameter errors: file for its standard error, emptied first.
  init(_ command: [String], in directory: String, errors: String) throws {
    // A socket, because a pipe cannot be made close-on-exec at once from Swift, and a compiler that
    // another test starts just then would keep it open.
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      throw Tool.Failure(description: "socketpair: \(String(cString: strerror(errno)))")
    }
    defer { close(ends[1]) }
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&files, ends[1], 1)
    posix_spawn_file_actions_addopen(
      &files, 2, errors, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
    // Test threads are dispatch workers, which block signals; a child must not inherit that.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let whole = ["/usr/bin/env", "-C", directory] + command
    let arguments = CStrings(whole)
    let environment = CStrings(ProcessInfo.processInfo.environment.map { "\($0)=\($1)" })
    var child = pid_t()
    let status = posix_spawn(
      &child, whole[0], &files, &attributes, arguments.pointers, environment.pointers)
    guard status == 0 else {
      close(ends[0])
      throw Tool.Failure(
        description: "cannot start \(command[0]): \(String(cString: strerror(status)))")
    }
    pid = child
    output = ends[0]
  }

  deinit {
    if ended == nil {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }
  }

  /// How it ended, nil while it runs.
  var end: Tool.End? {
    lock.withLock {
      if let ended { return ended }
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      let signal = status & 0x7F
      ended = signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
      return ended
    }
  }

  /// Waits for its end; nil when the time is over.
  func wait(seconds: Double) -> Tool.End? {
    let deadline = Tool.now() + seconds
    var pause: UInt32 = 200
    while end == nil, Tool.now() < deadline {
      usleep(pause)
      pause = min(pause * 2, 5000)
    }
    return end
  }

  func send(_ signal: Int32) {
    // Under the lock: an ended process keeps its number until it has been waited for.
    lock.withLock { if ended == nil { kill(pid, signal) } }
  }
}
