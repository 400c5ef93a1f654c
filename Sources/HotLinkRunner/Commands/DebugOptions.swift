// `--debug` and `--perf`: what the command line calls the session's choices.
import ArgumentParser
import HotLink

/// When debuggers are told of linked code.
enum DebugChoice: String, ExpressibleByArgument, CaseIterable {
  case off, lazy, on

  var mode: Session.Debugging {
    switch self {
    case .off: .off
    case .lazy: .lazy
    case .on: .on
    }
  }
}

/// What profilers are told of linked code.
enum PerfChoice: String, ExpressibleByArgument, CaseIterable {
  case map, jitdump

  var mode: Session.Profiling { self == .map ? .map : .jitdump }
}
