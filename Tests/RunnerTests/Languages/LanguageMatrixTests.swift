// The long ones: every way to compile C and C++, and the languages whose compilers are not everywhere.
import Foundation
import Testing

private let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"

@Suite(.enabled(if: isLong)) struct LanguageMatrixTests {
  @Test(arguments: BuildMatrix.every("c", BuildMatrix.whole))
  func cMatrix(_ one: ProgramBuild) throws {
    try one.build.compare(one.program)
  }

  @Test(arguments: BuildMatrix.every("cxx", BuildMatrix.pairs))
  func cxxMatrix(_ one: ProgramBuild) throws {
    try one.build.compare(one.program)
  }

  @Test(arguments: SourceProgram.all("swift"), [["-O", "-wmo"], ["-O", "-g"], ["-Onone", "-g"]])
  func swiftMatrix(_ program: SourceProgram, _ flags: [String]) throws {
    try SwiftBuild(flags: flags).compare(program)
  }

  @Test(arguments: SourceProgram.all("tcc"), ["", "-g"])
  func tcc(_ program: SourceProgram, _ flag: String) throws {
    let folder = try TemporaryFolder()
    let object = folder.path("unit.o")
    let flags = flag.isEmpty ? [] : [flag]
    try Tool.output("tcc", ["-c"] + flags + program.files + ["-o", object])
    try Tool.output("tcc", [object, "-o", folder.path("program")] + program.words("libraries"))
    try LinkedTwice(
      program: program, objects: [object], options: program.words("libraries"),
      linked: folder.path("program"), build: "tcc \(flag)"
    ).compare()
  }

  @Test(arguments: [["0"], ["2"], ["3", "-C", "debuginfo=2"], ["s"]], RustLibrary.allCases)
  func rust(_ level: [String], _ library: RustLibrary) throws {
    let program = try #require(SourceProgram.all("rust").first)
    let folder = try TemporaryFolder()
    let flags = ["--edition", "2021", "-C", "opt-level=\(level[0])"] + level.dropFirst()
    let object = folder.path("main.o")
    try Tool.output("rustc", flags + ["--emit=obj", program.files[0], "-o", object], timeout: 300)
    let linked = folder.path("program")
    try Tool.output("rustc", flags + [program.files[0], "-o", linked], timeout: 300)
    try LinkedTwice(
      program: program, objects: [object], options: try library.options(), linked: linked,
      build: "rustc \(level) \(library)"
    ).compare()
  }

  @Test(arguments: [
    ["-O0"], ["-O2"], ["-O3", "-g"], ["-O2", "-fPIC"], ["-O2", "-mcmodel=medium"],
  ])
  func fortran(_ flags: [String]) throws {
    let program = try #require(SourceProgram.all("fortran").first)
    let folder = try TemporaryFolder()
    let object = folder.path("main.o")
    try Tool.output(
      "gfortran", ["-c"] + flags + program.words("flags") + program.files + ["-o", object],
      directory: folder.root)
    try Tool.output("gfortran", [object, "-o", folder.path("program")])
    try LinkedTwice(
      program: program, objects: [object], options: program.words("libraries"),
      linked: folder.path("program"), build: "gfortran \(flags)"
    ).compare()
  }

  @Test(arguments: [["-O0"], ["-O2"], ["-O3", "-g"], ["-O2", "-fPIC", "-ffunction-sections"]])
  func ada(_ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let programs = SourceProgram.all("ada")
    for program in programs {
      try FileManager.default.copyItem(atPath: program.path, toPath: folder.path(program.name))
    }
    let main = try #require(programs.first { $0.name == "main.adb" })
    func run(_ words: String...) throws {
      try Tool.output(words[0], Array(words[1...]), directory: folder.root)
    }
    try Tool.output("gnatmake", ["-q", "-c"] + flags + ["main.adb"], directory: folder.root)
    try run("gnatbind", "-x", "main.ali")
    try run("gcc", "-c", "b~main.adb")
    let objects = ["b~main.o", "main.o", "shapes.o"].map { folder.path($0) }
    let kept = try TemporaryFolder()
    let binder = kept.path("b~main.o")
    try FileManager.default.copyItem(atPath: objects[0], toPath: binder)
    try run("gnatlink", "main.ali", "-o", "program")
    try LinkedTwice(
      program: main, objects: [binder] + objects.dropFirst(), options: ["-lgnat-12", "-lgnarl-12"],
      linked: folder.path("program"), build: "gnat \(flags)"
    ).compare()
  }

  @Test(
    arguments: DLibrary.allCases.flatMap { library in
      [["-O0"], ["-O2"], ["-O3", "-g"], ["-O2", "-fPIC"], ["-O2", "-ffunction-sections"]].map {
        DBuild(library: library, flags: $0)
      }
    })
  func d(_ build: DBuild) throws {
    let program = try #require(SourceProgram.all("d").first)
    let folder = try TemporaryFolder()
    let object = folder.path("program.o")
    let compile = build.library.compile(build.flags, to: object) + program.files
    try Tool.output(compile[0], Array(compile[1...]), timeout: 300)
    let link = build.library.link(object, to: folder.path("program"))
    try Tool.output(link[0], Array(link[1...]), timeout: 300)
    let output = try LinkedTwice(
      program: program, objects: [object], options: try build.library.options(),
      linked: folder.path("program"), build: build.testDescription
    ).compare()
    #expect(output.contains("module ends"))
  }
}

