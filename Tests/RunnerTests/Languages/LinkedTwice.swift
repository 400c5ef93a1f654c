// Objects linked twice: by their own driver into a program, and by `hotlink run` in memory. Both are run under the same
// name, with the same arguments, environment and input; output, errors and the way they end must be the same.
import Foundation
import Testing

struct LinkedTwice {
  var program: SourceProgram
  /// What the compiler made, with what `hotlink run` needs beside it: `-lX`, archives.
  var objects: [String]
  var options: [String] = []
  /// What the driver made of the same.
  var linked: String
  /// How it was built, for messages.
  var build: String

  /// Runs both in every way that the program names.
  ///
  /// - Returns: all output, for tests that want to know that something was tested.
  @discardableResult
  func compare(sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    var all = ""
    for arguments in program.runs {
      // The reporter of the Swift runtime prints addresses, backtraces of other runtimes do so too.
      let environment = program.environment.merging([
        "SWIFT_BACKTRACE": "enable=no", "RUST_BACKTRACE": "0", "GFORTRAN_ERROR_BACKTRACE": "n",
      ]) { $1 }
      let expected = try Tool.run(
        "/bin/bash", ["-c", "exec -a \"$0\" \"$@\"", objects[0], linked] + arguments,
        input: program.input, environment: environment, timeout: 60)
      let found = try Tool.hotlink(
        ["run"] + options + objects + (arguments.isEmpty ? [] : ["--"] + arguments),
        input: program.input, environment: environment, timeout: 120)
      let what = "\(program.name) \(arguments), \(build)"
      #expect(expected.end != .timedOut, "\(what)", sourceLocation: sourceLocation)
      #expect(
        found.end == expected.end, "\(what): \(found.stderr.suffix(800))",
        sourceLocation: sourceLocation)
      #expect(found.stdout == expected.stdout, "\(what)", sourceLocation: sourceLocation)
      #expect(
        LinkedTwice.withoutNumbers(found.stderr) == LinkedTwice.withoutNumbers(expected.stderr),
        "\(what)", sourceLocation: sourceLocation)
      all += found.stdout
    }
    return all
  }

  /// Without what differs from run to run: Rust's runtime names threads by the kernel's numbers, `thread 'main' (1234)
  /// panicked`; it, when a panic ends in another, Swift's and D's list the addresses of calls.
  private static func withoutNumbers(_ text: String) -> String {
    text.replacing(#/' \(\d+\) /#, with: "' (number) ")
      .replacing(#/\n\d+ +\S+ +0x[0-9a-f]{16}.*/#, with: "")
      .replacing(#/\n +(\d+: |at ).*/#, with: "")
      .replacing(#/\n[^\n]*\[0x[0-9a-f]+\](?=\n|$)/#, with: "")
  }
}

/// A C or C++ compiler with flags.
struct CBuild: Sendable, CustomTestStringConvertible {
  var isClang: Bool
  var flags: [String]

  var testDescription: String { ([isClang ? "clang" : "gcc"] + flags).joined(separator: " ") }

  /// The compiler for a source, by its suffix.
  func compiler(_ file: String) -> String {
    let isCxx = file.hasSuffix(".cpp")
    return isClang ? (isCxx ? "clang++" : "clang") : (isCxx ? "g++" : "gcc")
  }

  /// Whether a program is for this compiler.
  func fits(_ program: SourceProgram) -> Bool {
    program.words(isClang ? "clang" : "gcc") != ["none"]
  }

  /// Builds a program and runs it both ways.
  @discardableResult
  func compare(_ program: SourceProgram) throws -> String {
    let folder = try TemporaryFolder()
    let own = program.words("flags") + program.words(isClang ? "clang" : "gcc")
    var objects: [String] = []
    for file in program.files {
      let object = folder.path((file as NSString).lastPathComponent + ".o")
      try Tool.output(compiler(file), ["-c"] + flags + own + [file, "-o", object], timeout: 300)
      objects.append(object)
    }
    let driver = compiler(program.files.first { $0.hasSuffix(".cpp") } ?? program.files[0])
    let archives = try program.archives(driver)
    let linked = folder.path("program")
    // What a driver needs to know to link such objects.
    let modes = own.filter { $0 == "-fopenmp" } + flags.filter { $0 == "-no-pie" }
    try Tool.output(
      driver,
      objects + archives + modes + program.words("libraries") + program.words("link")
        + ["-o", linked], timeout: 300)
    return try LinkedTwice(
      program: program, objects: objects, options: archives + program.words("libraries"),
      linked: linked, build: testDescription
    ).compare()
  }
}

/// The ways to compile that must not matter.
enum BuildMatrix {
  private static let levels = [["-O0"], ["-O2"], ["-O3", "-g"]]
  private static let positions = [[], ["-fPIC"], ["-fPIC", "-fno-plt"], ["-fno-plt"]]
  private static let sections = [[], ["-ffunction-sections", "-fdata-sections"]]
  private static let models = [[], ["-mcmodel=medium"], ["-mcmodel=large"]]

  /// All combinations, for both compilers.
  static let whole: [CBuild] = [false, true].flatMap { isClang in
    levels.flatMap { level in
      positions.flatMap { position in
        sections.flatMap { section in
          models.map { CBuild(isClang: isClang, flags: level + position + section + $0) }
        }
      }
    }
  }

  /// So many of them that each pair of flags of different kinds is in one (a covering array of strength 2).
  static let pairs: [CBuild] = {
    func parts(_ build: CBuild) -> Set<Int> {
      var bits = [build.isClang ? 0 : 1]
      bits.append(2 + (levels.firstIndex { build.flags.starts(with: $0) } ?? 0))
      let isPIC = build.flags.contains("-fPIC")
      bits.append(5 + (isPIC ? 1 : 0) + (build.flags.contains("-fno-plt") ? 2 : 0))
      bits.append(9 + (build.flags.contains("-fdata-sections") ? 1 : 0))
      bits.append(
        11 + (build.flags.contains("-mcmodel=medium") ? 1 : 0)
          + (build.flags.contains("-mcmodel=large") ? 2 : 0))
      return Set(
        bits.indices.flatMap { a in bits.indices.filter { $0 > a }.map { bits[a] * 64 + bits[$0] } }
      )
    }
    var left = whole.map { (build: $0, pairs: parts($0)) }
    var open = left.reduce(into: Set<Int>()) { $0.formUnion($1.pairs) }
    var chosen: [CBuild] = []
    while !open.isEmpty, let best = left.max(by: { $0.pairs.count < $1.pairs.count }) {
      chosen.append(best.build)
      open.subtract(best.pairs)
      left = left.map { ($0.build, $0.pairs.intersection(open)) }
    }
    return chosen
  }()

  /// For each program some of the pairs, others than for its neighbours.
  static func few(_ language: String, each count: Int) -> [ProgramBuild] {
    let programs = SourceProgram.all(language)
    return programs.enumerated().flatMap { index, program in
      let fitting = pairs.filter { $0.fits(program) }
      return (0..<min(count, fitting.count)).map {
        ProgramBuild(program: program, build: fitting[(index * count + $0) % fitting.count])
      }
    }
  }

  /// Each program in each of some builds.
  static func every(_ language: String, _ builds: [CBuild]) -> [ProgramBuild] {
    SourceProgram.all(language).flatMap { program in
      builds.filter { $0.fits(program) }.map { ProgramBuild(program: program, build: $0) }
    }
  }
}

struct ProgramBuild: Sendable, CustomTestStringConvertible {
  var program: SourceProgram
  var build: CBuild
  var testDescription: String { "\(program.name), \(build.testDescription)" }
}
