// `hotlink check --against dlopen FILES…`: every shared object is loaded by ld.so and by us in a process of its
// own, and compared relocation by relocation. Here the processes are started, timed and listened to.
import ArgumentParser
import Glibc
import LoaderEngine
import SystemPackage

/// Who is right.
enum Oracle: String, ExpressibleByArgument, CaseIterable {
  case dlopen
}

/// Compares many libraries, some at a time.
struct AgainstCheck {
  var libraries: [String] = []
  var falsify: UInt64?
  /// Seconds for each library.
  var timeLimit = 60.0
  var jobs = 2

  /// Compares files, and all shared objects below directories.
  ///
  /// - Parameter done: called for each in the order of their names, as soon as those before it are there.
  func run(_ arguments: [String], _ done: (LibraryVerdict, _ total: Int) -> Void)
    throws(LinkError)
  {
    let files = SharedObjectList(arguments).files
    let folder = try WorkFolder()
    var waiting = Array(files.enumerated().reversed())
    var running: [ComparisonProcess] = []
    var verdicts: [Int: LibraryVerdict] = [:]
    var next = 0
    while next < files.count {
      while running.count < jobs, let (index, file) = waiting.popLast() {
        do {
          running.append(
            try ComparisonProcess(file, number: index, check: self, in: folder.path))
        } catch {
          verdicts[index] = LibraryVerdict(library: file, .failed(Messages.line(error)))
        }
      }
      for process in running {
        if let verdict = process.finished(timeLimit) { verdicts[process.number] = verdict }
      }
      running.removeAll { verdicts[$0.number] != nil }
      while let verdict = verdicts.removeValue(forKey: next) {
        done(verdict, files.count)
        next += 1
      }
      if !running.isEmpty { usleep(2000) }
    }
  }
}

/// What is known about one library in the end.
struct LibraryVerdict {
  enum State {
    /// Compared: all or some of it.
    case compared(relocations: Int, compared: Int)
    /// We cannot load it.
    case failed(String)
    /// dlopen(3) cannot either.
    case refused(String)
  }

  struct Difference {
    var offset: UInt64
    var type: String
    var symbol: String
    var ours: String
    var theirs: String
  }

  var library: String
  var state: State
  var differences: [Difference] = []
  var skipped: [(reason: String, count: Int)] = []

  init(library: String, _ state: State) {
    self.library = library
    self.state = state
  }

  var exitCode: Int32 {
    switch state {
    case .compared: differences.isEmpty ? RunnerExit.accepted : RunnerExit.different
    case .failed: RunnerExit.badInput
    case .refused: RunnerExit.oracleRefuses
    }
  }
}

/// The files that are meant by arguments: files as they are, shared objects below directories.
struct SharedObjectList {
  let files: [String]

  init(_ arguments: [String]) {
    files = arguments.flatMap { argument -> [String] in
      var status = stat()
      let isFolder = stat(argument, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
      return isFolder ? SharedObjects.below(FilePath(argument)).map(\.string) : [argument]
    }
  }
}
