// The end of the socket that belongs to a running `watch`: a thread that answers one request a connection, of the
// program's own user only. Nothing it does holds up a frame longer than the link lock is held.
import CLoaderSupport
import Foundation
import HotLink
import LoaderEngine
import Synchronization

final class ControlServer: Sendable {
  /// nil once it was stopped: the session ends on the thread that it belongs to, with its finalisers.
  private let session: Mutex<Session?>
  private let loop: LoopControl
  private let facts: [(String, JSON)]
  private let path: String
  private let socket: Int32

  /// Listens from now on.
  ///
  /// - Parameter facts: what does not change about the program, for `status`.
  init(_ session: Session, _ loop: LoopControl, facts: [(String, JSON)])
    throws(ControlPlace.Failure)
  {
    self.session = Mutex(session)
    self.loop = loop
    self.facts = facts
    let directory = try ControlPlace.directory()
    for (_, socket) in ControlPlace.running(in: directory) { close(socket) }
    path = ControlPlace.socket(of: getpid(), in: directory)
    // Left by an earlier process of this number.
    unlink(path)
    socket = hl_local_listen(path)
    guard socket >= 0 else {
      throw ControlPlace.Failure(
        message: "cannot listen at \(path): \(String(cString: strerror(-socket)))")
    }
  }

  /// Answers until the process ends.
  func start() {
    Thread.detachNewThread { [self] in
      hl_name_thread("hotlink-control")
      session.withLock { $0?.noteOwnThread() }
      while true {
        var user: UInt32 = 0
        let connection = hl_local_accept(socket, &user, 2000)
        if connection == -EINTR || connection == -ECONNABORTED { continue }
        guard connection >= 0 else {
          if connection == -EMFILE || connection == -ENFILE {
            usleep(100_000)
            continue
          }
          return
        }
        if user == geteuid() { answer(connection) }
        close(connection)
      }
    }
  }

  /// Waits for the answer that is being given, and lets go of the session.
  func stop() {
    unlink(path)
    session.withLock { $0 = nil }
  }

  private func answer(_ connection: Int32) {
    guard let line = ControlLine.read(connection, most: ControlLine.longestRequest) else { return }
    let answer: ControlAnswer
    do {
      let request = try JSONReader.value(of: line)
      answer = session.withLock { session in
        session.map { self.answer(to: request, $0) }
          ?? ControlAnswer(code: RunnerExit.cannotReach, text: "the program has ended")
      }
    } catch {
      answer = ControlAnswer(code: RunnerExit.badInput, text: "not a request: \(error)")
    }
    ControlLine.write(answer.json, to: connection)
  }

  private func answer(to request: JSON, _ session: Session) -> ControlAnswer {
    let subject = request["subject"]?.stringValue ?? ""
    switch request["verb"]?.stringValue {
    case "status": return status(session)
    case "explain": return ExplainReport.answer(session.explain(subject), to: subject)
    case "pause", "resume":
      let pauses = request["verb"]?.stringValue == "pause"
      let was = loop.isPaused.exchange(pauses, ordering: .relaxed)
      let state = pauses ? "paused; edits still take effect" : "running"
      return ControlAnswer(
        code: RunnerExit.accepted, text: was == pauses ? "already \(state)" : state,
        members: [("paused", .bool(pauses))])
    case "reload": return retried(session.retry())
    case "reset":
      let waiting = session.refusedUnits
      guard waiting.isEmpty || waiting.contains(where: { isMeant(subject, $0) }) else {
        return ControlAnswer(
          code: RunnerExit.badInput,
          text: "'\(subject)' was not refused; waiting: \(waiting.joined(separator: ", "))")
      }
      return retried(session.retry(reset: subject))
    default:
      return ControlAnswer(
        code: RunnerExit.badInput,
        text: "unknown verb; known: status, explain, reload, reset, pause, resume")
    }
  }

  private func isMeant(_ name: String, _ unit: String) -> Bool {
    unit == name || unit.hasSuffix("/" + name) || unit.hasSuffix("(\(name))")
  }

  private func retried(_ units: [String]) -> ControlAnswer {
    ControlAnswer(
      code: RunnerExit.accepted,
      text: units.isEmpty
        ? "nothing waits: all that was saved has taken effect"
        : "trying again: \(units.joined(separator: ", "))",
      members: [("units", .strings(units))])
  }

  private func status(_ session: Session) -> ControlAnswer {
    let generation = session.generation
    let refused = session.refusedUnits
    let units = session.unitCount
    let frames = loop.frames.load(ordering: .relaxed)
    let isPaused = loop.isPaused.load(ordering: .relaxed)
    var lines = [
      "generation \(generation.number), \(units) unit\(units == 1 ? "" : "s"), \(frames) frames"
        + (isPaused ? ", paused" : "")
    ]
    if !refused.isEmpty { lines.append("refused, waiting: \(refused.joined(separator: ", "))") }
    return ControlAnswer(
      code: RunnerExit.accepted, text: lines.joined(separator: "\n"),
      members: facts + [
        ("pid", .count(Int(getpid()))), ("generation", .count(generation.number)),
        ("units", .count(units)), ("frames", .unsigned(frames)), ("paused", .bool(isPaused)),
        ("refused", .strings(refused)),
      ])
  }
}

/// What goes back over the socket.
struct ControlAnswer {
  /// What the asking process exits with.
  var code: Int32
  /// For a person.
  var text: String
  var members: [(String, JSON)] = []

  var json: JSON {
    .object([("exit", .integer(Int64(code))), ("text", .string(text))] + members)
  }
}

/// What the loop and those who talk to it share.
final class LoopControl: Sendable {
  let isPaused = Atomic<Bool>(false)
  let frames = Atomic<UInt64>(0)
}
