// What the suites on sessions share: units from C sources, and sessions that were waited for.
import Foundation
import HotLink
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

typealias IntFunction = @convention(c) () -> Int32
typealias VoidFunction = @convention(c) () -> Void

/// What a session said, in order.
final class EventLog: Sendable {
  private let log = Mutex<[SessionEvent]>([])

  init(_ session: Session) {
    session.onEvent { [weak self] event in self?.log.withLock { $0.append(event) } }
  }

  var refusals: [Refusal] {
    log.withLock { events in
      events.compactMap { if case .refused(let refusal) = $0 { refusal } else { nil } }
    }
  }

  var reloads: [ReloadReport] {
    log.withLock { events in
      events.compactMap { if case .reloaded(let report) = $0 { report } else { nil } }
    }
  }
}

extension Refusal {
  /// The linker's reason, if it was the linker that refused.
  var linkReason: LinkError.Reason? {
    if case .link(let error) = reason { error.reason } else { nil }
  }
}

extension Session {
  /// A session of C sources by unit name.
  convenience init(
    _ units: KeyValuePairs<String, String>, _ change: (inout Options) -> Void = { _ in }
  ) throws {
    var options = Options()
    change(&options)
    try self.init(options)
    for (name, source) in units { try add(c: source, name: name) }
  }

  func add(c source: String, name: String, flags: [String] = ["-O1"]) throws {
    try add(Compiled.object(.gcc, source, flags: flags), name: name)
  }

  /// Waits for the linker and takes what it has.
  @discardableResult
  func takeNew() -> Bool { waitUntilLinked() && update() }

  func call(_ name: String) throws -> Int32 {
    try function(name, as: IntFunction.self)()
  }
}
