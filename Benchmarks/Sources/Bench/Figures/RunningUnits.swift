// A session of generated units that runs and gets edited.
internal import HotLink
internal import Synchronization
internal import SystemPackage

typealias Question = @convention(c) () -> Int32

final class RunningUnits {
  /// The unit that is edited, and the values that the edits give it in turn.
  static let edited = 7
  static let values = [70_001, 70_002]

  private let session: Session
  private let edits: [Object]
  private let ask: Question
  private var turn = 0
  private let reports = Reports()

  init(_ count: Int, _ fixtures: Fixtures) throws {
    edits = try fixtures.edits(of: Self.edited, values: Self.values)
    session = try Session()
    session.onEvent { [reports] in reports.note($0) }
    for (number, unit) in try fixtures.units(count).enumerated() {
      try session.add(unit.bytes, name: UnitSource.name(number) + ".o")
    }
    try session.start()
    ask = try session.function(UnitSource.name(UnitSource.caller(of: Self.edited)) + "_ask")
    guard ask() == Int32(Self.edited) else { throw BenchError("the units do not run") }
  }

  /// One edit, from the object's bytes until a caller in another unit gets the new value.
  ///
  /// - Returns: nanoseconds.
  func edit() throws -> Double {
    turn += 1
    let value = Int32(Self.values[turn % 2])
    let bytes = edits[turn % 2].bytes
    var answer: Int32 = 0
    let time = try timed {
      try session.add(bytes, name: UnitSource.name(Self.edited) + ".o")
      _ = session.waitUntilLinked()
      session.update()
      answer = ask()
    }
    guard answer == value else {
      throw BenchError("the edit did not take effect: \(String(describing: reports.last))")
    }
    return time
  }

  /// The part of the last edit that the linker's thread spent on linking, the guard of state included;
  /// in nanoseconds, as its report tells it.
  var linkTime: Double {
    guard case .reloaded(let report)? = reports.last else { return .nan }
    return (report.linkMicroseconds + report.guardMicroseconds) * 1e3
  }

  private final class Reports: Sendable {
    private let event = Mutex<SessionEvent?>(nil)
    var last: SessionEvent? { event.withLock { $0 } }
    func note(_ new: SessionEvent) { event.withLock { $0 = new } }
  }
}
