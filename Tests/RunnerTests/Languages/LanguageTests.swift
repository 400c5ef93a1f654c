// Programs of every language behave under `hotlink run` as when their own driver links them. A few ways to compile in
// each run, all of them with HOTLINK_LONG_TESTS=1. docs/languages.md.
import Foundation
import Testing

@Suite struct LanguageTests {
  @Test(arguments: BuildMatrix.few("c", each: 2))
  func c(_ one: ProgramBuild) throws {
    try one.build.compare(one.program)
  }

  @Test(arguments: BuildMatrix.few("cxx", each: 1))
  func cxx(_ one: ProgramBuild) throws {
    try one.build.compare(one.program)
  }

  @Test(arguments: SourceProgram.all("swift"), [["-Onone"], ["-O"]])
  func swift(_ program: SourceProgram, _ flags: [String]) throws {
    try SwiftBuild(flags: flags).compare(program)
  }

  @Test(arguments: SourceProgram.all("assembler"))
  func assembler(_ program: SourceProgram) throws {
    let folder = try TemporaryFolder()
    let object = folder.path("unit.o")
    let linked = folder.path("program")
    try Tool.output("as", program.files + ["-o", object])
    try Tool.output(program.words("driver").first ?? "gcc", [object, "-o", linked])
    try LinkedTwice(program: program, objects: [object], linked: linked, build: "as").compare()
  }

  @Test func objectsFromStandardInput() throws {
    let folder = try TemporaryFolder()
    let source = try folder.write(
      "#include <stdio.h>\nint more(void); int main(void) { puts(\"piped\"); return more(); }",
      to: "x.c")
    let more = try Compiler.gcc.object("int more(void) { return 12; }", "more", in: folder)
    let hotlink = try Tool.hotlinkPath()
    // gas needs an output that it can seek in: clang does not, and a file may be piped in.
    for command in [
      "clang -c -o /dev/stdout \(source) | \(hotlink) run - \(more)",
      "gcc -c -o \(folder.path("x.o")) \(source) && cat \(folder.path("x.o")) | \(hotlink) run \(more) -",
    ] {
      let outcome = try Tool.run("/bin/bash", ["-o", "pipefail", "-c", command])
      #expect(outcome.end == .exited(12), "\(command): \(outcome.stderr)")
      #expect(outcome.stdout == "piped\n")
    }
    let check = try Tool.run(
      "/bin/bash", ["-c", "cat \(folder.path("x.o")) | \(hotlink) check --json - \(more)"])
    #expect(check.end == .exited(0), "\(check.stderr)")
    #expect(check.stdout.contains(#""ok":true"#) && check.stdout.contains("standard input"))
  }

  @Test func librariesAreNamedAsForALinker() throws {
    let folder = try TemporaryFolder()
    let main = try Compiler.gcc.object(
      "double cos(double); int part(int); int main(int c, char **v) { return part(5) + (cos(c - 1) > .9); }",
      flags: ["-O2", "-fno-builtin"], in: folder)
    let part = try Compiler.gcc.object(
      "int part(int x) { return x * 4; }", "part", flags: ["-fPIC"], in: folder)
    try Tool.output("ar", ["rcs", folder.path("libpart.a"), part])
    let options = ["-L\(folder.root)", "-lm", "-lpart"]
    #expect(try Tool.hotlink(["run", main] + options).end == .exited(21))
    try Tool.output("gcc", ["-shared", part, "-o", folder.path("libpart.so")])
    #expect(try Tool.hotlink(["run", main, "-l", "part", "-L", folder.root]).end == .exited(21))
    #expect(try Tool.hotlink(["check", main] + options).end == .exited(0))
    let missing = try Tool.hotlink(["run", main, "-lnowhere"])
    #expect(missing.end == .exited(2))
    #expect(missing.stderr.contains("nowhere"))
  }

  @Test func arraysOfASharedObjectNameExportedFunctions() throws {
    let folder = try TemporaryFolder()
    let library = try Compiler.gcc.object(
      """
      #include <stdio.h>
      int started;
      void start(void) { started++; }
      void finish(void) { printf("finished %d\\n", started); }
      __attribute__((section(".init_array"), used)) void (*const first)(void) = start;
      __attribute__((section(".fini_array"), used)) void (*const last)(void) = finish;
      """, "library", flags: ["-fPIC"], in: folder)
    let main = try Compiler.gcc.object(
      "extern int started; int main(void) { return started; }", flags: ["-fPIC"], in: folder)
    try Tool.output("gcc", ["-shared", library, "-o", folder.path("library.so")])
    let run = try Tool.hotlink(["run", main, folder.path("library.so")])
    #expect(run.end == .exited(1), "\(run.stderr)")
    #expect(run.stdout == "finished 1\n")
  }
}

/// swiftc with flags: all files are one module.
struct SwiftBuild {
  var flags: [String]

  @discardableResult
  func compare(_ program: SourceProgram) throws -> String {
    let folder = try TemporaryFolder()
    // As swiftc says it: a file with top-level code is called main.swift, one with @main is a library.
    let isLibrary = !program.files.contains { $0.hasSuffix("/main.swift") }
    let mode =
      ["-emit-object", "-module-name", "Program"] + (isLibrary ? ["-parse-as-library"] : [])
    try Tool.output(
      "swiftc", mode + flags + program.words("flags") + program.files, directory: folder.root,
      timeout: 300)
    let objects = try FileManager.default.contentsOfDirectory(atPath: folder.root)
      .filter { $0.hasSuffix(".o") }.sorted().map { folder.path($0) }
    let linked = folder.path("program")
    try Tool.output("swiftc", objects + ["-o", linked], timeout: 300)
    return try LinkedTwice(
      program: program, objects: objects, linked: linked,
      build: "swiftc \(flags.joined(separator: " "))"
    ).compare()
  }
}