struct DBuild: Sendable, CustomTestStringConvertible {
  var library: DLibrary
  var flags: [String]
  var testDescription: String { "\(library) \(flags.joined(separator: " "))" }
}

/// Which of the D compilers, and where its runtime comes from. It asks the process for the image that it is called
/// from; gdc's code reaches the thread-local variables of the shared one from the thread pointer, 4.8 KB of them.
enum DLibrary: CaseIterable, Sendable {
  case gdcShared, gdcArchives, ldcShared

  func compile(_ flags: [String], to object: String) -> [String] {
    guard self == .ldcShared else { return ["gdc", "-c"] + flags + ["-o", object] }
    let known = flags.flatMap { flag -> [String] in
      switch flag {
      case "-fPIC": ["--relocation-model=pic"]
      case "-ffunction-sections": ["--function-sections"]
      default: [flag]
      }
    }
    return ["ldc2", "-c"] + known + ["--of=" + object]
  }

  func link(_ object: String, to program: String) -> [String] {
    switch self {
    case .gdcShared: ["gdc", object, "-o", program]
    case .gdcArchives: ["gdc", "-static-libphobos", object, "-o", program]
    case .ldcShared: ["ldc2", object, "--of=" + program]
    }
  }

  func options() throws -> [String] {
    switch self {
    case .gdcShared: ["-lgphobos", "-lgdruntime"]
    case .gdcArchives:
      try ["libgphobos.a", "libgdruntime.a"].map {
        try Tool.output("gdc", ["-print-file-name=" + $0])
          .trimmingCharacters(in: .whitespacesAndNewlines)
      }
    case .ldcShared:
      ["/usr/lib/ldc_rt.dso.o", "-lphobos2-ldc-shared", "-ldruntime-ldc-shared"]
    }
  }
}

/// Where Rust's std comes from.
enum RustLibrary: CaseIterable, Sendable {
  /// libstd-*.so, opened in the process.
  case shared
  /// The archives that rustc itself links.
  case archives

  func options() throws -> [String] {
    let folder = try Tool.output("rustc", ["--print", "target-libdir"])
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    let wanted = files.filter {
      switch self {
      case .shared: $0.hasPrefix("libstd-") && $0.hasSuffix(".so")
      case .archives:
        $0.hasSuffix(".rlib") && !$0.contains("panic_abort") && !$0.contains("profiler")
      }
    }.map { folder + "/" + $0 }
    return self == .shared ? wanted.flatMap { ["-l", $0] } : wanted
  }
}
