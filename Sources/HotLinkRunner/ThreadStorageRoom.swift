// Room in all threads for the variables of libraries that are opened with `-l`. Code compiled for a program reaches them at
// one offset from the thread pointer; ld.so keeps about 1.5 KiB for libraries that come late, and as much as one asks for when
// the process begins. So for libraries with more the runner begins again and asks. Linux: ld.so(8), GLIBC_TUNABLES.
import Glibc
import LoaderEngine

enum ThreadStorageRoom {
  private static let name = "GLIBC_TUNABLES"
  /// Says that this is the second beginning, and what the variable was before.
  private static let mark = "HOTLINK_TUNABLES_BEFORE"
  /// What fits without asking.
  private static let granted: UInt64 = 1024

  /// Begins the process again when that is needed; the program that is run sees its own environment.
  static func make(for libraries: [String]) {
    if let before = getenv(mark) {
      if before.pointee == 0 { unsetenv(name) } else { setenv(name, before, 1) }
      unsetenv(mark)
      return
    }
    let wanted = libraries.reduce(0) { $0 &+ HostProcess.threadStorageSize(ofLibrary: $1) }
    guard wanted > granted, wanted < 1 << 24 else { return }
    let before = getenv(name).map { String(cString: $0) } ?? ""
    setenv(mark, before, 1)
    setenv(
      name,
      (before.isEmpty ? "" : before + ":") + "glibc.rtld.optional_static_tls=\(wanted + 4096)",
      1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
    // Not to be had: then what does not fit is told when it is linked.
    unsetenv(mark)
    if before.isEmpty { unsetenv(name) } else { setenv(name, before, 1) }
  }
}
