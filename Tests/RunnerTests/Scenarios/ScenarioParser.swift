// Reads the files of Tests/Scenarios. It is strict: an unknown word, an edit that does not fit, or a step that
// expects nothing is an error with file and line, so that no scenario passes by not being understood.
import Foundation

struct ScenarioParser {
  private struct Section {
    var words: [String]
    var line: Int
    var lines: [(text: String, number: Int)] = []
  }

  private var scenario: Scenario
  /// What each file holds where the parser stands.
  private var texts: [String: String] = [:]
  private var pending: [Scenario.Save] = []
  private var pendingLine = 0

  /// Reads one file.
  ///
  /// - Parameter file: its name for errors.
  /// - Throws: `ScenarioError` at the first thing that is not understood.
  static func parse(_ text: String, file: String) throws -> Scenario {
    var parser = ScenarioParser(scenario: Scenario(file: file))
    try parser.read(text)
    return parser.scenario
  }

  private init(scenario: Scenario) { self.scenario = scenario }

  private func error(_ line: Int, _ what: String) -> ScenarioError {
    ScenarioError(file: scenario.file, line: line, what: what)
  }

  private mutating func read(_ text: String) throws {
    var sections = [Section(words: [], line: 1)]
    for (index, line) in text.components(separatedBy: "\n").enumerated() {
      if line.hasPrefix("=== ") {
        let words = line.dropFirst(4).split(separator: " ").map(String.init)
        sections.append(Section(words: words, line: index + 1))
      } else {
        sections[sections.count - 1].lines.append((line, index + 1))
      }
    }
    try readHead(sections[0])
    for section in sections.dropFirst() { try read(section) }
    try demandWhole()
  }

  // MARK: The head

  private mutating func readHead(_ section: Section) throws {
    var why: [String] = []
    for (text, number) in section.lines where !text.isEmpty {
      let words = text.split(separator: ":", maxSplits: 1).map(String.init)
      let value = words.count == 2 ? words[1].trimmingCharacters(in: .whitespaces) : ""
      switch words[0] {
      case "covers": scenario.covers += value.components(separatedBy: ", ")
      case "build":
        let builds = ScenarioBuild.named(value)
        guard !builds.isEmpty else { throw error(number, "unknown build '\(value)'") }
        scenario.builds += builds
      case "arguments":
        scenario.arguments.append(
          value == "none" ? [] : value.split(separator: " ").map(String.init))
      case _ where scenario.title.isEmpty: scenario.title = text
      case _ where scenario.covers.isEmpty && scenario.builds.isEmpty: why.append(text)
      default: throw error(number, "'\(text)' is none of covers, build, arguments")
      }
    }
    scenario.why = why.joined(separator: " ")
    if scenario.arguments.isEmpty { scenario.arguments = [[]] }
  }

  private func demandWhole() throws {
    func demand(_ condition: Bool, _ what: String, _ line: Int = 1) throws {
      guard condition else { throw error(line, what) }
    }
    try demand(!scenario.title.isEmpty && !scenario.why.isEmpty, "a title, and a sentence why")
    try demand(!scenario.covers.isEmpty, "no 'covers:'")
    try demand(!scenario.builds.isEmpty, "no 'build:'")
    try demand(pending.isEmpty, "an edit without an outcome", pendingLine)
    try demand(!scenario.steps.isEmpty, "no step")
    let start = scenario.start
    try demand(start.line > 0, "no '=== start'")
    try demand(start.expectations.contains { $0.word == .sees }, "start sees nothing", start.line)
    try demand(
      start.expectations.contains { $0.word == .counts }, "nothing counts the frames", start.line)
    for source in scenario.sources {
      let isSwift = source.name.hasSuffix(".swift")
      for build in scenario.builds where Workbench.object(of: source.name) != nil {
        try demand(
          isSwift ? build.compilesSwift : build.compilesC,
          "build '\(build)' does not compile \(source.name)", source.line)
      }
    }
    for (index, step) in scenario.steps.enumerated() where step.outcome.kind == .restart {
      try demand(
        index == scenario.steps.count - 1 && scenario.end == nil, "nothing comes after a restart",
        step.line)
    }
  }

  // MARK: Sections

  private mutating func read(_ section: Section) throws {
    let word = section.words.first ?? ""
    guard scenario.end == nil else { throw error(section.line, "'\(word)' after the end") }
    switch word {
    case "file", "edit", "write", "build", "touch": try readFile(word, section)
    case "undo":
      try demandWords(section, 1)
      try demandEmpty(section)
      guard let last = scenario.steps.last, last.outcome.kind == .accepted, pending.isEmpty else {
        throw error(section.line, "undo comes after an accepted step")
      }
      for save in last.saves {
        guard let before = save.before else {
          throw error(section.line, "'\(save.name)' was new")
        }
        change(save.name, to: before, section.line)
      }
    default: try readOutcome(word, section)
    }
  }

