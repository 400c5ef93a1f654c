// Limits and permissions of the machine that will be in the way. Linux: inotify(7), proc(5), ptrace(2).
import Foundation

struct SystemFindings {
  private(set) var findings: [Finding] = []
  private let root: String

  /// - Parameters:
  ///   - directories: how many are watched.
  ///   - size: bytes of all objects.
  ///   - root: where /proc and /sys are.
  init(directories: Int, size: UInt64, root: String = "") {
    self.root = root
    watches(directories)
    memory(size)
    security()
  }

  private func number(_ path: String) -> UInt64? {
    (try? String(contentsOfFile: root + path, encoding: .utf8))
      .flatMap { UInt64($0.split(whereSeparator: \.isWhitespace).first ?? "") }
  }

  private mutating func watches(_ directories: Int) {
    let limit = "/proc/sys/fs/inotify/max_user_watches"
    if let most = number(limit), most < UInt64(directories) * 2 {
      add(
        .hurts, "few-watches", limit, "\(most) inotify watches for \(directories) directories",
        "changes in directories without a watch are not noticed, and other programs use watches, too",
        "sudo sysctl fs.inotify.max_user_watches=524288")
    }
    let instances = "/proc/sys/fs/inotify/max_user_instances"
    if let most = number(instances), most < 8 {
      add(
        .hurts, "few-instances", instances, "\(most) inotify instances",
        "editors and build tools use them up, and then nothing can be watched",
        "sudo sysctl fs.inotify.max_user_instances=128")
    }
    let queue = "/proc/sys/fs/inotify/max_queued_events"
    if let most = number(queue), most < 1024 {
      add(
        .note, "short-queue", queue, "\(most) queued events",
        "a large build overflows it, and everything is looked through again",
        "sudo sysctl fs.inotify.max_queued_events=16384")
    }
  }

  private mutating func memory(_ size: UInt64) {
    let mappings = "/proc/sys/vm/max_map_count"
    if let most = number(mappings), most < 16384 {
      add(
        .hurts, "few-mappings", mappings, "\(most) mappings for a process",
        "memory for new code may be refused", "sudo sysctl vm.max_map_count=65530")
    }
    for (resource, name) in [(RLIMIT_AS, "RLIMIT_AS"), (RLIMIT_DATA, "RLIMIT_DATA")] {
      var limit = rlimit()
      guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0, limit.rlim_cur < 2 << 30
      else { continue }
      add(
        .hurts, "little-address-space", name,
        "\(limit.rlim_cur >> 20) MiB of \(name == "RLIMIT_AS" ? "address space" : "data")",
        "a window of 1 GiB is reserved near the libraries of the process",
        "ulimit -\(name == "RLIMIT_AS" ? "v" : "d") unlimited")
    }
    let text = (try? String(contentsOfFile: root + "/proc/meminfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let available = line?.split(separator: " ").compactMap { UInt64($0) }.first.map { $0 << 10 }
    if let available, available < size * 4 + (64 << 20) {
      add(
        .hurts, "little-memory", "/proc/meminfo",
        "\(available >> 20) MiB of memory available for objects of \(size >> 20) MiB",
        "objects are read into memory, and older generations stay beside the new ones",
        "end other programs, or watch fewer objects")
    }
  }

  private mutating func security() {
    let scope = "/proc/sys/kernel/yama/ptrace_scope"
    if let value = number(scope), value >= 2 {
      add(
        .note, "ptrace", scope, "debuggers may not attach (\(value))",
        "gdb can only be used with the program started under it, or not at all",
        "sudo sysctl kernel.yama.ptrace_scope=1")
    }
    let execution = "/proc/sys/vm/memfd_noexec"
    if let value = number(execution), value >= 2 {
      add(
        .note, "memfd", execution, "memory files may not be executed (\(value))",
        "code is linked into anonymous memory instead: a little slower", "nothing needs to be done")
    }
    let enforcing = "/sys/fs/selinux/enforce"
    if number(enforcing) == 1 {
      add(
        .note, "selinux", enforcing, "SELinux is enforcing",
        "where its policy denies execmem and execution of memory files, new code cannot be made executable",
        "should linking fail: setsebool -P deny_execmem 0")
    }
  }

  private mutating func add(
    _ severity: Finding.Severity, _ code: String, _ place: String, _ what: String, _ why: String,
    _ help: String
  ) {
    findings.append(
      Finding(severity: severity, code: code, place: place, what: what, why: why, help: help))
  }
}
