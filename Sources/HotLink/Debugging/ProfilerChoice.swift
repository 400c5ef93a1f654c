// What a session's options mean for the engine.
internal import Glibc
internal import LoaderEngine

extension Session.Debugging {
  var mode: DebuggerView.Mode {
    switch self {
    case .off: .off
    case .lazy: .lazy
    case .on: .on
    }
  }
}

extension Session.Profiling {
  /// - Throws: `LinkError.system` when the profiler's file cannot be made.
  func view(of space: LinkSpace) throws(LinkError) -> ProfilerView? {
    switch self {
    case .off: return nil
    case .map: return ProfilerView(try PerfMap(), space)
    case .jitdump:
      let directory = getenv("JITDUMPDIR").map { String(cString: $0) } ?? "."
      return ProfilerView(
        try JitDump(in: directory) { LineTable(of: $0).lines }, space)
    }
  }
}

extension Session.Options {
  /// perf reads its map for anonymous memory only: of a memfd it shows the file and offsets.
  var backing: Arena.BackingChoice {
    usesAnonymousMemory || profiling == .map ? .anonymous : .automatic
  }
}
