// What the runner tells: lines for people on standard error, or one JSON object a line on standard output.
import Glibc
import HotLink
import LoaderEngine
import SystemPackage

/// Writes events as they happen. Safe from any thread: each event is one write.
struct Reporter: Sendable {
  let isJSON: Bool
  private let usesColour: Bool

  init(json: Bool) {
    isJSON = json
    usesColour = !json && isatty(STDERR_FILENO) == 1 && getenv("NO_COLOR") == nil
  }

  // MARK: events

  /// - Parameter ifWarning: other events are not told.
  func report(_ event: SessionEvent, ifWarning: Bool) {
    if case .debugDataOmitted = event { return report(event) }
    if !ifWarning { report(event) }
  }

  func report(_ event: SessionEvent) {
    switch event {
    case .started(let report): started(report)
    case .reloaded(let report): reloaded(report)
    case .refused(let refusal): refused(refusal)
    case .debugDataOmitted(let error): debugDataOmitted(error)
    case .unchanged(let files): unchanged(files)
    }
  }

  private func debugDataOmitted(_ error: LinkError) {
    guard !isJSON else {
      return emit([
        ("event", .string("warning")), ("unit", .string(error.file)),
        ("reason", .string(Messages.withoutDebugData(error))),
      ])
    }
    say(Messages.withoutDebugData(error))
  }

  private func started(_ report: StartReport) {
    guard !isJSON else {
      return emit([
        ("event", .string("started")), ("units", .count(report.units.count)),
        ("generation", .count(1)),
        ("relocations", .count(report.relocations)), ("functions", .count(report.functions)),
        ("undefined", .strings(report.undefinedFunctions)),
        ("unmet_policies", .strings(report.unmetPolicies.map(\.name))),
        ("read_us", .number(report.readMicroseconds)),
        ("link_us", .number(report.linkMicroseconds)),
      ])
    }
    var line =
      [
        count(report.units.count, "unit"), count(report.functions, "function"),
        count(report.relocations, "relocation"),
      ].joined(separator: ", ")
    line += " linked in \(time(report.readMicroseconds + report.linkMicroseconds))"
    say(line)
    if !report.undefinedFunctions.isEmpty {
      say(
        "undefined, reported again when called: "
          + report.undefinedFunctions.prefix(8).joined(separator: ", "))
    }
    for policy in report.unmetPolicies {
      let hint = policy.suggestion.map { "; did you mean '\($0)'?" } ?? ""
      say("--state \(policy.name)=…: no unit and no variable is called so yet\(hint)")
    }
  }

  private func reloaded(_ report: ReloadReport) {
    let kept = report.count { if case .kept = $0 { true } else { false } }
    let reinitialised = report.count { $0 == .reinitialised }
    guard !isJSON else {
      return emit([
        ("event", .string("reloaded")), ("generation", .count(report.generation)),
        ("units", .strings(report.units)), ("relinked", .strings(report.relinked)),
        ("relocations", .count(report.relocations)), ("changed", .count(report.changed.count)),
        ("added", .count(report.added.count)), ("removed", .count(report.removed.count)),
        ("kept", .count(kept)), ("reinitialised", .count(reinitialised)),
        ("functions", .strings(report.changed)),
        ("added_functions", .strings(report.added)),
        ("removed_functions", .strings(report.removed)),
        ("effect", .bool(report.hasEffect)),
        ("verdicts", .array(report.verdicts.compactMap(verdict))),
        ("running", .array(report.running.map(EffectReport.json))),
        ("shadowed", .array(report.shadowed.map(EffectReport.json))),
        ("pins", .array(report.pins.map(pin))),
        ("undefined", .strings(report.undefinedFunctions)),
        ("immovable", .strings(report.immovable)),
        ("layout_warnings", .array(report.layoutWarnings.map(LayoutReport.json))),
        ("blind", .array(report.blindUnits.map(LayoutReport.json))),
        ("held_back", .strings(report.heldBack)),
        ("swift_registrations", .count(report.swiftRegistrations)),
        ("read_us", .number(report.readMicroseconds)),
        ("link_us", .number(report.linkMicroseconds)),
        ("guard_us", .number(report.guardMicroseconds)),
        ("swap_us", .number(report.swapMicroseconds)),
        ("pause_us", .number(report.pauseMicroseconds)),
        ("hooks", .strings(report.hooks)), ("hooks_us", .number(report.hookMicroseconds)),
        ("latency_us", latency(report).map { .number($0) } ?? .null),
        ("pinned_bytes", .unsigned(report.pinnedBytes)),
      ])
    }
    var line = "generation \(report.generation): \(list(report.units))"
    let followers = report.relinked.count - report.units.count
    if followers > 0 { line += " (+\(followers) that refer to it)" }
    line +=
      ", \(report.changed.isEmpty ? "no function" : count(report.changed.count, "function")) changed"
    if !report.added.isEmpty { line += ", \(report.added.count) added" }
    if !report.removed.isEmpty { line += ", \(report.removed.count) removed" }
    line += ", \(kept) kept"
    if reinitialised > 0 { line += ", \(reinitialised) with a new initial value" }
    line += " | read \(time(report.readMicroseconds)), link \(time(report.linkMicroseconds))"
    line += ", guard \(time(report.guardMicroseconds)), swap \(time(report.swapMicroseconds))"
    if !report.hooks.isEmpty { line += ", hooks \(time(report.hookMicroseconds))" }
    line += " | live now"
    say(colour(line, 32))
    for note in notes(report) { say("  " + note) }
  }

