// I4: what the layout guard costs a reload of an object with debug data, as the report tells it (`guard_us`): 10 KB and
// 1 MB; and 1 MB where a type and a variable of it come and go, so that all types are read and compared. The peer links the
// same object to a shared one and compares nothing.
internal import HotLink
internal import Synchronization

enum Guarding {
  private static let figures: [(id: String, count: Int, editsTypes: Bool)] = [
    ("I4.small", 6, false), ("I4.large", 1100, false), ("I4.types", 1100, true),
  ]

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard figures.contains(where: { runner.wants($0.id) }) else { return }
    let linker = try SharedLibrary.findLinker()
    for figure in figures where runner.wants(figure.id) {
      let (id, count, editsTypes) = (figure.id, figure.count, figure.editsTypes)
      let name = editsTypes ? "guard-types" : "guard"
      let edits = try fixtures.objects(
        [1, 2].map { value in
          let fresh = editsTypes && value == 2 ? "struct fresh { int a, b; } *fresh;\n" : ""
          return ("\(name)\(count)-\(value)", fresh + source(count, value: value))
        }, flags: ["-g"])
      let unit = try Unit(edits)
      runner.measure(
        Figure(
          id: id, peer: "ld.lld -shared", rounds: 30, measureOurs: unit.edit,
          measurePeer: {
            try timed {
              try Subprocess.run(
                linker, ["-shared", "-o", fixtures.folder + "/guard.so", edits[0].path])
            }
          }))
    }
  }

  /// A session of one unit.
  private final class Unit {
    private let session: Session
    private let edits: [Object]
    private var turn = 0
    private let guarded = Time()

    init(_ edits: [Object]) throws {
      self.edits = edits
      session = try Session()
      session.onEvent { [guarded] event in
        if case .reloaded(let report) = event { guarded.note(report.guardMicroseconds * 1e3) }
        if case .refused = event { guarded.note(.nan) }
      }
      try session.add(edits[0].bytes, name: "unit.o")
      try session.start()
      // What is read of the old version is read once.
      _ = try edit()
    }

    func edit() throws -> Double {
      turn += 1
      try session.add(edits[turn % 2].bytes, name: "unit.o")
      _ = session.waitUntilLinked()
      session.update()
      guard guarded.last.isFinite else { throw BenchError("the edit was refused") }
      return guarded.last
    }
  }

  private final class Time: Sendable {
    private let time = Mutex(Double.nan)
    var last: Double { time.withLock { $0 } }
    func note(_ new: Double) { time.withLock { $0 = new } }
  }

  /// Types that lead to each other, variables of them, and functions that take them apart.
  private static func source(_ count: Int, value: Int) -> String {
    var text = "int edited(void) { return \(value); }\n"
    for number in 0..<count {
      let other = number / 2
      text += """
        struct s\(number) { int a; float b; struct s\(other) *p; struct { short x, y; } at[3]; char name[\(number % 30 + 1)]; };
        struct s\(number) v\(number); enum e\(number) { A\(number), B\(number) = \(number + 1) };
        int f\(number)(struct s\(number) *s, enum e\(number) e) {
          int sum = e == B\(number);
          for (int i = 0; i < 3; i++) sum += s->at[i].x * s->a + v\(number).at[i].y;
          return s->p ? sum + s->p->a : sum + v\(number).name[0];
        }

        """
    }
    return text
  }
}