  private mutating func readFile(_ word: String, _ section: Section) throws {
    try demandWords(section, 2)
    let name = section.words[1]
    let line = section.line
    guard (scenario.start.line == 0) == (word == "file") else {
      throw error(line, "'\(word)' \(word == "file" ? "after" : "before") the start")
    }
    switch word {
    case "file":
      guard texts[name] == nil else { throw error(line, "'\(name)' is there twice") }
      let text = body(section)
      scenario.sources.append(.init(name: name, text: text, line: line))
      texts[name] = text
    case "write":
      change(name, to: body(section), line)
    case "edit":
      guard let old = texts[name] else { throw error(line, "no file '\(name)'") }
      change(name, to: try edited(old, section), line)
    default:
      try demandEmpty(section)
      guard let text = texts[name] else { throw error(line, "no file '\(name)'") }
      change(name, to: text, line)
      if word == "touch" { pending[pending.count - 1].isTouch = true }
    }
  }

  private mutating func change(_ name: String, to text: String, _ line: Int) {
    if pending.isEmpty { pendingLine = line }
    pending.append(.init(name: name, before: texts[name], text: text))
    texts[name] = text
  }

  private mutating func readOutcome(_ word: String, _ section: Section) throws {
    guard let kind = Scenario.Outcome.Kind(rawValue: word) else {
      throw error(section.line, "unknown section '\(word)'")
    }
    let isLeft = kind == .refused && section.words.dropFirst() == ["left"]
    try demandWords(section, isLeft ? 2 : 1)
    let outcome = Scenario.Outcome(
      kind: kind, expectations: try expectations(section, kind), line: section.line)
    guard !outcome.expectations.isEmpty || kind == .restart else {
      throw error(section.line, "'\(word)' expects nothing")
    }
    guard (kind == .start || kind == .end) == pending.isEmpty else {
      throw error(section.line, "'\(word)' \(pending.isEmpty ? "without" : "after") an edit")
    }
    switch kind {
    case .start:
      guard scenario.start.line == 0 else { throw error(section.line, "a second start") }
      scenario.start = outcome
    case .end: scenario.end = outcome
    case .accepted, .refused, .restart, .unchanged:
      scenario.steps.append(
        .init(saves: pending, outcome: outcome, isLeft: isLeft, line: pendingLine))
      if kind == .refused {
        for save in pending {
          guard let before = save.before else {
            throw error(section.line, "a refused step cannot bring a new file, '\(save.name)'")
          }
          if !isLeft { texts[save.name] = before }
        }
      }
      pending = []
    }
  }

  private func demandWords(_ section: Section, _ count: Int) throws {
    guard section.words.count == count else {
      throw error(section.line, "'\(section.words.joined(separator: " "))' is not understood")
    }
  }

  private func demandEmpty(_ section: Section) throws {
    if let line = section.lines.first(where: { !$0.text.isEmpty }) {
      throw error(line.number, "'\(section.words[0])' has no lines")
    }
  }

  /// The lines up to the next section, without the blank ones at the end.
  private func body(_ section: Section) -> String {
    let lines = section.lines.map(\.text)
    let end = (lines.lastIndex { !$0.isEmpty } ?? -1) + 1
    return lines[..<end].joined(separator: "\n") + "\n"
  }

  /// Applies an edit: blocks of `- old`, `+ new` and `  same` lines, with blank lines between them.
  private func edited(_ text: String, _ section: Section) throws -> String {
    var lines = text.components(separatedBy: "\n")
    var block: (old: [String], new: [String], line: Int) = ([], [], 0)
    func replace() throws {
      guard !block.old.isEmpty || !block.new.isEmpty else { return }
      let places = lines.indices.filter { lines[$0...].starts(with: block.old) }
      guard !block.old.isEmpty, places.count == 1, block.old != block.new else {
        throw error(
          block.line, "the old lines are there \(places.count) times and must be once, and change")
      }
      lines.replaceSubrange(places[0]..<places[0] + block.old.count, with: block.new)
      block = ([], [], 0)
    }
    for (line, number) in section.lines {
      if line.isEmpty {
        try replace()
        continue
      }
      if block.line == 0 { block.line = number }
      guard line.count == 1 || line.dropFirst().hasPrefix(" ") else {
        throw error(number, "a line of an edit begins with '- ', '+ ' or two spaces")
      }
      let rest = String(line.dropFirst(2))
      switch line.first {
      case "-": block.old.append(rest)
      case "+": block.new.append(rest)
      case " ":
        block.old.append(rest)
        block.new.append(rest)
      default: throw error(number, "a line of an edit begins with '- ', '+ ' or two spaces")
      }
    }
    try replace()
    let result = lines.joined(separator: "\n")
    guard result != text else { throw error(section.line, "an edit that changes nothing") }
    return result
  }

  private func expectations(
    _ section: Section, _ kind: Scenario.Outcome.Kind
  ) throws -> [Expectation] {
    try section.lines.compactMap { line in
      let text = line.text.trimmingCharacters(in: .whitespaces)
      guard !text.isEmpty, !text.hasPrefix("#") else { return nil }
      do {
        let expectation = try Expectation(text, in: kind, line: line.number)
        // What is kept is not listed in the report: a misspelled name would be kept, too.
        if expectation.word == .fate, expectation.text == "kept",
          let name = expectation.names.first(where: { name in
            !texts.values.contains { $0.contains(name) }
          })
        {
          throw error(line.number, "'\(name)' is in no source")
        }
        return expectation
      } catch let failure as Expectation.Unreadable {
        throw error(line.number, failure.what)
      }
    }
  }
}