  private func notes(_ report: ReloadReport) -> [String] {
    var notes = report.verdicts.compactMap { verdict -> String? in
      // Made where it is told: nearly all are kept.
      var name: String { "\(verdict.symbol) (\(short(verdict.unit)))" }
      switch verdict.fate {
      case .kept: return nil
      case .keptOverEdit(let value, let source):
        return "\(name): kept \(number(value)), source now says \(number(source))"
      case .reinitialised: return "\(name): untouched, has its new initial value"
      case .grown(let from, let to): return "\(name): grew in place, \(from) → \(to) bytes"
      case .shrunk(let from, let to): return "\(name): shrank, \(from) → \(to) bytes"
      case .added: return "\(name): new"
      case .removed: return "\(name): gone from the source; its memory stays"
      case .rewritten: return "\(name): rewritten in place"
      case .moved: return "\(name): constant moved; the old one stays readable"
      case .initialiserNotRun: return "\(name): edited initialiser not run again"
      case .initialised: return "\(name): initialised"
      case .reset(let moved): return "\(name): reset to its initial value\(place(moved))"
      case .migrated(let from, let to, let moved):
        return "\(name): migrated by name, \(from) → \(to) bytes\(place(moved))"
      case .migratedByHook(let function, let moved):
        return "\(name): migrated by \(function)\(place(moved))"
      case .overwritten(let value, let source):
        return "\(name): was \(number(value)), has its edited initial value \(number(source))"
      case .movedWithValue(let from, let to):
        return
          "\(name): moved with its value, \(from) → \(to) bytes; pointers to its old place stay"
          + " behind"
      }
    }
    notes += report.layoutWarnings.flatMap(LayoutReport.warning)
    notes += report.heldBack.map { "\(short($0)) stays at its old version: its change is refused" }
    notes += report.blindUnits.filter(\.isNews).map(LayoutReport.blind)
    notes = EffectReport.nothing(report) + notes + EffectReport.functions(report)
    notes += EffectReport.immovable(report)
    if !report.undefinedFunctions.isEmpty {
      notes.append(
        "undefined, reported when called: "
          + report.undefinedFunctions.prefix(8).joined(separator: ", "))
    }
    let waiting = report.pins.filter { $0.reason != .constants }
    if !waiting.isEmpty {
      let bytes = waiting.reduce(0) { $0 + $1.bytes }
      let reasons = Set(waiting.map { Reporter.reason($0.reason) }).sorted()
      notes.append("old code that stays: \(bytes) bytes (\(reasons.joined(separator: "; ")))")
      notes += EffectReport.frames(report)
    }
    return notes
  }

  func refused(_ refusal: Refusal) {
    guard !isJSON else {
      return emit(
        [
          ("event", .string("refused")), ("reason", .string(Messages.line(refusal))),
          ("unit", .string(refusal.unit)),
        ] + LayoutReport.members(refusal))
    }
    say(colour(Messages.text(refusal), 31))
    say(refusal.needsRestart ? "  restart needed" : "  the program goes on as it was")
  }

  private func unchanged(_ files: UnchangedFiles) {
    guard !isJSON else {
      return emit([
        ("event", .string("unchanged")), ("units", .strings(files.files)),
        ("refused", .bool(files.isRefused)),
        ("reason", .string(EffectReport.unchanged(files))),
      ])
    }
    say(EffectReport.unchanged(files))
  }

  func stopped(frames: UInt64) {
    guard !isJSON else {
      return emit([("event", .string("stopped")), ("frames", .unsigned(frames))])
    }
    say("stopped after \(frames) frames")
  }

  func failed(_ error: LinkError) {
    guard !isJSON else {
      let refusal = Refusal(unit: error.file, reason: .link(error))
      return emit([
        ("event", .string("refused")), ("reason", .string(Messages.line(refusal))),
        ("unit", .string(error.file)),
      ])
    }
    write(Messages.text(error) + "\n", to: .standardError)
  }

  func failed(_ refusal: Refusal) {
    if isJSON { refused(refusal) } else { write(Messages.text(refusal) + "\n", to: .standardError) }
  }

  // MARK: parts

