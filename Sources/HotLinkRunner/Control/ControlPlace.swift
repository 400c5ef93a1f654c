// Where the sockets of running programs are: `$XDG_RUNTIME_DIR/hotlink/PID.sock`, or `/tmp/hotlink-UID/PID.sock`
// when there is no such directory. The directory belongs to its user alone, and that is checked, because /tmp
// is everybody's.
import CLoaderSupport
import Foundation

enum ControlPlace {
  struct Failure: Error {
    var message: String
  }

  /// The directory, made if need be.
  static func directory() throws(Failure) -> String {
    let runtime = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"] ?? ""
    // One that is gone or somebody else's is none.
    if runtime.hasPrefix("/"), hl_private_directory(runtime + "/hotlink") == 0 {
      return runtime + "/hotlink"
    }
    let path = "/tmp/hotlink-\(geteuid())"
    let status = hl_private_directory(path)
    guard status == 0 else {
      throw Failure(
        message:
          "\(path) is not usable: \(String(cString: strerror(-status))); it must be a directory of"
          + " yours that nobody else can enter")
    }
    return path
  }

  static func socket(of pid: pid_t, in directory: String) -> String { "\(directory)/\(pid).sock" }

  /// Programs that answer, lowest process id first. Sockets that nobody listens at are removed.
  static func running(in directory: String) -> [(pid: pid_t, socket: Int32)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let pids = names.compactMap { $0.hasSuffix(".sock") ? pid_t($0.dropLast(5)) : nil }.sorted()
    return pids.compactMap { pid in
      let path = socket(of: pid, in: directory)
      let socket = hl_local_connect(path)
      if socket == -ECONNREFUSED { unlink(path) }
      return socket >= 0 ? (pid, socket) : nil
    }
  }
}
