// What `hotlink explain` says about a symbol: where it is, who uses it, what happened to it.
import HotLink
import LoaderEngine

enum ExplainReport {
  static func answer(_ explanation: Explanation, to name: String) -> ControlAnswer {
    switch explanation {
    case .known(let symbols):
      return ControlAnswer(
        code: RunnerExit.accepted, text: symbols.map(text).joined(separator: "\n"),
        members: [("symbols", .array(symbols.map(json)))])
    case .unknown(let nearest):
      let names = nearest.map { "'\(ReadableName.of($0))'" }.joined(separator: ", ")
      return ControlAnswer(
        code: RunnerExit.badInput,
        text: "no symbol '\(name)' in the program"
          + (nearest.isEmpty ? "" : "\n  help: did you mean \(names)?"),
        members: [("nearest", .strings(nearest))])
    }
  }

  // MARK: for a person

  static func text(_ symbol: SymbolExplanation) -> String {
    var rows: [(String, String)] = []
    if !symbol.unit.isEmpty {
      let source = symbol.source.isEmpty ? "" : ", from \(symbol.source)"
      rows.append(("unit", symbol.unit + source))
    }
    if symbol.isWaiting {
      rows.append(("body", "not linked yet: \(symbol.size) bytes, linked when it is first called"))
    } else if let address = symbol.address {
      let what = symbol.kind == .function ? "body" : "place"
      let place =
        symbol.kind == .threadLocal ? "in each thread" : "at \(Messages.hex(address.value))"
      // A variable's place is older than the build that it is in.
      let since =
        symbol.kind == .function && symbol.generation > 0
        ? ", of generation \(symbol.generation)" : ""
      rows.append((what, "\(symbol.size) bytes \(place)\(since)"))
    }
    if let stub = symbol.stub, let slot = symbol.slot {
      rows.append(("stub", "\(Messages.hex(stub.value)), slot \(slot)"))
    } else if symbol.kind == .function {
      rows.append(("stub", "none: called inside its unit only"))
    }
    if let policy = symbol.policy { rows.append(("policy", policy.rawValue)) }
    if symbol.kind != .gone { rows.append(("used by", users(symbol))) }
    let events = symbol.history.map(event)
    let quiet =
      symbol.kind == .function
      ? "generation 1: linked; not changed since" : "no reload has touched it"
    rows.append(("history", events.isEmpty ? quiet : events[0]))
    rows += events.dropFirst().map { ("", $0) }
    let readable = ReadableName.of(symbol.symbol)
    let title =
      "\(readable): \(symbol.isLocal ? "local " : "")\(symbol.kind.rawValue)"
      + (readable == symbol.symbol ? "" : " (\(symbol.symbol))")
    return
      ([title]
      + rows.map { "  " + $0.0 + String(repeating: " ", count: max(10 - $0.0.count, 1)) + $0.1 })
      .joined(separator: "\n")
  }

  private static func users(_ symbol: SymbolExplanation) -> String {
    guard !symbol.users.isEmpty else { return "nobody" }
    let names = symbol.users.prefix(12).map { user in
      let unit = Reporter.short(user.unit)
      return user.symbol.isEmpty ? unit : "\(ReadableName.of(user.symbol)) (\(unit))"
    }
    let more = symbol.users.count > 12 ? " and \(symbol.users.count - 12) more" : ""
    return names.joined(separator: ", ") + more
  }

  private static func event(_ event: SymbolEvent) -> String {
    let span =
      event.last > event.generation
      ? "generations \(event.generation) to \(event.last)" : "generation \(event.generation)"
    return "\(span): \(what(event.what))"
  }

  private static func what(_ what: SymbolEvent.What) -> String {
    switch what {
    case .changed: "changed"
    case .added: "new"
    case .removed: "gone"
    case .verdict(let fate, let unit):
      Reporter.name(of: fate).replacing("_", with: " ") + " (\(Reporter.short(unit)))"
    case .shadowed(let unit, let owner):
      "changed in \(Reporter.short(unit)) without effect: the copy of \(Reporter.short(owner)) runs"
    }
  }

  // MARK: as JSON

  static func json(_ symbol: SymbolExplanation) -> JSON {
    .object([
      ("symbol", .string(symbol.symbol)), ("name", .string(ReadableName.of(symbol.symbol))),
      ("kind", .string(symbol.kind.rawValue)), ("local", .bool(symbol.isLocal)),
      ("unit", .string(symbol.unit)), ("source", .string(symbol.source)),
      ("waiting", .bool(symbol.isWaiting)),
      ("address", symbol.address.map { .unsigned($0.value) } ?? .null),
      ("size", .unsigned(symbol.size)), ("generation", .count(symbol.generation)),
      ("stub", symbol.stub.map { .unsigned($0.value) } ?? .null),
      ("slot", symbol.slot.map { .integer(Int64($0)) } ?? .null),
      ("policy", symbol.policy.map { .string($0.rawValue) } ?? .null),
      (
        "users",
        .array(
          symbol.users.map {
            .object([("unit", .string($0.unit)), ("symbol", .string($0.symbol))])
          })
      ),
      ("history", .array(symbol.history.map(json))),
    ])
  }

  private static func json(_ event: SymbolEvent) -> JSON {
    var members: [(String, JSON)] = [
      ("generation", .count(event.generation)), ("last", .count(event.last)),
    ]
    switch event.what {
    case .changed: members.append(("what", .string("changed")))
    case .added: members.append(("what", .string("added")))
    case .removed: members.append(("what", .string("removed")))
    case .verdict(let fate, let unit):
      members += [("what", .string(Reporter.name(of: fate))), ("unit", .string(unit))]
    case .shadowed(let unit, let owner):
      members += [
        ("what", .string("shadowed")), ("unit", .string(unit)), ("owner", .string(owner)),
      ]
    }
    return .object(members)
  }
}