  private func verdict(_ verdict: Verdict) -> JSON? {
    var members: [(String, JSON)] = [
      ("symbol", .string(verdict.symbol)), ("unit", .string(verdict.unit)),
    ]
    switch verdict.fate {
    case .kept: return nil
    case .keptOverEdit(let value, let source):
      members += [
        ("fate", .string("kept_over_edit")), ("value", .integer(integer(value))),
        ("source", .integer(integer(source))),
      ]
    case .reinitialised: members.append(("fate", .string("reinitialised")))
    case .grown(let from, let to):
      members += [("fate", .string("grown")), ("from", .unsigned(from)), ("to", .unsigned(to))]
    case .shrunk(let from, let to):
      members += [("fate", .string("shrunk")), ("from", .unsigned(from)), ("to", .unsigned(to))]
    case .added: members.append(("fate", .string("added")))
    case .removed: members.append(("fate", .string("removed")))
    case .rewritten: members.append(("fate", .string("rewritten")))
    case .moved: members.append(("fate", .string("moved")))
    case .initialiserNotRun: members.append(("fate", .string("initialiser_not_run")))
    case .initialised: members.append(("fate", .string("initialised")))
    case .reset(let moved):
      members += [("fate", .string("reset")), ("moved", .bool(moved))]
    case .migrated(let from, let to, let moved):
      members += [
        ("fate", .string("migrated")), ("from", .unsigned(from)), ("to", .unsigned(to)),
        ("moved", .bool(moved)),
      ]
    case .migratedByHook(let function, let moved):
      members += [
        ("fate", .string("migrated_by_hook")), ("hook", .string(function)),
        ("moved", .bool(moved)),
      ]
    case .overwritten(let value, let source):
      members += [
        ("fate", .string("overwritten")), ("value", .integer(integer(value))),
        ("source", .integer(integer(source))),
      ]
    case .movedWithValue(let from, let to):
      members += [
        ("fate", .string("moved_with_value")), ("from", .unsigned(from)), ("to", .unsigned(to)),
      ]
    }
    return .object(members)
  }

  private func place(_ moved: Bool) -> String {
    moved ? "; it did not fit its place and moved" : ""
  }

  private func pin(_ pin: Pin) -> JSON {
    .object([
      ("unit", .string(pin.unit)), ("bytes", .unsigned(pin.bytes)),
      ("reason", .string(Reporter.reason(pin.reason))), ("functions", .strings(pin.functions)),
    ])
  }

  private static func reason(_ reason: Pin.Reason) -> String {
    switch reason {
    case .onStack: "on a stack"
    case .suspendedFrames: "suspended frames may resume in it"
    case .unknownThreads: "a thread did not answer"
    case .fibres: "the program switches stacks"
    case .constants: "literals and constants"
    }
  }

  private func latency(_ report: ReloadReport) -> Double? {
    report.noticedAt > 0 && report.publishedAt > report.noticedAt
      ? Double(report.publishedAt - report.noticedAt) / 1000 : nil
  }

  private func list(_ units: [String]) -> String {
    let names = units.map(short)
    return names.count <= 3
      ? names.joined(separator: ", ")
      : "\(names.prefix(2).joined(separator: ", ")) and \(names.count - 2) more"
  }

  private func short(_ unit: String) -> String { Reporter.short(unit) }
  static func short(_ unit: String) -> String {
    unit.split(separator: "/").last.map(String.init) ?? unit
  }

  private func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }

  private func time(_ microseconds: Double) -> String {
    microseconds < 1000
      ? "\(Int(microseconds.rounded())) µs" : "\((microseconds / 100).rounded() / 10) ms"
  }

  private func integer(_ bytes: [UInt8]) -> Int64 {
    let value = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let unused = UInt64(64 - 8 * min(bytes.count, 8))
    return unused == 64 ? 0 : Int64(bitPattern: value << unused) >> Int64(unused)
  }

  /// A value as its integer, and as a float where that is the likelier reading.
  private func number(_ bytes: [UInt8]) -> String {
    let value = integer(bytes)
    if bytes.count == 4, abs(value) > 1 << 24 {
      return "\(Float(bitPattern: UInt32(truncatingIfNeeded: value)))"
    }
    if bytes.count == 8, abs(value) > 1 << 53 {
      return "\(Double(bitPattern: UInt64(bitPattern: value)))"
    }
    return String(value)
  }

  // MARK: writing

  func say(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    write(lines.map { "hotlink: \($0)\n" }.joined(), to: .standardError)
  }

  func emit(_ members: [(String, JSON)]) {
    write(JSON.object(members).text + "\n", to: .standardOutput)
  }

  private func write(_ text: String, to descriptor: FileDescriptor) {
    // A reader that went away is no reason to stop the program.
    _ = try? descriptor.writeAll(text.utf8)
  }

  private func colour(_ text: String, _ code: Int) -> String {
    usesColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }
}
