// J4.sqlite, J4.lua, J4.crypto, J4.stdcxx: real archives from their bytes in memory until a function that uses them has
// answered, all members linked whether needed or not, in a process that has done it before.
//
// The peer is ORC, which is asked for a symbol of every member. Where it refuses an archive, or is not installed:
// `ld.lld -shared --whole-archive` and dlopen, from files.
//
// Details: members, relocations, microseconds a member, relocations a second (ours).
internal import Glibc
internal import HotLink

enum Archives {
  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    let wanted = ArchiveQuestion.all.filter { runner.wants("J4." + $0.name) }
    guard !wanted.isEmpty else { return }
    let orc = try Orc.program(fixtures)
    for question in wanted {
      let id = "J4." + question.name
      guard let path = question.path else {
        note("\(id): no \(question.paths.last ?? "") here, left out (Debian: \(question.package))")
        continue
      }
      do {
        let subject = try Subject(question, path, fixtures)
        let (name, peer) = try subject.peer(orc)
        runner.measure(
          Figure(
            id: id, peer: name, rounds: 9, measureOurs: subject.link, measurePeer: peer,
            details: subject.details))
      } catch {
        runner.fail(id, error)
      }
    }
  }

  private final class Subject {
    private let question: ArchiveQuestion
    private let archive: Object
    private let asker: Object
    private let fixtures: Fixtures
    private var members = 0
    private var relocations = 0
    private var opened = 0

    init(_ question: ArchiveQuestion, _ path: String, _ fixtures: Fixtures) throws {
      self.question = question
      self.fixtures = fixtures
      archive = Object(path: path, bytes: try Fixtures.contents(of: path))
      let source = ("ask-" + question.name, question.source)
      asker =
        try question.isCxx ? fixtures.object(cxx: source) : fixtures.objects([source])[0]
    }

    func link() throws -> Double {
      var options = Session.Options()
      options.libraries = question.libraries
      var answer: Int32 = 0
      let start = nanoseconds()
      let session = try Session(options)
      try session.add(asker.bytes, name: asker.path)
      try session.add(archive.bytes, name: archive.path, isWhole: true)
      let report = try session.start()
      let ask: Question = try session.function(ArchiveQuestion.function)
      answer = ask()
      let time = nanoseconds() - start
      guard answer == question.answer else { throw BenchError("ours gives \(answer)") }
      members = report.units.count - 1
      relocations = report.relocations
      return time
    }

    func details(_ times: [Double]) -> [Detail] {
      let time = median(times)
      return [
        Detail(name: "objects", value: Double(members)),
        Detail(name: "relocations", value: Double(relocations)),
        Detail(name: "us_per_object", value: time / 1e3 / Double(members)),
        Detail(name: "relocations_per_s", value: Double(relocations) / time * 1e9),
      ]
    }

    /// The peer that can do it, and one measurement by it.
    func peer(_ orc: String?) throws -> (name: String, measure: () throws -> Double) {
      if let orc {
        do {
          let process = try PeerProcess(orc)
          for library in question.libraries { _ = try process.ask("open \(library)") }
          let measure = { [self] in try linkByOrc(process) }
          _ = try measure()
          return ("ORC", measure)
        } catch {
          note("J4.\(question.name): ORC does not link it (\(error)); against ld.lld + dlopen")
        }
      }
      let linker = try SharedLibrary.findLinker()
      return ("ld.lld -shared + dlopen", { [self] in try linkShared(linker) })
    }

    private func linkByOrc(_ process: PeerProcess) throws -> Double {
      let numbers = try process.ask(
        "archive \(archive.path) \(asker.path) \(ArchiveQuestion.function)")
      guard numbers.count == 4, numbers[3] == Double(question.answer) else {
        throw BenchError("it said \(numbers)")
      }
      return numbers[0]
    }

    /// What every program brings itself: `atexit`.
    private static let programParts = ["/usr/lib/x86_64-linux-gnu/libc_nonshared.a"]

    private func linkShared(_ linker: String) throws -> Double {
      var answer: Int32 = 0
      opened += 1
      // A name of its own: what is open under a name is not opened again.
      let file = "\(fixtures.folder)/archive-\(opened).so"
      defer { unlink(file) }
      // Debian's archives are made for programs: -Bsymbolic lets a library be made of most of them.
      let options = ["-shared", "--eh-frame-hdr", "-Bsymbolic", "-o", file, asker.path]
      let whole = ["--whole-archive", archive.path, "--no-whole-archive"]
      let parts = Self.programParts.filter { access($0, R_OK) == 0 }
      let start = nanoseconds()
      try Subprocess.run(linker, options + whole + parts)
      // Handlers that it registers for the exit would be called where nothing is any more.
      let library = try SharedLibrary(opening: file, stays: true)
      let ask: Question = try library.function(ArchiveQuestion.function)
      answer = ask()
      let time = nanoseconds() - start
      guard answer == question.answer else { throw BenchError("the peer gives \(answer)") }
      return time
    }
  }
}
