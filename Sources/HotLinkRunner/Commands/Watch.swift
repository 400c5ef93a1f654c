// `hotlink watch build/ --entry tick`: a loop that calls the entry and picks up new code between frames.
import ArgumentParser
import Foundation
import HotLink
import HotLinkWatch
import LoaderEngine
import SystemPackage

struct Watch: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Runs the objects and shared objects of a directory in a loop and swaps in what changes.",
    discussion: """
      The entry is any C function; it is called once a frame and passed a `hotlink_frame *` \
      { uint64_t number; double time; double dt; int32_t stop; int32_t reserved; }, which a \
      `void tick(void)` simply ignores. Setting `stop` ends the loop.

      State stays; --state says otherwise, for all, one unit (game.o=POLICY), one variable \
      (Game::score=POLICY), or one of a unit (game.o:score=POLICY): keep (the program's value stays, an edited \
      initial value is taken by what the program has not touched), hold (stays in any case), source (an edited \
      initial value wins), reset (initial value at each reload of its unit), move (may leave a place that it \
      outgrew, with its value), reset-when-needed (is reset where a reload would be refused). docs/state.md.

      When the layout of data that the program keeps has changed, --layout says what to do: refuse (the \
      program goes on as it was), reset (the variable gets its initial value), migrate (members are carried \
      over by name), restart (ends with exit code 3). NAME=POLICY is for one unit (game.o) or variable \
      (game::player), and may be given more than once. A function hotlink_migrate_VARIABLE(const void *old, \
      size_t old_size, void *new, size_t new_size) in the new code goes before all of them.

      Functions by name are called around a reload: hotlink_before_reload and hotlink_after_reload, \
      hotlink_before_reload_UNIT and hotlink_after_reload_UNIT when build/UNIT.o changed.

      Exit codes: 0 ended, 2 the first link was refused, 3 a restart is needed, 4 the directory cannot be \
      watched.
      """)

  @Argument(help: "Directories, objects, archives or shared objects to run and watch.")
  var paths: [String]

  @Option(help: "Function called once a frame.")
  var entry: String = "tick"

  @Option(help: "Frames a second; 0: as fast as it can.")
  var hz: Double = 60

  @Option(help: "End after this many frames.")
  var frames: UInt64?

  @Option(name: .customLong("init"), help: "Function called once before the first frame.")
  var initialise: String?

  @Option(name: .customLong("exit"), help: "Function called once after the last frame.")
  var finish: String?

  @Option(help: "Milliseconds of quiet to wait for before linking what changed.")
  var settle: Int = 0

  @OptionGroup var libraries: LibraryOptions

  @Flag(help: "Link every unit before the first frame, not when it is first called.")
  var eager = false

  @Flag(help: "Refuse undefined functions at once instead of when they are called.")
  var strict = false

  @Option(
    help: "When debuggers are told of linked code: off, lazy (when one is there), on."
  )
  var debug = DebugChoice.lazy

  @Option(
    help:
      "Tell perf of linked code: map (/tmp/perf-PID.map) or jitdump (jit-PID.dump, for `perf inject`)."
  )
  var perf: PerfChoice?

  @OptionGroup var layouts: LayoutGuardOptions
  @OptionGroup var states: StateOptions

  @Flag(inversion: .prefixedNo, help: "Listen for `hotlink ctl` and `hotlink explain`.")
  var control = true

  @Flag(help: "One JSON object a line on standard output.")
  var json = false

  mutating func validate() throws {
    paths = FileRuns.unfolded(paths)
    guard hz >= 0, hz.isFinite else { throw ValidationError("--hz must be 0 or more") }
    guard settle >= 0 else { throw ValidationError("--settle must be 0 or more") }
  }

  func run() throws {
    let reporter = Reporter(json: json)
    StopRequest.install()
    var options = Session.Options()
    options.isStrict = strict
    options.isLazy = !eager
    options.libraries = libraries.opened
    options.debugging = debug.mode
    options.profiling = perf?.mode ?? .off
    options.arguments = ["hotlink"] + paths
    options.layouts = layouts.policies
    options.states = states.policies
    options.keepsHistory = control
    // JSON shares standard output with what the program prints, and stands before what new code prints there.
    options.finishesInBackground = !json
    do {
      let session = try Session(options)
      session.onEvent { event in
        reporter.report(event)
        if case .refused(let refusal) = event, refusal.needsRestart { StopRequest.askForRestart() }
      }
      try session.follow(
        .watching(paths.map { FilePath($0) }, settle: .milliseconds(settle)))
      for archive in libraries.archives { try session.add(FilePath(archive.path)) }
      try session.start()
      let shared = LoopControl()
      let loop = try FrameLoop(session, entry: entry, hz: hz, limit: frames, control: shared)
      let server = control ? listen(session, shared, reporter) : nil
      defer { server?.stop() }
      if let initialise { LinkedCode.call(try session.address(of: initialise)) }
      let count = loop.run()
      if let finish { LinkedCode.call(try session.address(of: finish)) }
      session.tellPublished()
      reporter.stopped(frames: count)
      // Its finalisers run here; handlers that code registered with atexit, in exit.
      withExtendedLifetime(session) {}
    } catch let refusal as Refusal {
      reporter.refused(refusal)
      throw ExitCode(RunnerExit.badInput)
    } catch let error as LinkError {
      reporter.failed(error)
      throw ExitCode(RunnerExit.badInput)
    } catch let error as WatchError {
      reporter.say("error: \(error)")
      throw ExitCode(RunnerExit.cannotReach)
    }
    Foundation.exit(StopRequest.isForRestart ? RunnerExit.restartNeeded : RunnerExit.accepted)
  }

  /// A program that nobody can talk to is still a program.
  private func listen(_ session: Session, _ shared: LoopControl, _ reporter: Reporter)
    -> ControlServer?
  {
    do {
      let server = try ControlServer(
        session, shared,
        facts: [
          ("paths", .strings(paths.map { URL(filePath: $0).standardizedFileURL.path })),
          ("entry", .string(entry)),
        ])
      server.start()
      return server
    } catch {
      if !json { reporter.say("warning: no control socket: \(error.message)") }
      return nil
    }
  }
}
